"""What is known of a source that is asked over HTTP. Nothing heavy is loaded for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import field

from scimsync.scim.dialect import Dialect
from scimsync.values import Secretive


class RestSettings(Secretive, frozen=True, kw_only=True):
    """How a REST API, or another SCIM directory, lists people."""

    url: str
    #: column -> where it stands in a record
    columns: Mapping[str, str] = field(default_factory=dict)
    records: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    #: parameters that are secrets
    secret_parameters: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    method: Literal["GET", "POST"] = "GET"
    body: Mapping[str, object] = field(default_factory=dict)
    paging: Literal["none", "page", "offset", "cursor", "link", "next"] = "none"
    page_parameter: str = ""
    first_page: int | None = None
    page_size_parameter: str = ""
    page_size: int = 0
    page_in_body: bool = False
    next: str = ""
    total: str = ""
    #: of another SCIM directory
    dialect: Dialect | None = None
    requests_per_minute: int | None = None
    answer_seconds: int = 60
    answer_megabytes: int = 64

    @property
    def decisive(self) -> list[object]:
        """What decides which records come, and how: no secrets, no speed."""
        return [
            self.url, sorted(self.columns.items()), self.records, sorted(self.parameters.items()),
            sorted(self.secret_parameters), sorted(self.headers), self.method, self.body, self.paging,
            self.page_parameter, self.first_page, self.page_size_parameter, self.page_size, self.page_in_body,
            self.next, self.total, self.dialect.name if self.dialect else "",
        ]  # fmt: skip

"""The keys of a source that is asked over HTTP: a REST API, and another SCIM directory."""

from typing import Annotated, Literal

from pydantic import Field

from scimsync.config.keys import Section
from scimsync.config.keys import key as _key
from scimsync.config.keys import text as _text

REST = frozenset({"rest"})
SCIM = frozenset({"scim"})
ASKED = REST | SCIM
#: the keys of a REST API alone
REST_KEYS = (
    "records", "parameters", "headers", "method", "body", "paging", "page_parameter", "first_page",
    "page_size_parameter", "page_size", "page_in_body", "next", "total",
)  # fmt: skip
#: the keys of whatever is asked
ASKED_KEYS = ("requests_per_minute", "answer_seconds", "answer_megabytes")
#: the keys of another directory alone
SCIM_KEYS = ("dialect",)
#: who we are to it, of the keys that all sources behind a network share
ACCESS_KEYS = (
    "username", "password", "token", "header", "header_value", "client_id", "client_secret", "token_url", "scopes",
    "audience", "client_auth", "ca_file",
)  # fmt: skip


Parameter = Annotated[str, Field(description="The value of the parameter, or a reference.", examples=["env:HR_KEY"])]
Header = Annotated[str, Field(description="What stands in the header, or a reference.", examples=["env:HR_KEY"])]


class Asked(Section):
    """What a source that is asked over HTTP needs besides its address and who we are."""

    records: str = _text(
        "Where the list of records stands in an answer; left out, the answer is that list. For kind `rest`.",
        example="data.employees",
    )
    parameters: dict[str, Parameter] = _key(
        "Parameters of the query. One that is env:NAME or file:PATH is a secret, which no message shows: an API key "
        "that travels so. For kind `rest`.",
        {},
        example={"status": "all", "api_key": "env:HR_API_KEY"},
    )
    headers: dict[str, Header] = _key(
        "Headers sent with each request, besides the one that lets us in; env:NAME or file:PATH for a secret. For kind "
        "`rest`.",
        {},
        example={"US-Customer-Api-Key": "env:UKG_API_KEY"},
    )
    method: Literal["GET", "POST"] | None = _key(
        "How records are asked for. A POST must only ask: it is sent again after trouble. For kind `rest`; default "
        "`GET`.",
        None,
        example="POST",
    )
    body: dict[str, object] = _key(
        "What a POST asks with, sent as JSON. For kind `rest`.", {}, example={"showInactive": True}
    )
    paging: Literal["none", "page", "offset", "cursor", "link", "next"] | None = _key(
        "How a listing goes on: by the number of the `page`, by the `offset` of the first record, by a `cursor` that "
        "the answer gives, by its `Link` header, by the `next` URL in it, or not at all. For kind `rest`; default "
        "`none`.",
        None,
        example="cursor",
    )
    page_parameter: str = _text(
        "The parameter that changes from page to page. For the pagings `page`, `offset` and `cursor`, by which it is "
        "called where this is left out.",
        example="pageNumber",
    )
    first_page: int | None = _key(
        "The number of the first page, or of the first record. For the pagings `page` (default 1) and `offset` "
        "(default 0).",
        None,
        example=0,
        ge=0,
    )
    page_size_parameter: str = _text("The parameter for the size of a page. For kind `rest`.", example="limit")
    page_size: int | None = _key(
        "Records a page. For the kinds `rest` and `ldap` (there 500 where nothing is said).", None, example=200, ge=1
    )
    page_in_body: bool = _key(
        "Whether what changes from page to page travels in the body of a POST. For kind `rest`.",
        default=False,
        example=True,
    )
    next: str = _text(
        "Where the answer has the cursor or the next URL, which must be on the same host. For the pagings `cursor` and "
        "`next`.",
        example="meta.next_cursor",
    )
    total: str = _text(
        "Where an answer says how many records there are, as a path or as header:NAME. It proves that a reading is "
        "whole: as many records with keys of their own must come. For kind `rest`.",
        example="meta.total",
    )
    dialect: str = _text(
        "How the directory departs from the RFC, as at [target]. For kind `scim`.", "generic", example="okta"
    )
    requests_per_minute: int | None = _key(
        "The most requests a minute; 0 for no limit of ours. For the kinds `rest` and `scim`; default 300.",
        None,
        example=120,
        ge=0,
    )
    answer_seconds: int | None = _key(
        "How long one answer may take, to its last byte. For the kinds `rest` and `scim`; default 60.",
        None,
        example=300,
        ge=1,
    )
    answer_megabytes: int | None = _key(
        "How large one answer may be, unpacked. For the kinds `rest` and `scim`; default 64.", None, example=256, ge=1
    )

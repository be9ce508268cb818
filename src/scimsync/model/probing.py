"""The vocabulary of `probe`: what is asked and heard, what an experiment found, and what it made meanwhile."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct, field

#: the endpoints at which something is made
USERS, GROUPS = "Users", "Groups"
#: the attribute by which a resource of each endpoint is known as ours
NAMES: Mapping[str, str] = {USERS: "userName", GROUPS: "displayName"}
_QUOTED = re.compile(r'"[^"]*"')


class Question(Struct, frozen=True, kw_only=True):
    """One request of an experiment."""

    method: str
    #: the endpoint below the base: `Users`, `Schemas`
    endpoint: str
    identity: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    #: the value of If-Match
    match: str = ""
    #: a refusal for now, or trouble, is asked again; else it is the answer
    patient: bool = True

    @property
    def shown(self) -> str:
        """The request as evidence names it: without ids, and without what a filter looks for.

        Examples:
            >>> Question(method="GET", endpoint="Users", query={"filter": 'userName eq "ada@x.org"'}).shown
            'GET /Users?filter=userName eq "..."'
            >>> Question(method="PATCH", endpoint="Users", identity="7f3c", match="3").shown
            'PATCH /Users/{id} with If-Match'
        """
        path = f"/{self.endpoint}" + ("/{id}" if self.identity else "")
        query = "&".join(f"{name}={value}" for name, value in self.query.items())
        shown = _QUOTED.sub('"..."', f"{path}?{query}" if query else path)
        return f"{self.method} {shown}{' with If-Match' if self.match else ''}"


class Heard(Struct, frozen=True, kw_only=True):
    """What came of one question."""

    question: Question
    #: 0: no answer
    status: int = 0
    #: the JSON of the answer, of an error too; None where there is none
    body: object = None
    #: the version in the header as it came; "" for none
    etag: str = ""
    #: the id at the end of `Location`; "" for none
    location: str = ""
    #: the type of the answer, without parameters
    media: str = ""
    #: what went wrong, where nothing was answered
    why: str = ""

    @property
    def ok(self) -> bool:
        """Whether it was a success."""
        return 200 <= self.status < 300

    @property
    def resource(self) -> Mapping[str, object]:
        """The object that came; an empty one for anything else."""
        return self.body if isinstance(self.body, Mapping) else {}

    @property
    def listed(self) -> list[Mapping[str, object]]:
        """The resources of a page."""
        found = self.resource.get("Resources")
        return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []

    @property
    def ids(self) -> list[str]:
        """The ids on a page, in their order."""
        return [str(one["id"]) for one in self.listed if "id" in one]

    @property
    def total(self) -> int:
        """How many the target says there are; -1 where it does not say."""
        found = self.resource.get("totalResults")
        return found if isinstance(found, int) and not isinstance(found, bool) else -1

    @property
    def outcome(self) -> str:
        """The answer in a word, for evidence."""
        return str(self.status) if self.status else f"no answer ({self.why})"

    @property
    def evidence(self) -> str:
        """What was asked, and the status that came."""
        return f"{self.question.shown} -> {self.outcome}"


class Found(Struct, frozen=True, kw_only=True):
    """The answer of one entry of a dialect."""

    #: `table.key`, as a dialect file has it
    entry: str
    #: as a dialect file has it; None: what an absent entry means
    value: object
    #: what was asked, and what came; without values of people
    evidence: str


class Made(Struct, frozen=True, kw_only=True):
    """Something that a probe makes: noted before the request leaves, with its id as soon as that is known."""

    endpoint: str
    #: the login, or the display name of a group
    name: str
    noted_at: datetime
    identity: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from all others, once its id is known."""
        return self.endpoint, self.identity


class Findings(Struct):
    """What the experiments found so far."""

    found: dict[str, Found] = field(default_factory=dict)
    #: entry -> why it could not be found out
    unknown: dict[str, str] = field(default_factory=dict)
    #: what no entry says and a person should know
    remarks: list[str] = field(default_factory=list)
    #: path that a mapping usually has -> what became of it: kept, normalised, immutable, hidden, unkept, refused
    attributes: dict[str, str] = field(default_factory=dict)
    #: such paths that its schemas list as writable, or that accounts show
    listed: set[str] = field(default_factory=set)

    def take(self, *found: Found | None) -> None:
        """Add answers; the latest of an entry counts."""
        for one in found:
            if one is not None:
                self.found[one.entry] = one
                self.unknown.pop(one.entry, None)

    def settle(self, entry: str, found: Found | str | None) -> None:
        """Take the answer of an entry, or why there is none."""
        if isinstance(found, Found):
            self.take(found)
        else:
            self.lack(found or "nothing told it", entry)

    def lack(self, why: str, *entries: str) -> None:
        """Say why entries could not be found out, as far as they were not."""
        for entry in entries:
            if entry not in self.found:
                self.unknown.setdefault(entry, why)

    def value(self, entry: str, default: object = None) -> object:
        """The value that was found, or what is assumed instead."""
        return self.found[entry].value if entry in self.found else default


class Probed(Struct, frozen=True, kw_only=True):
    """The report of one probe."""

    at: datetime
    #: the SCIM base that was probed
    url: str
    findings: Findings
    #: what this or an earlier probe made and could not remove
    left: tuple[str, ...]
    #: what an earlier probe had left, and is gone now
    cleaned: tuple[str, ...]
    requests: int
    cap: int
    wrote: bool
    #: why it ended early; "" where it did not
    stopped: str = ""

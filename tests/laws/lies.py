"""A firm of four and a directory that lies: whole runs without sockets, each a few hundredths of a second.

The directory is the `Provider` of `tests.servers`; what it says goes through the lies of one `Lies`, what it does is
noted by the true id of the account. Requests reach it through the transport of the HTTP client.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx2
from tests.laws.days import WIDE, Silent
from tests.servers import ATTRIBUTES, Answer, Provider

from scimsync.adapters.target_scim import ScimTarget
from scimsync.adapters.target_wire import TargetSettings
from scimsync.engine.applying import apply_plan
from scimsync.engine.membership import Pairs
from scimsync.engine.plan_request import PlanPorts, PlanRequest
from scimsync.engine.planning import make_plan
from scimsync.engine.preconditions import ApplyOptions, ApplyPorts, check_plan
from scimsync.errors import ScimsyncError
from scimsync.model.outcomes import Link
from scimsync.model.policy import Authority, Grouping, Leavers, Mapped, Policy
from scimsync.scim.generic import GENERIC
from scimsync.scim.messages import list_response
from scimsync.testing import ListSource, MemoryStore, VirtualClock

COLUMNS = ("id", "login", "name", "status", "title")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lies:
    """In what the directory departs from the truth; "" where it does not."""

    #: spelling of the names of attributes: lower, upper, username
    names: str = ""
    #: how the protected login is shown: missing, null, empty, upper, spaces, list
    login: str = ""
    #: the login is shown so in listings alone
    login_listed: bool = False
    #: ids are shown as: number
    ids: str = ""
    #: ids in listings: alias (readable by it), unknown (404 by it), upper, crossed (two rows have each other's)
    listed: str = ""
    #: pages: overlap, cap, ignored (startIndex), zero (startIndex counts from 0)
    pages: str = ""
    #: totalResults: page, none, more, less
    total: str = ""
    #: `Resources` of a page without any: null, absent
    empty: str = ""
    #: filters: ignored, nobody, other, absent (404), refused (400)
    filters: str = ""
    #: answers to writes: old, nothing, other, wrong (does nothing)
    answers: str = ""
    #: versions: missing, equal, header
    versions: str = ""
    #: the externalId of the protected account stands on another too: yes, only
    stolen: str = ""
    #: the protected account comes twice on a page: same, renamed (the second under another login), blank, ahead (the first)
    doubled: str = ""


class Liar(Provider):
    """A directory that lies, and remembers whom it wrote in truth."""

    unique = True

    def __init__(self, lies: Lies, protected: Collection[str], *users: Mapping[str, object]) -> None:
        self.lies, self.protected = lies, protected
        self.page = 2 if lies.pages == "cap" else 100
        self.versioned = lies.versions != "missing"
        #: (method, kind, true id or body) of each request that was no GET
        self.writes: list[tuple[str, str, Any]] = []
        super().__init__(*users)

    # --- the truth ----------------------------------------------------------------------------

    def put(self, resource: Mapping[str, object], table: dict[str, dict[str, Any]] | None = None) -> dict[str, Any]:
        if "id" not in resource:
            resource = {"id": str(101 + len(self.users)), **resource}
        return super().put(resource, table)

    def true_id(self, shown: str) -> str:
        """The account that an id of ours stands for."""
        for identity in self.users:
            names = {"alias": f"L-{identity}", "upper": f"x{identity}".upper()}
            if shown in {identity, names.get(self.lies.listed)}:
                return identity
        return shown

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Any, if_match: str) -> Answer:
        kind, _, identity = path.strip("/").partition("/")
        if kind == "Users" and identity:
            identity = self.true_id(unquote(identity))
            path = f"/Users/{identity}"
        if method != "GET":
            self.writes.append((method, kind, identity or body))
        if method == "DELETE" and kind == "Users":
            return Answer(204 if self.users.pop(identity, None) else 404)
        if method == "POST" and kind == "Users" and self.lies.answers == "wrong":
            return Answer(201, self.said(next(iter(self.users.values())), listed=False))
        return super().answer(method, path, query, body, if_match)

    # --- the lies -----------------------------------------------------------------------------

    def is_admin(self, resource: Mapping[str, Any]) -> bool:
        return resource.get("userName") in self.protected

    def tag(self, identity: str) -> str:
        return 'W/"7"' if self.lies.versions == "equal" else super().tag(identity)

    def said(self, resource: Mapping[str, Any], *, listed: bool) -> dict[str, Any]:
        """A resource as this directory tells of it."""
        lies, shown = self.lies, dict(super().show(resource))
        if lies.versions == "header":
            shown["meta"] = {k: v for k, v in shown["meta"].items() if k != "version"}
        if resource["id"] in self.users:
            if self.is_admin(resource) and (listed or not lies.login_listed):
                login = str(resource["userName"])
                told = {"null": None, "empty": "", "upper": login.upper(), "spaces": f" {login}  ", "list": [login]}
                shown["userName"] = told.get(lies.login, login)
                if lies.login == "missing":
                    del shown["userName"]
            if listed:
                shown["id"] = self.listed_id(resource["id"])
            if lies.ids == "number" and shown["id"].isdecimal():
                shown["id"] = int(shown["id"])
        spelled = {"lower": str.lower, "upper": str.upper}.get(lies.names)
        if spelled:
            return {spelled(name): held for name, held in shown.items()}
        if lies.names == "username" and "userName" in shown:
            shown["username"] = shown.pop("userName")
        return shown

    def listed_id(self, identity: str) -> str:
        if self.lies.listed == "crossed":
            first, *_, last = self.users
            return {first: last, last: first}.get(identity, identity)
        names = {"alias": f"L-{identity}", "unknown": f"?{identity}", "upper": f"x{identity}".upper()}
        return names.get(self.lies.listed, identity)

    def show(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        return self.said(resource, listed=False)

    def select(self, resources: list[dict[str, Any]], expression: str) -> list[dict[str, Any]]:
        found = super().select(resources, expression)
        if not resources or resources[0]["id"] not in self.users or self.lies.filters in {"", "absent", "refused"}:
            return found
        others = [one for one in resources if one not in found]
        return {"ignored": resources, "nobody": [], "other": others[:1]}[self.lies.filters]

    def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
        lies = self.lies
        if table is not self.users:
            return super().list(table, query)
        if query.get("filter") and lies.filters in {"absent", "refused"}:
            return self.refuse(404 if lies.filters == "absent" else 400, "no")
        found = list(table.values())
        if found and query.get("filter"):
            found = self.select(found, query["filter"])
        start = max(1, int(query.get("startIndex", "1")))
        size = max(0, min(int(query.get("count", self.page)), self.page))
        first = {"ignored": 0, "zero": start, "overlap": max(0, start - 2)}.get(lies.pages, start - 1)
        shown = [self.said(one, listed=True) for one in found[first : first + size]]
        again = [self.second(one) for one in found[first : first + size] if self.is_admin(one) and lies.doubled]
        shown = again + shown if lies.doubled == "ahead" else shown + again
        total = {"page": len(shown), "none": 0, "more": len(found) + 3, "less": max(0, len(found) - 1)}
        page = list_response(shown, total=total.get(lies.total, len(found)), start=start)
        if not shown and lies.empty:
            page["Resources"] = None
        return Answer(200, page)

    def second(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        """The protected account once more."""
        other = {"userName": f"other-{resource['userName']}"}
        named = {"renamed": other, "ahead": other, "blank": {"userName": None}}.get(self.lies.doubled, {})
        return self.said({**resource, **named}, listed=True)

    def post(self, body: dict[str, Any], table: dict[str, dict[str, Any]]) -> Answer:
        answer = super().post(body, table)
        return self.spoiled(answer, body) if answer.status == 201 else answer

    def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
        before = dict(resource)
        answer = super().patch(resource, body, if_match)
        return self.spoiled(answer, before) if answer.status == 200 else answer

    def spoiled(self, answer: Answer, before: Mapping[str, Any]) -> Answer:
        """The answer to a write, as this directory gives it."""
        if self.lies.answers == "old" and "id" in before:
            return Answer(answer.status, self.said(before, listed=False), answer.headers)
        if self.lies.answers == "nothing":
            return Answer(204)
        if self.lies.answers == "other":
            return Answer(answer.status, self.said(next(iter(self.users.values())), listed=False), answer.headers)
        return answer


class Wire(httpx2.AsyncBaseTransport):
    """Hands requests to a provider in this process."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        parts = urlsplit(str(request.url))
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        raw = await request.aread()
        body = json.loads(raw) if raw else None
        answer = self._provider.answer(request.method, parts.path, query, body, request.headers.get("If-Match", ""))
        content = b"" if answer.body is None else json.dumps(answer.body).encode()
        headers = {"Content-Type": "application/scim+json", **answer.headers} if content else dict(answer.headers)
        headers["Content-Length"] = str(len(content))
        return httpx2.Response(answer.status, headers=headers, stream=httpx2.ByteStream(content), request=request)


@dataclass
class Firm:
    """The people of HR, what was linked before, and the directory."""

    folder: Path
    provider: Liar
    rows: Sequence[Sequence[object]]
    links: Mapping[str, str] = field(default_factory=dict)
    pairs: Sequence[tuple[str, str]] = ()
    leavers: Leavers = Leavers.DISABLE
    protected: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.plans, self.reports = [], []
        self.store, self.clock, self._fresh = MemoryStore(self.folder), VirtualClock(), count()
        self.store.save_links(Link(key, identity) for key, identity in self.links.items())

    @property
    def policy(self) -> Policy:
        users = GENERIC.users
        return Policy(
            attributes=tuple(
                Mapped(place=users.resolve(path), expression=text, authority=Authority.LOCAL_WINS)
                for path, text in ATTRIBUTES.items()
            ),
            match=(users.resolve("externalId"), users.resolve("userName")),
            protected=self.protected,
            leavers=self.leavers,
            limits=WIDE,
            groups=Grouping() if self.pairs else None,
        )

    def sync(self) -> int:
        """Plan and apply; the exit code. Whatever is no error of the product comes out as it is."""
        try:
            asyncio.run(self._sync())
        except ScimsyncError as error:
            return error.exit_code
        return 0

    async def _sync(self) -> None:
        self.clock.advance(3 * 86400)
        target = self._target()
        try:
            ports = PlanPorts(
                source=ListSource(COLUMNS, self.rows),
                target=target,
                store=self.store,
                clock=self.clock,
                observer=Silent(),
                phones=lambda number, _: number,
                fresh=lambda: f"{next(self._fresh):04d}",
                pairs=Pairs(pairs=ListSource(("key", "name"), self.pairs) if self.pairs else None),
            )
            plan = await make_plan(
                ports, PlanRequest(policy=self.policy, catalog=GENERIC.users, key="id", configuration="c")
            )
            self.plans.append(plan)
            if plan.refusals:
                return
            hands = ApplyPorts(target=target, store=self.store, clock=self.clock, observer=Silent())
            options = ApplyOptions(policy=self.policy, configuration="c")
            self.reports.append(
                await apply_plan(plan, check_plan(plan, self.store.run(plan.id), hands, options), hands, options)
            )
        finally:
            await target.close()

    def _target(self) -> ScimTarget:
        settings = TargetSettings(
            api_url="http://target.example",
            login_url="http://target.example",
            dialect=GENERIC,
            token="canary",
            requests_per_minute=0,
        )
        return ScimTarget(settings, clock=self.clock, rng=Random(1), transport=Wire(self.provider))

"""A directory in memory behind the real HTTP client, which remembers all that was done to it, and misbehaves on demand."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random
from typing import Any, Protocol

import httpx2
import msgspec
from tests.chaos.faults import Fault, Weather
from tests.chaos.groups import members, patched
from tests.chaos.loop import KilledError, Loop, VirtualTime

from scimsync.errors import ProtocolError
from scimsync.scim.genesys import GENESYS
from scimsync.scim.messages import Operation
from scimsync.scim.patch import apply

USERS = GENESYS.users
BASE = "/api/v2/scim/v2"
#: where the other interface tells of deleted people
PEOPLE = "/api/v2/users"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GENESYS_USER = "urn:ietf:params:scim:schemas:extension:genesys:purecloud:2.0:User"
SECRET = "canary-client-secret-7f1d"
_FILTER = re.compile(r'([A-Za-z0-9:.]+) eq (?:"((?:[^"\\]|\\.)*)"|(true|false))')
Json = dict[str, Any]


def copied(body: Json) -> Json:
    """A resource as it comes out of JSON."""
    return msgspec.json.decode(msgspec.json.encode(body), type=Json)


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that happened to one account."""

    at: float
    #: number of the process; -1 for another hand
    who: int
    method: str
    account: str
    before: Json
    after: Json
    #: number of the request; 0 for another hand
    request: int = 0


@dataclass(frozen=True, slots=True)
class Arrival:
    """One write of ours that reached the directory, whatever it answered."""

    at: float
    who: int
    method: str
    account: str
    body: Any
    match: str
    number: int
    #: whether it changed anything
    landed: bool
    #: when it left
    left: float = 0.0


@dataclass(slots=True)
class Traits:
    """What one directory is like."""

    unique: bool = True
    page: int = 100
    #: how it says that the version has moved
    conflict: str = "412"
    #: seconds after which a search shows a write
    lag_s: float = 0.0
    #: whether we may see deleted accounts
    tells_of_deleted: bool = True


class Process(Protocol):
    """Who asks."""

    number: int

    async def awake(self) -> None:
        """Come back when the process is not asleep; raise where it is dead."""
        ...

    @property
    def dead(self) -> bool:
        """Whether it is."""
        ...


@dataclass(slots=True)
class Hooks:
    """What the world does when something happens here."""

    kill: Callable[[Process], None]
    stop: Callable[[Process], None]
    cancel: Callable[[Process], None]
    second: Callable[[Process], None]


class Provider:
    """The directory."""

    def __init__(self, loop: Loop, clock: VirtualTime, weather: Weather, rng: Random, traits: Traits) -> None:
        self._loop, self._clock, self._weather, self._rng = loop, clock, weather, rng
        self.traits = traits
        self.users: dict[str, Json] = {}
        self.bygone: dict[str, Json] = {}
        #: what searches show
        self.index: dict[str, Json] = {}
        self._late: list[tuple[float, str, Json | None]] = []
        self.history: list[Effect] = []
        self.arrivals: list[Arrival] = []
        #: the same of groups
        self.groups: dict[str, Json] = {}
        self.group_history: list[Effect] = []
        self.group_arrivals: list[Arrival] = []
        #: (account, version) -> who was shown it, and when first
        self.views: dict[tuple[str, str], dict[int, float]] = {}
        self.requests: dict[int, int] = {}
        #: number of a request -> when it left
        self.left: dict[int, float] = {}
        self.tokens: dict[str, float] = {}
        self.token_asked = 0
        self.hooks: Hooks | None = None
        self._made, self._number = 0, 0
        self._down_until = 0.0
        self._lag_until, self._lag_s = 0.0, 0.0
        self._edits = 0

    # --- other hands ----------------------------------------------------------------------------------

    def found(self, user: Json, *, long_ago: bool = True) -> str:
        """Another hand makes an account; one that was made long ago is found by everybody."""
        made = self._put(-1, "POST", {"active": True, **user}, 0)
        if long_ago:
            self.index[made["id"]] = made
        return str(made["id"])

    def edit(self, account: str, change: Callable[[Json], None]) -> None:
        """A hand of somebody else changes an account."""
        if account not in self.users:
            return
        body = copied(self.users[account])
        change(body)
        self._settle(-1, "PATCH", account, body, 0)

    def any_edit(self, rng: Random, account: str, how: str = "") -> None:
        """A hand of somebody else, with a value that nobody else would write."""
        self._edits += 1
        mark = f"Foreign {self._edits}"

        def title(body: Json) -> None:
            body["title"] = mark

        def department(body: Json) -> None:
            body.setdefault(ENTERPRISE, {})["department"] = mark

        def unmanaged(body: Json) -> None:
            body["nickName"] = mark

        def skill(body: Json) -> None:
            body.setdefault(GENESYS_USER, {}).setdefault("routingSkills", []).append({"name": mark, "proficiency": 1.0})

        def mobile(body: Json) -> None:
            phones = [p for p in body.get("phoneNumbers", ()) if p.get("type") != "mobile"]
            body["phoneNumbers"] = [*phones, {"type": "mobile", "value": f"+1317555{self._edits:04d}"}]

        def enable(body: Json) -> None:
            body["active"] = True

        ways = {"title": title, "department": department, "unmanaged": unmanaged, "skill": skill, "mobile": mobile,
                "enable": enable}  # fmt: skip
        self.edit(account, ways[how or rng.choice(("title", "department", "unmanaged", "skill", "mobile"))])

    def found_group(self, name: str, members: Sequence[str]) -> None:
        """Another hand makes a group."""
        group = f"group-{name}"
        self.groups[group] = {"id": group, "displayName": name, "members": _listed(members),
                              "meta": {"resourceType": "Group", "version": "1"}}  # fmt: skip

    def member_by_hand(self, rng: Random) -> None:
        """Another hand puts somebody into a group, or takes out somebody whom nobody else would."""
        if self.groups and self.users:
            group, account = self.groups[rng.choice(sorted(self.groups))], rng.choice(sorted(self.users))
            self._regroup(-1, group["id"], {*members(group), account}, 0)

    def _regroup(self, who: int, group: str, held: Collection[str], request: int) -> None:
        before = self.groups[group]
        body = {**before, "members": _listed(sorted(held))}
        body["meta"] = {**before["meta"], "version": str(int(before["meta"]["version"]) + 1)}
        self.groups[group] = body
        self.group_history.append(Effect(self._loop.now, who, "PATCH", group, before, body, request))

    # --- state ----------------------------------------------------------------------------------------

    def _put(self, who: int, method: str, user: Json, request: int) -> Json:
        self._made += 1
        identity = f"00000000-0000-4000-8000-{self._made:012d}"
        return self._settle(who, method, identity, {**user, "id": identity}, request)

    def _settle(self, who: int, method: str, account: str, body: Json, request: int) -> Json:
        before = self.users.get(account, {})
        version = int(before["meta"]["version"]) + 1 if before else 1
        body["meta"] = {"resourceType": "User", "version": str(version)}
        self.users[account] = body
        self.history.append(Effect(self._loop.now, who, method, account, before, body, request))
        lag = self.traits.lag_s
        if self._loop.now < self._lag_until:
            lag = max(lag, self._lag_s)
        self._late.append((self._loop.now + lag, account, body))
        return body

    def _searched(self) -> list[Json]:
        """Who a search shows, by id."""
        due = [entry for entry in self._late if entry[0] <= self._loop.now]
        if due:
            self._late = [entry for entry in self._late if entry[0] > self._loop.now]
            for _, account, body in due:
                held = self.index.get(account)
                if body is None:
                    self.index.pop(account, None)
                elif account in self.users and (
                    held is None or int(held["meta"]["version"]) < int(body["meta"]["version"])
                ):
                    self.index[account] = body
        return [self.index[account] for account in sorted(self.index)]

    # --- answers --------------------------------------------------------------------------------------

    def answer(self, who: int, request: httpx2.Request, number: int) -> httpx2.Response:  # noqa: C901, PLR0911 - a list
        """What a healthy directory says."""
        path, query = request.url.path, dict(request.url.params)
        if path.startswith(PEOPLE):
            return self._deleted(path.removeprefix(PEOPLE).strip("/"))
        if not path.startswith(BASE):
            return self._refuse(404, "there is no such endpoint")
        kind, _, identity = path.removeprefix(BASE).strip("/").partition("/")
        if kind == "ServiceProviderConfig":
            return _json(
                200, {"patch": {"supported": True}, "etag": {"supported": True}, "filter": {"supported": True}}
            )
        if kind not in {"Users", "Groups"}:
            return self._refuse(404, "there is no such endpoint")
        body = msgspec.json.decode(request.content) if request.content else None
        match = request.headers.get("if-match", "").removeprefix("W/").strip('"')
        if kind == "Groups":
            return self._group(who, request.method, identity, body, match, number)
        if not identity:
            return self._list(query) if request.method == "GET" else self._create(who, body, number)
        held = self.users.get(identity)
        if held is None:
            return self._refuse(404, "there is no such account")
        if request.method == "GET":
            return self._shown(200, held)
        if match and match != held["meta"]["version"]:
            self._note(who, request.method, identity, body, match, number, landed=False)
            return self._conflict()
        if request.method == "PATCH":
            return self._patch(who, held, body, match, number)
        if request.method == "DELETE":
            self._note(who, "DELETE", identity, None, match, number, landed=True)
            self.bygone[identity] = self.users.pop(identity)
            self.history.append(Effect(self._loop.now, who, "DELETE", identity, held, {}, number))
            self._late.append((self._loop.now + self.traits.lag_s, identity, None))
            for group in [group for group, body in self.groups.items() if identity in members(body)]:
                self._regroup(-1, group, members(self.groups[group]) - {identity}, 0)
            return httpx2.Response(204)
        return self._refuse(405, "not here")

    def _deleted(self, identity: str) -> httpx2.Response:
        """What the other interface says of deleted people."""
        if not self.traits.tells_of_deleted:
            return self._refuse(403, "not allowed")
        people = [{"id": account, "email": user["userName"], "username": user["userName"],
                   "version": int(user["meta"]["version"])} for account, user in sorted(self.bygone.items())]  # fmt: skip
        if not identity:
            return _json(200, {"entities": people, "pageCount": 1})
        found = [one for one in people if one["id"] == identity]
        return _json(200, found[0]) if found else self._refuse(404, "there is no such person")

    def _group(self, who: int, method: str, identity: str, body: Any, match: str, number: int) -> httpx2.Response:
        if not identity:
            named = [{name: body[name] for name in ("id", "displayName", "meta")} for body in self.groups.values()]
            return _json(200, {"totalResults": len(named), "startIndex": 1, "itemsPerPage": 100, "Resources": named})
        held = self.groups.get(identity)
        if held is None or method not in {"GET", "PATCH"}:
            return self._refuse(404, "there is no such group")
        if method == "GET":
            return self._shown(200, held)
        arrival = Arrival(self._loop.now, who, method, identity, body, match, number, True, self.left[number])
        self.group_arrivals.append(arrival)
        if match != held["meta"]["version"]:
            return self._conflict()
        self._regroup(who, identity, members(patched(held, body)), number)
        return self._shown(200, self.groups[identity])

    def _note(self, who: int, method: str, account: str, body: Any, match: str, number: int, *, landed: bool) -> None:
        self.arrivals.append(
            Arrival(self._loop.now, who, method, account, body, match, number, landed, self.left[number])
        )

    def _list(self, query: dict[str, str]) -> httpx2.Response:
        found = self._searched()
        wanted = _FILTER.fullmatch(query.get("filter", ""))
        if wanted is None:
            found = [user for user in found if user.get("active")]
        elif wanted[3] is not None:
            found = [user for user in found if bool(user.get("active")) is (wanted[3] == "true")]
        else:
            place, text = USERS.resolve(wanted[1]), wanted[2].casefold()
            found = [user for user in found if user.get("active") and str(place.read(user) or "").casefold() == text]
        start, count = max(1, int(query.get("startIndex", "1"))), int(query.get("count", "100"))
        count = max(0, min(count, self.traits.page))
        return _json(200, {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": len(found),
            "startIndex": start, "itemsPerPage": count, "Resources": found[start - 1 : start - 1 + count],
        })  # fmt: skip

    def _create(self, who: int, body: Json, number: int) -> httpx2.Response:
        login = str(body.get("userName", "")).casefold()
        taken = any(str(user.get("userName", "")).casefold() == login for user in self.users.values())
        landed = not (self.traits.unique and taken)
        self._note(who, "POST", "", body, "", number, landed=landed)
        if not landed:
            return self._refuse(409, "the user name is taken", "uniqueness")
        made = self._put(who, "POST", {"active": True, **body}, number)
        answer = self._shown(201, made)
        answer.headers["Location"] = f"http://directory.test{BASE}/Users/{made['id']}"
        return answer

    def _patch(self, who: int, held: Json, body: Json, match: str, number: int) -> httpx2.Response:
        operations = [Operation(o["op"], o.get("path"), o.get("value")) for o in body["Operations"]]
        try:
            changed = apply(copied(held), operations, USERS)
        except ProtocolError as error:
            self._note(who, "PATCH", held["id"], body, match, number, landed=False)
            return self._refuse(400, str(error), error.scim_type)
        self._note(who, "PATCH", held["id"], body, match, number, landed=True)
        return self._shown(200, self._settle(who, "PATCH", held["id"], changed, number))

    def _shown(self, status: int, body: Json) -> httpx2.Response:
        return _json(status, body, {"ETag": f'"{body["meta"]["version"]}"'})

    def _conflict(self) -> httpx2.Response:
        match self.traits.conflict:
            case "412":
                return self._refuse(412, "the version has moved")
            case "409":
                return self._refuse(409, "the version is not the current version")
        return self._refuse(400, "the version does not match the current version", "invalidVers")

    def _refuse(self, status: int, detail: str, scim_type: str = "") -> httpx2.Response:
        return _json(status, {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": str(status),
                              "detail": detail, "scimType": scim_type})  # fmt: skip

    # --- the road there and back ----------------------------------------------------------------------

    async def serve(self, process: Process, request: httpx2.Request) -> httpx2.Response:
        """One request on its way, there and back, with what goes wrong."""
        await process.awake()
        who = process.number
        self._number += 1
        number = self._number
        self.requests[who] = self.requests.get(who, 0) + 1
        self.left[number] = self._loop.now
        if request.url.host == "login.test":
            return await self._login(process)
        ons = _ons(request)
        faults = [fault for on in ons for fault in self._weather.at(on)]
        arrived: asyncio.Future[httpx2.Response] = self._loop.create_future()
        trip = _Trip(self, process, request, number, arrived, faults)
        self._loop.call_later(self._rng.uniform(0.001, 0.12), trip.arrive)
        answer = await arrived
        await asyncio.sleep(trip.back_s + self._rng.uniform(0.001, 0.05))
        await process.awake()
        if trip.error is not None:
            raise trip.error
        self._view(who, answer)
        return answer

    def _view(self, who: int, answer: httpx2.Response) -> None:
        """Note what was shown to whom."""
        if not 200 <= answer.status_code < 300 or not answer.content.startswith(b"{"):
            return
        try:
            body = msgspec.json.decode(answer.content)
        except msgspec.DecodeError:
            return
        for one in body.get("Resources", [body]):
            if isinstance(one, dict) and "id" in one and "meta" in one:
                key = (str(one["id"]), str(one["meta"].get("version")))
                self.views.setdefault(key, {}).setdefault(who, self._loop.now)

    async def _login(self, process: Process) -> httpx2.Response:
        faults = self._weather.at("token")
        await asyncio.sleep(self._rng.uniform(0.01, 0.1))
        await process.awake()
        self.token_asked += 1
        life = 3600.0
        for fault in faults:
            self._weather.struck(fault)
            match fault.kind:
                case "login refused":
                    return _json(401, {"error": "invalid_client"})
                case "login throttled":
                    return _json(400, {"error": "rate limit exceeded", "description": "rate limit exceeded"})
                case "login unwell":
                    if fault.rng.random() < 0.3:
                        await asyncio.sleep(60)
                    return httpx2.Response(fault.rng.choice((500, 502, 503)), text="<html>unwell</html>")
                case "short tokens":
                    life = fault.rng.choice((2.0, 20.0, 60.0))
        token = f"canary-token-{self.token_asked}"
        self.tokens[token] = self._loop.now + life
        return _json(200, {"access_token": token, "token_type": "bearer", "expires_in": int(life)})

    # --- used by trips --------------------------------------------------------------------------------

    def is_let_in(self, request: httpx2.Request) -> bool:
        """Whether the token is good."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        return self.tokens.get(token, 0.0) > self._loop.now

    def is_down(self) -> bool:
        """Whether there is an outage."""
        return not self._weather.calm and self._loop.now < self._down_until

    def go_down(self, seconds: float) -> None:
        """Begin an outage."""
        self._down_until = self._loop.now + seconds

    def lag(self, seconds: float) -> None:
        """Show what is written from now on so much later."""
        self._lag_until, self._lag_s = self._loop.now + 600, seconds

    def forget_tokens(self) -> None:
        """Withdraw all tokens."""
        self.tokens.clear()

    def jump(self, ahead: timedelta) -> None:
        """Set the wall clock of the machine."""
        self._clock.ahead = ahead

    def now(self) -> datetime:
        """What the clock of the directory shows."""
        return self._clock.now() - self._clock.ahead

    def others(self, account: str) -> Json | None:
        """Another account than this one."""
        return next((copied(body) for other, body in sorted(self.users.items()) if other != account), None)


def _json(status: int, body: object, headers: dict[str, str] | None = None) -> httpx2.Response:
    return httpx2.Response(
        status, content=msgspec.json.encode(body), headers={"Content-Type": "application/scim+json", **(headers or {})}
    )


def _listed(members: Iterable[str]) -> list[Json]:
    return [{"value": one, "type": "User"} for one in members]


def _ons(request: httpx2.Request) -> tuple[str, ...]:
    """What a request counts as."""
    path = request.url.path
    if request.method == "GET":
        if path.endswith("/Users"):
            return (
                ("any", "read", "list")
                if 'eq "' not in request.url.params.get("filter", "")
                else ("any", "read", "find")
            )
        return ("any", "read", "bygone") if path.startswith(PEOPLE) else ("any", "read", "get")
    return ("any", "write", "create") if request.method == "POST" else ("any", "write")


_NONSENSE = ("soon", "-5", "1e9", "\u0663", "", "Wed, 99 Foo 2026 00:00:00 GMT", "1.5")


@dataclass(slots=True)
class _Trip:
    """One request at the directory: what it meets, and what is answered."""

    provider: Provider
    process: Process
    request: httpx2.Request
    number: int
    arrived: asyncio.Future[httpx2.Response]
    faults: list[Fault]
    back_s: float = 0.0
    error: Exception | None = None
    _account: str = field(default="")

    def arrive(self) -> None:
        """Be there."""
        self._account = self.request.url.path.rpartition("/Users/")[2] if "/Users/" in self.request.url.path else ""
        answer = None
        for fault in self.faults:
            answer = answer or self._before(fault)
        if answer is None and self.error is None:
            answer = self._healthy()
            for fault in self.faults:
                if 200 <= answer.status_code < 300:
                    answer = self._after(fault, answer)
        if not self.arrived.done():
            self.arrived.set_result(answer or httpx2.Response(500))

    def _healthy(self) -> httpx2.Response:
        if self.provider.is_down():
            if self.number % 2:
                self.error = httpx2.ConnectError("down")
            return httpx2.Response(503, text="down")
        if not self.provider.is_let_in(self.request):
            return _json(401, {"message": "no"}, {"WWW-Authenticate": "Bearer"})
        return self.provider.answer(self.process.number, self.request, self.number)

    def _struck(self, fault: Fault) -> None:
        self.provider._weather.struck(fault)

    def _before(self, fault: Fault) -> httpx2.Response | None:  # noqa: C901, PLR0912, PLR0915 - a list
        """What happens instead of an answer, or before it."""
        provider, rng, hooks = self.provider, fault.rng, self.provider.hooks
        throttle: dict[str, str] | None = None
        match fault.kind:
            case "refused":
                self.error = httpx2.ConnectError("refused")
            case "lost before":
                self.error = rng.choice((httpx2.ReadError("reset"), httpx2.RemoteProtocolError("closed")))
            case "throttled seconds":
                throttle = {"Retry-After": rng.choice(("1", "7", "30", "170"))}
            case "throttled date":
                at = provider.now() + timedelta(seconds=rng.choice((-3600, 0, 20, 90)))
                throttle = {"Retry-After": format_datetime(at.astimezone(UTC), usegmt=True), "Date": format_datetime(
                    provider.now(), usegmt=True)}  # fmt: skip
            case "throttled bare" | "throttled for ever":
                throttle = {}
            case "throttled again":
                throttle = {"Retry-After": "5"}
            case "throttled nonsense":
                throttle = {"Retry-After": rng.choice(_NONSENSE)}
            case "throttled a day":
                throttle = {"Retry-After": "86400"}
            case "unwell before":
                headers = {"Retry-After": "3"} if rng.random() < 0.3 else {}
                self._struck(fault)
                return httpx2.Response(rng.choice((500, 502, 503, 504)), text="<html>", headers=headers)
            case "outage":
                provider.go_down(rng.choice((20.0, 300.0, 1800.0)))
            case "refuses":
                self._struck(fault)
                return provider._refuse(400, "not like this", "mutability")
            case "forbids":
                self._struck(fault)
                return provider._refuse(403, "missing permission directory:user:edit")
            case "token dies":
                provider.forget_tokens()
            case "token refused":
                self._struck(fault)
                return _json(401, {"message": "no"}, {"WWW-Authenticate": "Bearer"})
            case "edited" | "edited each time":
                provider.any_edit(rng, self._account)
            case "edited list":
                provider.any_edit(rng, self._account, "skill")
            case "enabled by hand":
                provider.any_edit(rng, self._account, "enable")
            case "edited same":
                self._same()
            case "edited any time":
                if provider.users:
                    provider.any_edit(rng, rng.choice(sorted(provider.users)))
            case "member by hand":
                provider.member_by_hand(rng)
            case "made by hand":
                self._made_by_hand(rng)
            case "search lags":
                provider.lag(rng.choice((4.0, 40.0, 180.0)))
            case "clock jumps":
                provider.jump(timedelta(hours=rng.choice((-24, -1, 1, 24))))
            case "stopped" if hooks:
                hooks.stop(self.process)
            case "second process" if hooks:
                hooks.second(self.process)
            case _:
                return None
        self._struck(fault)
        return None if throttle is None else _json(429, {"message": "slow down"}, _ascii(throttle))

    def _same(self) -> None:
        """Somebody else writes what we are about to write."""
        body = msgspec.json.decode(self.request.content) if self.request.content else {}
        operations = [Operation(o["op"], o.get("path"), o.get("value")) for o in body.get("Operations", ())]
        held = self.provider.users.get(self._account)
        if held is not None and operations:
            self.provider._settle(-1, "PATCH", self._account, apply(copied(held), operations, USERS), 0)

    def _made_by_hand(self, rng: Random) -> None:
        """Somebody else makes the account that we are about to make."""
        if not self.provider.traits.unique:
            return  # nobody can know of it between our look and our POST
        body = msgspec.json.decode(self.request.content)
        kept = {name: body[name] for name in ("userName", "displayName", "externalId") if name in body}
        if rng.random() < 0.5:
            kept.pop("externalId", None)
        login = str(kept["userName"]).casefold()
        if all(str(user.get("userName")).casefold() != login for user in self.provider.users.values()):
            self.provider.found(kept, long_ago=False)

    def _after(self, fault: Fault, answer: httpx2.Response) -> httpx2.Response:  # noqa: C901, PLR0911, PLR0912 - a list
        """What becomes of a good answer."""
        rng, hooks = fault.rng, self.provider.hooks
        is_write = self.request.method != "GET"
        if not answer.content and fault.kind in {"other person", "other person read", "no version"}:
            return answer
        match fault.kind:
            case "lost after" | "create lost":
                self._struck(fault)
                self.error = rng.choice((httpx2.ReadError("reset"), httpx2.RemoteProtocolError("closed")))
            case "silence after":
                self._struck(fault)
                self.back_s = 3600.0
            case "drip":
                self._struck(fault)
                self.back_s = 45.0
            case "slow":
                self._struck(fault)
                self.back_s = 8.0
            case "truncated":
                self._struck(fault)
                return httpx2.Response(answer.status_code, content=answer.content[: len(answer.content) // 2],
                                       headers=_typed(answer))  # fmt: skip
            case "web page":
                self._struck(fault)
                return httpx2.Response(200, text="<html>log in</html>", headers={"Content-Type": "text/html"})
            case "garbage":
                self._struck(fault)
                return httpx2.Response(answer.status_code, content=b"\x00\xff\x17", headers=_typed(answer))
            case "empty":
                self._struck(fault)
                return httpx2.Response(rng.choice((200, 204)))
            case "other person" | "other person read" if "/Users" in self.request.url.path:
                other = self.provider.others(self._account or str(msgspec.json.decode(answer.content).get("id")))
                if other is not None and "Resources" not in msgspec.json.decode(answer.content):
                    self._struck(fault)
                    return _json(answer.status_code, other, {"ETag": f'"{other["meta"]["version"]}"'})
            case "old body" if self._account and is_write and self.provider.history[-1].request == self.number:
                before = self.provider.history[-1].before
                self._struck(fault)
                return _json(200, before, {"ETag": f'"{before["meta"]["version"]}"'})
            case "no version":
                body = msgspec.json.decode(answer.content)
                if isinstance(body, dict) and "meta" in body:
                    self._struck(fault)
                    body["meta"] = {"resourceType": "User"}
                    return _json(answer.status_code, body)
            case "unwell after":
                self._struck(fault)
                headers = {"Retry-After": "3"} if rng.random() < 0.3 else {}
                return httpx2.Response(rng.choice((500, 502, 503, 504)), text="<html>", headers=headers)
            case "half applied" if self.request.method == "PATCH" and self.provider.history[-1].request == self.number:
                self._struck(fault)
                self._halve()
                return httpx2.Response(500, text="half")
            case "list short" | "list empty" | "list drifts" | "list repeats":
                return self._list_lies(fault, answer)
            case "killed at write" if hooks:
                self._struck(fault)
                hooks.kill(self.process)
            case "cancelled" if hooks:
                self._struck(fault)
                hooks.cancel(self.process)
        return answer

    def _halve(self) -> None:
        """Only the first half of the operations was carried out."""
        last = self.provider.history.pop()
        self.provider._late.pop()
        body = msgspec.json.decode(self.request.content)
        operations = [Operation(o["op"], o.get("path"), o.get("value")) for o in body["Operations"]]
        half = operations[: len(operations) // 2]
        self.provider.users[last.account] = last.before
        if half:
            changed = apply(copied(last.before), half, USERS)
            self.provider._settle(last.who, "PATCH", last.account, changed, last.request)

    def _list_lies(self, fault: Fault, answer: httpx2.Response) -> httpx2.Response:
        body = msgspec.json.decode(answer.content)
        listed = body["Resources"]
        if not listed:
            return answer
        self._struck(fault)
        match fault.kind:
            case "list short":
                body["Resources"] = listed[:-1]
            case "list empty":
                body["Resources"] = []
                if fault.rng.random() < 0.5:
                    body["totalResults"] = 0
            case "list drifts":
                body["Resources"] = listed[1:] + listed[:1] if len(listed) > 1 else listed
                body["totalResults"] += 1
            case "list repeats":
                body["Resources"] = [*listed, listed[0]]
        return _json(200, body)


def _typed(answer: httpx2.Response) -> dict[str, str]:
    return {"Content-Type": answer.headers.get("Content-Type", "")}


def _ascii(headers: dict[str, str]) -> dict[str, str]:
    return {name: value.encode("ascii", "replace").decode() for name, value in headers.items()}


class Line(httpx2.AsyncBaseTransport):
    """The way from one process to the directory."""

    def __init__(self, provider: Provider, process: Process) -> None:
        self._provider, self._process = provider, process

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Ask."""
        if self._process.dead:
            raise KilledError
        await request.aread()
        answer = await self._provider.serve(self._process, request)
        return httpx2.Response(answer.status_code, headers=answer.headers, stream=_Body(answer.content))


class _Body(httpx2.AsyncByteStream):
    """What is read once."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content

    async def aclose(self) -> None:
        """Nothing to let go of."""

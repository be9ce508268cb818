"""What the Platform API of Genesys Cloud has of people beside SCIM: read for a sweep and by id, and written.

A listing expands "with a best effort" (documented): what it leaves out is unknown, and only what is read by id is known
for certain, an absent value too. An account has the same version here and over SCIM (inferred: its directory record).
Custom attributes and work teams have none; they are read, compared, written and read again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec
from msgspec import Struct, field

from scimsync.adapters.target_customs import (
    CustomSchema,
    Unwritable,
    by_name,
    read_records,
    read_schema,
    text_of,
    typed,
)
from scimsync.adapters.target_http import Client, Clock
from scimsync.adapters.target_sweep import query_of
from scimsync.adapters.target_wire import PAGES_AT_ONCE, Answer, Ask
from scimsync.model.outcomes import Exchange
from scimsync.scim.grammar import lookup
from scimsync.scim.messages import Operation, read_error
from scimsync.scim.patch import apply
from scimsync.scim.platform import PLATFORM_USER, SERVED, Served
from scimsync.scim.schema import Catalog, Place

#: people and names on a page
PAGE = 100
#: seconds for which names, schemas and refusals are good enough
GOOD_S = 600.0
#: schemas of custom attributes that a listing takes (documented)
SCHEMAS_LISTED = 5
_JSON = "application/json"
_T = TypeVar("_T")
_EMPLOYER, _CUSTOM, _LOCATION, _TEAM = "employerInfo", "customAttributes", "location", "team"
_INVITATION = "invitation"
JsonObject = dict[str, object]


class _Page(msgspec.Struct, rename={"pages": "pageCount", "next_": "nextUri"}):
    """A page of a listing: by number, or by the address of the next one."""

    entities: list[JsonObject]
    pages: int = 1
    next_: str | None = None


_PAGE = msgspec.json.Decoder(_Page, strict=False)
_LIST = msgspec.json.Decoder(list[JsonObject])


class Unreadable(Exception):
    """The Platform API does not show something now. Caught by who asked; `answer` says why."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.why())
        self.answer = answer


class _Person(Struct, frozen=True, kw_only=True):
    """What was read of one person by id."""

    user: JsonObject = field(default_factory=dict)
    #: schema id -> attributes
    records: Mapping[str, JsonObject] = field(default_factory=dict)


class Beside:
    """Reads and writes the attributes of the Platform API that somebody manages.

    Args:
        client: Asks.
        api_url: Where the API is.
        catalog: What is managed is one of its places.
        clock: Says when names, schemas and refusals are asked for again.
    """

    def __init__(self, client: Client, api_url: str, catalog: Catalog, clock: Clock) -> None:
        self._client, self._catalog, self._clock = client, catalog, clock
        self._asked_at = -GOOD_S
        self._api = api_url.rstrip("/") + "/api/v2"
        self._places: dict[str, Place] = {}
        #: path -> why it can be neither read nor written
        self.unread: dict[str, str] = {}
        #: id -> what was last read of a person by id
        self.last: dict[str, JsonObject] = {}
        self._people: dict[str, _Person] = {}
        self._invited: set[str] = set()
        self._known: dict[str, Mapping[str, CustomSchema]] = {}
        self._named: dict[str, dict[str, str]] = {}

    def manage(self, places: Iterable[Place]) -> None:
        """From now on read and write these places too; those of SCIM are passed over."""
        self._places |= {place.short: place for place in places if place.urn == PLATFORM_USER}

    @property
    def manages(self) -> bool:
        """Whether anything is managed, refused to us or not."""
        return bool(self._places)

    @property
    def served(self) -> list[Served]:
        """What is managed, and not refused to us."""
        roots = {place.root for short, place in self._places.items() if short not in self.unread}
        return [served for served in SERVED if served.root in roots]

    # -- reading -----------------------------------------------------------------------------------

    async def listing(self) -> dict[str, bytes]:
        """Id -> what a listing of everybody shows of what is managed, as JSON. Somebody may not be there.

        Raises:
            TargetError: The target cannot be reached, or refuses our credentials.
        """
        await self._prepare()
        found: dict[str, bytes] = {}
        if not self.served:
            return found
        first = await self._listed(1)
        if first.status == 403:
            self._refuse(self.served, first)
        pages = [first]
        if isinstance(first.value, _Page):
            rest = range(2, first.value.pages + 1)
            for begin in range(0, len(rest), PAGES_AT_ONCE):
                pages += await asyncio.gather(*map(self._listed, rest[begin : begin + PAGES_AT_ONCE]))
        for page in pages:
            for user in page.value.entities if isinstance(page.value, _Page) else ():
                found[str(user.get("id"))] = msgspec.json.encode(self._members(user))
        return found

    def _listed(self, page: int) -> Awaitable[Answer]:
        query = {"pageSize": str(PAGE), "pageNumber": str(page), "state": "any", **self._expand(SCHEMAS_LISTED)}
        return self._client.call(Ask(kind="people", method="GET", url=self._url("/users", query), decode=_PAGE.decode))

    def _expand(self, most: int = 0) -> dict[str, str]:
        """What asks for everything that is managed; custom attributes in a listing alone."""
        named = [served.expand for served in self.served if most or served.name != _CUSTOM]
        schemas = sorted({schema.id for schema in self._schemas_of().values()})[:most] if most else []
        query = {"expand": ",".join(named)} if named else {}
        return query | ({"userCustomAttributeSchemaIds": ",".join(schemas)} if schemas else {})

    async def of(self, account: str) -> JsonObject | None:
        """What one person has, read by id: an attribute that is not there is None. None where it cannot be read now.

        Raises:
            TargetError: The target cannot be reached, or refuses our credentials.
        """
        await self._prepare()
        if not self.served:
            return {}
        user, records = await self._or_refused(self._user, account), await self._or_refused(self._records, account)
        if user is None or records is None:
            return None
        person = _Person(user=user, records=records)
        self._people[account] = person
        self.last[account] = self._whole(person)
        return self.last[account]

    def _whole(self, person: _Person) -> JsonObject:
        """What somebody who was read by id has: what is not there is empty."""
        return self._members({served.expand: None for served in self.served} | person.user, person.records)

    def forget(self, account: str) -> None:
        """Read a person again before the next write: a write over SCIM moves what both show, as employee number."""
        self._people.pop(account, None)

    async def _or_refused(self, read: Callable[[str], Awaitable[dict[str, _T]]], account: str) -> dict[str, _T] | None:
        """What a reading gives; nothing where it is refused for good, None where it cannot be had now."""
        try:
            return await read(account)
        except Unreadable as error:
            if error.answer.status != 403:
                return None
            custom = read == self._records
            self._refuse([served for served in self.served if (served.name == _CUSTOM) is custom], error.answer)
            return {}

    async def _user(self, account: str) -> JsonObject:
        query = self._expand()
        if not query:  # custom attributes alone, which are read apart
            return {}
        url = self._url(f"/users/{account}", query)
        return _found(await self._client.call(Ask(kind="person", method="GET", url=url)))

    async def _records(self, account: str) -> dict[str, JsonObject]:
        schemas = {schema.id for schema in self._schemas_of().values()}
        if not schemas:
            return {}
        url = self._url(f"/users/{account}/customattributes/bulk", {"schemaIds": ",".join(sorted(schemas))})
        answer = await self._client.call(Ask(kind="person", method="GET", url=url, decode=_LIST.decode))
        if answer.status == 404:  # nobody gave this person any
            return {}
        if not isinstance(answer.value, list):
            raise Unreadable(answer)
        return read_records(answer.value)

    def _members(self, user: Mapping[str, object], records: Mapping[str, JsonObject] | None = None) -> JsonObject:
        """What a user of the Platform API holds of what is managed; what it does not tell is left out."""
        found: JsonObject = {}
        for served in self.served:
            if served.name == _CUSTOM and records is None and isinstance(listed := user.get(_CUSTOM), list):
                records = read_records(listed)
            if served.name == _CUSTOM and records is not None:
                found[_CUSTOM] = self._elements(records)
            elif served.name == _INVITATION and served.expand in user:
                sent = user[served.expand] or str(user.get("id")) in self._invited
                found[_INVITATION] = True if sent else None
            elif served.name != _CUSTOM and served.expand in user:
                found[served.name] = self._member(served.name, user[served.expand])
        return found

    def _member(self, name: str, held: object) -> object:
        if name == _TEAM:
            return held.get("name") if isinstance(held, Mapping) else None
        if name == _EMPLOYER:
            parts = held if isinstance(held, Mapping) else {}
            return {part: parts.get(part) for part in ("officialName", "employeeType") if parts.get(part)}
        ids = {id_: called for called, id_ in self._named.get(_LOCATION, {}).items()}
        places = [place for place in held if isinstance(place, Mapping)] if isinstance(held, list) else []
        return "; ".join(sorted(ids.get(str(place.get("id")), str(place.get("id"))) for place in places)) or None

    def _elements(self, records: Mapping[str, JsonObject]) -> list[JsonObject]:
        held = {
            name: records.get(schema.id, {}).get(name)
            for name, schema in self._schemas_of().items()
        }  # fmt: skip
        return [{"name": name, "value": text_of(value)} for name, value in held.items() if value not in (None, "")]

    # -- names and schemas ---------------------------------------------------------------------------

    async def names(self, kind: str) -> frozenset[str] | None:
        """The names of all locations, or of all work teams; None where they are not shown to us.

        Raises:
            TargetError: The target cannot be reached, or refuses our credentials.
        """
        self._named.pop(kind, None)  # who asks wants to know what there is now
        try:
            return frozenset(await self._ids(kind))
        except Unreadable:
            return None

    async def _ids(self, kind: str) -> dict[str, str]:
        """Name -> id of the locations (kind: location) or work teams (team)."""
        if kind not in self._named:
            path = {"location": "/locations", "team": "/teams"}[kind]
            found: dict[str, str] = {}
            page, url = 1, self._url(path, {"pageSize": str(PAGE)})
            while url:
                answer = await self._client.call(Ask(kind="names", method="GET", url=url, decode=_PAGE.decode))
                if not isinstance(answer.value, _Page):
                    raise Unreadable(answer)
                found |= {str(one.get("name")): str(one.get("id")) for one in answer.value.entities}
                page += 1
                url = self._url(path, {"pageSize": str(PAGE), "pageNumber": str(page)})
                after = (answer.value.next_ or "").partition("after=")[2].partition("&")[0]
                if kind == _TEAM:
                    url = f"{self._url(path, {'pageSize': str(PAGE)})}&after={after}" if after else ""
                elif page > answer.value.pages:
                    url = ""
            self._named[kind] = found
        return self._named[kind]

    async def _prepare(self) -> None:
        """Ask for what is needed to understand people: schemas, locations, teams; once in some minutes."""
        if (now := self._clock.monotonic()) >= self._asked_at + GOOD_S:
            self._asked_at = now
            self._known.clear()
            self._named.clear()
            self.unread.clear()
        for served in self.served:
            asks: dict[str, Callable[[], Awaitable[object]]] = {
                _CUSTOM: self._learn_schemas,
                _LOCATION: lambda: self._ids(_LOCATION),
                _TEAM: lambda: self._ids(_TEAM),
            }
            try:
                if served.name in asks:
                    await asks[served.name]()
            except Unreadable as error:
                self._refuse([served], error.answer)

    async def _learn_schemas(self) -> None:
        if "schemas" not in self._known:
            answer = await self._client.call(
                Ask(kind="names", method="GET", url=self._url("/users/customattributes/schemas"), decode=_PAGE.decode)
            )
            if not isinstance(answer.value, _Page):
                raise Unreadable(answer)
            schemas = map(read_schema, answer.value.entities)
            self._known["schemas"] = {schema.id: schema for schema in schemas if schema is not None}
        for short, place in self._places.items():
            if place.attribute.name == _CUSTOM and (fault := self._doubt(_name_of(place))):
                self.unread[short] = fault

    def _doubt(self, name: str) -> str:
        """Why the custom attribute of that name is not certain; "" where it is."""
        schemas = self._known["schemas"].values()
        having = [schema for schema in schemas if name in schema.types]
        if len(having) > 1:
            return f"several schemas of custom attributes have {name}: {', '.join(sorted(s.name for s in having))}"
        if not having:
            listed = sorted(name for schema in schemas for name in schema.types)
            return f"no schema of custom attributes has {name}; there are {', '.join(listed) or 'none'}"
        return f"{name} is a {having[0].types[name]}, which cannot be mapped" if having[0].types[name] == "tag" else ""

    def _schemas_of(self) -> dict[str, CustomSchema]:
        """Name of a managed custom attribute -> its schema."""
        wanted = {
            _name_of(place)
            for short, place in self._places.items()
            if place.attribute.name == _CUSTOM and short not in self.unread
        }
        schemas = self._known.get("schemas", {}).values()
        return {name: schema for schema in schemas for name in schema.types if name in wanted}

    def _refuse(self, refused: Sequence[Served], answer: Answer) -> None:
        """Leave alone from now on what we may not read, or cannot understand."""
        told = read_error(answer.status, _object(answer.content)).detail or answer.why()
        for served in refused:
            needed = ", ".join(served.reading)
            for short, place in self._places.items():
                if place.root == served.root:
                    self.unread.setdefault(short, f"needs {needed}: {told}")

    # -- writing -----------------------------------------------------------------------------------

    async def write(self, account: str, operations: Sequence[Operation], version: str) -> Answer:
        """Carry out operations that `request_of` numbers alike; the last answer.

        What the account holds is taken from the last `of`, which a writer asks for before.

        Raises:
            Unwritable: A value has no form that the Platform API takes.
            TargetError: The target cannot be reached, or refuses our credentials.
        """
        if account not in self._people and await self.of(account) is None:
            return Answer(
                exchange=Exchange.ANSWERED, status=503, detail="the account cannot be read now; nothing was sent"
            )
        person = self._people.pop(account, _Person())
        before = self._whole(person)
        wanted = apply({PLATFORM_USER: before}, operations, self._catalog).get(PLATFORM_USER, {})
        after = wanted if isinstance(wanted, dict) else {}
        name = str(operations[0].path)[len(PLATFORM_USER) + 1 :].lower()
        if name.startswith(_CUSTOM.lower()):
            return await self._write_custom(account, person, before, after)
        if name.startswith(_INVITATION):
            return await self._invite(account)
        if name.startswith(_TEAM):
            return await self._write_team(account, before.get(_TEAM), after.get(_TEAM))
        return await self._write_user(account, person, before, after, version)

    async def _write_user(
        self, account: str, person: _Person, before: JsonObject, after: JsonObject, version: str
    ) -> Answer:
        """One PATCH of the user under its version. An object is sent whole: whether the rest would stay is unknown."""
        if not version.isdecimal():
            raise Unwritable(f"the version {version!r} is no number, and the Platform API takes numbers")
        body: JsonObject = {"version": int(version)}
        if before.get(_EMPLOYER) != after.get(_EMPLOYER):
            held, parts = person.user.get(_EMPLOYER), after.get(_EMPLOYER)
            mine = parts if isinstance(parts, dict) else {}
            body[_EMPLOYER] = {
                **(held if isinstance(held, dict) else {}),
                "officialName": mine.get("officialName"),
                "employeeType": mine.get("employeeType"),
            }
        if before.get(_LOCATION) != after.get(_LOCATION):
            body["locations"] = self._locations(person, after.get(_LOCATION))
        return await self._send("PATCH", f"/users/{account}", body)

    def _locations(self, person: _Person, wanted: object) -> list[object]:
        if wanted is None:
            return []
        id_ = self._named.get(_LOCATION, {}).get(str(wanted))
        if id_ is None:
            raise Unwritable(f"there is no location {wanted}")
        held = person.user.get("locations")
        same = (one for one in held if isinstance(one, dict) and one.get("id") == id_) if isinstance(held, list) else ()
        return [next(iter(same), {"id": id_})]

    async def _write_team(self, account: str, before: object, after: object) -> Answer:
        """Take a person out of one work team and put them into another; nobody is in two (documented)."""
        answer = Answer(exchange=Exchange.ANSWERED, status=200)
        ids = await self._team_ids()
        if before is not None:
            answer = await self._send("DELETE", f"/teams/{_id(ids, before)}/members?id={account}")
        if after is not None and 200 <= answer.status < 300:
            answer = await self._send("POST", f"/teams/{_id(ids, after)}/members", {"memberIds": [account]})
            failures = answer.value.get("failures") if isinstance(answer.value, dict) else None
            if isinstance(failures, list) and failures:
                told = failures[0].get("reason") if isinstance(failures[0], dict) else ""
                raise Unwritable(f"the work team {after} does not take this person: {told}")
        return answer

    async def _invite(self, account: str) -> Answer:
        """Send the mail; one that is outstanding is not sent again (documented), so that asking twice does no harm."""
        answer = await self._send("POST", f"/users/{account}/invite?force=false")
        if 200 <= answer.status < 300:
            self._invited.add(account)
        return answer

    async def _team_ids(self) -> dict[str, str]:
        try:
            return await self._ids(_TEAM)
        except Unreadable as error:
            raise Unwritable(f"the work teams cannot be read: {error}") from error

    async def _write_custom(self, account: str, person: _Person, before: JsonObject, after: JsonObject) -> Answer:
        """One request for each schema: amended where values are set alone, else replaced by all that shall be there."""
        held, wanted = by_name(before), by_name(after)
        schemas = self._schemas_of()
        changed: dict[str, JsonObject] = {}
        for name in sorted(held.keys() | wanted.keys()):
            if held.get(name) != wanted.get(name) and name in schemas:
                value = None if wanted.get(name) is None else typed(name, str(wanted[name]), schemas[name].types[name])
                changed.setdefault(schemas[name].id, {})[name] = value
        answer = Answer(exchange=Exchange.ANSWERED, status=200)
        for id_, values in changed.items():
            record, schema = person.records.get(id_), self._known["schemas"][id_]
            whole = record is None or None in values.values()
            given = {**(record or {}), **values} if whole else values
            body = {
                "schemaId": id_,
                "schemaVersion": schema.version,
                "attributes": {name: value for name, value in given.items() if value is not None},
            }
            answer = await self._send("PUT" if whole else "PATCH", f"/users/{account}/customattributes", body)
            if not 200 <= answer.status < 300:
                break
        return answer

    async def _send(self, method: str, path: str, body: JsonObject | None = None) -> Answer:
        sent = msgspec.json.encode(body) if body is not None else b""
        ask = Ask(kind="platform", method=method, url=f"{self._api}{path}", body=sent, media=_JSON)
        return await self._client.call(ask)

    def _url(self, path: str, query: Mapping[str, str] | None = None) -> str:
        return f"{self._api}{path}?{query_of(query)}" if query else f"{self._api}{path}"


def _found(answer: Answer) -> JsonObject:
    if isinstance(answer.value, dict):
        return answer.value
    raise Unreadable(answer)


def _name_of(place: Place) -> str:
    return str(lookup(place.selector, "name"))


def _id(ids: Mapping[str, str], name: object) -> str:
    if (found := ids.get(str(name))) is None:
        raise Unwritable(f"there is no work team {name}")
    return found


def _object(content: bytes) -> object:
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None

"""A SCIM service provider over HTTP. Fits `scimsync.engine.ports.Target`.

One exchange has a total deadline, a size cap that counts decoded bytes, and one of three ends:
answered, not sent, lost (`model.outcomes.Exchange`). A GET is asked again after any trouble. A write
is sent again only where the target surely did not carry it out: it was never reached, it answered
429, or it answered 401 to an old token. What a lost write did is for the caller to find out by reading.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from urllib.parse import unquote, urlsplit

import httpx2
import msgspec
from msgspec.structs import replace

from scimsync.adapters.target_addresses import resource_url
from scimsync.adapters.target_deleted import DeletedAccounts
from scimsync.adapters.target_describing import describe_ask, read_description
from scimsync.adapters.target_guard import Guarded
from scimsync.adapters.target_http import Client, Clock, Watch, is_troubled
from scimsync.adapters.target_listing import CURSOR_PAGE, PAGE, Census, Listing, Page
from scimsync.adapters.target_members import Members
from scimsync.adapters.target_names import Names
from scimsync.adapters.target_pace import Ledgers
from scimsync.adapters.target_pages import PageSizes
from scimsync.adapters.target_rights import read_rights
from scimsync.adapters.target_sweep import CORE, SWEEPS, Listings
from scimsync.adapters.target_wire import OBJECT, Answer, Ask, TargetSettings, lenient
from scimsync.errors import FilterRefused, TargetUnanswered, TargetUnavailable
from scimsync.model.accounts import DeletedAccount
from scimsync.model.outcomes import Description, Document, Exchange, Guard, Reply, Rights, Sweep
from scimsync.scim.dressing import told
from scimsync.scim.drift import CONFIG, largest_page, pages_by_cursor
from scimsync.scim.fitting import fitted
from scimsync.scim.messages import Operation, error_within, read_error
from scimsync.scim.schema import Place
from scimsync.scim.spelling import Spelling

#: seconds for which the list of inactive accounts is good enough to look up a name
INACTIVE_GOOD_S = 60.0
_ATTRIBUTE = re.compile(r"[A-Za-z$][A-Za-z0-9.:_$-]{0,255}")
#: a value that no attribute has
_OF_NOBODY = "scimsync asks for nobody"


def _reply(method: str, answer: Answer, account: str = "") -> Reply:
    """An answer in the engine's words."""
    body = answer.value if isinstance(answer.value, dict) else None
    detail = answer.detail
    if body is not None and (not isinstance(body.get("id"), str) or account not in {"", body["id"]}):
        body, detail = None, "the answer shows another account than the one asked for"
    error = error_within(answer.value)
    if answer.exchange is Exchange.ANSWERED and answer.status >= 400:
        error = read_error(answer.status, lenient(answer.content), answer.correlation)
        detail = detail or error.detail
    return Reply(
        exchange=Exchange.LOST if _is_page(answer) else answer.exchange,
        method=method,
        status=error.status if error and method == "POST" else answer.status,
        body=body,
        version=answer.version if 200 <= answer.status < 300 else "",
        window_s=answer.window_s,
        error=error,
        detail=detail,
        correlation_id=answer.correlation or (error.correlation_id if error else ""),
        location=_made(answer.headers) if method == "POST" else "",
        retry_after_s=answer.retry_after_s,
        tries=answer.tries,
    )


def _is_page(answer: Answer) -> bool:
    """Whether a web page came with 200: something in between spoke, and what the target did is unknown."""
    kind = answer.headers.get("content-type", "").strip().lower()
    is_page = kind.startswith("text/html") or (not kind and answer.body.lstrip().startswith(b"<"))
    return answer.status == 200 and answer.value is None and is_page


def _made(headers: httpx2.Headers) -> str:
    """The id that a `Location` ends with. Nobody goes to that address: the id is asked for at ours."""
    path = urlsplit(headers.get("location", "")).path.rstrip("/")
    head, _, last = path.rpartition("/")
    return unquote(last) if head.lower().endswith("/users") else ""


def _refused_here(method: str, why: str) -> Reply:
    return Reply(exchange=Exchange.NOT_SENT, method=method, detail=f"not sent: {why}", tries=0)


def _or_hidden(fits: bool, held: str | None) -> bool:  # noqa: FBT001 - one pair of a comparison
    return fits or held is None


def _pairs(resources: Sequence[bytes], attribute: str) -> list[tuple[str, str]]:
    bodies = (OBJECT.decode(raw) for raw in resources)
    return [(str(body["id"]), held) for body in bodies if (held := _held(body, attribute)) is not None]


def _held(body: Mapping[str, object], attribute: str) -> str | None:
    """The text under a simple attribute, plain or below an extension's URN; names in any case."""
    holder: object = body
    urn, colon, name = attribute.rpartition(":")
    if colon and urn.lower() + ":" != CORE:
        holder = _member(body, urn)
    held = _member(holder, name)
    return held if isinstance(held, str) else None


def _member(holder: object, name: str) -> object:
    if not isinstance(holder, Mapping):
        return None
    return next((held for key, held in holder.items() if key.lower() == name.lower()), None)


class ScimTarget:
    """The directory behind `settings.api_url`. Fits `scimsync.engine.ports.Target`.

    `counts` counts requests that were sent, by kind: token, list, get, find, names, licences, create, patch, probe,
    delete, deleted, restore, describe, group_list, group_get, group_patch; and `throttled`, the answers that were 429.
    """

    def __init__(  # noqa: PLR0913 - each is handed in
        self,
        settings: TargetSettings,
        *,
        clock: Clock,
        rng: random.Random,
        notice: Callable[[str], None] = lambda _: None,
        transport: httpx2.AsyncBaseTransport | None = None,
        watch: Watch | None = None,
        ledgers: Ledgers | None = None,
    ) -> None:
        self._dialect = settings.dialect
        self._settings = settings
        self._base = settings.api_url.rstrip("/") + settings.dialect.base_path
        self._users = self._base + "/Users"
        self._groups = self._base + "/Groups"
        self._clock = clock
        self._spelling = Spelling(settings.dialect.users)
        probe = describe_ask(self._base, CONFIG, {}, "probe")
        self._client = Client(
            settings, probe, clock=clock, rng=rng, notice=notice, transport=transport, watch=watch, ledgers=ledgers
        )
        sizes = PageSizes(settings.page_sizes, self._base, clock.now)
        self._listings = Listings(self._client, settings.dialect, self._users, self._as_page, notice, sizes)
        self._guarded = Guarded(self._client, settings.dialect, clock, describe_ask(self._base, CONFIG, {}), notice)
        self._members = Members(self._client, self._guarded, settings.dialect, self._users, self._as_resource)
        self._bygone = DeletedAccounts(self._client, settings.api_url.rstrip("/") + settings.dialect.deleted)
        self._names = Names(self._client, settings.api_url, settings.dialect)
        #: attributes that are not shown, and whether a filter on them is heeded
        self._heeded: dict[str, bool] = {}
        self._inactive: dict[str, tuple[float, Sequence[tuple[str, str]]]] = {}
        self._inactive_lock = asyncio.Lock()

    @property
    def name(self) -> str:
        """The API address, which also identifies the target in seals."""
        return self._base

    @property
    def rate(self) -> int:
        """Requests a minute that are allowed now; where nothing is paced, what one could hope for."""
        return self._client.rate

    def manage(self, places: Iterable[Place]) -> None:
        """Nothing beside SCIM is read or written here."""

    @property
    def unread(self) -> Mapping[str, str]:
        """Nothing that is managed is refused to us beforehand."""
        return {}

    @property
    def counts(self) -> Mapping[str, int]:
        """Requests that were sent, by kind."""
        return self._client.counts

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    async def sweep(self, attributes: Sequence[str], sink: Callable[[Sequence[bytes]], None]) -> Sweep:
        """Read all accounts, active and inactive; hand each page's resources to `sink` as raw JSON.

        Raises:
            TargetError: The directory cannot be read at all.
        """
        return await self._listings.sweep(attributes, sink)

    async def reread(
        self, accounts: Collection[str], attributes: Sequence[str], sink: Callable[[Sequence[bytes]], None]
    ) -> None:
        """Read some accounts of the last sweep again, in the pages on which they were listed.

        Raises:
            TargetError: The directory cannot be read at all.
        """
        await self._listings.reread(accounts, attributes, sink)

    async def get(self, account: str) -> Reply:
        """Read one account, with every attribute. Trouble that outlasts the tries comes as a Reply."""
        if (url := self._account_url(account)) is None:
            return _refused_here("GET", "an account id that cannot stand in an address")
        return _reply(
            "GET", await self._guarded.read(Ask(kind="get", method="GET", url=url, decode=self._as_resource)), account
        )

    async def find(self, attribute: str, value: str, *, sure: bool = False) -> Sequence[Reply]:
        """Accounts, active or not, whose attribute equals the value.

        Genesys documents filters of one `eq` only, and lists active people only unless asked for
        inactive ones. So an account that the plain filter does not show is looked for in the list of
        inactive accounts, which is read once a minute at most and compared here.

        Raises:
            FilterRefused: The target takes no filter on this attribute, or does not heed it.
            TargetUnanswered: This question was not answered now.
            TargetError: The target cannot be asked at all.
            ValueError: `attribute` is not the name of an attribute.
        """
        if not _ATTRIBUTE.fullmatch(attribute):
            raise ValueError(f"{attribute!r} is not the name of an attribute")
        self._check_filter(attribute, value)
        only = f"{attribute} eq {json.dumps(value, ensure_ascii=False)}"
        page = self._hits(
            await self._listings.begin(Listing((), only, "find"), self._listings.small_page),
            attribute,
        )
        bodies = [body for raw in page.resources if (body := self._readable(raw)) is not None]
        held = [_held(body, attribute) for body in bodies]
        matching = [text is not None and text.strip().casefold() == value.strip().casefold() for text in held]
        is_heeded = len(bodies) == len(page.resources) and all(map(_or_hidden, matching, held))
        if is_heeded and not all(matching):
            is_heeded = await self._heeds(attribute)
        counted = page.total or (len(page.resources) if self._listings.by_cursor else 0)
        if sure and (counted != len(page.resources) or page.cursor):
            told = f"counts {counted} accounts and shows {len(page.resources)}"
            raise FilterRefused(
                f"{self._client.host} answers a filter on {attribute} with what proves nothing: it {told}."
            )
        if not is_heeded and (sure or page.total > len(page.resources) or page.cursor):
            raise FilterRefused(
                f"{self._client.host} answers a filter on {attribute} with accounts that do not match it."
            )
        # whoever does not show the attribute was found by it, where the filter is heeded
        found = [body for body, fits in zip(bodies, matching, strict=True) if fits or is_heeded]
        answers = [Answer(exchange=Exchange.ANSWERED, status=200, value=body) for body in found]
        replies = [_reply("GET", self._guarded.shown(answer)) for answer in answers]
        if replies or not self._dialect.lists_active_only:
            return replies
        return await self._find_inactive(attribute, value)

    def _check_filter(self, attribute: str, value: str) -> None:
        """Refuse what the dialect knows to prove nothing."""
        dialect, short = self._dialect, self._dialect.users.shorten(attribute)
        if dialect.filterable is not None and short not in dialect.filterable:
            raise FilterRefused(f"{self._client.host} takes no filter on {short} (dialect {dialect.name}).")
        if dialect.exact_filters and short == "userName" and value.lower() != value.upper():
            told = f"{self._client.host} tells capitals apart in a filter on {short} (dialect {dialect.name})."
            raise FilterRefused(told)

    async def _heeds(self, attribute: str) -> bool:
        """Whether a filter on an attribute that is not shown is heeded: one on a value of nobody finds nobody."""
        if attribute not in self._heeded:
            only = f"{attribute} eq {json.dumps(_OF_NOBODY)}"
            answer = await self._listings.begin(Listing((), only, "find"), self._listings.small_page)
            self._heeded[attribute] = not self._hits(answer, attribute).resources
        return self._heeded[attribute]

    def _hits(self, answer: Answer, attribute: str) -> Page:
        """The answer to a filter; 404 says that nobody meets it."""
        if answer.status == 404:
            return Page(total=0)
        if isinstance(answer.value, Page):
            return answer.value
        if answer.status >= 300 and answer.status not in {401, 429} and not is_troubled(answer.status):
            raise FilterRefused(f"{self._client.host} takes no filter on {attribute} ({answer.why()}).")
        error = self._client.failure(answer)
        raise TargetUnanswered(str(error)) if isinstance(error, TargetUnavailable) else error

    async def _find_inactive(self, attribute: str, value: str) -> Sequence[Reply]:
        wanted = value.casefold()
        replies = []
        for account, held in await self._inactive_accounts(attribute):
            if held.casefold() != wanted:
                continue
            reply = await self.get(account)
            if reply.ok and reply.body is not None:
                replies.append(reply)
            elif reply.status != 404:
                raise TargetUnanswered(f"{self._client.host}: an inactive account could not be read: {reply.detail}")
        return replies

    async def _inactive_accounts(self, attribute: str) -> Sequence[tuple[str, str]]:
        """Id and one value of every inactive account, at most a minute old."""
        async with self._inactive_lock:
            known = self._inactive.get(attribute)
            if known and self._clock.monotonic() < known[0] + INACTIVE_GOOD_S:
                return known[1]
            names = tuple(dict.fromkeys(("id", "userName", attribute)))
            pairs: list[tuple[str, str]] = []
            read_at = self._clock.monotonic()
            census = Census(lambda resources: pairs.extend(_pairs(resources, attribute)))
            census.begin()
            listing = Listing(names, "active eq false", "find")
            walled = await self._listings.read_slice(census, listing, SWEEPS)
            census.close()
            if census.trouble and not walled:
                raise TargetUnanswered(
                    f"{self._client.host}: the list of inactive accounts has holes: {census.trouble}"
                )
            self._inactive[attribute] = (read_at, pairs)
            return pairs

    async def names(self, kind: str) -> frozenset[str] | None:
        """The names of a kind, from the list that the dialect gives; None where it is not shown to us.

        Raises:
            TargetError: The target cannot be reached, or refuses our credentials.
        """
        found = await self._names.read(kind)
        return None if found is None else frozenset(found)

    async def licences(self, sets: Collection[frozenset[str]]) -> Mapping[frozenset[str], frozenset[str]] | None:
        """The licences that follow from each set of roles; None where they cannot be known.

        Raises:
            TargetError: The target cannot be reached, or refuses our credentials.
        """
        return await self._names.licences(sets)

    async def deleted(self, logins: Collection[str]) -> Mapping[str, Sequence[DeletedAccount]] | None:
        """The deleted accounts that had one of these logins; None where the target does not show them to us.

        Raises:
            TargetError: The target cannot be reached, or refuses our credentials.
        """
        return await self._bygone.find(logins) if self._dialect.deleted else None

    async def restore(self, account: str, version: str) -> Reply:
        """Bring a deleted account back, where it has this version still; only where the dialect knows of such."""
        return replace(_reply("PATCH", await self._bygone.restore(account, version)), body=None, version="")

    async def rights(self) -> Rights:
        """What our client may do and how much; of what the target does not say, why.

        Raises:
            TargetError: The target cannot be reached, or refuses our credentials.
        """
        dialect = self._dialect
        return await read_rights(self._client, self._settings.api_url, dialect.rights_url, dialect.limits_url)

    async def list_groups(
        self, sink: Callable[[Sequence[bytes]], None], wanted: Sequence[tuple[str, str]] = ()
    ) -> Sweep:
        """Read all groups without their members (those are expensive: documented), as `sweep` reads accounts.

        Genesys marks the filter as required on one of its two addresses (documented, contradictory): where
        a plain listing is a 400, each group of `wanted` is asked for by itself.

        Raises:
            TargetError: The groups cannot be read at all.
        """
        census = Census(sink, "group")
        listing = Listing(("id", "displayName"), kind="group_list", url=self._groups)
        before = self._client.counts.get("group_list", 0)
        probe = await self._listings.begin(listing, 1)
        if probe.status == 400:
            await self._listings.read_each(census, listing, wanted)
        else:
            self._client.value(probe, Page)
            await self._listings.read_all(census, listing)
        return Sweep(
            accounts=census.accounts,
            announced=census.announced,
            incomplete=census.trouble,
            requests=self._client.counts.get("group_list", 0) - before,
        )

    async def look(self, attributes: Sequence[str], *, groups: bool) -> tuple[int, int | None]:
        """Read one page as `sweep` does, and one of groups; how many accounts and groups are announced.

        None for groups that are not asked for, or are listed by filter only.

        Raises:
            TargetError: They cannot be read.
        """
        accounts = await self._listings.first(tuple(attributes))
        total = max(accounts.total, len(accounts.resources))  # who pages by cursor need not tell
        if not groups:
            return total, None
        listing = Listing(("id", "displayName"), kind="group_list", url=self._groups)
        answer = await self._listings.begin(listing, 1)
        return total, None if answer.status == 400 else self._client.value(answer, Page).total

    async def get_group(self, group: str) -> Reply:
        """Read one group, with its members. Trouble that outlasts the tries comes as a Reply.

        Where the answer has no members at all they are asked for by name: some show them only so (`returned`:
        `request`, RFC 7643 §7).
        """
        if (url := resource_url(self._groups, group)) is None:
            return _refused_here("GET", "a group id that cannot stand in an address")
        return _reply("GET", await self._members.read(url), group)

    async def describe(self, known: Mapping[str, Document] | None = None) -> Description:
        """What the target says about itself (RFC 7644 §4), and what its clock shows.

        What it does not serve, or shows in no form that can be read, is left out, with why.

        Raises:
            TargetError: It is down, or refuses our credentials.
        """
        served = self._dialect.discovery
        found = await read_description(self._client, self._base, known or {}, self._clock, served)
        self._listings.announced = largest_page(found.body(CONFIG))
        self._listings.by_cursor |= pages_by_cursor(found.body(CONFIG))
        self._guarded.told(found.body(CONFIG))
        self._listings.guarded = self._guarded.promised
        return found

    async def create(self, resource: dict[str, object]) -> Reply:
        """POST a new account (RFC 7644 §3.3)."""
        body = msgspec.json.encode(told(resource) if self._dialect.text_booleans else resource)
        if resource.get("active") is False:
            self._inactive.clear()
        ask = Ask(kind="create", method="POST", url=self._users, body=body, decode=self._as_resource)
        return _reply("POST", self._guarded.shown(await self._client.call(ask)))

    async def guard(self, account: str = "") -> Guard:
        """How writes are guarded here; an account is looked at where the target does not say.

        Raises:
            TargetError: It cannot be asked at all.
        """
        return await self._guarded.guard(self._account_url(account) or "" if account else "")

    async def patch(self, account: str, operations: Sequence[Operation], version: str) -> Reply:
        """PATCH an account (RFC 7644 §3.5.2, §3.14) that is what `version` says.

        Raises:
            ValueError: `version` is empty: a blind write is never sent.
        """
        if (url := self._account_url(account)) is None:
            return _refused_here("PATCH", "an account id that cannot stand in an address")
        if any(o.path is None or o.path.lower() == "active" for o in operations):
            self._inactive.clear()
        ask = Ask(kind="patch", method="PATCH", url=url, decode=self._as_resource)
        return _reply("PATCH", await self._guarded.write(ask, version, operations), account)

    async def delete(self, account: str, version: str) -> Reply:
        """DELETE an account (RFC 7644 §3.6, §3.14) that is what `version` says.

        Raises:
            ValueError: `version` is empty.
        """
        if (url := self._account_url(account)) is None:
            return _refused_here("DELETE", "an account id that cannot stand in an address")
        self._inactive.clear()
        ask = Ask(kind="delete", method="DELETE", url=url)
        return _reply("DELETE", await self._guarded.write(ask, version))

    async def patch_group(self, group: str, operations: Sequence[Operation], version: str) -> Reply:
        """PATCH a group (RFC 7644 §3.5.2, §3.14) that is what `version` says.

        Raises:
            ValueError: `version` is empty.
        """
        if (url := resource_url(self._groups, group)) is None:
            return _refused_here("PATCH", "a group id that cannot stand in an address")
        return _reply("PATCH", await self._members.write(url, operations, version), group)

    def _account_url(self, account: str) -> str | None:
        return resource_url(self._users, account)

    def _as_resource(self, content: bytes) -> object:
        """A resource, with known names as the catalog spells them and values in the form that it gives them."""
        found = OBJECT.decode(content)
        spelled = self._spelling.resource(found) if self._spelling.is_odd(content) else found
        return fitted(spelled, self._dialect.users)[0] if isinstance(spelled, dict) else spelled

    def _readable(self, raw: msgspec.Raw) -> dict[str, object] | None:
        try:
            return fitted(OBJECT.decode(raw), self._dialect.users)[0]
        except (msgspec.DecodeError, RecursionError):
            return None

    def _as_page(self, content: bytes) -> object:
        """A page of resources, spelled so."""
        pages = CURSOR_PAGE if self._listings.by_cursor else PAGE
        if not self._spelling.is_odd(content):
            return pages.decode(content)
        return pages.decode(msgspec.json.encode(self._spelling.listing(msgspec.json.decode(content))))

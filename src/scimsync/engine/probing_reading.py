"""The experiments that only read, in their order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scimsync.core import probing
from scimsync.core.probing import DOCUMENTS, FILTERED, PAGES, UNSERVED
from scimsync.engine.laboratory import Laboratory
from scimsync.errors import TargetDenied, TargetUnavailable
from scimsync.model.probing import GROUPS, USERS, Findings, Found, Heard
from scimsync.scim.generic import GENERIC
from scimsync.scim.grammar import lookup
from scimsync.scim.schema import ENTERPRISE_USER

#: where a SCIM base is met below an address that is none
_BASES = ("/scim/v2", "/scim", "/v2", "/api/scim/v2", "/api/v2/scim/v2", "/scim/v2.0")
#: what the parameter `attributes` is tried with: roots, as a listing asks for them
_ASKED = ("userName", "externalId", "emails", f"{ENTERPRISE_USER}:department", "meta.version")
#: accounts that are looked at whole
_LOOKED_AT = 20
#: accounts whose order is compared
_ORDERED = 100


@dataclass
class Reading:
    """What a provider shows to whoever only reads.

    Args:
        lab: Asks.
        findings: Take what is found.
        nobody: A login that nobody has.
    """

    lab: Laboratory
    findings: Findings
    nobody: str
    #: the first accounts, whole
    full: Heard = field(init=False)
    #: path -> whether a filter on it is heeded
    heeded: dict[str, bool | None] = field(default_factory=dict)
    #: path -> how a filter was tried
    told: dict[str, str] = field(default_factory=dict)
    #: path -> the answer to a filter that nobody meets
    empty: dict[str, Heard] = field(default_factory=dict)

    async def all(self) -> None:
        """Every experiment.

        Raises:
            TargetError: The accounts cannot be read at all.
        """
        await self.base()
        await self.discovery()
        await self.attributes()
        await self.pages()
        await self.versions()
        await self.filters()
        await self.groups()

    @property
    def narrow(self) -> Mapping[str, Any]:
        """What makes a listing cheap, and spares people: their logins alone."""
        return {"attributes": "userName"} if self.findings.value("reading.attributes") is True else {}

    async def base(self) -> None:
        """Find where accounts are listed: at the address, or where others have it below.

        Raises:
            TargetError: They are listed nowhere.
        """
        first = await self.lab.page(USERS, count=_LOOKED_AT)
        for path in _BASES if not _is_listing(first) and first.status in {*UNSERVED, 200, 301, 302, 308} else ():
            self.lab.provider.move(path)
            heard = await self.lab.page(USERS, count=_LOOKED_AT)
            if _is_listing(heard) or heard.status in {401, 403}:
                self.findings.remarks.append(f"the SCIM base is {path} below the address that was given")
                first = heard
                break
        else:
            if not _is_listing(first):
                self.lab.provider.move("")
        if not _is_listing(first):
            why = f"{first.evidence}{'' if not first.ok else ', which is no list of accounts'}"
            if first.status in {401, 403}:
                raise TargetDenied(f"the accounts cannot be read: {why}. Check the token and what it may do.")
            if first.status and first.status < 500:
                raise TargetDenied(f"the accounts cannot be read: {why}. Check the address: it ends before /Users.")
            todo = "Try again later" if first.status else "Check the address, or try again later"
            raise TargetUnavailable(f"the accounts cannot be read: {why}. {todo}.")
        self.full = first
        self.findings.take(probing.booleans(first))
        self.findings.lack("no account shows active", "accounts.booleans")

    async def discovery(self) -> None:
        """Which documents about itself it serves."""
        answers = {name: await self.lab.get(name, patient=False) for name in DOCUMENTS}
        self.findings.take(probing.served(answers))
        self.findings.listed = probing.listed(answers["Schemas"], self.full)

    async def attributes(self) -> None:
        """Whether `attributes` may be sent."""
        answer = await self.lab.page(USERS, count=_LOOKED_AT, attributes=",".join(_ASKED), patient=False)
        self.findings.settle("reading.attributes", probing.takes_attributes(self.full, _ASKED, answer))

    async def pages(self) -> None:
        """How large a page may be, where it begins, and whether it comes in one order."""
        await self.largest_page()
        first = await self.first_page()
        await self._order(first)

    async def largest_page(self) -> None:
        """How large a page may be."""
        if not self.lab.counts:
            self.findings.lack("count is refused: everybody comes on one page", "paging.largest")
            self.findings.remarks.append("a listing with count is refused, and one without it answered")
            return
        asked = []
        for count in PAGES:
            asked.append((count, await self.lab.get(USERS, count=count, **self.narrow, patient=False)))
            if asked[-1][1].ok:
                break
        self.findings.settle("paging.largest", probing.largest_page(asked))
        if odd := probing.totals([self.full, asked[-1][1]]):
            self.findings.remarks.append(odd)

    async def first_page(self) -> int:
        """The number of the first resource."""
        if not self.lab.counts:
            self.findings.lack("count is refused, so that no page of one account can be read", "paging.first_index")
            return 1
        pair = await self.lab.get(USERS, count=2, **self.narrow)
        zero = await self.lab.get(USERS, startIndex=0, count=1, **self.narrow, patient=False)
        one = await self.lab.get(USERS, startIndex=1, count=1, **self.narrow)
        self.findings.settle("paging.first_index", probing.first_index(pair, zero, one))
        return 0 if self.findings.value("paging.first_index") == 0 else 1

    async def _order(self, first: int) -> None:
        largest = self.findings.value("paging.largest", _ORDERED)
        if not self.lab.counts:
            everybody = [(await self.lab.page(USERS, **self.narrow)).ids for _ in range(3)]
            self.findings.settle("paging.stable", probing.stable(everybody))
            return
        size = min(self.full.total, _ORDERED, largest if isinstance(largest, int) else _ORDERED)
        half = (size + 1) // 2
        whole = [await self._page(first, size) for _ in range(2)]
        head, tail = await self._page(first, half), await self._page(first + half, half)
        if size > 1 and not probing.is_paged(head, tail):
            self.findings.remarks.append("a later page shows the accounts of the first one: startIndex is not heeded")
            self.findings.lack("every page is the same", "paging.stable")
            return
        readings = [*(page.ids[:size] for page in whole), [*head.ids[:half], *tail.ids[:half]][:size]]
        self.findings.settle("paging.stable", probing.stable(readings))

    async def _page(self, start: int, count: int) -> Heard:
        return await self.lab.get(USERS, startIndex=start, count=max(count, 1), **self.narrow)

    async def versions(self) -> None:
        """Where the version of an account is shown."""
        if self.full.ids:
            heard = await self.lab.get(USERS, self.full.ids[0])
            if heard.ok:
                self.findings.take(probing.versions_shown(heard))
        self.findings.lack("no account can be read by its id", "versions.shown")

    async def filters(self, paths: Sequence[str] = FILTERED) -> None:
        """Which filters are heeded, by what the first accounts hold, and whether capitals count."""
        for path in paths:
            await self.filter(path, *_held(self.full, path))
        self._tell_filters()
        identity, login = _held(self.full, "userName")
        await self.filter_case(identity, login)

    def _tell_filters(self) -> None:
        found = probing.filters(self.heeded, self.told)
        self.findings.settle("filters.attributes", found if found is not None else "no account has a value to look for")

    async def filter(self, path: str, identity: str, value: str) -> None:
        """Whether a filter on one path is heeded; `identity` has `value` there, or is "" for nobody who has one."""
        long = path if ":" not in path else f"{ENTERPRISE_USER}:{path.partition(':')[2]}"
        if path not in self.empty:
            self.empty[path] = await self.lab.get(USERS, filter=f"{long} eq {json.dumps(self.nobody)}", patient=False)
        nobody, somebody = self.empty[path], None
        if identity and (nobody.ok or nobody.status == 404):
            somebody = await self.lab.get(USERS, filter=f"{long} eq {_quoted(value)}", patient=False)
        self.heeded[path] = probing.filter_heeded(nobody, somebody, identity)
        after = "nobody" if nobody.ok and not nobody.listed else nobody.outcome if not nobody.ok else "others"
        met = "found" if somebody is not None and identity in somebody.ids else "not found"
        hit = "" if somebody is None else f", of one that is there {met}"
        self.told[path] = f'GET /Users?filter={path} eq "..." of nobody -> {after}{hit}'

    async def filter_case(self, identity: str, login: str) -> None:
        """Whether a filter on `userName` tells capitals apart."""
        other = login.swapcase()
        if not self.heeded.get("userName") or other == login:
            self.findings.lack("no login was found by a filter", "filters.case_exact")
            return
        heard = await self.lab.get(USERS, filter=f"userName eq {_quoted(other)}", patient=False)
        self.findings.settle("filters.case_exact", probing.filter_case(heard, identity))

    async def again(self, identity: str, resource: Mapping[str, object]) -> None:
        """The filters once more that could not be told, by an account that was made since."""
        if not self.full.listed:  # where nobody was, any filter found nobody
            self.empty.clear()
            self.heeded.clear()
        for path in FILTERED:
            if self.heeded.get(path) is None and (value := _value(resource, path)):
                await self.filter(path, identity, value)
        self._tell_filters()
        if "filters.case_exact" not in self.findings.found:
            await self.filter_case(identity, _value(resource, "userName"))

    async def groups(self) -> None:
        """Whether there are groups."""
        heard = await self.lab.page(GROUPS, count=1, patient=False)
        if heard.ok or heard.status in UNSERVED:
            self.findings.take(Found(entry="groups.served", value=heard.ok, evidence=heard.evidence))
        elif heard.status == 400:  # Genesys Cloud lists them by filter alone at one of its addresses
            asked = await self.lab.get(GROUPS, filter=f"displayName eq {json.dumps(self.nobody)}", patient=False)
            if asked.ok:
                self.findings.take(Found(entry="groups.served", value=True, evidence=asked.evidence))
        self.findings.lack(heard.evidence, "groups.served")


def _is_listing(heard: Heard) -> bool:
    return heard.ok and ("totalResults" in heard.resource or "Resources" in heard.resource)


def _held(page: Heard, path: str) -> tuple[str, str]:
    """The id and the value of the first account on a page that has one there; two "" where none has."""
    for one in page.listed:
        if "id" in one and (value := _value(one, path)):
            return str(one["id"]), value
    return "", ""


def _value(resource: Mapping[str, object], path: str) -> str:
    """The text at a plain path; of a list, that of its first element."""
    if path != "emails.value":
        found = GENERIC.users.resolve(path).read(resource)
        return found if isinstance(found, str) else ""
    mails = lookup(resource, "emails")
    first = mails[0] if isinstance(mails, list) and mails else None
    value = first.get("value") if isinstance(first, Mapping) else None
    return value if isinstance(value, str) else ""


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)

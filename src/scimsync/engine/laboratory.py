"""What a probe makes, and that nothing of it stays: noted before it is made, checked before it is written, removed.

Nothing is written but what was made here: a write needs a `Specimen`, which only `Laboratory.make` gives, and which was
seen under its own unguessable name. The note of it is on disk before its creation leaves, so that whatever a killed
probe left is removed by the next one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from scimsync.core.probing_bodies import version_header
from scimsync.engine.ports import Clock
from scimsync.errors import TargetError
from scimsync.model.probing import NAMES, Heard, Made, Question
from scimsync.scim.grammar import lookup

#: requests that are kept back for removing what was made
RESERVE = 30
#: seconds between looks at what was just made, and is not yet shown
_WAITS = (0.0, 1.0, 2.0, 4.0, 8.0)
#: accounts that are looked through for a login where no filter finds it, newest first
_SCANNED, _SCAN_PAGE = 1000, 100
#: after so long, what was noted and is not found was never made
_FORGOTTEN = timedelta(hours=1)
#: answers that say that a write needs a version
_WANTS_VERSION = frozenset({412, 428})


class Provider(Protocol):
    """Who is probed."""

    async def ask(self, question: Question) -> Heard:
        """Ask once, with whatever patience the question has.

        Raises:
            TargetError: It cannot be asked at all.
        """
        ...

    @property
    def requests(self) -> int:
        """Requests that were sent, all kinds and tries."""
        ...

    @property
    def announced(self) -> int | None:
        """Requests a minute that the answers announce; None where they do not."""
        ...

    def move(self, path: str, media: str = "") -> None:
        """Ask below another path of the same host from now on, and call bodies `media`, where it is given."""
        ...


class Notes(Protocol):
    """What is on disk about what a probe makes."""

    def read(self) -> Sequence[Made]:
        """Whatever an earlier probe noted.

        Raises:
            StoreError: The notes cannot be read, or are not ours.
        """
        ...

    def write(self, made: Sequence[Made]) -> None:
        """Note, durably; no notes are no file.

        Raises:
            StoreError: They cannot be written.
        """
        ...

    @property
    def where(self) -> str:
        """Where they are, for people."""
        ...


class CapReached(TargetError):
    """No further requests may be sent."""


class NotOurs(TargetError):
    """The target answered with a resource that the probe did not make."""


class Specimen(Struct):
    """Something that the probe made."""

    endpoint: str
    identity: str
    #: its login or display name, and those that it was renamed to
    names: list[str]
    #: the last reading of it
    seen: Heard

    @property
    def is_ours(self) -> bool:
        """Whether the last reading shows it under a name of ours."""
        held = lookup(self.seen.resource, NAMES[self.endpoint])
        same = str(self.seen.resource.get("id")) == self.identity
        return same and isinstance(held, str) and held.casefold() in {name.casefold() for name in self.names}

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from all others: a group may have the id of an account."""
        return self.endpoint, self.identity

    @property
    def what(self) -> str:
        """It, for people."""
        return f"{'account' if self.endpoint == 'Users' else 'group'} {self.names[-1]}"


@dataclass
class Laboratory:
    """Asks a provider, and looks after what is made there.

    Args:
        provider: Who is asked.
        notes: Where it is noted what is made.
        clock: Says when, and waits.
        cap: The most requests, all together.
    """

    provider: Provider
    notes: Notes
    clock: Clock
    cap: int
    #: what was made and could not be removed
    left: list[str] = field(default_factory=list)
    #: what an earlier probe had left, and is gone now
    cleaned: list[str] = field(default_factory=list)
    #: seconds for which a search lags behind the writes, as far as it was measured
    lag_s: float = 0.0
    #: `count` is taken
    counts: bool = True
    #: writes are refused without a version
    needs_version: bool = False
    _noted: list[Made] = field(default_factory=list)
    _own: dict[tuple[str, str], Specimen] = field(default_factory=dict)
    #: the names under which this probe makes something
    _mine: set[str] = field(default_factory=set)
    #: the names under which nothing was made, as the answer says
    _refused: set[str] = field(default_factory=set)
    #: what was deleted was seen to stay
    _keeps: bool = False
    _closing: bool = False

    # --- asking ------------------------------------------------------------------------------------

    async def get(self, endpoint: str, identity: str = "", *, patient: bool = True, **query: object) -> Heard:
        """Read something."""
        texts = {name: str(value) for name, value in query.items()}
        return await self._ask(
            Question(method="GET", endpoint=endpoint, identity=identity, query=texts, patient=patient)
        )

    async def page(self, endpoint: str, *, patient: bool = True, **query: object) -> Heard:
        """Read a page; without `count` where the target takes none."""
        bare: dict[str, Any] = {name: held for name, held in query.items() if name != "count"}
        if not self.counts or "count" not in query:
            return await self.get(endpoint, patient=patient, **bare)
        heard = await self.get(endpoint, patient=patient, count=query["count"], **bare)
        if heard.status != 400 and heard.status < 500:
            return heard
        without = await self.get(endpoint, patient=patient, **bare)
        self.counts = not without.ok
        return without if without.ok else heard

    async def _ask(self, question: Question) -> Heard:
        if self.provider.requests >= self.cap - (0 if self._closing else RESERVE):
            raise CapReached(f"the cap of {self.cap} requests is reached; the rest was not tried")
        return await self.provider.ask(question)

    async def see(self, specimen: Specimen) -> Heard:
        """Read what we made; what cannot be read now is remembered as it was last seen."""
        heard = await self.get(specimen.endpoint, specimen.identity)
        if heard.ok and heard.resource:
            specimen.seen = heard
        return heard

    # --- making and writing ------------------------------------------------------------------------

    async def make(self, endpoint: str, name: str, body: object) -> tuple[Heard, Specimen | None]:
        """Make something under an unguessable name of ours; None where nothing was made that can be read.

        Raises:
            NotOurs: The answer names a resource that is not what we made.
        """
        self._mine.add(name)
        self._note(Made(endpoint=endpoint, name=name, noted_at=self.clock.now()))
        heard = await self._ask(Question(method="POST", endpoint=endpoint, body=body))
        if 300 <= heard.status < 500:
            self._refused.add(name)
            return heard, None
        self._refused.discard(name)
        known = {one.identity for one in self._noted if (one.endpoint, one.name) == (endpoint, name) and one.identity}
        identity = str(heard.resource.get("id") or heard.location or "")
        if not identity or identity in known:
            found = await self._search(endpoint, name, _WAITS[:1] if identity else _WAITS)
            identity = next((one for one in found if one not in known), "")
        if not identity:
            return heard, None
        specimen = Specimen(endpoint, identity, [name], heard)
        for wait in _WAITS:
            if wait:
                await self.clock.sleep(wait)
            if (await self.see(specimen)).ok:
                break
        if specimen.seen is heard or not specimen.is_ours:
            if specimen.seen is not heard and lookup(specimen.seen.resource, NAMES[endpoint]) is not None:
                raise NotOurs(f"{heard.evidence}, with the id of something that has another {NAMES[endpoint]}")
            return heard, None
        self._own[specimen.key] = specimen
        self._note(Made(endpoint=endpoint, name=name, noted_at=self.clock.now(), identity=identity))
        return heard, specimen

    def rename(self, specimen: Specimen, name: str) -> None:
        """Note a further name before it is given."""
        specimen.names.append(name)
        self._mine.add(name)
        self._note(Made(endpoint=specimen.endpoint, name=name, noted_at=self.clock.now(), identity=specimen.identity))

    async def write(self, specimen: Specimen, method: str, body: object = None, *, match: str | None = None) -> Heard:
        """Write what we made. Under its version where the target wants one, unless `match` says under which.

        Raises:
            NotOurs: It is not ours, or not seen to be.
        """
        if self._own.get(specimen.key) is not specimen or not specimen.is_ours:
            raise NotOurs(f"{method} was not sent: what was last read there is not what the probe made")
        version = version_header(specimen.seen)
        sent = match if match is not None else version if self.needs_version else ""
        question = Question(
            method=method, endpoint=specimen.endpoint, identity=specimen.identity, body=body, match=sent
        )
        heard = await self._ask(question)
        if heard.status in _WANTS_VERSION and match is None and not sent and version:
            again = await self._ask(replace(question, match=version))
            self.needs_version = self.needs_version or again.ok
            return again
        return heard

    async def remove(self, specimen: Specimen) -> tuple[Heard, Heard | None]:
        """Delete what we made: the answer, and how it reads afterwards."""
        await self.see(specimen)
        heard = await self.write(specimen, "DELETE")
        after: Heard | None = None
        for wait in _WAITS[: 1 if self._keeps else 3]:
            if wait:
                await self.clock.sleep(wait)
            after = await self.get(specimen.endpoint, specimen.identity)
            if not heard.ok or not after.ok:
                break
        self._keeps = self._keeps or (heard.ok and after is not None and after.ok)
        if after is not None and after.status in {404, 410}:
            self._forget(specimen)
        return heard, after

    def abandon(self, specimen: Specimen, why: str) -> None:
        """Give up what cannot be removed, and tell of it."""
        self.left.append(f"{specimen.what}: {why}")
        self._forget(specimen)

    def _forget(self, specimen: Specimen) -> None:
        self._own.pop(specimen.key, None)
        self._noted = [one for one in self._noted if one.key != specimen.key]
        self._noted = [one for one in self._noted if one.identity or one.name not in specimen.names]
        self.notes.write(self._noted)

    def _note(self, made: Made) -> None:
        if made.identity:
            bare = replace(made, identity="")
            self._noted = [one for one in self._noted if replace(one, noted_at=bare.noted_at) != bare]
        self._noted.append(made)
        self.notes.write(self._noted)

    # --- looking for it ----------------------------------------------------------------------------

    async def _search(self, endpoint: str, name: str, waits: Sequence[float]) -> list[str]:
        """The ids of whatever has a name of ours, by a filter or in the listing."""
        for wait in waits:
            if wait:
                await self.clock.sleep(wait)
            if found := await self._search_once(endpoint, name):
                return found
        return []

    async def _search_once(self, endpoint: str, name: str) -> list[str]:
        attribute = NAMES[endpoint]
        heard = await self.get(endpoint, filter=f"{attribute} eq {json.dumps(name)}")
        found = _named(heard, attribute, name)
        if found or (heard.ok and not heard.listed and heard.total == 0):
            return found
        first = await self.page(endpoint, count=_SCAN_PAGE)
        found = _named(first, attribute, name)
        start = max(1, first.total - _SCAN_PAGE + 1)
        while not found and start > 1 and first.total - start < _SCANNED:
            found = _named(await self.page(endpoint, startIndex=start, count=_SCAN_PAGE), attribute, name)
            start -= _SCAN_PAGE
        return found

    # --- the end -----------------------------------------------------------------------------------

    async def clean(self) -> None:
        """Remove what an earlier probe left here, as its notes say."""
        self._noted = list(self.notes.read())
        await self._remove_noted()

    async def close(self) -> None:
        """Remove everything that is there still, and say what could not be."""
        self._closing = True
        for specimen in list(self._own.values())[::-1]:
            try:
                heard, after = await self.remove(specimen)
                if specimen.key in self._own:
                    await self._leave(specimen, heard, after)
            except TargetError as error:
                self.left.append(f"{specimen.what}: {error}; the next probe tries again")
        waiting = set(self._own)
        try:
            if self.lag_s and any(one.key not in waiting for one in self._noted):
                await self.clock.sleep(self.lag_s)
            await self._remove_noted(waiting)
        except TargetError as error:
            self.left.append(f"perhaps what {self.notes.where} names ({error}); the next probe looks for it")

    async def _leave(self, specimen: Specimen, heard: Heard, after: Heard | None) -> None:
        """Tell of what could not be deleted; an account at least has no access then."""
        why = f"it could not be deleted ({heard.outcome})" if not heard.ok else "the target keeps what is deleted"
        if after is None or not (after.ok or 400 <= heard.status < 500):
            self.left.append(f"{specimen.what}: {why}; the next probe tries again")
            return
        self.abandon(specimen, why)

    async def _remove_noted(self, but: Set[tuple[str, str]] = frozenset()) -> None:
        """Remove what is noted, but for what has one of these keys."""
        names: dict[tuple[str, str], list[str]] = {}
        for one in self._noted:
            if one.identity:
                names.setdefault(one.key, []).append(one.name)
        for one in list(self._noted):
            if one not in self._noted or one.key in but:
                continue
            if one.identity:
                await self._remove_one(one.endpoint, one.identity, names[one.key])
                continue
            found = await self._search_once(one.endpoint, one.name)
            for identity in found:
                await self._remove_one(one.endpoint, identity, [one.name])
            fresh = self.clock.now() - one.noted_at < _FORGOTTEN and one.name not in self._refused
            if not found and fresh:
                continue  # a search may lag; looked for again at the end, and by the next probe
            self._noted = [other for other in self._noted if other != one]
            self.notes.write(self._noted)

    async def _remove_one(self, endpoint: str, identity: str, names: Sequence[str]) -> None:
        specimen = Specimen(endpoint, identity, list(names), await self.get(endpoint, identity))
        if specimen.seen.status in {404, 410}:
            self._forget(specimen)
            return
        if not specimen.is_ours:
            self.left.append(f"{specimen.what}: it could not be read as ours ({specimen.seen.outcome})")
            return
        self._own[specimen.key] = specimen
        heard, after = await self.remove(specimen)
        if self._own.pop(specimen.key, None):
            await self._leave(specimen, heard, after)
        elif not self._mine & set(names):
            self.cleaned.append(specimen.what)


def _named(heard: Heard, attribute: str, name: str) -> list[str]:
    """The ids on a page of whatever has exactly this name."""
    return [
        str(one["id"])
        for one in heard.listed
        if "id" in one and str(lookup(one, attribute)).casefold() == name.casefold()
    ]

"""Links, references that wait, and memberships, in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from msgspec.structs import replace

from scimsync.model.accounts import GroupMemory, Membership
from scimsync.model.outcomes import Acceptance, Deferred, Ending, Link, LinkDecision, Suspect, Undone, Unshown
from scimsync.testing.store_memory import Memory


class MemoryPeople(Memory):
    """Whose account is whose.

    Fits `Links`, `Deferrals`, `Endings`, `Suspicions`, `NeverShown`, `Acceptances`, `Memberships` of the state.
    """

    def __init__(self) -> None:
        super().__init__()
        self._links: dict[str, Link] = {}
        self._sources: set[str] = set()
        self._decisions: list[LinkDecision] = []
        self._deferred: dict[tuple[str, str], Deferred] = {}
        self._endings: dict[str, Ending] = {}
        self._suspects: dict[str, Suspect] = {}
        self._undone: dict[tuple[str, str], Undone] = {}
        self._unshown: dict[tuple[str, str], Unshown] = {}
        self._acceptances: dict[tuple[str, str], Acceptance] = {}
        self._memberships: dict[Membership, None] = {}
        self._group_memory = GroupMemory()

    def links(self) -> Iterator[Link]:
        """All links."""
        with self._lock:
            held = list(self._links.values())
        yield from held

    def owner_of(self, account: str) -> str | None:
        """The key that an account is linked to."""
        with self._lock:
            return next((key for key, held in self._links.items() if held.account == account), None)

    def save_links(self, links: Iterable[Link], released: Collection[str] = ()) -> Sequence[Link]:
        """Insert or replace links; those to accounts of other keys, which were not released, are given back."""
        refused = []
        with self._lock:
            for link in links:
                owner = next((key for key, held in self._links.items() if held.account == link.account), link.key)
                if owner not in {link.key, *released}:
                    refused.append(link)
                    continue
                self._links.pop(owner, None)
                self._links[link.key] = link
                self._sources |= {link.source} - {""}
        return refused

    def take_links(self, former: str, source: str) -> None:
        """Give all links of one source to another."""
        with self._lock:
            self._links |= {key: replace(x, source=source) for key, x in self._links.items() if x.source == former}
            self._sources |= {source} - {""}

    def sources(self) -> frozenset[str]:
        """The sources that have, or ever had, a link."""
        return frozenset(self._sources)

    def decide_link(self, decision: LinkDecision) -> None:
        """Keep that a record and an account are one person, or are not, and make the links so."""
        with self._lock:
            self._decisions.append(decision)
            for key, held in list(self._links.items()):
                if held.account == decision.account and (decision.same or key == decision.key):
                    del self._links[key]
            if decision.same:
                self._links[decision.key] = Link(decision.key, decision.account, decision.source)
                self._sources |= {decision.source} - {""}

    def link_decisions(self) -> Sequence[LinkDecision]:
        """All of them, oldest first."""
        with self._lock:
            return list(self._decisions)

    def deferred(self) -> Iterator[Deferred]:
        """References that wait for an account, by key and path."""
        with self._lock:
            held = sorted(self._deferred.items())
        yield from (edge for _, edge in held)

    def save_deferred(self, waiting: Iterable[Deferred], settled: Iterable[tuple[str, str]] = ()) -> None:
        """Forget the settled ones and remember those that wait; one that waits already stays as it is."""
        with self._lock:
            for pair in settled:
                self._deferred.pop(pair, None)
            for edge in waiting:
                held = self._deferred.get((edge.key, edge.path))
                if held is None or held.awaits != edge.awaits:
                    self._deferred[edge.key, edge.path] = edge

    def endings(self) -> Iterator[Ending]:
        """Since when the accounts of people are inactive, by key."""
        with self._lock:
            held = sorted(self._endings.items())
        yield from (ending for _, ending in held)

    def change_endings(self, add: Iterable[Ending], remove: Iterable[str] = ()) -> None:
        """Forget those of some keys, then remember others."""
        with self._lock:
            for key in remove:
                self._endings.pop(key, None)
            self._endings |= {ending.key: ending for ending in add}

    def suspects(self) -> Iterator[Suspect]:
        """Who is missing from the source, and in how many readings, by key."""
        with self._lock:
            held = sorted(self._suspects.items())
        yield from (suspect for _, suspect in held)

    def change_suspects(self, add: Iterable[Suspect], remove: Iterable[str] = ()) -> None:
        """Forget those of some keys, then remember others."""
        with self._lock:
            for key in remove:
                self._suspects.pop(key, None)
            self._suspects |= {suspect.key: suspect for suspect in add}

    def unshown(self, keys: Collection[str] = ()) -> Iterator[Unshown]:
        """What was sent and taken and is never shown, of some people or of everybody, by key and path."""
        with self._lock:
            held = sorted(self._unshown.items())
        yield from (one for _, one in held if not keys or one.key in keys)

    def change_unshown(self, add: Iterable[Unshown], remove: Iterable[tuple[str, str]] = ()) -> None:
        """Forget some, given as (key, path), then remember others."""
        with self._lock:
            for pair in remove:
                self._unshown.pop(pair, None)
            self._unshown |= {(one.key, one.path): one for one in add}

    def undone(self) -> Sequence[Undone]:
        """What people took back though HR says otherwise, by key and path."""
        with self._lock:
            return [one for _, one in sorted(self._undone.items())]

    def change_undone(self, add: Iterable[Undone], remove: Iterable[tuple[str, str]] = ()) -> None:
        """Forget some, given as (key, path), then remember others."""
        with self._lock:
            for pair in remove:
                self._undone.pop(pair, None)
            self._undone |= {(one.key, one.path): one for one in add}

    def acceptances(self) -> Sequence[Acceptance]:
        """The findings that people accepted, by key and kind."""
        with self._lock:
            return [one for _, one in sorted(self._acceptances.items())]

    def change_acceptances(self, add: Iterable[Acceptance], remove: Iterable[tuple[str, str]] = ()) -> None:
        """Forget some, given as (key, kind), then remember others."""
        with self._lock:
            for pair in remove:
                self._acceptances.pop(pair, None)
            self._acceptances |= {(one.key, one.kind): one for one in add}

    def memberships(self) -> Iterator[Membership]:
        """The memberships that both sides last agreed on."""
        with self._lock:
            held = list(self._memberships)
        yield from held

    def change_memberships(self, add: Iterable[Membership], remove: Iterable[Membership]) -> None:
        """Take memberships into what was agreed, and out of it."""
        with self._lock:
            for gone in remove:
                self._memberships.pop(gone, None)
            self._memberships |= dict.fromkeys(add)

    def group_memory(self) -> GroupMemory:
        """What earlier runs learned of groups."""
        with self._lock:
            return self._group_memory

    def remember_groups(self, memory: GroupMemory) -> None:
        """Remember this of groups, in place of what was remembered before."""
        with self._lock:
            self._group_memory = memory

"""The memberships of a plan: read the pairs, list and read the groups, decide who joins and who leaves.

And what is remembered of them when the plan was applied.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import groupby
from typing import Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from scimsync import files
from scimsync.core import grouping as rules
from scimsync.core import naming, showing
from scimsync.core.naming import folded
from scimsync.core.trust import ABSENCE, Trust
from scimsync.engine import undone
from scimsync.engine.binding import bind, proven
from scimsync.engine.ports import Source, Target
from scimsync.engine.state import Artifacts, Memberships, TakenBack
from scimsync.errors import SourceEmpty, SourceError, TargetError
from scimsync.model.accounts import Group, GroupMemory, Membership
from scimsync.model.outcomes import Outcome
from scimsync.model.plans import MAKING, Change, Finding, GroupChange, Member
from scimsync.model.policy import Grouping, Nested, Policy, Shows
from scimsync.model.records import Reading
from scimsync.workbench.bench import Workbench
from scimsync.workbench.comparing import Comparison
from scimsync.workbench.membership import NESTING, PAIR, MemberTables, read_agreed, stage_column, stage_pairs

#: groups that are read at the same time
READ_AT_ONCE = 8
#: members that wait in memory to be laid into a table together
LAID_AT_ONCE = 20_000


class AgreedState(Memberships, TakenBack, Artifacts, Protocol):
    """Of the state: which memberships were agreed."""


class Pairs(Struct, frozen=True, kw_only=True):
    """Where memberships come from, besides a column of the records."""

    #: pairs of a person's key and a group; None where a column has them
    pairs: Source | None = None
    #: pairs of groups, the second a member of the first
    nesting: Source | None = None


@dataclass(slots=True)
class MembershipPlanning:
    """The memberships of one planning run, on the tables of a correlated comparison."""

    policy: Policy
    grouping: Grouping
    bench: Workbench
    comparison: Comparison
    target: Target
    store: AgreedState
    overrides: Mapping[str, str]
    findings: list[Finding] = field(default_factory=list)
    #: why absence proves nothing; "" where it does
    _doubt: str = ""
    #: pairs of the source
    _number: int = 0
    _names: dict[str, str] = field(default_factory=dict)
    #: the groups of the directory
    _existing: dict[str, Group] = field(default_factory=dict)
    #: ids of groups that were neither listed nor proven to be gone
    _hidden: set[str] = field(default_factory=set)
    #: the groups that are never changed
    _shielded: frozenset[str] = frozenset()
    #: what is known of groups from earlier runs, and what will be remembered of them
    _memory: GroupMemory = field(default_factory=GroupMemory)
    _learned: GroupMemory = field(default_factory=GroupMemory)
    #: the groups of the directory are known
    _complete: bool = False
    #: groups that were read -> members whom they do not show and who count all the same
    _unseen: dict[str, int] = field(default_factory=dict)
    #: groups that show a part of their members -> how many they showed when that was found
    _cut: dict[str, int] = field(default_factory=dict)
    #: groups of which nobody knows whether they show all -> those whom we put there, who are added again
    _doubted: dict[str, int] = field(default_factory=dict)
    _members: MemberTables = field(init=False)

    def __post_init__(self) -> None:
        """Stand on the comparison's idea of who is left alone."""
        kept = self.comparison.members_left_alone()
        self._members = MemberTables(self.bench, self.grouping, kept, self.comparison.logins())

    async def run(
        self,
        source: Pairs,
        judged: Trust,
        changes: Sequence[Change],
        *,
        key: str,
        complete: bool,
        away: Collection[str] = (),
    ) -> tuple[GroupChange, ...]:
        """Plan all groups.

        Args:
            source: Where the pairs come from.
            judged: What the reading of the records proves.
            changes: The changes of people in the same plan.
            key: Column of the source that identifies a person.
            complete: Whether all accounts were read.
            away: Keys of people who are in no group while they are on leave.

        Raises:
            SourceError: The pairs cannot be read.
            ConfigError: They have other than two columns.
        """
        self._members.only_delivered = not judged.everybody
        if not judged.everybody and not self.bench.number("SELECT count(*) FROM records"):
            return ()
        self._read_pairs(source, judged, key=key, complete=complete)
        self.bench.sql.execute("DELETE FROM m_pairs WHERE key IN (SELECT unnest(?::VARCHAR[]))", [[*away]])
        written, nested = self._members.names()
        named, edges, circles = self._fold(written, nested)
        self._memory = self.store.group_memory()
        based = self._members.lay_base(self.store.memberships())
        groups = await self._list(self._wanted(named, based))
        if groups is None:
            return ()
        groups += await self._unlisted(set(based) - {group.id for group in groups})
        self._complete, self._existing = True, {group.id: group for group in groups}
        remembered = {name: group for name, group in self._memory.names.items() if group in based}
        ours = self._managed(named, edges, remembered)
        ids = self._resolve(ours, named, edges, remembered)
        created = [change.key for change in changes if change.action in MAKING]
        spelled = {name: folded(name, self.grouping.match) for name in _spelled(written, nested)}
        self._members.lay_names(spelled, edges, circles)
        self._members.lay_groups(ids, created, self.policy.protected)
        read = await self._read({ids[name] for name in ours if name in ids} | self._base_groups(based))
        if (found := self._members.strangers())[1]:
            self.findings.append(rules.strangers(*found))
        if self.grouping.providing.shows is Shows.HIDDEN and (held := sum(map(bool, self._unseen.values()))):
            self.findings.append(rules.hidden(held, sum(self._unseen.values())))
        return tuple(self._changes(read))

    def _read_pairs(self, source: Pairs, judged: Trust, *, key: str, complete: bool) -> None:
        grouping = self.grouping
        number, proven = read_pairs(self.bench, grouping, source, key=key)
        blank = grouping.column.lower() in {column.lower() for column in judged.blank_columns}
        unproven = not proven and ABSENCE not in self.overrides
        doubts = (
            (not number, "the source names no membership at all"),
            (blank, f"the column {grouping.column} went blank"),
            (
                not judged.everybody and source.pairs is not None,
                "this is a delivery of changes, and memberships do not stand in its records",
            ),
            (judged.everybody and unproven, "the source of memberships cannot prove that it is complete"),
            (
                judged.everybody and (not judged.absence or self.comparison.opaque() > 0),
                "the source of records proves nothing by absence",
            ),
            (judged.older, "the delivery is an old one"),
            (not complete, "the directory could not be read whole"),
        )
        self._doubt = next((why for doubtful, why in doubts if doubtful), "")
        self._number = number

    def _fold(
        self, written: Sequence[str], nested: Sequence[tuple[str, str]]
    ) -> tuple[set[str], set[tuple[str, str]], set[tuple[str, str]]]:
        """The names of pairs, the nestings that count, and those that count only as named; all folded."""
        for name in reversed(_spelled(written, nested)):
            self._names[folded(name, self.grouping.match)] = name
        graph: dict[str, set[str]] = {}
        for outer, inner in nested:
            graph.setdefault(folded(outer, self.grouping.match), set()).add(folded(inner, self.grouping.match))
        named = {folded(name, self.grouping.match) for name in written}
        edges = {(outer, inner) for outer, held in graph.items() for inner in held}
        if self.grouping.nested is Nested.REFUSE:
            self.findings += [
                rules.refused_nesting(self._names[outer], sorted(self._names[inner] for inner in held))
                for outer, held in sorted(graph.items())
            ]
            return named, set(), edges
        circles, findings = rules.circular(graph, self._names)
        self.findings += findings
        return named, edges - circles, circles

    def _wanted(self, named: Iterable[str], based: Iterable[str]) -> list[tuple[str, str]]:
        """What to ask for where the target lists by filter only."""
        managed = self.grouping.managed
        asked = {
            (self.grouping.match, name) for name in (*managed, *(self._names[n] for n in named), *self._names.values())
        }
        return sorted(asked | {("id", group) for group in based})

    async def _list(self, wanted: Sequence[tuple[str, str]]) -> list[Group] | None:
        """All groups of the directory; None where they cannot be read whole."""
        groups: list[Group] = []
        if not self.grouping.providing.served:
            self.findings.append(rules.unlisted("the dialect says that the directory has no groups"))
            return None

        def take(resources: Sequence[bytes]) -> None:
            for resource in resources:
                found = msgspec.json.decode(resource)
                groups.append(Group(str(found["id"]), str(found.get("displayName") or "")))

        try:
            trouble = (await self.target.list_groups(take, wanted)).incomplete
        except TargetError as error:  # people go on without groups
            trouble = str(error)
        if trouble:
            self.findings.append(rules.unlisted(trouble))
        return None if trouble else groups

    async def _unlisted(self, ids: AbstractSet[str]) -> list[Group]:
        """The groups of the base that the listing does not show, as far as they are there."""
        found = []
        for group in sorted(ids):
            reply = await self.target.get_group(group)
            if reply.ok and reply.body is not None:
                found.append(Group(group, str(reply.body.get("displayName") or "")))
            elif reply.status != 404:
                self._hidden.add(group)
                self.findings.append(rules.unread(group, reply.detail or f"status {reply.status}"))
        return found

    def _managed(self, named: set[str], edges: Iterable[tuple[str, str]], remembered: Mapping[str, str]) -> set[str]:
        """The folded names of the groups that are ours."""
        grouping = self.grouping
        held = naming.forms(self._existing.values(), grouping.match)
        inner = {i for _, i in edges} if grouping.nested is Nested.FLATTEN else set()
        asked = named | {outer for outer, _ in edges}
        if not grouping.managed:
            # a group that is only flattened into others need not be one of the directory
            return {name for name in asked if name not in inner or name in held}
        for name in grouping.managed:
            self._names.setdefault(folded(name, grouping.match), name)
        ours = {folded(name, grouping.match) for name in grouping.managed}
        beside = asked - ours - inner
        slipped = naming.slips(beside, ours, held, remembered)
        if strangers := sorted(self._names[name] for name in beside - slipped):
            self.findings.append(rules.unmanaged(strangers))
        return ours | slipped

    def _resolve(
        self, ours: set[str], named: set[str], edges: set[tuple[str, str]], remembered: Mapping[str, str]
    ) -> Mapping[str, str]:
        """The ids of our groups and of those nested in them; what HR names and is not ours means nothing."""
        groups, memory = list(self._existing.values()), self._memory
        used = named | {name for pair in edges for name in pair}
        asked = ours if self.grouping.nested is Nested.FLATTEN else ours | {inner for _, inner in edges}
        names = {name: self._names[name] for name in asked}
        found = naming.resolve(names, groups, self.grouping, remembered, self.overrides)
        shielded = naming.shield(self.grouping.protected, groups, memory.names)
        self.findings += [*found.findings, *shielded.findings]
        self._shielded = shielded.ids
        is_open = {name: meant for name, meant in found.open.items() if name in used}
        reached = {group for name, group in found.ids.items() if name in used}
        self._members.lay_open(is_open, {group for meant in is_open.values() for group in meant}, reached)
        there = self._existing.keys() | self._hidden
        learned = naming.memory(found, used, memory.names, there)
        self._learned = GroupMemory(names={**learned, **shielded.names}, partial=_only(memory.partial, there))
        return found.ids

    def _base_groups(self, based: Iterable[str]) -> set[str]:
        """Groups that HR named once: their last members must be able to leave. Not where [groups] managed says all."""
        return set() if self.grouping.managed else {group for group in based if group in self._existing}

    async def _read(self, wanted: AbstractSet[str]) -> dict[str, tuple[str, int]]:
        """Read the groups that matter, and lay their members; give version and number of members of each."""
        read: dict[str, tuple[str, int]] = {}
        waiting: dict[str, dict[str, str]] = {}
        self._members.lay_current()
        turn, members = asyncio.Semaphore(READ_AT_ONCE), 0

        async def one(group: str) -> None:
            nonlocal members
            async with turn:
                reply = await self.target.get_group(group)
            if not reply.ok or reply.body is None:
                self.findings.append(rules.unread(self._existing[group].name, reply.detail or f"status {reply.status}"))
                return
            if not rules.is_readable(reply.body) and rules.FOREIGN not in self.overrides:
                self.findings.append(rules.foreign(self._existing[group].name))
                return
            read[group] = (reply.version, len(rules.members_of(reply.body)))
            waiting[group] = {
                member: kind or ("either" if member in self._existing else "")
                for member, kind in rules.members_of(reply.body).items()
            }
            members += len(waiting[group])
            if members > LAID_AT_ONCE:
                members = 0
                lay()

        def lay() -> None:
            for group in self._take(waiting):
                del read[group]
            waiting.clear()

        await asyncio.gather(*(one(group) for group in sorted(wanted)))
        lay()
        return read

    def _take(self, groups: Mapping[str, Mapping[str, str]]) -> set[str]:
        """Lay the members of groups; give those whose members are told in a way that we cannot read."""
        foreign = self._members.add_current(groups, believe=rules.FOREIGN in self.overrides)
        self.findings += [rules.foreign(self._existing[group].name) for group in sorted(foreign)]
        for group in sorted(groups.keys() - foreign):
            self._doubt_list(group, len(groups[group]))
        return foreign

    def _doubt_list(self, group: str, shown: int) -> None:
        """Hold what a group shows against what the directory took from us: a list that is cut proves no absence."""
        unseen, partial = self._members.unseen(group), dict(self._learned.partial)
        was_cut, providing = group in partial, self.grouping.providing
        cut = partial.pop(group, None)
        self._unseen[group] = 0
        if showing.is_known_cut(shown, providing) or (was_cut and unseen and showing.is_cut(shown, cut)):
            self._members.assume(group)
            self._unseen[group] = unseen
            self._cut[group] = shown if cut is None else cut
            if was_cut and providing.shows is Shows.ALL:
                partial[group] = self._cut[group]
            if unseen and providing.shows is not Shows.HIDDEN:
                self.findings.append(rules.partial(self._existing[group].name, shown, unseen))
        elif was_cut and cut is not None and shown == cut:
            partial[group] = self._cut[group] = cut
        elif unseen > 1 and showing.looks_cut(shown):
            self._unseen[group] = unseen
            self._doubted[group] = unseen - self._members.doubt(group)
        self._learned = replace(self._learned, partial=partial)

    def _changes(self, read: Mapping[str, tuple[str, int]]) -> Iterator[GroupChange]:
        leaving, spared = _by_group(self._members.leaving()), self._members.spared()
        stays = sum(map(len, leaving.values())) + sum(spared.values())
        if self._doubt and (stays or not self._number):
            self.findings.append(rules.unproven(stays, self._doubt))
            leaving = {}
        elif spared:
            self.findings.append(rules.spared({self._existing[group].name: n for group, n in spared.items()}))
        joining, beside, limits = _by_group(self._members.joining()), self._members.beside(), self.policy.limits
        if undone.HELD not in self.overrides:
            looked = undone.Looked(
                groups=read.keys(),
                names={group: held.name for group, held in self._existing.items()},
                everybody=not self._members.some(),
                believed=not self._doubt,
            )
            joining, leaving, told = undone.leave_members(self.store, joining, leaving, looked)
            self.findings += told
        for group in sorted(joining.keys() | leaving.keys(), key=lambda g: (self._existing[g].name, g)):
            version, held = read[group]
            change = GroupChange(
                group=group,
                name=self._existing[group].name,
                version=version,
                add=tuple(joining.get(group, ())),
                remove=tuple(leaving.get(group, ())),
                held=held + self._unseen.get(group, 0),
                batch=self.grouping.batch,
                partial=group in self._cut,
                cut=self._cut.get(group),
                doubted=group in self._doubted,
            )
            if group in self._shielded:
                self.findings.append(rules.protected(change))
            elif (
                finding := rules.beyond(self._counted(change), limits, self.overrides, *beside.get(group, ()))
            ) is not None:
                self.findings.append(finding)
            else:
                yield change

    def _counted(self, change: GroupChange) -> GroupChange:
        """A change without those who were agreed to be in the group already: they are no gain."""
        again = self._doubted.get(change.group, 0)
        return replace(change, add=change.add[again:]) if again else change

    def write_agreed(self, run: str) -> None:
        """Keep what both sides agree on by now, for what is remembered when the plan is applied."""
        if not self._complete:
            return
        self._members.write_agreed(self.store.artifact(_agreed(run)), self._existing.keys() | self._hidden)
        files.write(self.store.artifact(_learned(run)), [msgspec.json.encode(self._learned)])
        for name in (_agreed(run), _learned(run)):
            if self.store.artifact(name).is_file():  # none where nothing moves
                bind(self.store, name)


def read_pairs(bench: Workbench, grouping: Grouping, source: Pairs, *, key: str) -> tuple[int, bool]:
    """Read pairs and nestings into the tables `m_pairs` and `m_nestings`.

    Returns:
        How many pairs there are, and whether both readings prove that nothing is missing.

    Raises:
        SourceError: They cannot be read.
        ConfigError: They have other than two columns, or the source lacks the list column.
    """
    pairs = _open(source.pairs) if source.pairs else None
    nestings = _open(source.nesting) if source.nesting else None
    if source.pairs is None:
        number = stage_column(bench, grouping.column, grouping.separator, key=key)
    else:
        number = _staged(bench, pairs or _NOTHING, "m_pairs", PAIR)
    _staged(bench, nestings or _NOTHING, "m_nestings", NESTING)
    return number, all(reading is None or reading.proven for reading in (pairs, nestings))


_NOTHING = Reading(columns=("", ""), batches=(), proven=True)


def _spelled(written: Iterable[str], nested: Iterable[tuple[str, str]]) -> list[str]:
    return [*dict.fromkeys([*written, *(name for pair in nested for name in pair)])]


def _agreed(run: str) -> str:
    return f"members-{run}.ndjson"


def _learned(run: str) -> str:
    return f"groups-{run}.json"


def _open(source: Source) -> Reading | None:
    """A reading of pairs; None where the source holds nothing."""
    try:
        return source.read()
    except SourceEmpty:
        return None
    except SourceError as error:
        raise _of_groups(error) from error


def _staged(bench: Workbench, reading: Reading, table: str, names: tuple[str, str]) -> int:
    try:
        return stage_pairs(bench, reading, table, names)
    except SourceEmpty:
        return stage_pairs(bench, _NOTHING, table, names)
    except SourceError as error:
        raise _of_groups(error) from error


def _of_groups(error: SourceError) -> SourceError:
    return SourceError(f"[groups] {str(error).replace('[source]', '[groups]')}")


def _only(partial: Mapping[str, int | None], there: AbstractSet[str]) -> dict[str, int | None]:
    return {group: shown for group, shown in partial.items() if group in there}


def _by_group(members: Iterator[tuple[str, Member]]) -> dict[str, list[Member]]:
    return {group: [member for _, member in found] for group, found in groupby(members, key=lambda m: m[0])}


class _Learned(msgspec.Struct):
    """A `GroupMemory` as it is kept between plan and run; by an older release with the ids of partial groups alone."""

    names: dict[str, str]
    partial: dict[str, int | None] | list[str]


# --- after applying -------------------------------------------------------------------------------


def remember(store: AgreedState, run: str, outcomes: Iterable[tuple[str, Outcome]]) -> None:
    """Take into the base what was agreed when the plan was made, what really was written, and what was learned.

    Args:
        store: The state.
        run: The run's id.
        outcomes: (id of a group, outcome) of each group that the run worked on.
    """
    moves: dict[Membership, bool] = {}
    agreed, learned = proven(store, _agreed(run)), proven(store, _learned(run))
    if agreed.exists():
        moves |= dict(read_agreed(agreed))
    partial: dict[str, int | None] = {}
    for group, outcome in outcomes:
        if outcome.code == rules.PARTIAL:
            partial[group] = None  # counted when it is next read
        for path, comes in ((rules.PERHAPS, True), (rules.ADDED, True), (rules.REMOVED, False)):
            moves |= {Membership(group, one): comes for one in rules.read_written(outcome.written, path)}
    if moves:
        store.change_memberships(
            [one for one, joins in moves.items() if joins], [one for one, joins in moves.items() if not joins]
        )
    if learned.exists():
        memory = msgspec.json.decode(learned.read_bytes(), type=_Learned)
        known = memory.partial if isinstance(memory.partial, dict) else dict.fromkeys(memory.partial)
        store.remember_groups(GroupMemory(names=memory.names, partial=partial | known))

"""The memberships of a plan: read the pairs, list and read the groups, decide who joins and who leaves.

And what is remembered of them when the plan was applied.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import groupby

import msgspec

from scimsync.core import grouping as rules
from scimsync.core.trust import ABSENCE, Trust
from scimsync.engine.ports import Source, Store, Target
from scimsync.errors import SourceEmpty, SourceError
from scimsync.model.accounts import Group, Membership
from scimsync.model.outcomes import Outcome
from scimsync.model.plans import Action, Change, Finding, GroupChange, Member
from scimsync.model.policy import Grouping, Nested, Policy
from scimsync.model.records import Reading
from scimsync.workbench.comparing import Comparison
from scimsync.workbench.membership import NESTING, PAIR, Rosters, read_agreed, stage_column, stage_pairs
from scimsync.workbench.staging import Workbench

#: groups that are read at the same time
READ_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
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
    store: Store
    overrides: Mapping[str, str]
    findings: list[Finding] = field(default_factory=list)
    #: why absence proves nothing; "" where it does
    _doubt: str = ""
    _names: dict[str, str] = field(default_factory=dict)
    _existing: dict[str, Group] = field(default_factory=dict)
    #: all groups of the directory were listed
    _complete: bool = False
    _rosters: Rosters = field(init=False)

    def __post_init__(self) -> None:
        """Stand on the comparison's idea of who is left alone."""
        self._rosters = Rosters(self.bench, self.grouping, self.comparison.left_alone())

    async def run(
        self, source: Pairs, judged: Trust, changes: Sequence[Change], *, key: str, complete: bool
    ) -> tuple[GroupChange, ...]:
        """Plan all groups.

        Args:
            source: Where the pairs come from.
            judged: What the reading of the records proves.
            changes: The changes of people in the same plan.
            key: Column of the source that identifies a person.
            complete: Whether all accounts were read.

        Raises:
            SourceError: The pairs cannot be read.
            ConfigError: They have other than two columns.
            TargetError: The groups cannot be read.
        """
        self._read_pairs(source, judged, key=key, complete=complete)
        written, nested = self._rosters.names()
        named, edges, circles = self._fold(written, nested)
        based = self._rosters.lay_base(self.store.memberships())
        groups, whole = await self._list(self._wanted(named, based))
        if not whole:
            return ()
        self._complete = True
        self._existing = {group.id: group for group in groups}
        ours = self._managed(named, edges)
        ids = self._resolve(groups, ours, {inner for _, inner in edges})
        created = [change.key for change in changes if change.action is Action.CREATE]
        spelled = {name: rules.folded(name, self.grouping.match) for name in _spelled(written, nested)}
        self._rosters.lay_names(spelled, edges, circles)
        self._rosters.lay_groups(ids, created, self.policy.protected)
        read = await self._read({ids[name] for name in ours if name in ids} | self._base_groups(based))
        if (found := self._rosters.strangers())[1]:
            self.findings.append(rules.strangers(*found))
        return tuple(self._changes(read))

    def _read_pairs(self, source: Pairs, judged: Trust, *, key: str, complete: bool) -> None:
        grouping = self.grouping
        number, proven = read_pairs(self.bench, grouping, source, key=key)
        blank = grouping.column.lower() in {column.lower() for column in judged.blank_columns}
        unproven = not proven and ABSENCE not in self.overrides
        doubts = (
            (not number, "the source names no membership at all"),
            (blank, f"the column {grouping.column} went blank"),
            (unproven, "the source of memberships cannot prove that it is complete"),
            (not judged.absence or self.comparison.opaque() > 0, "the source of records proves nothing by absence"),
            (not complete, "the directory could not be read whole"),
        )
        self._doubt = next((why for doubtful, why in doubts if doubtful), "")
        if not number:
            self.findings.append(rules.unproven(0, self._doubt))

    def _fold(
        self, written: Sequence[str], nested: Sequence[tuple[str, str]]
    ) -> tuple[set[str], set[tuple[str, str]], set[tuple[str, str]]]:
        """The names of pairs, the nestings that count, and those that count only as named; all folded."""
        for name in reversed(_spelled(written, nested)):
            self._names[rules.folded(name, self.grouping.match)] = name
        graph: dict[str, set[str]] = {}
        for outer, inner in nested:
            graph.setdefault(rules.folded(outer, self.grouping.match), set()).add(
                rules.folded(inner, self.grouping.match)
            )
        named = {rules.folded(name, self.grouping.match) for name in written}
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

    async def _list(self, wanted: Sequence[tuple[str, str]]) -> tuple[list[Group], bool]:
        groups: list[Group] = []

        def take(resources: Sequence[bytes]) -> None:
            for resource in resources:
                found = msgspec.json.decode(resource)
                groups.append(Group(str(found["id"]), str(found.get("displayName") or "")))

        sweep = await self.target.list_groups(take, wanted)
        if sweep.incomplete:
            self.findings.append(rules.incomplete(sweep))
        return groups, not sweep.incomplete

    def _managed(self, named: set[str], edges: Iterable[tuple[str, str]]) -> set[str]:
        """The folded names of the groups that are ours."""
        grouping = self.grouping
        inner = {i for _, i in edges} if grouping.nested is Nested.FLATTEN else set()
        asked = named | {outer for outer, _ in edges}
        if not grouping.managed:
            # a group that is only flattened into others need not be one of the directory
            return {name for name in asked if name not in inner or self._is_there(name)}
        for name in grouping.managed:
            self._names.setdefault(rules.folded(name, self.grouping.match), name)
        ours = {rules.folded(name, self.grouping.match) for name in grouping.managed}
        if strangers := sorted(self._names[name] for name in asked - ours - inner):
            self.findings.append(rules.unmanaged(strangers))
        return ours

    def _is_there(self, name: str) -> bool:
        return any(
            (g.id if self.grouping.match == "id" else rules.folded(g.name, "")) == name for g in self._existing.values()
        )

    def _resolve(self, groups: Sequence[Group], ours: set[str], inner: set[str]) -> dict[str, str]:
        """The ids of our groups and of those nested in them; what HR names and is not ours means nothing."""
        asked = ours if self.grouping.nested is Nested.FLATTEN else ours | inner
        found = rules.resolve({name: self._names[name] for name in asked}, groups, self.grouping)
        self.findings += found.findings
        return dict(found.ids)

    def _base_groups(self, based: Iterable[str]) -> set[str]:
        """Groups that HR named once: their last members must be able to leave. Not where [groups] managed says all."""
        return set() if self.grouping.managed else {group for group in based if group in self._existing}

    async def _read(self, wanted: AbstractSet[str]) -> dict[str, tuple[str, int]]:
        """Read the groups that matter, and lay their members; give version and number of members of each."""
        read: dict[str, tuple[str, int]] = {}
        self._rosters.lay_current()
        turn = asyncio.Semaphore(READ_AT_ONCE)

        async def one(group: str) -> None:
            async with turn:
                reply = await self.target.get_group(group)
            if not reply.ok or reply.body is None:
                self.findings.append(rules.unread(self._existing[group].name, reply.detail or f"status {reply.status}"))
                return
            members = rules.members_of(reply.body)
            read[group] = (reply.version, len(members))
            self._rosters.add_current(
                group, ((member, is_group or member in self._existing) for member, is_group in members.items())
            )

        await asyncio.gather(*(one(group) for group in sorted(wanted)))
        return read

    def _changes(self, read: Mapping[str, tuple[str, int]]) -> Iterator[GroupChange]:
        leaving = _by_group(self._rosters.leaving())
        if self._doubt and leaving:
            self.findings.append(rules.unproven(sum(map(len, leaving.values())), self._doubt))
            leaving = {}
        joining = _by_group(self._rosters.joining())
        for group in sorted(joining.keys() | leaving.keys(), key=lambda g: (self._existing[g].name, g)):
            version, held = read[group]
            change = GroupChange(
                group=group,
                name=self._existing[group].name,
                version=version,
                add=tuple(joining.get(group, ())),
                remove=tuple(leaving.get(group, ())),
                held=held,
                batch=self.grouping.batch,
            )
            finding = rules.loses_too_many(change, self.policy.limits.group_loss, self.overrides)
            if finding is None:
                yield change
            else:
                self.findings.append(finding)

    def write_agreed(self, run: str) -> None:
        """Keep what both sides agree on by now, for the base that applying leaves."""
        if self._complete:
            self._rosters.write_agreed(self.store.artifact(_agreed(run)), self._existing)


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


def _by_group(members: Iterator[tuple[str, Member]]) -> dict[str, list[Member]]:
    return {group: [member for _, member in found] for group, found in groupby(members, key=lambda m: m[0])}


# --- after applying -------------------------------------------------------------------------------


def remember(store: Store, run: str, outcomes: Iterable[tuple[str, Outcome]]) -> None:
    """Take into the base what was agreed when the plan was made, and what really was written.

    Args:
        store: The state.
        run: The run's id.
        outcomes: (id of a group, outcome) of each group that the run worked on.
    """
    moves: dict[Membership, bool] = {}
    agreed = store.artifact(_agreed(run))
    if agreed.exists():
        moves |= dict(read_agreed(agreed))
    for group, outcome in outcomes:
        for path, comes in ((rules.ADDED, True), (rules.REMOVED, False)):
            moves |= {Membership(group, one): comes for one in rules.read_written(outcome.written, path)}
    if moves:
        store.change_memberships(
            [one for one, joins in moves.items() if joins], [one for one, joins in moves.items() if not joins]
        )

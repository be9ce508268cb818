"""In what two plans differ: what only one of them would do, what both would do in another way, and what they tell.

A plan says what would be done. So two plans are equal where they would do and tell the same, whatever their names,
their times, and the versions that they rest on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Generic, TypeVar

from msgspec import Struct
from msgspec.structs import asdict

from scimsync.model.plans import Change, Delta, Finding, GroupChange, Member, Plan, Seal, Tally

_T = TypeVar("_T")
_K = TypeVar("_K", bound=Hashable)


class Altered(Struct, frozen=True):
    """One change that both plans hold, and not in the same way."""

    before: Change
    after: Change

    @property
    def key(self) -> str:
        """The source key of the person."""
        return self.after.key

    @property
    def deltas(self) -> dict[str, tuple[Delta | None, Delta | None]]:
        """Path -> what the one and the other plan do with it, None for nothing; only where that differs."""
        return _pairs(self.before.deltas, self.after.deltas, lambda delta: delta.path, _effect)


class AlteredGroup(Struct, frozen=True):
    """One group whose members both plans change, and not in the same way."""

    before: GroupChange
    after: GroupChange

    @property
    def added(self) -> tuple[tuple[Member, ...], tuple[Member, ...]]:
        """Who joins by the first plan alone, and who by the second alone."""
        return _apart(self.before.add, self.after.add)

    @property
    def removed(self) -> tuple[tuple[Member, ...], tuple[Member, ...]]:
        """Who leaves by the first plan alone, and who by the second alone."""
        return _apart(self.before.remove, self.after.remove)


class Difference(Struct, frozen=True, kw_only=True):
    """What tells a second plan from a first; empty where they would do and tell the same."""

    #: changes of the second alone, of the first alone, and those of both that are not the same
    added: tuple[Change, ...] = ()
    gone: tuple[Change, ...] = ()
    altered: tuple[Altered, ...] = ()
    #: the same of groups, and of conflicts and kept edits
    groups_added: tuple[GroupChange, ...] = ()
    groups_gone: tuple[GroupChange, ...] = ()
    groups_altered: tuple[AlteredGroup, ...] = ()
    notices_added: tuple[Change, ...] = ()
    notices_gone: tuple[Change, ...] = ()
    notices_altered: tuple[Altered, ...] = ()
    #: findings and refusals that one of them tells alone
    findings_added: tuple[Finding, ...] = ()
    findings_gone: tuple[Finding, ...] = ()
    refusals_added: tuple[Finding, ...] = ()
    refusals_gone: tuple[Finding, ...] = ()
    #: number of the tally -> what it is in the first and in the second; those by word as "actions.create"
    tally: Mapping[str, tuple[float, float]]
    #: part of the seal -> what it is in the first and in the second: why they may differ; no difference by itself
    seal: Mapping[str, tuple[str, str]]

    @property
    def is_empty(self) -> bool:
        """Whether both plans would do and tell the same."""
        return not any(getattr(self, name) for name in self.__struct_fields__ if name != "seal")

    @property
    def people(self) -> tuple[str, ...]:
        """The keys of the people to whom something else would be done, each once, in order."""
        told = [c.key for c in (*self.added, *self.gone)] + [one.key for one in self.altered]
        return tuple(sorted(set(told)))


def difference(before: Plan, after: Plan) -> Difference:
    """Compare two plans by what they would do and tell.

    Args:
        before: The first, from which is told.
        after: The second. What it would do and the first would not is "added".
    """
    people = _compared(before.changes, after.changes, lambda c: (c.key, c.part), _deed)
    notices = _compared(before.notices, after.notices, lambda c: (c.key, c.part), _deed)
    groups = _compared(before.groups, after.groups, lambda group: group.group, _members)
    findings = _told(before.findings, after.findings)
    refusals = _told(before.refusals, after.refusals)
    return Difference(
        added=people.added,
        gone=people.gone,
        altered=tuple(Altered(*pair) for pair in people.altered),
        groups_added=groups.added,
        groups_gone=groups.gone,
        groups_altered=tuple(AlteredGroup(*pair) for pair in groups.altered),
        notices_added=notices.added,
        notices_gone=notices.gone,
        notices_altered=tuple(Altered(*pair) for pair in notices.altered),
        findings_added=findings[1],
        findings_gone=findings[0],
        refusals_added=refusals[1],
        refusals_gone=refusals[0],
        tally=_numbers(before.tally, after.tally),
        seal=_differing(_sealed(before.seal), _sealed(after.seal), none=""),
    )


class _Compared(Struct, Generic[_T], frozen=True):
    added: tuple[_T, ...]
    gone: tuple[_T, ...]
    altered: tuple[tuple[_T, _T], ...]


def _compared(
    before: Iterable[_T], after: Iterable[_T], name: Callable[[_T], Hashable], content: Callable[[_T], object]
) -> _Compared[_T]:
    pairs = _pairs(before, after, name, content)
    return _Compared(
        added=tuple(new for old, new in pairs.values() if old is None and new is not None),
        gone=tuple(old for old, new in pairs.values() if new is None and old is not None),
        altered=tuple((old, new) for old, new in pairs.values() if old is not None and new is not None),
    )


def _pairs(
    before: Iterable[_T], after: Iterable[_T], name: Callable[[_T], _K], content: Callable[[_T], object]
) -> dict[_K, tuple[_T | None, _T | None]]:
    """What differs, by name; in the order of the second, and then what the first alone has."""
    first, second = {name(one): one for one in before}, {name(one): one for one in after}
    pairs = {key: (first.get(key), second.get(key)) for key in (*second, *(key for key in first if key not in second))}
    return {
        key: (old, new)
        for key, (old, new) in pairs.items()
        if old is None or new is None or content(old) != content(new)
    }


def _deed(change: Change) -> object:
    """What is done to whom; not the version it rests on, nor where the person stands in the source."""
    return change.action, change.lifecycle, change.account, {delta.path: _effect(delta) for delta in change.deltas}


def _effect(delta: Delta) -> object:
    return delta.verdict, delta.awaits, _plain(delta.sides.current), _plain(delta.sides.desired)


def _plain(value: object) -> object:
    """A value in which the order of entries does not count, as it does not where plans are made."""
    return frozenset(value) if isinstance(value, tuple) else value


def _members(group: GroupChange) -> object:
    return frozenset(group.add), frozenset(group.remove)


def _apart(before: Iterable[Member], after: Iterable[Member]) -> tuple[tuple[Member, ...], tuple[Member, ...]]:
    first, second = dict.fromkeys(before), dict.fromkeys(after)
    return tuple(m for m in first if m not in second), tuple(m for m in second if m not in first)


def _told(before: Iterable[Finding], after: Iterable[Finding]) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """The findings of the first alone and of the second alone; a row may move without a word."""
    first, second = list(before), list(after)
    return _besides(first, second), _besides(second, first)


def _besides(told: Iterable[Finding], other: Iterable[Finding]) -> tuple[Finding, ...]:
    left = Counter(map(_saying, other))
    alone = []
    for finding in told:
        saying = _saying(finding)
        if left[saying]:
            left[saying] -= 1
        else:
            alone.append(finding)
    return tuple(alone)


def _saying(finding: Finding) -> Hashable:
    return finding.severity, finding.code, finding.subject, finding.path, finding.detail, finding.holds


def _numbers(before: Tally, after: Tally) -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = {}
    for name in Tally.__struct_fields__:
        old, new = getattr(before, name), getattr(after, name)
        if isinstance(old, Mapping):
            found |= _differing(old, new, none=0, prefix=f"{name}.")
        elif old != new:
            found[name] = (old, new)
    return found


def _sealed(seal: Seal) -> dict[str, str]:
    return asdict(seal)


def _differing(old: Mapping[str, _T], new: Mapping[str, _T], none: _T, prefix: str = "") -> dict[str, tuple[_T, _T]]:
    """Name -> its two values where they differ; `none` stands for a name that one does not have."""
    pairs = {name: (old.get(name, none), new.get(name, none)) for name in sorted({*old, *new})}
    return {f"{prefix}{name}": pair for name, pair in pairs.items() if pair[0] != pair[1]}

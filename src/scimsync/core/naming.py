"""Which group a name of HR means: what the directory shows, held against what the name meant before.

A name is open where it means no one group for certain: no group has it, several have it, or it has gone
over to another group. An open name gives nobody a membership and takes nobody's.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from difflib import SequenceMatcher
from itertools import repeat

from msgspec import Struct

from scimsync.model.accounts import Group
from scimsync.model.plans import Finding, Severity
from scimsync.model.policy import Grouping

#: the rule about a name that went over to another group
MOVED = "group.moved"
#: the rule about memberships that stay because HR may name them in a way that does not resolve
SPARED = "member.spared"
RULES = frozenset({MOVED, SPARED})
#: how near a spelling must be to be a hint, and to be taken for a typing error
_HINT, _SLIP = 0.6, 0.8
#: for how many unknown names a near one is looked for: each is held against all groups
_MOST_HINTS = 20


def folded(name: str, match: str) -> str:
    """The form in which names of groups compare: case counts in ids only."""
    text = unicodedata.normalize("NFC", name.strip())
    return text if match == "id" else text.casefold()


def nearest(word: str, choices: Iterable[str], cutoff: float) -> str:
    """The choice that is most like a word, "" where none is like enough: what `difflib.get_close_matches` finds.

    It is found sooner: a ratio takes long to compute, and is not where its bound is below the best so far.
    """
    matcher = SequenceMatcher(b=word)
    bounds = []
    for choice in choices:
        matcher.set_seq1(choice)
        if matcher.real_quick_ratio() >= cutoff:
            bounds.append((matcher.quick_ratio(), choice))
    best = (cutoff, "")
    for bound, choice in sorted(bounds, reverse=True):
        if bound < best[0]:
            break
        matcher.set_seq1(choice)
        best = max(best, (matcher.ratio(), choice))
    return best[1]


def forms(groups: Iterable[Group], match: str) -> dict[str, list[str]]:
    """The form by which a source may name a group -> the ids of the groups that have it."""
    held: dict[str, list[str]] = {}
    for group in groups:
        held.setdefault(folded(group.id if match == "id" else group.name, match), []).append(group.id)
    return held


class Named(Struct, frozen=True, kw_only=True):
    """Which groups the names mean."""

    #: folded name -> id, for names that mean exactly one group
    ids: Mapping[str, str]
    #: folded name -> the groups that it may mean, as far as that is known, for names that are open
    open: Mapping[str, frozenset[str]]
    findings: tuple[Finding, ...]

    @property
    def meant(self) -> frozenset[str]:
        """The groups that an open name may mean."""
        return frozenset(group for groups in self.open.values() for group in groups)


def resolve(
    names: Mapping[str, str],
    groups: Sequence[Group],
    grouping: Grouping,
    remembered: Mapping[str, str],
    overrides: Iterable[str] = (),
) -> Named:
    """Find the groups that are named.

    Args:
        names: Folded name -> name as it was written.
        groups: All groups of the directory.
        grouping: How they are named.
        remembered: Folded name -> id of the group that it meant when memberships were last agreed.
        overrides: Rules that a person sets aside.
    """
    given = frozenset(overrides)
    held = forms(groups, grouping.match)
    called = {group.id: group.name for group in groups}
    spellings = {folded(group.name, ""): group.name for group in groups}
    ids: dict[str, str] = {}
    open_: dict[str, frozenset[str]] = {}
    findings = []
    hints = repeat("asked", _MOST_HINTS)
    for name, written in sorted(names.items()):
        found, before = held.get(name, []), remembered.get(name, "")
        before = before if before in called else ""
        if len(found) == 1 and (before in {"", found[0]} or MOVED in given):
            ids[name] = found[0]
            continue
        if len(found) > 1:
            findings.append(_ambiguous(written, len(found)))
        elif found:
            findings.append(_moved(written, called[before]))
        else:
            near = nearest(written.casefold(), spellings, _HINT) if next(hints, "") else ""
            findings.append(_unknown(written, called.get(before, ""), spellings.get(near, "")))
        if found or SPARED not in given:
            open_[name] = frozenset({*found, before} - {""})
    return Named(ids=ids, open=open_, findings=tuple(findings))


def slips(
    names: Iterable[str], managed: AbstractSet[str], held: Mapping[str, Sequence[str]], remembered: Mapping[str, str]
) -> set[str]:
    """The names beside the managed ones that may be meant for one of them all the same.

    Args:
        names: Folded names that the source gives and [groups] managed does not.
        managed: The folded names in [groups] managed.
        held: The groups of the directory, as `forms` gives them.
        remembered: Folded name -> id of the group that it meant when memberships were last agreed.
    """
    ours = {group for name in managed for group in held.get(name, ())}
    return {
        name for name in names if name not in held and (remembered.get(name) in ours or nearest(name, managed, _SLIP))
    }


def memory(
    named: Named, used: AbstractSet[str], before: Mapping[str, str], existing: AbstractSet[str]
) -> dict[str, str]:
    """What to remember of names: folded name -> id.

    A name that HR uses means what it means now; one that is open, or not used any more, what it meant
    before, until its group is gone or is named otherwise.
    """
    now = {name: group for name, group in named.ids.items() if name in used}
    reached = frozenset(now.values())
    kept = {
        name: group
        for name, group in before.items()
        if group in existing and (name in named.open or (name not in used and group not in reached))
    }
    return kept | now


class Shielded(Struct, frozen=True, kw_only=True):
    """The groups that are never changed."""

    ids: frozenset[str]
    #: folded name -> id, to be remembered: a group that is renamed stays protected
    names: Mapping[str, str]
    findings: tuple[Finding, ...]


def shield(protected: Sequence[str], groups: Sequence[Group], remembered: Mapping[str, str]) -> Shielded:
    """Find the protected groups, by id, by name, and by what a name meant before."""
    by_name, existing = forms(groups, ""), {group.id for group in groups}
    ids: set[str] = set()
    names, findings = {}, []
    for written in protected:
        name, before = folded(written, ""), remembered.get(folded(written, ""), "")
        found = {*by_name.get(name, ()), *({written.strip(), before} & existing)}
        ids |= found
        if not found:
            findings.append(_nobody(written))
        elif len(found) == 1:
            names[name] = next(iter(found))
    return Shielded(ids=frozenset(ids), names=names, findings=tuple(findings))


# --- findings -------------------------------------------------------------------------------------


def _unknown(name: str, now: str, near: str) -> Finding:
    hint = f"did you mean {now or near}? " if now or near else ""
    return Finding(
        severity=Severity.ERROR,
        code="group.unknown",
        subject=name,
        summary="the directory has no such group, so nobody joins or leaves a group by this name",
        detail=f"the group that it meant is called {now} by now" if now else "",
        hint=f"{hint}correct the name in the source, or create or rename the group in the directory",
    )


def _ambiguous(name: str, number: int) -> Finding:
    return Finding(
        severity=Severity.ERROR,
        code="group.ambiguous",
        subject=name,
        summary="several groups of the directory have this name; none of them is changed",
        detail=f"{number} groups",
        hint='rename all but one in the directory, or name groups by id with [groups] match = "id"',
    )


def _moved(name: str, now: str) -> Finding:
    return Finding(
        severity=Severity.ERROR,
        code=MOVED,
        subject=name,
        summary="this name meant another group before; neither of the two is changed by it",
        detail=f"the group that it meant is called {now} by now",
        hint=f'rename the groups, or correct the source; if it is right: --override {MOVED} --reason "..."',
    )


def _nobody(name: str) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code="group.protected-unknown",
        subject=name,
        summary="[groups] protected names a group that the directory does not have; it protects nothing",
        hint="correct the name, or give the id of the group",
    )

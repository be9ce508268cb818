"""What a change of configuration does by itself: two plans of one reading, taken apart into effects.

Both plans are made from the same records and the same accounts, under two configurations. So whatever tells them apart
comes from the configuration. It is taken apart into items: one for the access of one person, one for each of their
values, one for each membership, finding and refusal. An item is told once, under the one rule that brings it about
alone, or under `SEVERAL`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import Enum

from msgspec import Struct

from scimsync.core.changed_rules import AUTHORITY, of_path
from scimsync.core.differing_plans import Difference
from scimsync.core.lifecycle import ACTIVE
from scimsync.core.planner import SENT
from scimsync.model.plans import MAKING, Action, Change, Delta, Finding, GroupChange
from scimsync.scim.schema import Value

#: where an item is told that no rule brings about alone
SEVERAL = "several rules at once"


class Kind(Enum):
    """What an item is about, the most dangerous first."""

    ACCOUNT = "account"  #: another account is taken for this person's
    ACCESS = "access"  #: the account is made, enabled, disabled, deleted, or is not any more
    REFUSAL = "refusal"  #: a rule forbids the plan, or does not any more
    MEMBER = "member"  #: somebody joins or leaves a group, or does not any more
    VALUE = "value"  #: a value becomes another
    EDIT = "edit"  #: an edit in the directory is kept, or waits for a person, or does not any more
    FINDING = "finding"  #: something is told, or is not any more


#: how dangerous an access is; what is not done any more comes before what is given
_ACCESS = ("delete", "disable", "not delete", "not disable", "enable", "restore", "create")


class Item(Struct, frozen=True, kw_only=True):
    """One thing that one plan does or tells, and the other does not, or does otherwise."""

    kind: Kind
    #: the key of the person, or "" where it is about the run
    subject: str
    #: the action ("not disable" where it is not done any more), the path, the group or the code
    what: str
    #: what would be under the first configuration, and under the second
    before: Value = None
    after: Value = None
    #: the login, for people to read
    name: str = ""


class Effect(Struct, frozen=True, kw_only=True):
    """All items of one kind that one rule brings about."""

    rule: str
    kind: Kind
    what: str
    items: tuple[Item, ...]

    @property
    def number(self) -> int:
        """How many there are."""
        return len(self.items)


def items(difference: Difference, relinked: Iterable[tuple[str, str, str]] = ()) -> tuple[Item, ...]:
    """Take the difference of two plans apart.

    Args:
        difference: What tells the second from the first.
        relinked: (key, account, account) of people who are found in another account by the second configuration.
    """
    found = [
        Item(kind=Kind.ACCOUNT, subject=key, what="", before=before, after=after) for key, before, after in relinked
    ]
    for pair in _people(difference).values():
        found += _person(*pair)
    found += _members(difference)
    found += _told(Kind.REFUSAL, difference.refusals_gone, difference.refusals_added)
    found += _told(Kind.FINDING, difference.findings_gone, difference.findings_added)
    return tuple(dict.fromkeys(found))


# --- people -----------------------------------------------------------------------------------------


class _Side(Struct):
    """What one plan does about one person."""

    name: str = ""
    action: Action | None = None
    sent: dict[str, Delta] | None = None
    shown: dict[str, Delta] | None = None

    def take(self, change: Change) -> None:
        """Lay one change of the person over what is known; an access counts more than an update."""
        self.name = self.name or change.name
        if change.action is Action.DELETE or (change.action is not Action.UPDATE and any(map(_is_sent, change.deltas))):
            self.action = change.action
        self.sent = {**(self.sent or {}), **{d.path: d for d in change.deltas if _is_sent(d)}}

    def tell(self, notice: Change) -> None:
        """Take over what is told and not done."""
        self.name = self.name or notice.name
        self.shown = {**(self.shown or {}), **{d.path: d for d in notice.deltas if not _is_sent(d)}}


def _is_sent(delta: Delta) -> bool:
    return delta.verdict in SENT


def _people(difference: Difference) -> dict[str, tuple[str, _Side, _Side]]:
    found: dict[str, tuple[str, _Side, _Side]] = {}

    def sides(key: str) -> tuple[_Side, _Side]:
        return found.setdefault(key, (key, _Side(), _Side()))[1:]

    for change in difference.gone:
        sides(change.key)[0].take(change)
    for change in difference.added:
        sides(change.key)[1].take(change)
    for altered in difference.altered:
        sides(altered.key)[0].take(altered.before)
        sides(altered.key)[1].take(altered.after)
    for notice in difference.notices_gone:
        sides(notice.key)[0].tell(notice)
    for notice in difference.notices_added:
        sides(notice.key)[1].tell(notice)
    for altered in difference.notices_altered:
        sides(altered.key)[0].tell(altered.before)
        sides(altered.key)[1].tell(altered.after)
    return found


def _person(key: str, before: _Side, after: _Side) -> Iterator[Item]:
    name = before.name or after.name
    if before.action is not after.action:
        what = after.action.value if after.action else f"not {before.action.value if before.action else ''}"
        old, new = (side.action.value if side.action else None for side in (before, after))
        yield Item(kind=Kind.ACCESS, subject=key, what=what, before=old, after=new, name=name)
    made = [side.action in MAKING for side in (before, after)]
    if made[0] is made[1]:  # else the account is told, and not each of its first values
        yield from _values(key, name, before, after)
    old_shown, new_shown = before.shown or {}, after.shown or {}
    for path in dict.fromkeys([*old_shown, *new_shown]):
        old, new = (side[path].verdict.value if path in side else None for side in (old_shown, new_shown))
        if old != new:
            yield Item(kind=Kind.EDIT, subject=key, what=path, before=old, after=new, name=name)


def _values(key: str, name: str, before: _Side, after: _Side) -> Iterator[Item]:
    old_sent, new_sent = before.sent or {}, after.sent or {}
    for path in dict.fromkeys([*old_sent, *new_sent]):
        if path == ACTIVE and before.action is not after.action:
            continue
        mine, theirs = old_sent.get(path), new_sent.get(path)
        held = next(d.sides.current for d in (mine, theirs) if d is not None)
        old, new = (held if d is None else _result(d) for d in (mine, theirs))
        if _plain(old) != _plain(new):
            yield Item(kind=Kind.VALUE, subject=key, what=path, before=old, after=new, name=name)


def _result(delta: Delta) -> Value:
    """What the account holds afterwards."""
    return f"(the account of {delta.awaits})" if delta.awaits and delta.sides.desired is None else delta.sides.desired


def _plain(value: Value) -> object:
    return frozenset(value) if isinstance(value, tuple) else value


# --- groups and what is told ----------------------------------------------------------------------------


def _members(difference: Difference) -> Iterator[Item]:
    moves: dict[tuple[str, str], list[str | None]] = {}

    def lay(group: GroupChange, side: int) -> None:
        for word, members in (("joins", group.add), ("leaves", group.remove)):
            for member in members:
                moves.setdefault((group.name, member.key or str(member.account)), [None, None])[side] = word

    for group in difference.groups_gone:
        lay(group, 0)
    for group in difference.groups_added:
        lay(group, 1)
    for altered in difference.groups_altered:
        lay(altered.before, 0)
        lay(altered.after, 1)
    for (name, key), (old, new) in moves.items():
        if old != new:
            yield Item(kind=Kind.MEMBER, subject=key, what=name, before=old, after=new)


def _told(kind: Kind, gone: Iterable[Finding], added: Iterable[Finding]) -> Iterator[Item]:
    """One for each subject and code; what is only said in other words counts as told by both."""
    sides: dict[tuple[str, str, str], list[str | None]] = {}
    for side, told in enumerate((gone, added)):
        for finding in told:
            sides.setdefault((finding.code, finding.subject, finding.path), [None, None])[side] = (
                finding.detail or finding.summary
            )
    for (code, subject, path), (old, new) in sides.items():
        if old != new:
            yield Item(kind=kind, subject=subject, what=code, before=old, after=new, name=path)


# --- rules --------------------------------------------------------------------------------------------


def attributed(
    total: Sequence[Item], rules: Sequence[str], alone: Mapping[str, Collection[Item]] | None = None
) -> dict[Item, str]:
    """The rule that brings each item about.

    Args:
        total: All that the change of configuration does.
        rules: The rules that changed.
        alone: What each of them does alone; None where that was not looked at, because they are too many. Then a value
            is told under the rule of its path, where only rules of paths changed.
    """
    if len(rules) == 1:
        return dict.fromkeys(total, rules[0])
    if alone is None:
        paths = {of_path(one.what): one.what for one in total if one.kind in {Kind.VALUE, Kind.EDIT}}
        own = all(rule.startswith(of_path("")) and rule != AUTHORITY for rule in rules)
        known = {path: rule for rule, path in paths.items() if own and rule in rules}
        return {one: known.get(one.what, SEVERAL) if one.kind in {Kind.VALUE, Kind.EDIT} else SEVERAL for one in total}
    does = {rule: frozenset(alone.get(rule, ())) for rule in rules}
    found = {}
    for one in total:
        by = [rule for rule in rules if one in does[rule]]
        found[one] = by[0] if len(by) == 1 else SEVERAL
    return found


def effects(total: Sequence[Item], by: Mapping[Item, str]) -> tuple[Effect, ...]:
    """The items by rule and kind: the most dangerous rule first, and within it the most dangerous kind.

    Args:
        total: All items.
        by: The rule of each.
    """
    grouped: dict[tuple[str, Kind, str], list[Item]] = {}
    for one in total:
        grouped.setdefault((by[one], one.kind, _what(one)), []).append(one)
    found = [
        Effect(rule=rule, kind=kind, what=what, items=tuple(sorted(held, key=lambda one: (one.subject, one.what))))
        for (rule, kind, what), held in grouped.items()
    ]
    worst = {effect.rule: min(_danger(one) for one in found if one.rule == effect.rule) for effect in found}
    return tuple(sorted(found, key=lambda one: (worst[one.rule], one.rule, _danger(one))))


def _what(item: Item) -> str:
    """What items of one effect have in common."""
    if item.kind is Kind.MEMBER:
        return item.after if isinstance(item.after, str) else f"not {item.before}"
    if item.kind is Kind.EDIT:
        return f"{item.after or f'not {item.before}'} {item.what}"
    if item.kind in {Kind.FINDING, Kind.REFUSAL}:
        return f"{'' if item.before is None else 'not ' if item.after is None else 'other '}{item.what}"
    return item.what


def _danger(effect: Effect) -> tuple[int, int, int, str]:
    order = [*Kind].index(effect.kind)
    within = _ACCESS.index(effect.what) if effect.what in _ACCESS else len(_ACCESS)
    return order, within, -effect.number, effect.what

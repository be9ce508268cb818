"""What a run did, out of the audit chain: to each person, path by path with what was there before; to each group.

The chain tells what really stood on the account when a write left, also where somebody had edited it since the plan;
and it is kept for longer than plans and journals are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct, field

from scimsync.core import grouping
from scimsync.core.undoing import Move, Trail
from scimsync.engine import ledger
from scimsync.engine.recording import MEMBERS
from scimsync.engine.state import Audit
from scimsync.model.audit import Kind, PersonKey
from scimsync.model.outcomes import Status
from scimsync.model.plans import Action

#: how the key of a group begins, where keys of people stand
GROUP = "group:"
_GOOD = frozenset({Status.DONE.value, Status.ALREADY.value})


class GroupTrail(Struct, frozen=True):
    """Whom a run put into one group, and whom it took out, by id."""

    group: str
    name: str
    joined: tuple[str, ...]
    left: tuple[str, ...]


class Trails(Struct, frozen=True, kw_only=True):
    """All that a run did."""

    people: tuple[Trail, ...] = ()
    groups: tuple[GroupTrail, ...] = ()
    #: records that nobody can read any more, because the key of the person was destroyed
    erased: int = 0
    #: changes that somebody else had made already when ours came: the run did nothing there
    others: int = 0


class _Part(Struct):
    """One part of the change of one person, as its records come by."""

    moves: dict[str, Move] = field(default_factory=dict)
    method: str = ""
    adopted: bool = False


class _Person(Struct):
    name: str = ""
    account: str = ""
    action: str = ""
    moves: dict[str, Move] = field(default_factory=dict)
    made: bool = False
    doubtful: bool = False
    deleted: bool = False


class Told(Struct, frozen=True):
    """One record, with its personal part in clear."""

    kind: str
    document: Mapping[str, Any]
    personal: Mapping[str, Any]

    @property
    def edits(self) -> Iterator[tuple[str, Move, str]]:
        """Each path, what was there and what it became, and why."""
        values = self.personal.get("values", {})
        for told in self.document.get("paths", ()):
            value = values.get(told["path"], {})
            yield told["path"], Move(value.get("before"), value.get("after")), told.get("reason", "")


def told(store: Audit, run: str = "", after: int = 0) -> Iterator[Told | None]:
    """The intents and outcomes of a run, or of all runs; None for one that nobody can read any more.

    Raises:
        StoreDamaged: A record cannot be read though its key is there.
    """
    keys: dict[str, PersonKey | None] = {}
    for entry in store.entries(run=run, after=after):
        if entry.kind not in {Kind.INTENT.value, Kind.OUTCOME.value} or not entry.person:
            continue
        if entry.person not in keys:
            keys[entry.person] = store.key(entry.person)
        clear = ledger.reveal(entry, keys[entry.person])
        if clear is None:
            yield None
        else:
            yield Told(entry.kind, ledger.document_of(entry), msgspec.json.decode(clear, type=dict[str, Any]))


def trails(store: Audit, run: str) -> Trails:
    """What a run did.

    Args:
        store: Has the audit chain.
        run: The id of the run.

    Raises:
        StoreDamaged: A record cannot be read though its key is there.
    """
    people: dict[str, _Person] = {}
    parts: dict[tuple[str, int], _Part] = {}
    #: what was sent to each group, and what came of it: somebody else may have done the rest
    sent, groups = dict[str, GroupTrail](), dict[str, GroupTrail]()
    erased = others = 0
    for one in told(store, run):
        if one is None:
            erased += 1
            continue
        key, part = str(one.personal["person"]), int(one.document.get("part", 0))
        if one.document.get("action") == MEMBERS:
            moved = sent if one.kind == Kind.INTENT.value else groups
            moved[key] = _regrouped(moved.get(key), key, one)
        elif one.kind == Kind.INTENT.value:
            _intended(parts.setdefault((key, part), _Part()), one)
        elif _was_there(parts.get((key, part), _Part()), one):
            others += 1
        else:
            _settled(people.setdefault(key, _Person()), parts.get((key, part), _Part()), one)
    done = ((key, person) for key, person in people.items() if person.moves or person.made or person.deleted)
    return Trails(
        people=tuple(_trail(key, person) for key, person in sorted(done, key=lambda one: one[0])),
        groups=tuple(
            group
            for key, found in sorted(groups.items())
            if key in sent and ((group := _ours(found, sent[key])).joined or group.left)
        ),
        erased=erased,
        others=others,
    )


def _was_there(part: _Part, one: Told) -> bool:
    """Whether somebody else had written the same before; what a lost write of ours left is `done`, not `already`."""
    is_ending = one.document.get("action") in {Action.RESTORE.value, Action.DELETE.value}
    return one.document.get("status") == Status.ALREADY.value and part.method in {"", "PATCH"} and not is_ending


def _intended(part: _Part, one: Told) -> None:
    """A write is about to leave: what stands there, unless that is what we just wrote ourselves."""
    method = str(one.document.get("method", ""))
    part.adopted |= method == "PATCH" and any(reason == "no_base" for _, _, reason in one.edits)
    part.method = part.method if part.method == "POST" and not part.adopted else method
    for path, move, _ in one.edits:
        known = part.moves.get(path)
        if known is None or move.before != known.after:
            part.moves[path] = move
        else:
            part.moves[path] = Move(known.before, move.after)


def _settled(person: _Person, part: _Part, one: Told) -> None:
    """What the directory holds because of us: what was sent, and is there."""
    status, action = str(one.document.get("status", "")), str(one.document.get("action", ""))
    person.name = str(one.personal.get("name", "")) or person.name
    person.account = str(one.personal.get("account", "")) or person.account
    person.action = action or person.action
    if action == Action.DELETE.value:
        person.deleted |= status == Status.DONE.value and part.method == "DELETE"
        return
    sent = {path: part.moves[path] for path, _, _ in one.edits if path in part.moves}
    for path, move, _ in one.edits:
        if path in sent:
            before = person.moves[path].before if path in person.moves else sent[path].before
            person.moves[path] = Move(before, move.after)
    if action == Action.CREATE.value and part.method == "POST" and not part.adopted and person.account:
        person.made |= status == Status.DONE.value
        person.doubtful |= status != Status.DONE.value and bool(sent)
    person.made |= action == Action.RESTORE.value and status in _GOOD and bool(sent)


def _trail(key: str, person: _Person) -> Trail:
    action = Action.UPDATE
    if person.deleted:
        action = Action.DELETE
    elif person.made:
        action = Action.RESTORE if person.action == Action.RESTORE.value else Action.CREATE
    return Trail(
        key=key,
        name=person.name,
        account=person.account,
        action=action,
        moves=person.moves,
        doubtful=person.doubtful and not person.made,
    )


def _regrouped(known: GroupTrail | None, key: str, one: Told) -> GroupTrail:
    """A group with what one more record says of it."""
    name, group = str(one.personal.get("name", "")), str(one.personal.get("account", "")) or key.removeprefix(GROUP)
    joined, left = set(known.joined if known else ()), set(known.left if known else ())
    for _, move, _ in one.edits:
        values = {grouping.REMOVED: _listed(move.before), grouping.ADDED: _listed(move.after)}
        joined |= values[grouping.ADDED]
        left |= values[grouping.REMOVED]
    return GroupTrail(group, name or (known.name if known else group), tuple(sorted(joined)), tuple(sorted(left)))


def _ours(found: GroupTrail, sent: GroupTrail) -> GroupTrail:
    joined = tuple(one for one in found.joined if one in sent.joined)
    return GroupTrail(found.group, found.name, joined, tuple(one for one in found.left if one in sent.left))


def _listed(found: object) -> set[str]:
    return {str(entry["value"]) for entry in found if isinstance(entry, dict)} if isinstance(found, list) else set()

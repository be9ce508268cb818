"""What a write took away that is not ours: the account before, the account after, and what was asked for.

Providers are met that throw away the other elements of a list where one of them is replaced, or the whole
list where something is added. Their answers show it; nobody who compares only what was written sees it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping

import msgspec
from msgspec import Struct

from scimsync.core.lifecycle import ACTIVE
from scimsync.scim.grammar import Comparison, Filter, Logical, Not, Path, Present, lookup, matches, parse_path
from scimsync.scim.messages import Operation

#: what the directory keeps by itself
_DERIVED = frozenset({"id", "meta", "schemas", "groups"})
#: what directories make of other attributes
_MADE = frozenset({"username", "displayname", "name", "emails"})
#: sub-attributes that follow from what else a list holds
_FOLLOWING = frozenset({"primary", "display", "$ref"})
_LOGIN = "userName"


class Kind(Struct, frozen=True):
    """One kind of write: the same operation on the same part of an account, whoever it is about."""

    op: str
    #: attribute with its URN, in lower case
    root: str
    #: what selects an element, and the part of it that is meant
    shape: str


class _Aim(Struct, frozen=True):
    op: str
    path: Path

    @property
    def root(self) -> str:
        found = self.path.attribute
        return f"{found.urn}:{found.attribute}".lower() if found.urn else found.attribute.lower()

    @property
    def sub(self) -> str:
        return (self.path.sub or self.path.attribute.sub or "").lower()

    @property
    def is_whole(self) -> bool:
        """Whether all that stands there is meant."""
        return self.op != "add" and self.path.filter is None and not self.sub

    @property
    def kind(self) -> Kind:
        return Kind(self.op, self.root, f"{','.join(_names(self.path.filter))}.{self.sub}")


def kinds(operations: Iterable[Operation]) -> frozenset[Kind]:
    """The kinds of write that a PATCH is made of. Access is none of them: nothing keeps us from taking it away."""
    return frozenset(aim.kind for aim in _aims(operations) if aim.root != ACTIVE)


def at_stake(before: Mapping[str, object], operations: Collection[Operation]) -> frozenset[Kind]:
    """The kinds of a PATCH that could harm this account: it holds what is not ours, of a list in that very list."""
    aims = [aim for aim in _aims(operations) if aim.root != ACTIVE]
    flat = _flat(before)
    others = any(_is_filled(held) for root, held in flat.items() if root not in {aim.root for aim in aims})
    found = set()
    for aim in aims:
        held = flat.get(aim.root)
        is_list = isinstance(held, list) or aim.path.filter is not None or aim.op == "add"
        if list(_foreign(held, aims, aim.root)) if is_list else others:
            found.add(aim.kind)
    return frozenset(found)


def lost(before: Mapping[str, object], after: Mapping[str, object], operations: Collection[Operation]) -> list[str]:
    """The paths of what an account held before a PATCH, and holds no more, though no operation is about it."""
    aims, now = list(_aims(operations)), _flat(after)
    mirrored = str(lookup(before, _LOGIN) or "").casefold() if any(a.root == _LOGIN.lower() for a in aims) else None
    found: list[str] = []
    names = _spelled(before)
    for root, held in _flat(before).items():
        mine = [aim for aim in aims if aim.root == root]
        if isinstance(held, list):
            there = now.get(root)
            gone = Counter(map(_identity, _foreign(held, aims, root)))
            gone -= Counter(map(_identity, there if isinstance(there, list) else ()))
            found += [names[root]] if any(value != mirrored for value, _ in gone) else []
        elif isinstance(held, Mapping):
            found += _lost_parts(names[root], held, now.get(root), mine)
        elif not mine and _is_filled(held) and not _is_filled(now.get(root)):
            found.append(names[root])
    return found


def edited(
    before: Mapping[str, object],
    after: Mapping[str, object],
    operations: Collection[Operation],
    managed: Iterable[str],
) -> list[str]:
    """The attributes of which an account holds another value after a PATCH, though no operation is about them.

    Another hand wrote them in between. Only what HR decides about says so: a directory changes times and
    counters by itself, and makes names and addresses of other attributes.
    """
    touched, then, now = {aim.root for aim in _aims(operations)} | _MADE, _flat(before), _flat(after)
    candidates = ((root, then.get(root.lower()), now.get(root.lower())) for root in managed)
    return sorted(
        root
        for root, held, there in candidates
        if root.lower() not in touched and _is_scalar(held) and _is_scalar(there) and held != there
    )


def _lost_parts(root: str, held: Mapping[str, object], now: object, aims: Iterable[_Aim]) -> Iterator[str]:
    mine = list(aims)
    if any(aim.is_whole for aim in mine):
        return
    written = {aim.sub for aim in mine} | _FOLLOWING
    there = now if isinstance(now, Mapping) else {}
    for name, value in held.items():
        if name.lower() not in written and _is_filled(value) and not _is_filled(lookup(there, name)):
            yield f"{root}.{name}"


def _foreign(held: object, aims: Iterable[_Aim], root: str) -> Iterator[object]:
    """The elements of a list that no operation is about."""
    mine = [aim for aim in aims if aim.root == root]
    if any(aim.is_whole for aim in mine):
        return
    filters = [aim.path.filter for aim in mine if aim.path.filter is not None]
    for element in held if isinstance(held, list) else []:
        if not (isinstance(element, Mapping) and any(matches(tree, element) for tree in filters)):
            yield element


def _identity(element: object) -> tuple[str, str]:
    """What tells an element from the others, in a form that a list of another order shares."""
    if not isinstance(element, Mapping):
        return str(element).casefold(), ""
    value, kind = lookup(element, "value"), str(lookup(element, "type") or "").casefold()
    if _is_scalar(value):
        return str(value).casefold(), kind
    rest = {name.lower(): held for name, held in element.items() if name.lower() not in _FOLLOWING}
    return msgspec.json.encode(rest, order="deterministic").decode(), kind


def _flat(resource: Mapping[str, object]) -> dict[str, object]:
    """The attributes by lower-case name, those of extensions under their URN."""
    flat: dict[str, object] = {}
    for name, held in resource.items():
        if ":" in name and isinstance(held, Mapping):
            flat |= {f"{name}:{inner}".lower(): value for inner, value in held.items()}
        elif name.lower() not in _DERIVED:
            flat[name.lower()] = held
    return flat


def _spelled(resource: Mapping[str, object]) -> dict[str, str]:
    """The attributes by lower-case name, as the directory spells them."""
    names = {name.lower(): name for name in resource}
    for name, held in resource.items():
        names |= {f"{name}:{inner}".lower(): f"{name}:{inner}" for inner in held} if isinstance(held, Mapping) else {}
    return names


def _aims(operations: Iterable[Operation]) -> Iterator[_Aim]:
    return (_Aim(operation.op.lower(), parse_path(operation.path)) for operation in operations if operation.path)


def _names(tree: Filter | None) -> list[str]:
    match tree:
        case Comparison(attribute=attribute) | Present(attribute=attribute):
            return [attribute.attribute.lower()]
        case Logical(terms=terms):
            return sorted({name for term in terms for name in _names(term)})
        case Not(term=term):
            return _names(term)
    return []


def _is_filled(held: object) -> bool:
    return held is not None and held not in ("", [], {})


def _is_scalar(held: object) -> bool:
    return isinstance(held, str | bool | int | float) and held != ""

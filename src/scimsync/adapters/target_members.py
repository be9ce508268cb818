"""Members of groups in the target's own words: under what they are shown, and how they are removed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from scimsync.scim.grammar import Comparison, Scalar, parse_path
from scimsync.scim.messages import Operation

#: members that no account answers to, after which a target is taken to show ids
_MISSES = 3


class ShownMembers:
    """Finds the accounts that a group shows under something else than their ids.

    canaille shows logins, and serves an account under its login as well as under its id (observed). So the target
    itself says who is meant. One that shows ids is asked once; whom it does not know stays as shown.

    Args:
        look: Reads an account; gives its id, "" where there is none.
    """

    def __init__(self, look: Callable[[str], Awaitable[str]]) -> None:
        self._look = look
        #: what was shown -> the id of the account
        self._known: dict[str, str] = {}
        self._misses = 0
        #: the target shows ids; None before that is known
        self._plain: bool | None = None

    async def named(self, group: Mapping[str, object]) -> dict[str, object]:
        """A group whose members stand under the ids of their accounts, as far as the target tells."""
        members = group.get("members")
        if not isinstance(members, list):
            return dict(group)
        return {**group, "members": [await self._named(member) for member in members]}

    async def _named(self, member: object) -> object:
        value = member.get("value") if isinstance(member, Mapping) else None
        if not isinstance(member, Mapping) or not isinstance(value, str) or not value:
            return member
        if value not in self._known and not self._plain and str(member.get("type") or "").lower() != "group":
            found = await self._look(value)
            self._misses += not found
            self._known[value] = found or value
            if self._plain is None and (found or self._misses == _MISSES):
                self._plain = found in {"", value}
        return {**member, "value": self._known.get(value, value)}


def by_value(operations: Sequence[Operation]) -> tuple[Operation, ...]:
    """The operations with members removed by path `members` and a list of whom, where no path may select them.

    Examples:
        >>> by_value([Operation("remove", 'members[value eq "7"]'), Operation("remove", 'members[value eq "8"]')])
        (Operation(op='remove', path='members', value=[{'value': '7'}, {'value': '8'}]),)
    """
    gone = [{"value": one} for one in _removed(operations)]
    rest = tuple(operation for operation in operations if operation.op != "remove")
    return (*([Operation("remove", "members", gone)] if gone else []), *rest)


def as_list(group: Mapping[str, object], operations: Sequence[Operation]) -> Operation:
    """The one operation that writes all members anew, where a target removes them in no other way.

    Examples:
        >>> held = {"members": [{"value": "7", "display": "Ann"}, {"value": "8"}]}
        >>> as_list(held, [Operation("remove", 'members[value eq "7"]'), Operation("add", "members", [{"value": "9"}])])
        Operation(op='replace', path='members', value=[{'value': '8'}, {'value': '9'}])
    """
    members = group.get("members")
    held = [one.get("value") for one in members if isinstance(one, Mapping)] if isinstance(members, list) else []
    added = [
        one["value"] for each in operations if each.op == "add" and isinstance(each.value, list) for one in each.value
    ]
    gone = set(_removed(operations))
    left = dict.fromkeys(one for one in (*held, *added) if one not in gone)
    return Operation("replace", "members", [{"value": one} for one in left])


def _removed(operations: Sequence[Operation]) -> list[Scalar]:
    paths = [parse_path(operation.path) for operation in operations if operation.op == "remove" and operation.path]
    return [path.filter.value for path in paths if isinstance(path.filter, Comparison)]

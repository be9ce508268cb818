"""Members of groups in the target's own words: under what they are shown, and how they are removed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import msgspec

from scimsync.adapters.target_addresses import resource_url
from scimsync.adapters.target_guard import Guarded
from scimsync.adapters.target_http import Client
from scimsync.adapters.target_wire import Answer, Ask
from scimsync.scim.dialect import Dialect
from scimsync.scim.grammar import Comparison, Scalar, parse_path
from scimsync.scim.messages import Operation, patch_body

#: members that no account answers to, after which a target is taken to show ids
_MISSES = 3


class Members:
    """Reads and writes groups, whose members stand under the ids of their accounts.

    canaille shows logins, and serves an account under its login as well as under its id (observed). So the target
    itself says who is meant. One that shows ids is asked once; whom it does not know stays as shown.

    Args:
        client: Asks.
        guarded: Writes under a version.
        dialect: How members are removed.
        users: The address of the accounts.
        decode: Makes a resource of a text of JSON.
    """

    def __init__(
        self, client: Client, guarded: Guarded, dialect: Dialect, users: str, decode: Callable[[bytes], object]
    ) -> None:
        self._client, self._guarded, self._dialect, self._users, self._decode = client, guarded, dialect, users, decode
        #: what was shown -> the id of the account
        self._known: dict[str, str] = {}
        self._misses = 0
        #: the target shows ids; None before that is known
        self._plain: bool | None = True if dialect.knows_schemas else None

    async def read(self, url: str) -> Answer:
        """GET a group."""
        return await self._shown(
            await self._guarded.read(Ask(kind="group_get", method="GET", url=url, decode=self._decode))
        )

    async def write(self, url: str, operations: Sequence[Operation], version: str) -> Answer:
        """PATCH a group that is what `version` says, in the form that the target takes.

        Raises:
            ValueError: `version` is empty.
        """
        form, removes = self._dialect.remove_members, any(operation.op == "remove" for operation in operations)

        async def anew(held: Mapping[str, object]) -> bytes:
            return self._body([as_list(await self._named(held), operations)])

        ask = Ask(
            kind="group_patch",
            method="PATCH",
            url=url,
            body=self._body(by_value(operations) if form == "value" else operations),
            anew=anew if form == "list" and removes else None,
            decode=self._decode,
        )
        return await self._shown(await self._guarded.write(ask, version))

    def _body(self, operations: Sequence[Operation]) -> bytes:
        said = [replace(one, op=one.op.title()) for one in operations] if self._dialect.capital_ops else operations
        return msgspec.json.encode(patch_body(said))

    async def _shown(self, answer: Answer) -> Answer:
        return replace(answer, value=await self._named(answer.value)) if isinstance(answer.value, Mapping) else answer

    async def _named(self, group: Mapping[str, object]) -> dict[str, object]:
        """A group whose members stand under ids, as far as the target tells."""
        members = group.get("members")
        if self._plain or not isinstance(members, list):
            return dict(group)
        return {**group, "members": [await self._member(member) for member in members]}

    async def _member(self, member: object) -> object:
        value = member.get("value") if isinstance(member, Mapping) else None
        if not isinstance(member, Mapping) or not isinstance(value, str) or not value:
            return member
        if value not in self._known and not self._plain and str(member.get("type") or "").lower() != "group":
            found = await self._account(value)
            self._misses += not found
            self._known[value] = found or value
            if self._plain is None and (found or self._misses == _MISSES):
                self._plain = found in {"", value}
        return {**member, "value": self._known.get(value, value)}

    async def _account(self, shown: str) -> str:
        """The id of the account that the target serves under what it shows; "" where there is none."""
        if (url := resource_url(self._users, shown)) is None:
            return ""
        answer = await self._client.call(Ask(kind="get", method="GET", url=url, decode=self._decode))
        found = answer.value.get("id") if 200 <= answer.status < 300 and isinstance(answer.value, Mapping) else None
        return found if isinstance(found, str) else ""


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

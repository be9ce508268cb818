"""Members of groups in the target's own words: under what they are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from scimsync.adapters.target_addresses import resource_url
from scimsync.adapters.target_guard import Guarded
from scimsync.adapters.target_http import Client, is_troubled
from scimsync.adapters.target_wire import Answer, Ask
from scimsync.scim.dialect import Dialect
from scimsync.scim.generic import GENERIC
from scimsync.scim.messages import Operation, patch_body

#: members that no account answers to, after which a target is taken to show ids
_MISSES = 20
#: groups in a row without members after which nobody is asked for members by name, where some show them unasked
_MEMBERLESS = 20


class _Unnamed(Exception):
    """Who a member is could not be found out now."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.why())
        self.answer = answer


class Members:
    """Reads and writes groups, whose members stand under the ids of their accounts.

    canaille shows logins, and serves an account under its login as well as under its id (observed). So the target
    itself says who is meant. One that shows ids is asked once; whom it does not know stays as shown.

    Args:
        client: Asks.
        guarded: Writes under a version.
        dialect: How operations are called.
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
        #: the dialect does not say that a group shows its members, so one without any is asked for them by name
        self._asks = dialect.grounds.get("members") == GENERIC.grounds["members"]
        #: groups in a row that have no members, however they are asked
        self._memberless = 0
        #: a group showed members without being asked for them
        self._shows = False
        #: the target shows ids; None before that is known
        self._plain: bool | None = True if dialect.knows_schemas else None

    async def read(self, url: str) -> Answer:
        """GET a group; one without members is asked for them by name, as some show them only so.

        Where it cannot be found out now who its members are, the answer is that of the question about them.
        """
        ask = Ask(kind="group_get", method="GET", url=url, decode=self._decode)
        answer = await self._guarded.read(ask)
        held = answer.value
        self._shows = self._shows or (isinstance(held, Mapping) and bool(held.get("members")))
        asks = self._asks and not (self._shows and self._memberless > _MEMBERLESS)
        if asks and isinstance(held, Mapping) and "members" not in held:
            named = await self._client.call(replace(ask, url=f"{url}?attributes=members"))
            members = named.value.get("members") if isinstance(named.value, Mapping) else None
            self._memberless = 0 if members else self._memberless + 1
            answer = replace(answer, value={**held, "members": members}) if members else answer
        try:
            return await self._shown(answer)
        except _Unnamed as trouble:
            return trouble.answer

    async def write(self, url: str, operations: Sequence[Operation], version: str) -> Answer:
        """PATCH a group that is what `version` says.

        Raises:
            ValueError: `version` is empty.
        """
        said = [replace(one, op=one.op.title()) for one in operations] if self._dialect.capital_ops else operations
        body = msgspec.json.encode(patch_body(said))
        ask = Ask(kind="group_patch", method="PATCH", url=url, body=body, decode=self._decode)
        answer = await self._guarded.write(ask, version)
        try:
            return await self._shown(answer)
        except _Unnamed:  # whoever wants to know reads the group
            return replace(answer, value=None)

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
        """The id of the account that the target serves under what it shows; "" where there is none.

        Raises:
            _Unnamed: The target does not answer now.
        """
        if (url := resource_url(self._users, shown)) is None:
            return ""
        answer = await self._client.call(Ask(kind="get", method="GET", url=url, decode=self._decode))
        if answer.status in {0, 401, 429} or is_troubled(answer.status):
            raise _Unnamed(answer)
        found = answer.value.get("id") if 200 <= answer.status < 300 and isinstance(answer.value, Mapping) else None
        return found if isinstance(found, str) else ""

"""Genesys Cloud as one target: people over SCIM, and what the Platform API has of them beside it.

What is managed of the Platform API stands in a resource under the URN of `scim.platform`; an attribute that is absent
there is unknown, one that is null is known to be empty. Operations on it travel apart from those of SCIM.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import httpx2
import msgspec
from msgspec.structs import replace

from scimsync.adapters.target_beside import Beside
from scimsync.adapters.target_customs import Unwritable
from scimsync.adapters.target_http import Clock, Watch
from scimsync.adapters.target_pace import Ledgers
from scimsync.adapters.target_scim import ScimTarget
from scimsync.adapters.target_wire import OBJECT, Answer, TargetSettings
from scimsync.model.outcomes import Exchange, Reply, Sweep
from scimsync.scim.messages import ErrorReport, Operation, read_error
from scimsync.scim.platform import PLATFORM_USER, SERVED, is_platform
from scimsync.scim.schema import Place

_NAMES = frozenset({"location", "team"})
_ROOTS = frozenset(served.root for served in SERVED)


class _Head(msgspec.Struct):
    id: str


_HEAD = msgspec.json.Decoder(_Head)


class PlatformTarget(ScimTarget):
    """A `ScimTarget` that reads and writes the Platform API too, once something there is managed."""

    def __init__(  # noqa: PLR0913 - each is handed in
        self,
        settings: TargetSettings,
        *,
        clock: Clock,
        rng: random.Random,
        notice: Callable[[str], None] = lambda _: None,
        transport: httpx2.AsyncBaseTransport | None = None,
        watch: Watch | None = None,
        ledgers: Ledgers | None = None,
    ) -> None:
        super().__init__(
            settings, clock=clock, rng=rng, notice=notice, transport=transport, watch=watch, ledgers=ledgers
        )
        self._beside = Beside(self._client, settings.api_url, settings.dialect.users, clock)
        #: id -> what the last listing showed of the Platform API
        self._listed: Mapping[str, bytes] = {}

    def manage(self, places: Iterable[Place]) -> None:
        """From now on read and write these places of the Platform API too; others are SCIM's."""
        self._beside.manage(places)

    @property
    def unread(self) -> Mapping[str, str]:
        """Path of the Platform API -> why it can be neither read nor written, as far as it is known by now."""
        return self._beside.unread

    async def sweep(self, attributes: Sequence[str], sink: Callable[[Sequence[bytes]], None]) -> Sweep:
        """As `ScimTarget.sweep`; each resource with what the Platform API lists of it."""
        if _ROOTS.isdisjoint(attributes):
            return await super().sweep(attributes, sink)
        self._listed = await self._beside.listing()
        return await super().sweep(_scim(attributes), self._joined(sink))

    async def reread(
        self, accounts: Collection[str], attributes: Sequence[str], sink: Callable[[Sequence[bytes]], None]
    ) -> None:
        """As `ScimTarget.reread`; each resource with what the last sweep knew of the Platform API."""
        await super().reread(accounts, _scim(attributes), self._joined(sink))

    def _joined(self, sink: Callable[[Sequence[bytes]], None]) -> Callable[[Sequence[bytes]], None]:
        def joined(resources: Sequence[bytes]) -> None:
            sink([self._with_listed(resource) for resource in resources])

        return joined

    def _with_listed(self, resource: bytes) -> bytes:
        members = self._listed.get(_HEAD.decode(resource).id) if self._listed else None
        if members is None:
            return resource
        body, _, _ = resource.rpartition(b"}")
        return b"".join((body, b',"', PLATFORM_USER.encode(), b'":', members, b"}"))

    async def get(self, account: str) -> Reply:
        """As `ScimTarget.get`; with what the Platform API has of the person, read by id."""
        return await self._completed(await super().get(account))

    async def find(self, attribute: str, value: str, *, sure: bool = False) -> Sequence[Reply]:
        """As `ScimTarget.find`; with what the Platform API has of the people found."""
        return [await self._completed(reply) for reply in await super().find(attribute, value, sure=sure)]

    async def _completed(self, reply: Reply) -> Reply:
        if not reply.ok or reply.body is None or not self._beside.manages:
            return reply
        members = await self._beside.of(str(reply.body["id"]))
        return reply if members is None else _joined(reply, members)

    def _remembered(self, account: str, reply: Reply) -> Reply:
        """A reply to a write over SCIM, with what was last seen of the Platform API, which it does not touch."""
        members = self._beside.last.get(account)
        if members is None and account in self._listed:
            members = OBJECT.decode(self._listed[account])
        return reply if reply.body is None or members is None else _joined(reply, members)

    async def names(self, kind: str) -> frozenset[str] | None:
        """As `ScimTarget.names`; locations and work teams too."""
        return await (self._beside.names(kind) if kind in _NAMES else super().names(kind))

    async def patch(self, account: str, operations: Sequence[Operation], version: str) -> Reply:
        """As `ScimTarget.patch`. Operations on the Platform API come alone, and show the account as it is then.

        Raises:
            ValueError: `version` is empty or cannot be an entity tag, or there are operations of both.
        """
        beside = [is_platform(operation.path) for operation in operations]
        if not any(beside):
            self._beside.forget(account)
            return self._remembered(account, await super().patch(account, operations, version))
        if not all(beside) or not version:
            raise ValueError("operations of SCIM and of the Platform API go in requests of their own, under a version")
        try:
            answer = await self._beside.write(account, operations, version)
        except Unwritable as error:
            return _refused(str(error))
        if not 200 <= answer.status < 300 or answer.exchange is not Exchange.ANSWERED:
            return _failed(answer)
        seen = await self.get(account)
        if not seen.ok or seen.body is None or PLATFORM_USER not in seen.body:
            return Reply(exchange=Exchange.ANSWERED, method="PATCH", status=answer.status, tries=answer.tries)
        return replace(seen, method="PATCH", correlation_id=answer.correlation or seen.correlation_id)


def _scim(attributes: Sequence[str]) -> list[str]:
    return [name for name in attributes if name not in _ROOTS]


def _joined(reply: Reply, members: Mapping[str, object]) -> Reply:
    return replace(reply, body={**(reply.body or {}), PLATFORM_USER: members})


def _refused(why: str) -> Reply:
    """What would not be taken, said as the target would: a person must look."""
    error = ErrorReport(status=400, detail=why)
    return Reply(exchange=Exchange.ANSWERED, method="PATCH", status=400, error=error, detail=why, tries=0)


def _failed(answer: Answer) -> Reply:
    """A refusal in the engine's words. A 404 is about a schema or a team: that the person is gone, SCIM says."""
    try:
        said: object = msgspec.json.decode(answer.content) if answer.content else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said = None
    error = read_error(answer.status, said, answer.correlation) if answer.status >= 400 else None
    return Reply(
        exchange=answer.exchange,
        method="PATCH",
        status=422 if answer.status == 404 else answer.status,
        error=error,
        detail=answer.detail or (error.detail if error else ""),
        correlation_id=answer.correlation,
        retry_after_s=answer.retry_after_s,
        tries=answer.tries,
    )

"""Plan without the directory: what the last whole reading showed stands in for it, and nothing is remembered of it.

Such a plan is for reading. It never counts as one that a later run rests on, so the state hears nothing of it: what
planning would note there is dropped (`engine.unwritten`). Of what only the directory knows (names, deleted accounts,
licences) `Unasked` says that it is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import msgspec

from scimsync.core import offline as rules
from scimsync.core.offline import Known
from scimsync.engine import depths
from scimsync.engine.plan_request import PlanPorts, PlanRequest
from scimsync.engine.ports import Target
from scimsync.engine.state import Artifacts, Memberships
from scimsync.errors import PlanStale, TargetUnavailable
from scimsync.model.outcomes import Exchange, Guard, Reply, Rights, Sweep
from scimsync.model.plans import Finding
from scimsync.model.policy import Policy
from scimsync.workbench.bench import Workbench
from scimsync.workbench.comparing import Comparison
from scimsync.workbench.mirror import MIRROR, Mirror


class Unasked:
    """A target that is not asked: it says of everything that it is not known, and of groups what memory has."""

    def __init__(self, name: str, memory: Memberships) -> None:
        self._name, self._memory = name, memory
        self._members: dict[str, list[str]] | None = None

    @property
    def name(self) -> str:
        """The API address, by which plans and state know the target."""
        return self._name

    @property
    def rate(self) -> int:
        """Unknown."""
        return 0

    @property
    def unread(self) -> Mapping[str, str]:
        """Nothing was tried."""
        return {}

    async def rights(self) -> Rights:
        """Not known."""
        return Rights(untold=_UNASKED, unlimited=_UNASKED)

    async def licences(self, sets: object) -> None:  # noqa: ARG002 - as the port has it
        """Not known."""
        return

    async def names(self, kind: str) -> None:  # noqa: ARG002 - as the port has it
        """Not known."""
        return

    async def deleted(self, logins: object) -> None:  # noqa: ARG002 - as the port has it
        """Not known."""
        return

    async def guard(self, account: str = "") -> Guard:  # noqa: ARG002 - as the port has it
        """Nothing is written."""
        return Guard()

    async def get(self, account: str) -> Reply:  # noqa: ARG002 - as the port has it
        """Refuse to look.

        Raises:
            TargetUnavailable: Always.
        """
        raise TargetUnavailable(_UNASKED)

    async def list_groups(
        self,
        sink: Callable[[Sequence[bytes]], None],
        wanted: Sequence[tuple[str, str]] = (),  # noqa: ARG002 - as the port has it
    ) -> Sweep:
        """The groups that earlier runs have met."""
        groups = {group: name for name, group in self._memory.group_memory().names.items()}
        sink([msgspec.json.encode({"id": group, "displayName": name}) for group, name in groups.items()])
        missing = "" if groups else "the directory was not asked, and no run that was applied remembers its groups"
        return Sweep(accounts=len(groups), announced=len(groups), incomplete=missing)

    async def get_group(self, group: str) -> Reply:
        """A group with the members that were agreed."""
        if self._members is None:
            self._members = {}
            for one in self._memory.memberships():
                self._members.setdefault(one.group, []).append(one.account)
        members = [{"value": account, "type": "User"} for account in self._members.get(group, ())]
        body = {"id": group, "members": members}
        return Reply(exchange=Exchange.ANSWERED, method="GET", status=200, body=body, version="remembered")


_UNASKED = "the directory was not asked"


def recalled(bench: Workbench, store: Artifacts, policy: Policy, target: str) -> Known:
    """What is remembered of a directory, of a mapping.

    Raises:
        PlanStale: Nothing is; or nobody could be found by a path by which people are found.
    """
    attributes = policy.attributes
    mirror = Mirror(bench, store.artifact(MIRROR), attributes, target)
    if mirror.seen is None:
        raise PlanStale(
            "this state remembers no whole reading of the directory, which a plan without it rests on. "
            "Make one that asks it: scimsync plan"
        )
    paths = frozenset(mapped.path for mapped in attributes if mirror.knows(mapped.path))
    marks = [place.short for place in policy.match if place.short in policy.by_path and place.short not in paths]
    if marks:
        raise PlanStale(
            f"[correlation] match finds people by {', '.join(marks)}, which the last whole reading did not read: "
            "they would look new. Make a plan that asks the directory, once: scimsync plan"
        )
    return Known(listed=mirror.seen.listed, whole=mirror.seen.whole, paths=paths)


def unasked(name: str, memory: Memberships) -> Target:
    """The target of that name, which is not asked; groups are as memory has them."""
    return cast("Target", Unasked(name, memory))


def read_remembered(ports: PlanPorts, request: PlanRequest, bench: Workbench, known: Known) -> list[Finding]:
    """Make the table `accounts` of what is remembered, with our writes since; what is to be told of it.

    Raises:
        StoreDamaged: It cannot be read.
    """
    ports.observer.stage("recalling the directory")
    attributes = request.policy.attributes
    depths.stand_in(bench, Mirror(bench, ports.store.artifact(MIRROR), attributes, ports.target.name))
    unread = [mapped.path for mapped in attributes if mapped.path not in known.paths]
    return [rules.offline(known, ports.clock.now()), *map(rules.unread, unread)]


def leave_unread(comparison: Comparison, request: PlanRequest) -> None:
    """Leave alone what the last reading did not read, of everybody who has an account. After `resolve`."""
    known = request.offline
    for index, mapped in enumerate(request.policy.attributes):
        if known is not None and mapped.path not in known.paths:
            comparison.leave(index, "SELECT n FROM pairing")

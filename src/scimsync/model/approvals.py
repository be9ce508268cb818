"""Which plans need approvals, and the approvals that were given."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from msgspec import Struct, field

from scimsync.model.decisions import Actor

SETTLED = timedelta(days=7)


class ApprovalRule(Struct, frozen=True, kw_only=True):
    """Which plans need how many approvals, and by whom. A plan that meets one of its conditions needs them."""

    name: str
    #: action (`disable`) -> a plan that does more than so many of it, with what was done in the last day
    more_than: Mapping[str, int] = field(default_factory=dict)
    #: names or ids of groups whose members change
    groups: tuple[str, ...] = ()
    #: a rule is set aside
    override: bool = False
    #: every plan that writes
    every: bool = False
    needs: int = 1
    #: who may approve; anybody but who proposed it where empty
    by: tuple[str, ...] = ()
    #: how long an approval counts, never longer than the plan
    valid: timedelta = timedelta(days=1)
    #: how long who was made a user of the console, or was given another role or password, is one with who did that
    settled: timedelta = SETTLED


class Approval(Struct, frozen=True, kw_only=True):
    """The word of one person about one plan. A rejection is final: a new plan is made instead."""

    run: str
    #: the digest that closes the plan
    digest: str
    actor: str
    proof: str
    approves: bool
    reason: str
    at: datetime
    #: until when it counts
    until: datetime
    #: base64 of the signature by the key that signs plans; "" where nothing signed
    signature: str = ""

    @property
    def who(self) -> Actor:
        """The person."""
        return Actor(self.actor, self.proof)


class Made(Struct, frozen=True, kw_only=True):
    """That somebody made a user of the console, or gave one another role or password: who can come in as that user."""

    user: Actor
    maker: Actor
    at: datetime


class Quarantined(Struct, frozen=True, kw_only=True):
    """That a person is left out of plans, remembered until a plan leaves them in again."""

    key: str
    code: str
    since: datetime
    #: the plan that left them out first
    run: str

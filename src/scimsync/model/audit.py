"""The audit chain: what is recorded, how it is kept, and what is known of its end."""

from __future__ import annotations

from datetime import datetime
from enum import Enum

from msgspec import Struct

from scimsync.scim.schema import Value


class Kind(Enum):
    """What an audit record tells."""

    INTENT = "intent"  #: a request is about to leave
    OUTCOME = "outcome"  #: what came of it
    HOLD = "hold"  #: something waits for a person, or a person decided it
    OVERRIDE = "override"  #: a person set a rule aside
    APPROVAL = "approval"  #: a person approved or rejected a plan, or left something out of one
    PLAN_APPROVED = "plan-approved"  #: a plan with changes began to be applied
    CONFIGURATION = "configuration"  #: another configuration took effect
    LINK = "link"  #: a person said that a record and an account are one person, or are not
    FINDING = "finding"  #: a person accepted a finding until a day, or does so no more
    PIN = "pin"  #: the target's schema was recorded as baseline
    UNDO = "undo"  #: a run was taken back
    RENEWAL = "renewal"  #: a person let a state go on that is not the one that was left, or forgot what was agreed
    CONSOLE = "console"  #: a user or a token of the console was made, changed or removed
    ERASURE = "erasure"  #: the key of a person was destroyed


class Edit(Struct, frozen=True, kw_only=True):
    """One path of a record. The values are personal; path, reason and authority are not."""

    path: str
    before: Value = None
    after: Value = None
    #: why the sides differed, as plan files have it: `source_moved`
    reason: str = ""
    authority: str = ""


class Record(Struct, frozen=True, kw_only=True):
    """One event before it is chained; "" where something does not apply.

    Of a record about a person, `person`, `account`, `name`, `detail` and the values of `edits` are personal:
    the store encrypts them under the key of that person.
    """

    kind: Kind
    at: datetime
    #: who did it: a person or a schedule, `user@host`
    actor: str
    run: str = ""
    #: the plan it rests on: the digest that closes its file
    plan: str = ""
    #: source key of the person
    person: str = ""
    #: the login, for people to read
    name: str = ""
    target: str = ""
    account: str = ""
    action: str = ""
    edits: tuple[Edit, ...] = ()
    #: what a person gave as reason
    reason: str = ""
    #: the rule that was set aside, or that decided
    rule: str = ""
    version_before: str = ""
    version_after: str = ""
    correlation_id: str = ""
    status: str = ""
    code: str = ""
    detail: str = ""
    #: digest of the configuration
    configuration: str = ""
    #: 1 for the change itself, 2 for the references of the second pass; 0 where there is no change
    part: int = 0
    attempt: int = 0
    method: str = ""


class Entry(Struct, frozen=True):
    """One record as it is kept. `body` are the bytes that were hashed; the rest repeats what stands in them."""

    seq: int
    at: str
    kind: str
    run: str
    #: keyed pseudonym of the person; "" where the record is about nobody
    person: str
    body: bytes
    hash: bytes


class Head(Struct, frozen=True):
    """The end of a chain: how long it is, the hash of its last record, the frontier of its tree."""

    origin: str
    size: int
    hash: bytes
    frontier: tuple[bytes, ...]


class PersonKey(Struct, frozen=True, kw_only=True):
    """What the personal part of the records about one person is encrypted under; destroyed by an erasure."""

    pseudonym: str
    #: source key of the person; "" once erased
    person: str
    #: 32 bytes; None once erased
    secret: bytes | None
    erased: datetime | None = None
    erased_by: str = ""


class Checkpoint(Struct, frozen=True):
    """A statement about the whole chain at one size: the root of its tree."""

    origin: str
    size: int
    root: bytes

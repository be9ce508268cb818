"""What is told to others: an event, and the message that carries it to one endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum

from msgspec import Struct

from scimsync.values import Secretive


class EventKind(Enum):
    """What an event says happened; the value is the name by which `[[webhook]] events` chooses it."""

    CREATE = "prov:create"
    PATCH = "prov:patch"
    ACTIVATE = "prov:activate"
    DEACTIVATE = "prov:deactivate"
    DELETE = "prov:delete"
    LEAVER_KEPT = "scimsync.leaver.kept"
    PERSON_HELD = "scimsync.person.held"
    PLAN_REFUSED = "scimsync.plan.refused"
    PLAN_WAITS = "scimsync.plan.waits"
    RUN_FINISHED = "scimsync.run.finished"
    PING = "scimsync.ping"


#: what stands before the names of the SCIM event profile (RFC 9967 §2.4)
PROFILE = "urn:ietf:params:scim:event:"


class Event(Struct, frozen=True, kw_only=True):
    """One thing that happened to a person or to a run."""

    id: str
    kind: EventKind
    #: the full name as it travels: of RFC 9967 where the profile has one, else our own
    type: str
    #: source key; "" where the event is about no one person. Events of one person keep their order
    person: str
    at: datetime
    #: the claims of a security event token (RFC 8417 §2.2), with `type` and `timestamp` beside them
    body: Mapping[str, object]


class Subscription(Struct, frozen=True, kw_only=True):
    """What one endpoint wants to be told. Without its address and its secret."""

    endpoint: str
    #: the kinds it wants; all where empty
    kinds: frozenset[EventKind] = frozenset()
    #: whether values travel; else ids, actions and the names of paths only
    values: bool = False


class MessageState(Enum):
    """Where a message stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"  #: given up; a person may send it again


class Message(Secretive, frozen=True, kw_only=True):
    """One event on its way to one endpoint, as the outbox keeps it. `body` never changes."""

    id: str
    endpoint: str
    person: str
    type: str
    body: bytes
    created: datetime
    #: not to be tried before
    due: datetime
    attempts: int = 0
    state: MessageState = MessageState.PENDING
    #: of the last answer; 0 where there was none
    status: int = 0
    #: what was wrong with the last try; "" where nothing was
    detail: str = ""
    tried: datetime | None = None
    delivered: datetime | None = None
    #: place in the outbox, given by the store
    seq: int = 0


class Receipt(Struct, frozen=True, kw_only=True):
    """What came of carrying a message. `status` is 0 where there was no complete answer."""

    status: int = 0
    detail: str = ""
    #: seconds after which the receiver wants to be asked again
    retry_after_s: float | None = None


class Call(Struct, frozen=True, kw_only=True):
    """An event from outside that asks for some people to be looked at. It carries no values."""

    id: str
    at: datetime
    keys: tuple[str, ...]

"""Official twins of the ports, in memory: they behave as the adapters do and pass the same contracts.

MemoryStore   the Store port      ListSource     the Source port
VirtualClock  the Clock port      MemoryTarget   the Target port
KeptMetrics   the Metrics port

MemoryRuns, MemoryPeople, MemoryAudit and MemoryOutbox are parts of the store, for what needs no more of it.
"""

from scimsync.testing.clock import VirtualClock
from scimsync.testing.metrics import KeptMetrics
from scimsync.testing.source import ListSource
from scimsync.testing.store import MemoryStore
from scimsync.testing.store_audit import MemoryAudit
from scimsync.testing.store_outbox import MemoryOutbox
from scimsync.testing.store_people import MemoryPeople
from scimsync.testing.store_runs import MemoryRuns
from scimsync.testing.target import MemoryTarget, members_of

__all__ = [
    "KeptMetrics",
    "ListSource",
    "MemoryAudit",
    "MemoryOutbox",
    "MemoryPeople",
    "MemoryRuns",
    "MemoryStore",
    "MemoryTarget",
    "VirtualClock",
    "members_of",
]

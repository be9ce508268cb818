"""Official twins of the ports, in memory: they behave as the adapters do and pass the same contracts.

MemoryStore   the Store port      ListSource     the Source port
VirtualClock  the Clock port      MemoryTarget   the Target port
KeptMetrics   the Metrics port
"""

from scimsync.testing.clock import VirtualClock
from scimsync.testing.metrics import KeptMetrics
from scimsync.testing.source import ListSource
from scimsync.testing.store import MemoryStore
from scimsync.testing.target import MemoryTarget, members_of

__all__ = ["KeptMetrics", "ListSource", "MemoryStore", "MemoryTarget", "VirtualClock", "members_of"]

"""The public names, for type checkers: at run time `__init__.py` loads each when it is first asked for."""

from scimsync.errors import ScimsyncError, UndeliveredEvents, UnsignedWebhook
from scimsync.library import (
    AsyncGenesysScimSyncer,
    BlockingSyncer,
    ConflictResolution,
    GenesysScimSyncer,
    Syncer,
    Synchronised,
    build_delta_matrix,
    check_schema_drift,
    find_cycles,
    patch_operations,
    validate_operations,
)

__all__ = [
    "AsyncGenesysScimSyncer",
    "BlockingSyncer",
    "ConflictResolution",
    "GenesysScimSyncer",
    "ScimsyncError",
    "Syncer",
    "Synchronised",
    "UndeliveredEvents",
    "UnsignedWebhook",
    "build_delta_matrix",
    "check_schema_drift",
    "find_cycles",
    "patch_operations",
    "validate_operations",
]

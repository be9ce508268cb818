"""scimsync keeps the people in a Genesys Cloud organisation equal to what the HR system says about them.

The public door for programs; everything behind it is loaded when it is first asked for.

Examples:
    >>> import scimsync
    >>> scimsync.ConflictResolution.LOCAL_WINS.value
    'local_wins'
"""

from importlib import import_module

_HOMES = {
    "library": (
        "AsyncGenesysScimSyncer",
        "BlockingSyncer",
        "ConflictResolution",
        "GenesysScimSyncer",
        "Synchronised",
        "Syncer",
        "build_delta_matrix",
        "check_schema_drift",
        "find_cycles",
        "patch_operations",
        "validate_operations",
    ),
    "errors": ("ScimsyncError", "UndeliveredEvents", "UnsignedWebhook"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [*sorted(_HOME)]  # noqa: PLE0604 - names, all of them


def __getattr__(name: str) -> object:
    """A public name, loaded on first use: `import scimsync` alone costs nothing."""
    if name not in _HOME:
        raise AttributeError(f"module scimsync has no attribute {name!r}")
    return getattr(import_module(f"scimsync.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    """The public names."""
    return __all__

"""One TOML file, read once into frozen settings. All faults at once, each with its place and a hint.

    document   the file as it is written, as pydantic models: rules of form, JSON Schema and documentation
    faults     what is wrong with the form, in our sentences
    reading    what needs more than a look at one key; document to settings
    settings   what the rest of the house is handed
    bare       a target that no file describes
    glance     what can be told in a moment, while somebody types

Importing this loads no pydantic: only whoever reads a file does. Secrets stand in the file by reference only:
`env:NAME` or `file:PATH` (mode 0600). Relative paths are taken from the folder of the file.
"""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

from scimsync.config.bare import bare_target
from scimsync.config.console_settings import ConsoleSettings, OidcSettings
from scimsync.config.fitness import unfit
from scimsync.config.glance import Glance, glance
from scimsync.config.members import Fleet, Member, client_of, shared, state_of
from scimsync.config.rest_settings import RestSettings
from scimsync.config.settings import (
    LOG_FORMATS,
    LOG_LEVELS,
    WRITING,
    AlarmSettings,
    AuditSettings,
    GroupSettings,
    LogSettings,
    Settings,
    SourceSettings,
    StateSettings,
    TargetSettings,
    WebhookSettings,
)

__all__ = [
    "LOG_FORMATS",
    "LOG_LEVELS",
    "WRITING",
    "AlarmSettings",
    "AuditSettings",
    "ConsoleSettings",
    "Fleet",
    "Glance",
    "GroupSettings",
    "LogSettings",
    "Member",
    "OidcSettings",
    "RestSettings",
    "Settings",
    "SourceSettings",
    "StateSettings",
    "TargetSettings",
    "WebhookSettings",
    "bare_target",
    "client_of",
    "glance",
    "load",
    "load_fleet",
    "shared",
    "state_of",
    "unfit",
]


def load(file: Path, *, secrets: bool | Set[str] = True, revision: str = "", name: str = "") -> Settings:
    """Read the configuration.

    Args:
        file: The TOML file; of an organisation of a fleet, `fleet.toml:NAME`.
        revision: Its git revision; "" as it is now.
        name: What messages call it; its own name where empty.
        secrets: The sections whose secrets are needed; those of the others may be missing. True stands
            for `WRITING`, False for none.

    Raises:
        ConfigError: With every fault of the file.
    """
    from scimsync.config import opening, reading  # noqa: PLC0415 - loads pydantic

    needed = (WRITING if secrets else frozenset()) if isinstance(secrets, bool) else secrets
    return reading.settings(opening.parse(file, revision, name), secrets=needed)


def load_fleet(file: Path) -> Fleet:
    """Read a fleet file. The configurations of its organisations are read one by one: `load(fleet.place(member))`.

    Raises:
        ConfigError: With every fault of the file.
    """
    from scimsync.config import fleet  # noqa: PLC0415 - loads pydantic

    return fleet.read(file)

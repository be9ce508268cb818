"""Pin the target's schemas, and compare them with a baseline."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from msgspec import Struct

from scimsync.bootstrap import actor, now
from scimsync.config import Settings
from scimsync.core import drifting
from scimsync.engine.state import Journal, Pins
from scimsync.errors import ConfigError, TargetError
from scimsync.model.audit import Kind
from scimsync.model.outcomes import Document, Pin
from scimsync.scim.drift import SCHEMAS
from scimsync.scim.published import schemas_from_json
from scimsync.services.auditing import note
from scimsync.services.reaching import reached


class PinState(Pins, Journal, Protocol):
    """Of the state: baselines, and where pinning is recorded."""


async def pin_schema(
    settings: Settings, store: PinState, given: Mapping[str, Document] | None, written: Collection[str] = ()
) -> Pin:
    """Record a baseline of the target's schemas: what it says now, or documents that are given.

    What the mapping writes and these schemas do not have is left out of plans from then on.

    Args:
        settings: The target and the mapping.
        store: Where it is kept.
        given: Documents to record; what the target says where None.
        written: Paths that are written all the same.

    Raises:
        ConfigError: One of these paths is not mapped.
        TargetError: It does not say, or publishes no schemas.
    """
    if unknown := [path for path in written if path not in settings.policy.by_path]:
        raise ConfigError(*(f"--write {path}: it is not mapped in [attributes]" for path in unknown))
    async with reached(settings) as target:
        documents = given if given is not None else (await target.describe()).documents
        if not given and not schemas_from_json(documents[SCHEMAS].body if SCHEMAS in documents else {}):
            raise TargetError(
                f"{target.name} publishes no schemas, so nothing was recorded. Check api_url and the rights of the "
                "client; else check [attributes] against the provider's manual."
            )
        bodies = {name: document.body for name, document in documents.items()}
        users = settings.target.dialect.users
        absent = drifting.absent(bodies, settings.policy, users, whole=given is None)
        left_out = tuple(path for path in absent if path not in written)
        pin = Pin(target=target.name, at=now(), actor=actor(), documents=documents, left_out=left_out)
    store.save_pin(pin)
    note(settings, store, Kind.PIN, action="pinned", detail=", ".join(sorted(documents)))
    return pin


class SchemaDiff(Struct, frozen=True, kw_only=True):
    """A baseline, and what drifted since."""

    target: str
    baseline: str
    rulings: tuple[drifting.Ruling, ...]


async def diff_schema(settings: Settings, store: Pins, given: drifting.Baseline | None) -> SchemaDiff:
    """Compare the target's schemas with a baseline that is given, else the pin, else what the dialect assumes.

    Raises:
        TargetError: The target does not say.
        ConfigError: The baseline cannot be read.
    """
    dialect = settings.target.dialect
    async with reached(settings) as target:
        pin = store.pin(target.name) if given is None else None
        found = await target.describe(pin.documents if pin else None)
    baseline = given or drifting.Baseline.of(pin, dialect)
    rulings = drifting.judge(baseline, found, settings.policy, dialect.users, whole=True)
    return SchemaDiff(target=target.name, baseline=baseline.name, rulings=rulings)

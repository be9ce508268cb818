"""Look at a plan file: whether it is as it was sealed, by whom, and whether what it rests on still holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from msgspec import Struct

from scimsync.bootstrap import now, open_store
from scimsync.config import Settings
from scimsync.core.sealing import Opened
from scimsync.engine import checkpoints, seals, signatures
from scimsync.engine.ports import Store
from scimsync.engine.seals import Point, World
from scimsync.errors import ConfigError, PlanDamaged
from scimsync.model.outcomes import Run, RunState
from scimsync.model.plans import Plan
from scimsync.services.auditing import audit_public
from scimsync.services.evidence import given_public
from scimsync.services.planning import open_plan, stored_plan


class Look(Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    name: str
    mark: Literal["ok", "warn", "fail"]
    words: str
    #: people of the plan whom it concerns, where that is known
    people: tuple[str, ...] | None = None


def verify(file: Path, settings: Settings | None, public_key: str = "") -> Iterator[Look]:
    """Look at a plan file; nobody is asked but the state.

    Args:
        file: The file.
        settings: Where the state is and who signs here; without them the file alone is looked at.
        public_key: Of who shall have signed, as text or the file that holds it; the key of this state where empty.

    Raises:
        ConfigError: The file or a key cannot be read.
        StoreError: The state cannot be read.
    """
    public, whose = _public(settings, public_key)
    try:
        opened = open_plan(file)
    except PlanDamaged as error:
        yield Look(name="digest", mark="fail", words=str(error))
        return
    yield Look(name="digest", mark="ok", words=f"every byte is as it was sealed (sha256 {opened.closing.sha256})")
    yield _signature(opened, public, whose, demanded=bool(public_key))
    if settings is None:
        yield from map(_of, seals.of_itself(opened.plan, now()))
        yield Look(name="state", mark="warn", words="not looked at: there is no configuration here. Give --config FILE")
        return
    with open_store(settings) as store:
        yield from _held_against(opened, settings, store)


def _public(settings: Settings | None, given: str) -> tuple[bytes | None, str]:
    """The key that shall have signed, and whose it is."""
    if given:
        return given_public(given), "the key that was given"
    return (None, "") if settings is None else (audit_public(settings), "the key of this state")


def _signature(opened: Opened, public: bytes | None, whose: str, *, demanded: bool) -> Look:
    if not opened.signer:
        words = "none: it was made before there were signatures, or a key; its digest alone proves it"
        return Look(name="signature", mark="fail" if demanded else "warn", words=words)
    if not signatures.is_whole(opened):
        return Look(name="signature", mark="fail", words="the file was changed after it was signed. Make a new plan.")
    if public is None:
        words = f"fits {opened.signer}, which the file itself names. Give the key that you trust: --public-key TEXT"
        return Look(name="signature", mark="warn", words=words)
    if signatures.is_signed(opened.closing, public):
        return Look(name="signature", mark="ok", words=f"{opened.signer}, {whose}")
    other = checkpoints.public_text(public)
    words = f"signed by {opened.signer}, and {whose} is {other}. Make a new plan where it shall be applied."
    return Look(name="signature", mark="fail", words=words)


def _held_against(opened: Opened, settings: Settings, store: Store) -> Iterator[Look]:
    plan = opened.plan
    run = store.run(plan.id)
    if run is None or run.id != plan.id:
        yield _of(seals.UNKNOWN)
        yield from map(_of, seals.of_itself(plan, now()))
        return
    yield _stored(opened, run, store)
    world = World(
        store=store,
        target=settings.target.api_url.rstrip("/") + settings.target.dialect.base_path,
        configuration=settings.digest,
        parts=settings.parts,
        now=now(),
    )
    yield from map(_of, seals.looked_at(plan, run, world))
    yield from _refused(plan, run)


def _stored(opened: Opened, run: Run, store: Store) -> Look:
    try:
        is_same = opened == stored_plan(store, run)
    except (PlanDamaged, ConfigError) as error:
        return Look(name="state", mark="fail", words=str(error))
    if is_same:
        words = f"it is the plan that was stored here as {run.id} ({run.state.value})"
        if run.state in {RunState.DONE, RunState.PARTIAL}:
            words += "; it was applied, and what is done is not sent again"
        return Look(name="state", mark="ok", words=words)
    return Look(
        name="state", mark="fail", words=f"it is not the plan that was stored as {run.id}. Apply that one by its id."
    )


def _refused(plan: Plan, run: Run) -> Iterator[Look]:
    open_ = [finding.code for finding in plan.refusals if finding.code not in run.answered]
    if open_ and run.state is not RunState.DONE:
        words = f"refused by {', '.join(open_)}; it is applied with --override RULE --reason TEXT alone"
        yield Look(name="rules", mark="warn", words=words)


def _of(point: Point) -> Look:
    words = f"{point.told}. {point.hint}" if point.moved else point.told
    return Look(name=point.name, mark="fail" if point.moved else "ok", words=words, people=point.people)

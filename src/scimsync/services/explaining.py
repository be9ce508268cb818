"""Explain one person: what HR says, what the directory holds, what becomes of it and why, what was written."""

from __future__ import annotations

from msgspec.structs import replace

from scimsync.bootstrap_sources import make_source
from scimsync.config import Settings
from scimsync.engine import explaining
from scimsync.engine.explaining import Question
from scimsync.engine.offline import recalled, unasked
from scimsync.engine.ports import Observer, Store
from scimsync.model.stories import Becomes, Cause, Cell, Deed, PathStory, Standing, Step, Story
from scimsync.services.observing import Telemetry
from scimsync.services.offline import room
from scimsync.services.planning import Choices, ports_of, request_of
from scimsync.services.reaching import reached

__all__ = ["Becomes", "Cause", "Cell", "Deed", "PathStory", "Question", "Standing", "Step", "Story", "explain"]


async def explain(
    settings: Settings, store: Store, observer: Observer, question: Question, *, offline: bool = False
) -> Story:
    """The story of one person. Nothing is written: not to the target, not to the state, not to the log.

    Args:
        settings: The configuration.
        store: The state.
        observer: Told how far it is.
        question: Who is meant, and which attribute.
        offline: Whether the directory is not asked: it is as it was read last, with what runs wrote since.

    Raises:
        ConfigError: Nobody is meant (`PersonUnknown`), or the attribute is not mapped.
        PlanStale: Offline, and no reading of the directory is remembered.
        SourceError: The source cannot be read.
        TargetError: The directory cannot be read.
        StoreError: The state cannot be read.
    """
    explaining.check_path(question.path, settings.policy.attributes)
    telemetry, source = Telemetry(observer), make_source(settings)
    request = replace(request_of(settings, Choices()), subscriptions=())
    if offline:
        address = settings.target.address
        with room(settings, store) as bench:
            known = recalled(bench, store, settings.policy, address)
        ports = ports_of(settings, store, telemetry, source, unasked(address, store))
        return await explaining.explain(ports, replace(request, offline=known), question)
    async with reached(settings, observer.say) as target:
        return await explaining.explain(ports_of(settings, store, telemetry, source, target), request, question)

"""How far this reading of the source is believed: by its proof, by what was declared, by the readings before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import dropwhile

from msgspec.structs import replace

from scimsync.core import absent, contract, joining, trust
from scimsync.core.contract import Earlier
from scimsync.engine.plan_request import PlanRequest
from scimsync.engine.state import Runs
from scimsync.errors import ConfigError
from scimsync.model.records import Reading, SourceHealth
from scimsync.workbench.expressions import Expression
from scimsync.workbench.sources import Sources

#: how many runs are looked at for an earlier reading like this one
_LOOKED_AT = 60


def check_expectations(request: PlanRequest, reading: Reading) -> None:
    """Whether the source has the columns that are watched.

    Raises:
        ConfigError: It lacks one; all are named.
    """
    if faults := contract.unknown(request.contract.expect, reading.columns):
        raise ConfigError(*faults)


def judge(  # noqa: PLR0913 - a reading is judged by much
    request: PlanRequest,
    reading: Reading,
    health: SourceHealth,
    previous: SourceHealth | None,
    expressions: Mapping[str, Expression],
    *,
    keyless: bool,
    earlier: Iterable[Earlier],
    now: datetime,
) -> trust.Trust:
    """Judge a reading; what it may be used for.

    Args:
        request: What shall be planned.
        reading: The reading.
        health: Numbers of it.
        previous: Numbers of the last reading that was believed; None on a first run.
        expressions: The mapping.
        keyless: Some record has no key.
        earlier: The readings before the last.
        now: The wall clock.
    """
    if request.is_delta:
        changes = absent.judge(health, previous, earlier=() if reading.live else earlier, overrides=request.overrides)
        return _with_joined(changes, request, health, previous, expressions) if health.joined else changes
    limits, expect = request.policy.limits, request.contract.expect
    fewer = previous is not None and (
        trust.ROWS in request.overrides
        or not limits.source_rows_drop.allows(previous.rows - health.rows, previous.rows)
    )
    found = contract.breaches(
        health, previous, expect, limits=limits, now=now, earlier=() if reading.live else earlier, fewer=fewer
    )
    judged = trust.judge(
        health,
        previous,
        proven=reading.proven,
        keyless=keyless,
        limits=limits,
        overrides=request.overrides,
        columns_of={path: expression.columns for path, expression in expressions.items()},
        expect=expect,
        breaches=found,
    )
    return _with_joined(judged, request, health, previous, expressions) if health.joined else judged


def _with_joined(
    judged: trust.Trust,
    request: PlanRequest,
    health: SourceHealth,
    previous: SourceHealth | None,
    expressions: Mapping[str, Expression],
) -> trust.Trust:
    """What was judged of the first source, with what is to be said of those that are joined to it."""
    sources = Sources(joined=tuple(one.name for one in health.joined))
    of = {path: sources.of(expression.columns) for path, expression in expressions.items()}
    made_of = {name: [path for path, names in of.items() if name in names] for name in sources.joined}
    doubted = joining.short(health, previous, made_of, request.policy.limits, request.overrides)
    return replace(
        judged,
        frozen=judged.frozen | {path for name in doubted for path in made_of[name]},
        findings=(*judged.findings, *doubted.values(), *joining.told(health, made_of)),
        remembered=joining.remembered(judged.remembered, previous, doubted),
    )


def earlier(store: Runs, sources: Sequence[str], *, is_delta: bool = False) -> Iterator[Earlier]:
    """The readings of a source that were believed and applied before the last one, newest first.

    Args:
        store: The state.
        sources: The names of the source.
        is_delta: It is for a delivery of changes. For a whole one, the last is none that was followed by deliveries
            of changes which changed nothing: the same again is no old file then.
    """
    ours = [run for run in store.begun(_LOOKED_AT) if run.source in sources and run.health is not None and run.base]
    if not is_delta:
        ours = [*dropwhile(absent.changed_nothing, ours)]
    for run in ours[1:]:
        if run.health is not None:
            yield Earlier(run=run.id, when=run.created, fingerprint=run.health.fingerprint)

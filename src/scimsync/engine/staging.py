"""Read the source into the tables of a plan, once for all plans that are made from the same reading, and map it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec.structs import replace

from scimsync.core.lifecycle import ACTIVE
from scimsync.engine import trusting
from scimsync.engine.plan_request import PlanPorts, PlanRequest
from scimsync.engine.ports import Source
from scimsync.errors import SourceEmpty
from scimsync.model.plans import Finding
from scimsync.model.policy import BadValue
from scimsync.model.records import Reading, SourceHealth
from scimsync.workbench import absent
from scimsync.workbench.bench import Workbench
from scimsync.workbench.expressions import Expression
from scimsync.workbench.health import measure
from scimsync.workbench.joining import needed
from scimsync.workbench.mapping import check_mapping, desired_blanks, stage_desired
from scimsync.workbench.phones import stage_remembered
from scimsync.workbench.presence import MARKS
from scimsync.workbench.records import stage_records
from scimsync.workbench.ruling import check
from scimsync.workbench.sources import Sources
from scimsync.workbench.wording import unknown_words


def read_source(
    bench: Workbench, ports: PlanPorts, request: PlanRequest
) -> tuple[Reading, SourceHealth, dict[str, Expression]]:
    """Make the table `records`, and the numbers that the mapping asks for; the mapping as it was checked.

    Raises:
        SourceError: The source cannot be read, or is empty.
        ConfigError: A rule or the mapping does not fit; all faults at once.
    """
    attributes = request.policy.attributes
    check(bench, attributes, request.contract.rules)
    ports.observer.stage("reading the source")
    reading, health = staged(bench, ports, request)
    if not request.is_delta:  # whoever watches the number of records would be woken each hour
        ports.metrics.read(health, proven=reading.proven)
    trusting.check_expectations(request, reading)
    if request.is_delta and not health.rows:
        return reading, health, absent.without_values(bench, attributes)
    expressions = check_mapping(bench, attributes, reading.columns)
    stage_remembered(bench, expressions.values(), ports.phones, ports.memo)
    return reading, health, expressions


def opened(source: Source, key: str, *, may_be_empty: bool) -> Reading:
    """Open a source; one that holds nothing, and may, has no column but the key.

    Raises:
        SourceError: It cannot be opened, or holds nothing though it has to hold somebody.
    """
    try:
        return source.read()
    except SourceEmpty:
        if not may_be_empty:
            raise
        return Reading(columns=(key,), batches=(), proven=False)


def mapped(
    bench: Workbench, request: PlanRequest, health: SourceHealth, expressions: Mapping[str, Expression], now: datetime
) -> tuple[SourceHealth, list[Finding]]:
    """Map the records; the health of the source, with that of what the mapping made of it, and what is to be told."""
    policy = request.policy
    told = stage_desired(
        bench,
        policy.attributes,
        expressions,
        key=request.key,
        found_by=policy.match,
        whole=policy.on_bad_value is BadValue.PERSON,
        also=[
            *([policy.groups.column] if policy.groups is not None and policy.groups.column and health.rows else []),
            *(MARKS if bench.has_aside else ()),
        ],
    )
    column = f"d{[*policy.by_path].index(ACTIVE)}" if ACTIVE in policy.by_path else ""
    told = [*told, *unknown_words(bench, expressions.get(ACTIVE), column)]
    measured = measure(bench, health, request.contract.expect, now)
    return replace(measured, desired=desired_blanks(bench, policy.attributes)), told


def staged(bench: Workbench, ports: PlanPorts, request: PlanRequest) -> tuple[Reading, SourceHealth]:
    """Make the table `records`, or leave it where this source was read there in this way before.

    Raises:
        SourceError: The source cannot be read, or is empty.
    """
    how = (id(ports.source), request.key, request.null_values, request.trim)
    if bench.read is not None and bench.read[0] == how:
        return bench.read[1]
    reading, wanted = opened(ports.source, request.key, may_be_empty=request.is_delta), frozenset[str]()
    if reading.joined:
        bench.sources = Sources(primary=reading.name, joined=tuple(one.name for one in reading.joined))
        last = ports.store.last_applied()
        former = last.health.blanks if last and last.health and last.source in {request.source, request.former} else ()
        wanted = needed(bench, reading.joined, request.policy.attributes, former)
    health = stage_records(
        bench,
        reading,
        key=request.key,
        null_values=request.null_values,
        trim=request.trim,
        wanted=wanted,
        may_be_empty=request.is_delta,
    )
    reading = replace(reading, columns=tuple(column.name for column in bench.columns))
    bench.read = (how, (reading, health))
    return reading, health

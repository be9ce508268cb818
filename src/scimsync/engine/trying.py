"""Try an expression of the mapping on the records of the source, beside the one that holds."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from scimsync.engine import staging
from scimsync.engine.plan_request import PlanPorts, PlanRequest
from scimsync.model.contracts import Contract
from scimsync.model.plans import Finding
from scimsync.model.policy import BadValue, Mapped
from scimsync.workbench import sampling
from scimsync.workbench.bench import Workbench


class Sample(Struct, frozen=True, kw_only=True):
    """The value of one record under both expressions, as text; None where there is none."""

    key: str
    today: str | None
    wanted: str | None
    #: the value cannot be written
    bad: bool

    @property
    def differs(self) -> bool:
        """Whether it would become another."""
        return self.today != self.wanted


class Trial(Struct, frozen=True, kw_only=True):
    """What came of trying an expression."""

    records: int
    differ: int
    samples: tuple[Sample, ...]
    #: what is wrong with values that it makes
    findings: tuple[Finding, ...]


def try_expression(
    bench: Workbench, ports: PlanPorts, request: PlanRequest, today: Mapped, wanted: str, size: int
) -> Trial:
    """Read the source once, and map one attribute of it in both ways. Nothing is kept.

    Args:
        bench: Where the tables are made.
        ports: The source, and what reading it asks for.
        request: How the source is read.
        today: The attribute as it is mapped.
        wanted: The other expression.
        size: How many records are shown.

    Raises:
        ConfigError: The expression does not fit; with every fault of it.
        SourceError: The source cannot be read.
    """
    findings: Sequence[Finding] = ()
    for name, expression in (("today", today.expression), ("wanted", wanted)):
        mapped = Mapped(place=today.place, expression=expression, authority=today.authority)
        policy = replace(request.policy, attributes=(mapped,), match=(), groups=None, on_bad_value=BadValue.ATTRIBUTE)
        alone = replace(request, policy=policy, contract=Contract())
        _, health, expressions = staging.read_source(bench, ports, alone)
        _, findings = staging.mapped(bench, alone, health, expressions, ports.clock.now())
        sampling.keep(bench, name)
    records, differ, rows = sampling.compared(bench, size)
    samples = tuple(Sample(key=key, today=was, wanted=new, bad=bad) for key, was, new, bad in rows)
    return Trial(records=records, differ=differ, samples=samples, findings=tuple(findings))

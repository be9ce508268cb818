"""Who is there on the day that a plan is made for, what is told of the days after it, and who is prepared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from zoneinfo import ZoneInfo

from scimsync.core import validity as rules
from scimsync.core.lifecycle import ACTIVE
from scimsync.engine.plan_request import PlanPorts, PlanRequest
from scimsync.model.plans import LOGIN, Change, Coming, Finding, Severity
from scimsync.model.policy import BadValue
from scimsync.workbench import validity as tables
from scimsync.workbench.bench import Workbench
from scimsync.workbench.expressions import Expression
from scimsync.workbench.mapping import stage_desired
from scimsync.workbench.phones import stage_remembered


@dataclass(slots=True)
class Calendar:
    """What a source says of days, and what follows for one plan. Does nothing where it says nothing."""

    bench: Workbench
    ports: PlanPorts
    request: PlanRequest
    today: date
    day: date
    expressions: Mapping[str, Expression] = field(default_factory=dict)
    #: the columns of the source that days are read from
    columns: frozenset[str] = frozenset()
    #: key -> last day of whoever has ended
    ended: Mapping[str, date] = field(default_factory=dict)

    @property
    def is_known(self) -> bool:
        """Whether the source says anything of days."""
        return self.request.validity.is_known

    @property
    def as_of(self) -> date | None:
        """The day of a plan that is made for a day to come, and cannot be applied."""
        return self.request.validity.as_of

    def mapped(self, expressions: dict[str, Expression]) -> dict[str, Expression]:
        """The mapping, by which whoever has ended is not active."""
        self.expressions = expressions
        if not self.is_known or ACTIVE not in expressions:
            return expressions
        found = expressions[ACTIVE]
        # also made of the days: where their column went blank, whoever has ended would have access again
        columns = found.columns | self.columns
        ends = replace(found, sql=f"CASE WHEN {tables.ENDED} THEN false ELSE ({found.sql}) END", columns=columns)
        return {**expressions, ACTIVE: ends}

    def held(self) -> Iterator[Finding]:
        """Hold whose days cannot be told, and who has access and no record yet. After the mapping."""
        if self.is_known:
            paths = [*self.request.policy.by_path]
            bad = tables.hold_bad(self.bench, paths.index(ACTIVE) if ACTIVE in paths else None)
            yield from (rules.of_bad(key, row, what, holds=holds) for key, row, what, holds in bad)
            tables.hold_early(self.bench)

    def unknown(self, keys: Sequence[str]) -> list[str]:
        """Those of some keys that also no later record has."""
        return [key for key in keys if not (self.is_known and tables.is_early(self.bench, key))]

    def explained(self, changes: Iterable[Change]) -> list[Change]:
        """The changes, with the reason of whoever has ended."""
        return rules.explained(changes, self.ended) if self.ended else [*changes]

    def coming(self) -> tuple[Coming, ...]:
        """Who joins, moves and leaves: until the day of the plan, or in the days after today."""
        until = self.today + rules.AHEAD if self.as_of is None else self.day
        found = tables.coming(self.bench, self.today, until) if self.is_known else ()
        only = frozenset(self.request.only)
        return tuple(one for one in found if not only or one.key in only)

    def told(self) -> Iterator[Finding]:
        """Who has access too early; what will be wrong with who joins later. After the directory was read."""
        if not self.is_known:
            return
        yield from (rules.of_early(*found) for found in tables.early_and_active(self.bench))
        if self.as_of is None and not self.request.only:
            yield from self._prepared()

    def _prepared(self) -> Iterator[Finding]:
        """Map who joins later apart from everybody else, and look whether the logins are free."""
        request, policy = self.request, self.request.policy
        attributes = [mapped for mapped in policy.attributes if mapped.path != ACTIVE]
        folder = self.ports.store.artifact("plan").parent
        with Workbench(folder, memory_limit=request.memory_limit, zone=request.zone) as other:
            days = tables.stage_later(self.bench, other, self.day, self.today + rules.AHEAD)
            if not days:
                return
            stage_remembered(other, self.expressions.values(), self.ports.phones, self.ports.memo)
            found = stage_desired(
                other,
                attributes,
                self.expressions,
                key=request.key,
                found_by=policy.match,
                whole=policy.on_bad_value is BadValue.PERSON,
            )
            yield from (rules.ahead(one, days[one.subject]) for one in found if one.subject in days)
            columns = {mapped.path: number for number, mapped in enumerate(attributes)}
            needed = [(m.path, columns[m.path]) for m in attributes if m.place.needed]
            numbers = [number for _, number in needed]
            later = [*tables.later_values(other, columns.get(LOGIN), numbers)]
        for one in later:
            if lacks := [path for path, number in needed if number in one.missing]:
                yield rules.ahead(_incomplete(one.key, lacks, one.row), days[one.key])
        yield from self._collisions(later, days)

    def _collisions(self, later: Sequence[tables.Later], days: Mapping[str, date]) -> Iterator[Finding]:
        paths = [*self.request.policy.by_path]
        wanted = {one.key: one for one in later if one.login}
        if LOGIN not in paths or not wanted:
            return
        by_login = any(place.short == LOGIN for place in self.request.policy.match)
        others: dict[str, list[str]] = {}
        for key, who in tables.colliding(self.bench, [*wanted.values()], paths.index(LOGIN), found_by_login=by_login):
            others.setdefault(key, []).append(who)
        yield from (rules.of_collision(key, days[key], who[:5], wanted[key].row) for key, who in others.items())


def _incomplete(key: str, lacks: Sequence[str], row: int | None) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code="record.incomplete",
        subject=key,
        summary="a new person lacks a value that every account needs",
        detail=", ".join(lacks),
        hint="fill it in the source",
        row=row,
    )


def begin(bench: Workbench, ports: PlanPorts, request: PlanRequest, columns: Sequence[str]) -> Calendar:
    """Leave in `records` what holds on the day of the plan. After the reading, before the mapping.

    Raises:
        ConfigError: An expression gives no day, or the plan is for a day that it cannot be made for.
    """
    validity = request.validity
    today = ports.clock.now().astimezone(ZoneInfo(request.zone)).date()
    day = rules.day_of(validity, today)
    calendar = Calendar(bench, ports, request, today, day)
    if validity.is_known:
        days = tables.check_validity(bench, validity, columns)
        calendar.columns = days[0].columns | days[1].columns
        if validity.as_of is not None:
            tables.pretend(bench, day)
        tables.keep_valid(bench, request.key, days, day, marks=ACTIVE in request.policy.by_path)
        calendar.ended = tables.ended(bench)
    else:
        tables.restore(bench)
    return calendar

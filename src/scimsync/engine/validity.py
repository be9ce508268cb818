"""Who is there on the day that a plan is made for, what is told of the days after it, and who is prepared.

Whoever is out of scope or on leave is not there, and has not left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from zoneinfo import ZoneInfo

from msgspec import Struct, field
from msgspec.structs import replace

from scimsync.core import presence as scope
from scimsync.core import validity as rules
from scimsync.core.lifecycle import ACTIVE
from scimsync.engine.plan_request import PlanPorts, PlanRequest
from scimsync.errors import ConfigError
from scimsync.model.plans import LOGIN, Change, Coming, Finding, Reason, Severity
from scimsync.model.policy import BadValue, Leave, Outside, Policy
from scimsync.workbench import presence
from scimsync.workbench import validity as tables
from scimsync.workbench.bench import Workbench
from scimsync.workbench.expressions import Expression
from scimsync.workbench.mapping import stage_desired
from scimsync.workbench.phones import stage_remembered
from scimsync.workbench.presence import AHEAD, ENDED, LEAVE, OUT


class Calendar(Struct):
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
    #: the keys of people on leave, of people out of scope, and of people who are prepared
    leave: frozenset[str] = frozenset()
    outside: frozenset[str] = frozenset()
    ahead: frozenset[str] = frozenset()

    @property
    def is_known(self) -> bool:
        """Whether the source says anything of days."""
        return self.request.validity.is_known

    @property
    def is_marked(self) -> bool:
        """Whether `records` has marks that say who is there."""
        return self.is_known or self.request.presence.is_known

    @property
    def apart(self) -> frozenset[str]:
        """Whose account may be inactive though nobody left."""
        return self.leave | self.ahead | self.outside

    @property
    def as_of(self) -> date | None:
        """The day of a plan that is made for a day to come, and cannot be applied."""
        return self.request.validity.as_of

    @property
    def ungrouped(self) -> frozenset[str]:
        """Who is in no group because of a leave."""
        return self.leave if scope.GROUPS in self.request.policy.leave_removes else frozenset()

    def mapped(self, expressions: dict[str, Expression]) -> dict[str, Expression]:
        """The mapping, by which whoever has ended is not active, and whoever is away is what policy says."""
        self.expressions = expressions
        if not self.is_marked:
            return expressions
        policy = self.request.policy
        gone = {path: expressions[path] for path in policy.leave_removes if path in expressions}
        found = {
            path: replace(one, sql=f"CASE WHEN {LEAVE} THEN NULL ELSE ({one.sql}) END") for path, one in gone.items()
        }
        if ACTIVE in expressions:
            active = expressions[ACTIVE]
            # also made of the days: where their column went blank, whoever has ended would have access again
            columns = active.columns | self.columns
            sql = (
                f"CASE WHEN {ENDED} OR {AHEAD} THEN false "
                f"WHEN {OUT} THEN {str(policy.outside is Outside.KEEP).lower()} AND coalesce(({active.sql}), true) "
                f"WHEN {LEAVE} THEN {str(policy.leave is not Leave.DISABLE).lower()} ELSE ({active.sql}) END"
            )
            found[ACTIVE] = replace(active, sql=sql, columns=columns)
        return {**expressions, **found}

    def held(self, told: Iterable[Finding]) -> list[Finding]:
        """Hold whose days cannot be told, who has access and no record yet, and who is away. After the mapping.

        Args:
            told: What the mapping tells; of people who are out of scope, it is not ours.
        """
        found = [*self._held()]
        return [*(one for one in told if one.subject not in self.outside), *found]

    def _held(self) -> Iterator[Finding]:
        if self.is_marked:
            yield from self._away()
        if self.is_known:
            paths = [*self.request.policy.by_path]
            bad = tables.hold_bad(self.bench, paths.index(ACTIVE) if ACTIVE in paths else None)
            yield from (rules.of_bad(key, row, what, holds=holds) for key, row, what, holds in bad)
            tables.hold_early(self.bench)

    def _away(self) -> Iterator[Finding]:
        """Lay aside whoever is not written, and remember who is away."""
        bench, policy, key = self.bench, self.request.policy, self.request.key
        out = presence.marked(bench, key, OUT)
        gone = self._gone(out)
        leave = presence.marked(bench, key, f"{LEAVE} AND NOT {ENDED}")
        self.outside, self.leave = frozenset(out) - gone, frozenset(leave)
        self.ahead = frozenset(presence.marked(bench, key, AHEAD))
        unsure = presence.marked(bench, key, f"{LEAVE} IS NULL AND NOT {ENDED}")
        unsure |= {name: out[name] for name in presence.unsure(bench) if name in out}
        held = presence.lay_aside(bench, [n for n, _ in unsure.values()], self._active)
        yield from (scope.of_unsure(name, unsure[name][1]) for name in held)
        keeps = policy.outside is Outside.KEEP or self._active is None
        known = {name: n for name, (n, _) in out.items() if name not in unsure}
        if keeps:
            numbers = [n for name, n in known.items() if name not in gone]
            kept = presence.lay_aside(bench, numbers, self._active, strangers=False)
            yield from [scope.of_outside(kept)] if kept else []
        if self._active is not None:
            numbers = [n for name, n in known.items() if name in gone or not keeps]
            presence.take_access(bench, numbers, self._active)
        if policy.leave is Leave.HOLD:
            numbers = [n for name, (n, _) in leave.items() if name not in self.ahead]
            kept = presence.lay_aside(bench, numbers, self._active)
            yield from [scope.of_leave(kept)] if kept else []
        if self.ahead:
            yield scope.of_prepared(sorted(self.ahead))

    def _gone(self, out: Mapping[str, object]) -> frozenset[str]:
        """Who of those out of scope has left, as their own record says: they left, whatever the scope is."""
        if not out or ACTIVE not in self.expressions:
            return frozenset()
        test = f"{OUT} AND coalesce(NOT TRY(({self.expressions[ACTIVE].sql})), false)"
        return frozenset(presence.marked(self.bench, self.request.key, test))

    @property
    def _active(self) -> int | None:
        paths = [*self.request.policy.by_path]
        return paths.index(ACTIVE) if ACTIVE in paths else None

    def met(self) -> None:
        """Leave alone who joins later and has access already. After correlation."""
        if self.ahead and self._active is not None:
            presence.settle_ahead(self.bench, self._active)

    def unknown(self, keys: Sequence[str]) -> list[str]:
        """Those of some keys that also no later record has."""
        return [key for key in keys if not (self.is_known and tables.is_early(self.bench, key))]

    def explained(self, changes: Iterable[Change]) -> list[Change]:
        """The changes, with the reason of whoever has ended, is away, or comes back."""
        told = rules.explained(changes, self.ended) if self.ended else [*changes]
        if not self.is_marked:
            return told
        away = dict.fromkeys(self.outside, Reason.OUTSIDE) | dict.fromkeys(self.leave, Reason.AWAY)
        away = {key: why for key, why in away.items() if key not in self.ended}
        return scope.explained(told, scope.Absence(away=away, back=self._back(told)))

    def _back(self, changes: Iterable[Change]) -> dict[str, Reason]:
        """Why access is given to people who had not left: nobody remembers that they did."""
        left = {one.key for one in self.ports.store.endings()}
        keys = [change.key for change in changes if change.key not in left]
        policy = self.request.policy
        back = (
            dict.fromkeys(keys, Reason.BACK) if self.request.presence.on_leave and policy.leave is Leave.DISABLE else {}
        )
        if not policy.create_before:
            return back
        since = self.day - policy.create_before - rules.AHEAD
        began = presence.first_days(self.bench, since, self.day)
        return back | {key: Reason.BEGAN for key in keys if key in began}

    def coming(self, *others: Callable[[ZoneInfo], Iterable[Coming]]) -> tuple[Coming, ...]:
        """Who joins, moves and leaves: until the day of the plan, or in the days after today.

        Args:
            others: What else says of somebody what will be done on which day of a zone.
        """
        until = self.today + rules.AHEAD if self.as_of is None else self.day
        found = [*tables.coming(self.bench, self.today, until)] if self.is_known else []
        zone, only = ZoneInfo(self.request.zone), frozenset(self.request.only)
        found += [one for other in others for one in other(zone) if one.day <= until]
        told = (one for one in found if not only or one.key in only)
        return tuple(sorted(told, key=lambda one: (one.day, one.key, one.word)))

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
    if request.is_delta and not bench.number("SELECT count(*) FROM records"):  # no column has a type
        request = replace(
            request, validity=replace(rules.ALWAYS, as_of=request.validity.as_of), presence=scope.ALL_THERE
        )
    validity, policy = request.validity, request.policy
    today = ports.clock.now().astimezone(ZoneInfo(request.zone)).date()
    day = rules.day_of(validity, today)
    calendar = Calendar(bench, ports, request, today, day)
    _check(policy, validity, request.presence)
    checked = presence.check_presence(bench, request.presence, columns)
    if calendar.is_marked:
        presence.prepare(bench)
    else:
        presence.restore(bench)
    if checked.where is not None:
        presence.leave_scope(bench, request.key, checked.where, may_be_empty=request.is_delta)
    if validity.is_known:
        _leave_what_holds(calendar, columns, has_scope=checked.where is not None)
    if checked.where is not None:
        presence.mark_outside(bench, request.key)
    if checked.order:
        presence.choose(bench, request.key, checked.order)
    if checked.leave is not None:
        presence.mark_leave(bench, checked.leave)
    if validity.is_known:
        calendar.ended = tables.ended(bench)
    calendar.columns |= checked.columns
    return calendar


def _leave_what_holds(calendar: Calendar, columns: Sequence[str], *, has_scope: bool) -> None:
    """Set aside the records that do not hold on the day, and find out which of those out of scope do."""
    bench, request, day = calendar.bench, calendar.request, calendar.day
    days = tables.check_validity(bench, request.validity, columns)
    calendar.columns = days[0].columns | days[1].columns
    if request.validity.as_of is not None:
        tables.pretend(bench, day)
    if has_scope:
        tables.date_outside(bench, days, day)
    tables.keep_valid(bench, request.key, days, day, marks=ACTIVE in request.policy.by_path)
    if request.policy.create_before:
        presence.bring_ahead(bench, day + request.policy.create_before)


def _check(policy: Policy, validity: rules.Validity, presence_: scope.Presence) -> None:
    """Refuse what cannot work.

    Raises:
        ConfigError: With every fault.
    """
    faults = []
    needs = [
        ("create_before", bool(policy.create_before)),
        ('leave = "disable"', bool(presence_.on_leave) and policy.leave is Leave.DISABLE),
    ]
    faults += [
        f"[policy] {key}: [attributes] does not map active, so no account can be inactive. Map it."
        for key, wanted in needs
        if wanted and ACTIVE not in policy.by_path
    ]
    if policy.create_before and not validity.first:
        faults.append(
            '[policy] create_before: the source does not say the first day. Name it: [source] valid_from = "hire_date".'
        )
    for path in sorted(policy.leave_removes):
        if path != scope.GROUPS and path not in policy.by_path:
            faults.append(f"[policy] leave_removes: {path} is not mapped in [attributes], so it is never changed")
    if faults:
        raise ConfigError(*faults)

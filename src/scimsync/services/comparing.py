"""What a change of configuration does by itself: one reading, planned under both, and the difference told by rule."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from scimsync.bootstrap import make_clock, now
from scimsync.bootstrap_sources import make_source
from scimsync.config import Settings, SourceSettings, load
from scimsync.core import changed_rules
from scimsync.core.changed_rules import Rule
from scimsync.core.differing_plans import difference
from scimsync.core.effects import Effect, Item, attributed, effects, items
from scimsync.engine import offline, planning
from scimsync.engine.ports import Clock, Observer, Source, Store
from scimsync.engine.unwritten import unwritten
from scimsync.errors import ConfigError
from scimsync.model.contracts import Contract
from scimsync.model.plans import Plan
from scimsync.services.observing import Telemetry
from scimsync.services.offline import check_choices, room
from scimsync.services.planning import Choices, ports_of, request_of
from scimsync.workbench.bench import Workbench
from scimsync.workbench.relinked import keep_pairing, relinked

__all__ = ["Comparison", "Effect", "Item", "Rule", "compare", "load_both"]

#: how a revision of the same file is named
GIT = "git:"
#: so many changed rules are each planned alone, to tell which of them does what
MOST_ALONE = 6
SOURCE, TARGET, GROUPS, EXPECT, RULES = "[source]", "[target]", "[groups]", "[source.expect]", "[[rule]]"


class Comparison(Struct, frozen=True, kw_only=True):
    """What one configuration would do and another would not."""

    #: how both are named
    before: str
    after: str
    #: when the accounts were read, and how many there are
    read_at: datetime
    accounts: int
    rules: tuple[Rule, ...]
    effects: tuple[Effect, ...]

    @property
    def idle(self) -> tuple[Rule, ...]:
        """The rules that changed and do nothing by themselves, on what is known today."""
        busy = {effect.rule for effect in self.effects}
        return tuple(rule for rule in self.rules if rule.name not in busy)


class Two(Struct, frozen=True):
    """Two configurations, and how they are named."""

    before: Settings
    after: Settings
    names: tuple[str, str]


def load_both(file: Path, other: str) -> Two:
    """Read two configurations; no secret of the target is needed.

    Args:
        file: What the configuration shall be.
        other: What it was: another file, or `git:REV` for the same file at a git revision.

    Raises:
        ConfigError: With every fault of either, each with its file; or they are about two directories.
    """
    revision = other.removeprefix(GIT) if other.startswith(GIT) else ""
    if other.startswith(GIT) and not revision:
        raise ConfigError("--compare-config git: needs a revision: git:main")
    was, names = (file if revision else Path(other)), (f"{file.name} at {revision}" if revision else other, str(file))
    found: list[Settings] = []
    faults: list[str] = []
    for path, at, name in ((was, revision, names[0]), (file, "", names[1])):
        try:
            found.append(load(path, secrets=False, revision=at, name=name))
        except ConfigError as error:
            faults += error.faults
    if faults:
        raise ConfigError(*faults)
    before, after = found
    if before.target.address != after.target.address:
        raise ConfigError(
            f"{names[0]} is about {before.target.address}, and {names[1]} about {after.target.address}: what they do "
            "to two directories cannot be compared. Give both the same [target]."
        )
    return Two(before, after, names)


async def compare(two: Two, store: Store, observer: Observer, choices: Choices) -> Comparison:
    """Plan one reading under both configurations, without the directory, and tell what comes of the change.

    Nothing is kept: neither plan is stored.

    Args:
        two: Both configurations. The second says where the state is.
        store: The state, which is only read.
        observer: Told how far the work is.
        choices: What a person asked for.

    Raises:
        ConfigError: The mapping of one does not fit its source; all faults of it, each with its file.
        PlanStale: The state remembers no whole reading.
        SourceError: A source cannot be read.
    """
    check_choices(choices)
    with ExitStack() as stack:
        return await _Comparing(two, store, observer, choices, stack, _Still(make_clock(), now())).run()


class _Still(Struct, frozen=True):
    """A clock that shows one moment, so that no plan is later than another."""

    clock: Clock
    moment: datetime

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self.clock.sleep(seconds)


class _Comparing(Struct):
    two: Two
    store: Store
    observer: Observer
    choices: Choices
    stack: ExitStack
    clock: Clock
    #: one reading for each way in which the source is configured
    rooms: dict[SourceSettings, tuple[Workbench, Source]] = field(default_factory=dict)

    async def run(self) -> Comparison:
        before, after = self.two.before, self.two.after
        first, bench = await self._named(before, 0)
        pairing = bench.spool / "pairing-before.parquet"
        keep_pairing(bench, pairing)
        second, bench = await self._named(after, 1)
        total = items(difference(first, second), relinked(bench, pairing))
        rules = rules_of(before, after)
        alone = await self._alone(rules, first, pairing) if total else None
        assert second.offline is not None  # noqa: S101 - it was made so
        return Comparison(
            before=self.two.names[0],
            after=self.two.names[1],
            read_at=second.offline,
            accounts=second.tally.accounts,
            rules=rules,
            effects=effects(total, attributed(total, [rule.name for rule in rules], alone)),
        )

    async def _alone(self, rules: Sequence[Rule], first: Plan, pairing: Path) -> dict[str, Collection[Item]] | None:
        """What each rule does alone; None where that need not, or cannot, be looked at."""
        names = [rule.name for rule in rules]
        if not 1 < len(names) <= MOST_ALONE or TARGET in names:
            return None
        found: dict[str, Collection[Item]] = {}
        for name in names:
            try:
                made, bench = await self._plan(under(self.two.before, self.two.after, name))
            except ConfigError:  # one change needs the other
                found[name] = ()
            else:
                found[name] = items(difference(first, made), relinked(bench, pairing))
        return found

    async def _named(self, settings: Settings, side: int) -> tuple[Plan, Workbench]:
        """Plan; faults name the configuration."""
        try:
            return await self._plan(settings)
        except ConfigError as error:
            raise ConfigError(*(f"{self.two.names[side]}: {fault}" for fault in error.faults)) from error

    async def _plan(self, settings: Settings) -> tuple[Plan, Workbench]:
        if settings.source not in self.rooms:
            bench = self.stack.enter_context(room(replace(settings, state=self.two.after.state), self.store))
            self.rooms[settings.source] = (bench, make_source(settings))
        bench, source = self.rooms[settings.source]
        known = offline.recalled(bench, self.store, settings.policy, settings.target.address)
        quiet, target = unwritten(self.store), offline.unasked(settings.target.address, self.store)
        ports = replace(
            ports_of(settings, quiet, Telemetry(self.observer), source, target), clock=self.clock, phones_kept=False
        )
        request = replace(request_of(settings, self.choices), offline=known, each=True)
        return await planning.make_plan(ports, request, bench), bench


def rules_of(before: Settings, after: Settings) -> tuple[Rule, ...]:
    """The rules in which two configurations differ."""
    rules = [*changed_rules.changed(before.policy, after.policy)]
    if before.source != after.source:
        differing = [
            name
            for name in SourceSettings.__struct_fields__
            if getattr(before.source, name) != getattr(after.source, name)
        ]
        rules.append(Rule(SOURCE, "", ", ".join(differing)))
    if before.groups != after.groups and all(rule.name != GROUPS for rule in rules):
        rules.append(Rule(GROUPS, "", "where memberships are read"))
    if before.contract.expect != after.contract.expect:
        rules.append(Rule(EXPECT, "", "what is expected of the source"))
    if before.contract.rules != after.contract.rules:
        names = [", ".join(one.name for one in side.contract.rules) for side in (before, after)]
        rules.append(Rule(RULES, *names))
    if before.target.dialect != after.target.dialect:
        rules.append(Rule(TARGET, before.target.dialect.name, after.target.dialect.name))
    return tuple(rules)


def under(before: Settings, after: Settings, rule: str) -> Settings:
    """The first configuration with one changed rule of the second."""
    return replace(
        before,
        policy=changed_rules.under(before.policy, after.policy, {rule}),
        source=after.source if rule == SOURCE else before.source,
        groups=after.groups if rule == GROUPS else before.groups,
        contract=Contract(
            expect=(after if rule == EXPECT else before).contract.expect,
            rules=(after if rule == RULES else before).contract.rules,
        ),
    )

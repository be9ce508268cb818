"""plan, apply, sync, runs."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

import click
from msgspec import Struct, field
from msgspec.structs import replace

from scimsync import files
from scimsync.cli import foresight, interrupting, render
from scimsync.cli.codes import HAS_CHANGES, NOT_ALL_DONE
from scimsync.cli.interrupting import Interrupted
from scimsync.cli.progress import Bar
from scimsync.config import Settings, load
from scimsync.core import leaving, waiting
from scimsync.core.rings import shares_of
from scimsync.errors import ConfigError, PlanRefused, PlanStale, PlanWaits
from scimsync.model.plans import Plan
from scimsync.model.reports import Report
from scimsync.services import approving, observing, offline, planning, state, unmanaged
from scimsync.services import runs as past
from scimsync.services.planning import Choices
from scimsync.services.runs import PastRun
from scimsync.services.state import Store
from scimsync.showing.words import counted


class Options(Struct, frozen=True, kw_only=True):
    """What stands on the command line; each command reads what it knows."""

    config: Path = Path("scimsync.toml")
    users: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    overrides: Mapping[str, str] = field(default_factory=dict)
    plan: str = ""
    run: str = ""
    out: Path | None = None
    keep_accounts: Path | None = None
    html: Path | None = None
    depth: str | None = None
    log: str | None = None
    everybody: bool = False
    as_json: bool = False
    detailed_exitcode: bool = False
    as_of: datetime | None = None
    offline: bool = False
    compare_config: str = ""
    markdown: bool = False
    examples: str | None = None
    yes: bool = False
    apply: bool = False
    rings: str = ""
    resume: bool = False

    @classmethod
    def of(cls, given: Mapping[str, object]) -> Options:
        """From click's parameters."""
        known = set(cls.__struct_fields__)
        return cls(**{name: value for name, value in given.items() if name in known})  # type: ignore[arg-type]

    @property
    def settings(self) -> Settings:
        """The configuration, with what the command line says about the log."""
        found = load(self.config)
        return replace(found, log=replace(found.log, format=self.log)) if self.log else found

    @property
    def choices(self) -> Choices:
        """What it means for the engine.

        Raises:
            ConfigError: A rule that shall be set aside does not exist, or a folder to write to.
        """
        planning.check_rules(self.overrides)
        if self.keep_accounts is not None and not self.keep_accounts.absolute().parent.is_dir():
            raise ConfigError(f"--keep-accounts {self.keep_accounts}: there is no such folder. Make it first.")
        return Choices(
            only=self.users,
            overrides=self.overrides,
            keep=self.keep_accounts,
            depth=planning.depth_of(self.depth),
            as_of=self.as_of.date() if self.as_of else None,
            rings=self._rings(),
            resume=self.resume,
        )

    def _rings(self) -> tuple[float, ...] | None:
        try:
            return shares_of(self.rings.split(",")) if self.rings else None
        except ValueError as error:
            raise ConfigError(f"--rings {self.rings}: {error}. For example: --rings 1%,10%,100%") from error


def show(lines: Iterable[str]) -> None:
    """Print data on stdout, without colours where nobody sees them."""
    for line in lines:
        click.echo(line)


def show_json(document: object) -> None:
    """Print one JSON document on stdout."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def plan(options: Options) -> int:
    """The plan command; returns the exit code."""
    if options.markdown or options.examples:
        raise ConfigError("--markdown and --examples are about --compare-config FILE|git:REV: give that too.")
    settings = load(options.config, secrets=False) if options.offline else options.settings
    with state.open_store(settings) as store:
        if not options.offline and planning.has_unfinished(store):
            settle(settings, store)
        with Bar() as bar:
            work = offline.plan if options.offline else planning.plan
            made = interrupting.run(work(settings, store, bar, options.choices))
        if options.out is not None:
            write_out(store, made, options.out)
        if options.html is not None:
            _write_html(settings, store, past.of_plan(store, made), options.html)
        waits = "" if options.offline or options.as_of else approving.wait(settings, store, made)
    if options.as_json:
        show_json(render.plan_document(made))
    else:
        show(render.plan_lines(made, everybody=options.everybody, only=options.users))
        _next_step(made, waits)
    _warn(leaving.by_plan(made))
    if made.refusals:
        return PlanRefused.exit_code
    return HAS_CHANGES if options.detailed_exitcode and made.writes else 0


def write_out(store: Store, made: Plan, out: Path) -> None:
    """Also write a plan that was stored to a file.

    Raises:
        ConfigError: It cannot be written there.
    """
    try:
        files.write(out, [planning.stored(store, made)])
    except OSError as error:
        raise ConfigError(
            f"--out {out}: cannot be written ({error.strerror}). Name a file in a folder that is there and yours; "
            f"the plan itself is stored: scimsync apply {made.id}"
        ) from error


def _write_html(settings: Settings, store: Store, told: PastRun, file: Path) -> None:
    from scimsync.cli import report  # noqa: PLC0415 - loads Jinja2
    from scimsync.showing import figures  # noqa: PLC0415

    path, groups = planning.chart_groups(settings, store, told.run, told.plan)
    story = report.Story(
        plan=told.plan,
        grouping=figures.Grouping(path=path, of=groups),
        run=told.run,
        journal=told.journal,
        unmanaged=unmanaged.of_plan(settings, store, told.plan.id),
        when=told.at,
    )
    try:
        files.write(file, [report.page(story).encode()])
    except OSError as error:
        raise ConfigError(
            f"--html {file}: cannot be written ({error.strerror}). Name a file in a folder that is there and yours, "
            f"and write it again: scimsync runs {told.run.id} --html FILE"
        ) from error


def _next_step(made: Plan, waits: str) -> None:
    if waits and not made.refusals:
        click.echo(waits, err=True)
        return
    real = made.as_of is None and made.offline is None
    if made.writes and not made.refusals and real and sys.stdout.isatty():
        click.echo("Carry it out with: scimsync apply", err=True)


def apply(options: Options) -> int:
    """The apply command; returns the exit code."""
    from scimsync.services import applying  # noqa: PLC0415 - what writes, which a plan need not load

    settings = options.settings
    with state.held(settings) as store:
        made, _ = planning.find_plan(store, options.plan)
        if applying.wants_consent(made, options.overrides) and not options.yes:
            if words := approving.wait(settings, store, made):
                raise PlanWaits(words)
            _ask(made, options)
        return _apply(settings, store, made, options)


def _ask(made: Plan, options: Options) -> None:
    """Let the person at the terminal agree; a plan that is named is one that was read.

    Raises:
        ConfigError: Nobody is there to be asked.
        PlanStale: The person says no.
    """
    number = counted(made.writes, "change")
    if not sys.stdin.isatty():
        raise ConfigError(
            f"apply: {number} would be written, and there is no terminal to ask at. Nothing was sent. Read the plan "
            f"(scimsync runs {made.id} --all), then: scimsync apply {made.id} --yes"
        )
    if not options.plan:
        show(render.plan_lines(made))
        if not click.confirm(f"Apply {'this' if made.writes == 1 else 'these'} {number}?", err=True):
            raise PlanStale("nothing was sent. Apply it later with: scimsync apply")


def settle(settings: Settings, store: Store) -> None:
    """Take note of what a run that was cut short had done, where nobody else is at work."""
    from scimsync.services import applying  # noqa: PLC0415 - what writes, which a plan need not load

    with Bar() as bar:
        interrupting.run(applying.settle_where_free(settings, store, bar))


def sync(options: Options) -> int:
    """The sync command; returns the exit code."""
    from scimsync.services import applying  # noqa: PLC0415 - what writes, which a plan need not load

    settings = options.settings
    with state.held(settings) as store:
        with Bar() as bar:
            interrupting.run(applying.settle(settings, store, bar))
        with Bar() as bar:
            made = interrupting.run(planning.plan(settings, store, bar, options.choices))
        if not options.as_json:
            show(render.plan_lines(made, everybody=options.everybody, only=options.users))
        return _apply(settings, store, made, options)


def _apply(settings: Settings, store: Store, made: Plan, options: Options) -> int:
    report = _carry_out(settings, store, made, options)
    if options.as_json:
        show_json(render.report_document(report))
    else:
        show(render.report_lines(report, everybody=options.everybody))
    _warn(report.kept)
    return NOT_ALL_DONE if waiting.waits(made) or report.kept or not report.clean else 0


def _warn(kept: Mapping[str, str]) -> None:
    """The closing line: leavers who keep access."""
    if kept:
        click.echo(leaving.sentence(kept), err=True)


def _carry_out(settings: Settings, store: Store, made: Plan, options: Options) -> Report:
    """Apply; the first signal lets running writes end, the second does not wait for them."""
    from scimsync.services import applying  # noqa: PLC0415 - what writes, which a plan need not load

    stop = asyncio.Event()
    with Bar() as bar:

        def ask() -> None:
            stop.set()
            bar.say("Stopping after the writes in progress. Press Ctrl-C (or send the signal) again to stop at once.")

        work = applying.apply(settings, store, bar, (made, store.run(made.id)), options.choices, stop)
        try:
            return interrupting.run(work, ask)
        except Interrupted as stopped:
            click.echo(f"Stopped at once ({stopped}). Continue with: scimsync apply {made.id}", err=True)
            sys.exit(NOT_ALL_DONE)


def runs(options: Options) -> int:
    """The runs command; returns the exit code. It never talks to the target, and needs no credentials."""
    settings = load(options.config, secrets=False)
    if options.html is not None and not options.run:
        raise ConfigError("--html needs RUN, the id of a run or its beginning. List them with: scimsync runs")
    with state.open_store(settings) as store:
        if not options.run:
            listed = past.listed(store)
            if options.as_json:
                show_json([render.run_document(run) for run in listed])
            else:
                show(map(render.run_line, listed) if listed else ["No runs yet. Make a plan with: scimsync plan"])
            return 0
        told = past.find(store, options.run)
        if options.html is not None:
            _write_html(settings, store, told, options.html)
    if options.as_json:
        show_json(
            {
                **render.run_document(told.run),
                "plan": render.plan_document(told.plan),
                "outcomes": [render.outcome_document(o) for o in told.outcomes],
            }
        )
    else:
        show(
            [render.run_line(told.run), "", *render.plan_lines(told.plan, everybody=options.everybody, kept=told.kept)]
        )
        show(["", *foresight.reality_lines(told.plan, told.run)])
        show(render.outcome_lines(told.outcomes, everybody=options.everybody))
    return 0


def metrics(options: Options) -> int:
    """The metrics command; returns the exit code. It never talks to the target, and needs no credentials."""
    with state.open_store(load(options.config, secrets=False)) as store:
        if options.as_json:
            show_json(observing.metrics_document(store))
        else:
            show(observing.exposition(store).decode().splitlines())
    return 0

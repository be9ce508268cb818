"""plan, apply, sync, runs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import click

from scimsync import bootstrap, files
from scimsync.cli import interrupting, render
from scimsync.cli.codes import HAS_CHANGES, NOT_ALL_DONE
from scimsync.cli.interrupting import Interrupted
from scimsync.cli.progress import Bar
from scimsync.config import Settings, load
from scimsync.core import leaving, waiting
from scimsync.engine.ports import Store
from scimsync.errors import ConfigError, PlanRefused, PlanStale, StoreLocked
from scimsync.model.outcomes import Run, RunState
from scimsync.model.plans import Plan
from scimsync.model.reports import Report
from scimsync.services import observing, planning
from scimsync.services.planning import Choices


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What stands on the command line; each command reads what it knows."""

    config: Path = Path("scimsync.toml")
    users: tuple[str, ...] = ()
    overrides: Mapping[str, str] = field(default_factory=dict)
    plan: str = ""
    run: str = ""
    out: Path | None = None
    keep_accounts: Path | None = None
    html: Path | None = None
    log: str | None = None
    everybody: bool = False
    as_json: bool = False
    detailed_exitcode: bool = False
    yes: bool = False

    @classmethod
    def of(cls, given: Mapping[str, object]) -> Given:
        """From click's parameters."""
        known = {f.name for f in fields(cls)}
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
        return Choices(only=self.users, overrides=self.overrides, keep=self.keep_accounts)


def show(lines: Iterable[str]) -> None:
    """Print data on stdout, without colours where nobody sees them."""
    for line in lines:
        click.echo(line)


def show_json(document: object) -> None:
    """Print one JSON document on stdout."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def plan(given: Given) -> int:
    """The plan command; returns the exit code."""
    settings = given.settings
    with bootstrap.open_store(settings, quick=True) as store:
        if planning.has_unfinished(store):
            with contextlib.suppress(StoreLocked), store.lease(bootstrap.owner()):
                _settle(settings, store)
        with Bar() as bar:
            made = interrupting.run(planning.plan(settings, store, bar, given.choices))
        if given.out is not None:
            _write_out(store, made, given.out)
        if given.html is not None and (run := store.run(made.id)) is not None:
            _write_html(settings, store, run, made, given.html)
    if given.as_json:
        show_json(render.plan_document(made))
    else:
        show(render.plan_lines(made, everybody=given.everybody, only=given.users))
        _next_step(made)
    _warn(leaving.by_plan(made))
    if made.refusals:
        return PlanRefused.exit_code
    return HAS_CHANGES if given.detailed_exitcode and made.writes else 0


def _write_out(store: Store, made: Plan, out: Path) -> None:
    run = store.run(made.id)
    try:
        files.write(out, [store.artifact(run.plan if run else "").read_bytes()])
    except OSError as error:
        raise ConfigError(
            f"--out {out}: cannot be written ({error.strerror}). Name a file in a folder that is there and yours; "
            f"the plan itself is stored: scimsync apply {made.id}"
        ) from error


def _write_html(settings: Settings, store: Store, run: Run, made: Plan, file: Path) -> None:
    from scimsync.cli import figures, report  # noqa: PLC0415 - loads Jinja2

    path, groups = planning.chart_groups(settings, store, run, made)
    story = report.Story(
        plan=made,
        grouping=figures.Grouping(path=path, of=groups),
        run=run,
        journal=list(store.journal(run.id)),
        when=bootstrap.now(),
    )
    try:
        files.write(file, [report.page(story).encode()])
    except OSError as error:
        raise ConfigError(
            f"--html {file}: cannot be written ({error.strerror}). Name a file in a folder that is there and yours, "
            f"and write it again: scimsync runs {run.id} --html FILE"
        ) from error


def _next_step(made: Plan) -> None:
    if made.writes and not made.refusals and sys.stdout.isatty():
        click.echo("Carry it out with: scimsync apply", err=True)


def apply(given: Given) -> int:
    """The apply command; returns the exit code."""
    settings = given.settings
    with bootstrap.open_store(settings) as store, store.lease(bootstrap.owner()):
        found = planning.find_plan(store, given.plan)
        refused = any(refusal.code not in given.overrides for refusal in found[0].refusals)
        if found[0].writes and not refused and not given.yes:
            _ask(found[0], given)
        return _apply(settings, store, found[0], given)


def _ask(made: Plan, given: Given) -> None:
    """Let the person at the terminal agree; a plan that is named is one that was read.

    Raises:
        ConfigError: Nobody is there to be asked.
        PlanStale: The person says no.
    """
    number = render.counted(made.writes, "change")
    if not sys.stdin.isatty():
        raise ConfigError(
            f"apply: {number} would be written, and there is no terminal to ask at. Nothing was sent. Read the plan "
            f"(scimsync runs {made.id} --all), then: scimsync apply {made.id} --yes"
        )
    if not given.plan:
        show(render.plan_lines(made))
        if not click.confirm(f"Apply {'this' if made.writes == 1 else 'these'} {number}?", err=True):
            raise PlanStale("nothing was sent. Apply it later with: scimsync apply")


def sync(given: Given) -> int:
    """The sync command; returns the exit code."""
    settings = given.settings
    with bootstrap.open_store(settings) as store, store.lease(bootstrap.owner()):
        _settle(settings, store)
        with Bar() as bar:
            made = interrupting.run(planning.plan(settings, store, bar, given.choices))
        if not given.as_json:
            show(render.plan_lines(made, everybody=given.everybody, only=given.users))
        return _apply(settings, store, made, given)


def _settle(settings: Settings, store: Store) -> None:
    """Take note of what a run that was cut short had done. The caller holds the lease."""
    from scimsync.services import applying  # noqa: PLC0415 - what writes, which a plan need not load

    with Bar() as bar:
        interrupting.run(applying.settle(settings, store, bar))


def _apply(settings: Settings, store: Store, made: Plan, given: Given) -> int:
    report = _carry_out(settings, store, made, given)
    if given.as_json:
        show_json(render.report_document(report))
    else:
        show(render.report_lines(report, everybody=given.everybody))
    _warn(report.kept)
    return NOT_ALL_DONE if waiting.waits(made) or report.kept or not report.clean else 0


def _warn(kept: Mapping[str, str]) -> None:
    """The closing line: leavers who keep access."""
    if kept:
        click.echo(leaving.sentence(kept), err=True)


def _carry_out(settings: Settings, store: Store, made: Plan, given: Given) -> Report:
    """Apply; the first signal lets running writes end, the second does not wait for them."""
    from scimsync.services import applying  # noqa: PLC0415 - what writes, which a plan need not load

    stop = asyncio.Event()
    with Bar() as bar:

        def ask() -> None:
            stop.set()
            bar.say("Stopping: running writes are brought to their end. Again to stop at once.")

        work = applying.apply(settings, store, bar, (made, store.run(made.id)), given.choices, stop)
        try:
            return interrupting.run(work, ask)
        except Interrupted as stopped:
            click.echo(f"Stopped at once ({stopped}). Go on with it: scimsync apply {made.id}", err=True)
            sys.exit(NOT_ALL_DONE)


def runs(given: Given) -> int:
    """The runs command; returns the exit code. It never talks to the target, and needs no credentials."""
    settings = load(given.config, secrets=False)
    if given.html is not None and not given.run:
        raise ConfigError("--html needs RUN, the id of a run or its beginning. List them with: scimsync runs")
    with bootstrap.open_store(settings) as store:
        if not given.run:
            listed = store.runs()
            if given.as_json:
                show_json([render.run_document(run) for run in listed])
            else:
                show(map(render.run_line, listed) if listed else ["No runs yet. Make a plan with: scimsync plan"])
            return 0
        run = store.run(given.run)
        if run is None:
            raise PlanStale(f"there is no run {given.run!r}. List them with: scimsync runs")
        made = planning.as_applied(store, planning.read_plan(store.artifact(run.plan)))
        if given.html is not None:
            _write_html(settings, store, run, made, given.html)
        outcomes = [line.outcome for line in store.journal(run.id) if line.outcome is not None]
        if given.as_json:
            show_json(
                {
                    **render.run_document(run),
                    "plan": render.plan_document(made),
                    "outcomes": [render.outcome_document(o) for o in outcomes],
                }
            )
        else:
            began = run.state not in {RunState.PLANNED, RunState.REFUSED}
            kept = leaving.by_run(made, {(o.key, o.part): o for o in outcomes}) if began else None
            show([render.run_line(run), "", *render.plan_lines(made, everybody=given.everybody, kept=kept), ""])
            show(render.outcome_lines(outcomes, everybody=given.everybody))
    return 0


def metrics(given: Given) -> int:
    """The metrics command; returns the exit code. It never talks to the target, and needs no credentials."""
    with bootstrap.open_store(load(given.config, secrets=False)) as store:
        if given.as_json:
            show_json(observing.metrics_document(store))
        else:
            show(observing.exposition(store).decode().splitlines())
    return 0

"""undo, restore: plans that look back; shown, kept and applied as all plans are."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import click
from msgspec.structs import replace

from scimsync.cli import interrupting, render, running
from scimsync.cli.codes import HAS_CHANGES, NOT_ALL_DONE
from scimsync.cli.progress import Bar
from scimsync.cli.running import Options
from scimsync.config import Settings
from scimsync.core import waiting
from scimsync.errors import ConfigError, PlanRefused, PlanStale
from scimsync.model.plans import Plan
from scimsync.services import planning, state, undoing
from scimsync.services.state import Store
from scimsync.showing.words import counted

__all__ = ["Options", "restore", "undo"]


def undo(options: Options) -> int:
    """The undo command; returns the exit code."""
    settings = options.settings

    def work(store: Store, bar: Bar) -> Coroutine[object, object, Plan]:
        return undoing.undo(settings, store, bar, options.run, options.choices, options.attributes)

    return _plan(settings, options, work)


def restore(options: Options) -> int:
    """The restore command; returns the exit code."""
    settings = options.settings
    choices = replace(options.choices, as_of=None)
    moment = _moment(options.as_of, settings)

    def work(store: Store, bar: Bar) -> Coroutine[object, object, Plan]:
        return undoing.restore(settings, store, bar, moment, choices, options.attributes)

    return _plan(settings, options, work)


def _moment(given: datetime | None, settings: Settings) -> datetime:
    """A time as a person writes it: in the time zone of the source, unless it says another."""
    if given is None:
        raise ConfigError("restore: say to when, with --as-of TIME.")
    return (given if given.tzinfo else given.replace(tzinfo=ZoneInfo(settings.source.zone))).astimezone(UTC)


def _plan(settings: Settings, options: Options, work: Callable[[Store, Bar], Coroutine[object, object, Plan]]) -> int:
    with state.open_store(settings) as store:
        if planning.has_unfinished(store):
            running.settle(settings, store)
        with Bar() as bar:
            made = interrupting.run(work(store, bar))
        if options.out is not None:
            running.write_out(store, made, options.out)
    if not (options.as_json and options.apply):
        _show(made, options)
    if options.apply and made.writes:
        _ask(made, options)
        return running.apply(replace(options, plan=made.id, yes=True))
    if made.refusals:
        return PlanRefused.exit_code
    if made.writes and not options.as_json:
        click.echo(f"Carry it out with: scimsync apply {made.id}", err=True)
    if options.detailed_exitcode and made.writes:
        return HAS_CHANGES
    return NOT_ALL_DONE if options.apply and waiting.waits(made) else 0


def _show(made: Plan, options: Options) -> None:
    if options.as_json:
        running.show_json(render.plan_document(made))
    else:
        running.show(render.plan_lines(made, everybody=options.everybody, only=options.users))


def _ask(made: Plan, options: Options) -> None:
    """Let the person at the terminal agree to what was just shown.

    Raises:
        ConfigError: Nobody is there to be asked.
        PlanStale: The person says no.
    """
    if options.yes or (made.refusals and not options.overrides):
        return
    if not sys.stdin.isatty():
        raise ConfigError(
            f"--apply: {counted(made.writes, 'change')} would be written, and there is no terminal to ask at. "
            f"Nothing was sent. Add --yes, or: scimsync apply {made.id} --yes"
        )
    if not click.confirm(
        f"Apply {'this' if made.writes == 1 else 'these'} {counted(made.writes, 'change')}?", err=True
    ):
        raise PlanStale(f"nothing was sent. Apply it later with: scimsync apply {made.id}")

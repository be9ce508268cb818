"""plan leave-out."""

from __future__ import annotations

from pathlib import Path

import click
from msgspec import Struct

from scimsync.cli import render
from scimsync.cli.running import show, show_json
from scimsync.config import load
from scimsync.core import leaving
from scimsync.errors import PlanRefused
from scimsync.services import approving, state, trimming
from scimsync.services.acting import this_person
from scimsync.services.trimming import Chosen


class Options(Struct, frozen=True, kw_only=True):
    """What stands on the command line."""

    plan: str = ""
    users: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    departments: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    reason: str = ""
    everybody: bool = False
    as_json: bool = False


def leave_out(config: Path, options: Options) -> int:
    """The plan leave-out command; returns the exit code. It never talks to the target, and needs no credentials."""
    settings = load(config, secrets=False)
    chosen = Chosen(
        users=options.users,
        actions=options.actions,
        attributes=options.attributes,
        departments=options.departments,
        groups=options.groups,
    )
    with state.open_store(settings) as store:
        made = trimming.leave_out(settings, store, options.plan, chosen, this_person(), options.reason)
        waits = approving.wait(settings, store, made)
    if options.as_json:
        show_json(render.plan_document(made))
    else:
        show(render.plan_lines(made, everybody=options.everybody))
        click.echo(waits or f"Carry it out with: scimsync apply {made.id}", err=True)
    if kept := leaving.by_plan(made):
        click.echo(leaving.sentence(kept), err=True)
    return PlanRefused.exit_code if made.refusals else 0

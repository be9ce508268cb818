"""conflicts: list them, show one, decide, take back, export."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import click
from msgspec import Struct

from scimsync.cli import interrupting, render, running
from scimsync.cli.finding_text import printable
from scimsync.cli.progress import Bar
from scimsync.cli.render import value_text
from scimsync.cli.running import show, show_json
from scimsync.config import Settings, load
from scimsync.errors import ConfigError, PlanRefused, PlanStale, ScimsyncError
from scimsync.model.decisions import Decision, Scope, Wins
from scimsync.model.plans import Plan
from scimsync.scim.kept import value_to_json
from scimsync.services import deciding, planning, state
from scimsync.services.acting import this_person
from scimsync.services.deciding import Conflict, Listed, Said
from scimsync.services.planning import Choices
from scimsync.showing.words import counted

#: conflicts that are shown where nobody asks for all
SHOWN = 50


class Options(Struct, frozen=True, kw_only=True):
    """What stands on the command line; each command reads what it knows."""

    config: Path = Path("scimsync.toml")
    key: str = ""
    path: str = ""
    users: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    everything: bool = False
    wins: str = ""
    scope: str = "once"
    until: datetime | None = None
    reason: str = ""
    seen: str = ""
    no_plan: bool = False
    offline: bool = False
    apply: bool = False
    yes: bool = False
    as_json: bool = False


def conflicts(options: Options) -> int:
    """The conflicts command; returns the exit code. It never talks to the target, and needs no credentials."""
    settings = load(options.config, secrets=False)
    with state.open_store(settings) as store:
        told = deciding.listed(settings, store, keys=options.users, paths=options.attributes)
    chosen = told.conflicts if options.everything else told.open
    if options.as_json:
        show_json({"plan": told.plan.id, "conflicts": [_document(one) for one in chosen]})
    else:
        show(_lines(told, chosen))
    return 0


def show_one(options: Options) -> int:
    """The conflicts show command; returns the exit code."""
    settings = load(options.config, secrets=not options.offline)
    with state.open_store(settings) as store:
        told = deciding.listed(settings, store, keys=[options.key], paths=[options.path])
    if not told.conflicts:
        raise ConfigError(_no_such(options.key, options.path))
    (one,) = told.conflicts
    edited = "" if options.offline else _edited(settings, one)
    if options.as_json:
        show_json(_document(one) | ({"account_changed": edited} if edited else {}))
    else:
        show(_story(one, edited))
    return 0


def _edited(settings: Settings, one: Conflict) -> str:
    """When the directory says that the account was changed last; "" where it does not say, or cannot be asked."""
    try:
        with Bar() as bar:
            return asyncio.run(deciding.changed(settings, bar, one))
    except ScimsyncError as error:
        click.echo(f"The directory cannot be asked when the account was changed: {error}", err=True)
        return ""


def decide(options: Options) -> int:
    """The conflicts decide command; returns the exit code."""
    if options.no_plan and options.apply:
        raise ConfigError("--apply needs the plan that --no-plan does without.")
    if bool(options.key) != bool(options.path):
        raise ConfigError("decide: name KEY and PATH, or neither and filters: --user, --attribute, or --all.")
    if options.key and (options.users or options.attributes or options.everything):
        raise ConfigError("decide: KEY PATH name one conflict; --user, --attribute and --all name many. Use either.")
    if not (options.key or options.users or options.attributes or options.everything):
        raise ConfigError("decide: name KEY and PATH, or filters: --user, --attribute, or --all for every one.")
    settings = load(options.config, secrets=not options.no_plan)
    said = Said(
        wins=Wins(options.wins),
        scope=Scope(options.scope),
        reason=options.reason,
        until=options.until.date() if options.until else None,
        seen=options.seen,
    )
    keys = [options.key] if options.key else options.users
    paths = [options.path] if options.path else options.attributes
    with state.open_store(settings) as store:
        told = deciding.listed(settings, store, keys=keys, paths=paths)
        chosen = told.open
        if options.key and not chosen:
            taken = next((one.decision for one in told.conflicts if one.decision), None)
            raise _taken(taken) if taken else ConfigError(_no_such(options.key, options.path))
        _ask(chosen, options)
        made = deciding.decide(settings, store, chosen, said, this_person())
    who = deciding.people(chosen)
    if not options.as_json:
        show(_decided(made))
    if options.no_plan:
        if options.as_json:
            show_json({"decisions": [_decision(one) for one in made]})
        return 0
    return _plan_again(settings, who, made, options)


def _ask(chosen: Sequence[Conflict], options: Options) -> None:
    """Let the person at the terminal agree to decide many at once.

    Raises:
        ConfigError: Nobody is there to be asked.
        PlanStale: The person says no.
    """
    if options.yes or len(chosen) < 2:
        return
    what = f"{counted(len(chosen), 'conflict')} of {counted(len(deciding.people(chosen)), 'person')}"
    if not sys.stdin.isatty():
        raise ConfigError(f"decide: {what} would be decided, and there is no terminal to ask at. Add --yes.")
    if not click.confirm(f"Decide {what}: {options.wins} wins?", err=True):
        raise PlanStale("nothing was decided.")


def _plan_again(settings: Settings, who: Sequence[str], made: Sequence[Decision], options: Options) -> int:
    """Plan for these people at once; apply it where that is asked for."""
    with state.open_store(settings) as store:
        if planning.has_unfinished(store):
            running.settle(settings, store)
        with Bar() as bar:
            plan = interrupting.run(planning.plan(settings, store, bar, Choices(only=tuple(who))))
    if options.as_json:
        show_json({"decisions": [_decision(one) for one in made], "plan": render.plan_document(plan)})
    else:
        show(render.plan_lines(plan, only=tuple(who)))
    return _finish(plan, options)


def _finish(plan: Plan, options: Options) -> int:
    if options.apply and plan.writes:
        return running.apply(running.Options(config=options.config, plan=plan.id, yes=options.yes))
    if plan.refusals:
        return PlanRefused.exit_code
    if plan.writes and not options.as_json:
        click.echo(f"Carry it out with: scimsync apply {plan.id}; the next sync does so too.", err=True)
    return 0


def decisions(options: Options) -> int:
    """The conflicts decisions command; returns the exit code."""
    settings = load(options.config, secrets=False)
    with state.open_store(settings) as store:
        every = store.decisions(ended=options.everything)
    if options.as_json:
        show_json([_decision(one) for one in every])
    else:
        show([_decision_line(one) for one in every] or ["Nothing is decided."])
    return 0


def withdraw(config: Path, named: str, reason: str, *, as_json: bool) -> int:
    """The conflicts withdraw command; returns the exit code."""
    settings = load(config, secrets=False)
    with state.open_store(settings) as store:
        one = deciding.withdraw(settings, store, named, this_person(), reason)
    if as_json:
        show_json(_decision(one))
    else:
        show([f"{_decision_line(one)}: taken back. The next plan asks again; what was written stays."])
    return 0


def export(config: Path) -> int:
    """The conflicts export command; returns the exit code."""
    settings = load(config, secrets=False)
    with state.open_store(settings) as store:
        show(deciding.exported(settings, store.decisions()))
    return 0


def _no_such(key: str, path: str) -> str:
    return f"there is no conflict about {path} of {key} in the latest plan. List them with: scimsync conflicts --all"


def _taken(one: Decision) -> PlanStale:
    return PlanStale(deciding.stands(one))


def _lines(told: Listed, chosen: Sequence[Conflict]) -> Iterator[str]:
    plan = told.plan
    yield click.style(f"Plan {plan.id}", bold=True) + f"  of {plan.created:%Y-%m-%d %H:%M} UTC"
    if not chosen:
        decided = len(told.conflicts) - len(told.open)
        more = f" {counted(decided, 'conflict')} decided: --all shows them." if decided else ""
        yield f"No conflict waits for a person.{more}"
    for one in chosen[:SHOWN]:
        yield f"  {click.style('?', fg='magenta', bold=True)} {_subject(one)}  {_values(one)}"
        if one.decision is not None:
            yield f"      {_decision_line(one.decision)}"
        elif one.moved is not None:
            yield f"      decided about other values, so it waits again: {_decision_line(one.moved)}"
    if len(chosen) > SHOWN:
        yield f"  … and {len(chosen) - SHOWN:,} more; --json has all, --attribute and --user choose"
    if told.open and chosen:
        first = told.open[0]
        yield ""
        yield f"See one: scimsync conflicts show {printable(first.key)} {_shell(first.path)}"


def _subject(one: Conflict) -> str:
    return f"{click.style(printable(one.key), bold=True)}  {printable(one.name)}  {one.path}"


def _values(one: Conflict) -> str:
    sides = one.delta.sides
    agreed = value_text(sides.base) if sides.known else "never agreed"
    return f"HR {value_text(sides.desired)}, directory {value_text(sides.current)}, agreed {agreed}"


def _story(one: Conflict, edited: str) -> Iterator[str]:
    sides = one.delta.sides
    yield _subject(one)
    yield f"  HR says             {value_text(sides.desired)}"
    yield f"  the directory has   {value_text(sides.current)}"
    yield f"  both agreed on      {value_text(sides.base) if sides.known else '(never agreed)'}"
    yield f"  why it waits        {one.delta.reason.value}; authority {one.delta.authority.value}"
    if edited:
        yield f"  account changed     {printable(edited)} (the directory does not say by whom, nor which attribute)"
    yield f"  plan                {one.plan}"
    if one.decision is not None:
        yield f"  decided             {_decision_line(one.decision)}"
        return
    if one.moved is not None:
        yield f"  decided before      {_decision_line(one.moved)}; the values are others by now"
    name = f"{printable(one.key)} {_shell(one.path)}"
    yield ""
    yield f"Decide it: scimsync conflicts decide {name} --wins hr|directory [--for once|person|attribute]"


def _shell(path: str) -> str:
    """A path as a shell takes it."""
    return f"'{path}'" if set(path) & set('[]" ') else path


def _decided(made: Sequence[Decision]) -> Iterator[str]:
    for one in made[:SHOWN]:
        yield f"Decided: {_decision_line(one)}"
    if len(made) > SHOWN:
        yield f"… and {len(made) - SHOWN:,} more"


def _decision_line(one: Decision) -> str:
    about = f"{one.path} of {printable(one.key)}" if one.key else one.path
    why = f': "{printable(one.reason)}"' if one.reason else ""
    ended = f" (ended {one.ended:%Y-%m-%d} by {printable(one.ended_by)})" if one.ended else ""
    return f"{one.id}  {about}: {deciding.words(one)}; {printable(one.actor)}, {one.at:%Y-%m-%d}{why}{ended}"


def _decision(one: Decision) -> dict[str, object]:
    return {
        "id": one.id,
        "key": one.key,
        "path": one.path,
        "wins": one.wins.value,
        "for": one.scope.value,
        "until": one.until.isoformat() if one.until else None,
        "reason": one.reason,
        "actor": one.actor,
        "proof": one.proof,
        "at": one.at.isoformat(),
        "plan": one.plan,
        **({"ended": one.ended.isoformat(), "ended_by": one.ended_by} if one.ended else {}),
    }


def _document(one: Conflict) -> dict[str, object]:
    sides = one.delta.sides
    found: dict[str, object] = {
        "key": one.key,
        "name": one.name,
        "account": one.account,
        "path": one.path,
        "hr": value_to_json(sides.desired),
        "directory": value_to_json(sides.current),
        "reason": one.delta.reason.name.lower(),
        "authority": one.delta.authority.value,
        "plan": one.plan,
    }
    if sides.known:
        found["agreed"] = value_to_json(sides.base)
    for name, decision in (("decision", one.decision), ("moved", one.moved)):
        if decision is not None:
            found[name] = _decision(decision)
    return found

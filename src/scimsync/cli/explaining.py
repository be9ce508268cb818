"""explain: the story of one person, for people and for programs. Shows what it is given; decides nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import click
from msgspec import Struct

from scimsync.cli import interrupting
from scimsync.cli.finding_text import printable
from scimsync.cli.progress import Bar
from scimsync.cli.render import value_text
from scimsync.cli.running import show, show_json
from scimsync.config import load
from scimsync.scim.kept import value_to_json
from scimsync.services import explaining, state
from scimsync.services.explaining import Becomes, Cause, Deed, PathStory, Question, Standing, Story

_COLOURS = {
    Standing.SAME: "green",
    Standing.CHANGES: "yellow",
    Standing.REFUSED: "red",
    Standing.HELD: "red",
    Standing.EDITED: "magenta",
}
#: writes of a person that are shown where nobody asks for an attribute
_SHOWN = 5
#: attributes that are left alone for one reason, which is then told once
_ALIKE = 3


class Options(Struct, frozen=True, kw_only=True):
    """What stands on the command line."""

    config: Path
    key: str
    path: str
    offline: bool
    as_json: bool


def explain(options: Options) -> int:
    """The explain command; returns the exit code."""
    settings = load(options.config, secrets=not options.offline)
    question = Question(who=options.key, path=options.path)
    with state.open_store(settings) as store, Bar() as bar:
        story = interrupting.run(explaining.explain(settings, store, bar, question, offline=options.offline))
    if options.as_json:
        show_json(story_document(story))
    else:
        show(story_lines(story, path=options.path))
    return 0


# --- for people -----------------------------------------------------------------------------------


def story_lines(story: Story, *, path: str = "") -> Iterator[str]:
    """A person in some sentences, then one line for each attribute, or everything about the one that was asked for."""
    colour = _COLOURS.get(story.standing)
    title = click.style(printable(story.key or str(story.account)), bold=True)
    yield f"{title}  {printable(story.name)}  {click.style(story.standing.value, fg=colour, bold=True)}"
    if story.also:
        others = ", ".join(map(printable, story.also))
        yield f"  It may also mean {others}; this is {printable(story.key)}, found by its {story.named}."
    if not story.live:
        yield f"  The directory was not asked: it is as it was read at {_when(story.at)}, with what runs wrote since."
    for sentence in story.told:
        yield f"  {printable(sentence)}"
    yield from _why(story.causes, story.advice)
    if path:
        for one in story.paths:
            yield from _whole(one, story)
    else:
        yield from _all(story)


def _all(story: Story) -> Iterator[str]:
    if story.paths:
        yield ""
        width = max(len(one.path) for one in story.paths)
        alike = Counter(one.verdict for one in story.paths if one.becomes is Becomes.LEFT_ALONE)
        shared = next((verdict for verdict, number in alike.items() if number > _ALIKE), "")
        for one in story.paths:
            yield _line(one, width, shared)
        if shared:
            yield f"  left-alone: {printable(shared)}"
    if story.deeds:
        yield ""
        yield click.style("written by runs", bold=True)
        for deed in story.deeds[:_SHOWN]:
            yield from _deed_lines(deed, "  ")


def _line(one: PathStory, width: int, shared: str) -> str:
    value = value_text(one.desired) if one.has_desired else "(nothing wanted)"
    if one.becomes is not Becomes.SAME and one.has_current:
        value = (
            f"{value_text(one.current)} -> {value}"
            if one.becomes is Becomes.WRITE
            else (f"HR {value}, directory {value_text(one.current)}")
        )
    why = "" if one.becomes is Becomes.SAME or one.verdict == shared else f"  {printable(one.verdict)}"
    return f"  {one.path:<{width}}  {one.becomes.value:<10}  {value}{why}"


def _whole(one: PathStory, story: Story) -> Iterator[str]:
    yield ""
    yield click.style(one.path, bold=True) + f"  {one.becomes.value}"
    for cell in one.cells:
        where = f"{story.place} {cell.place}, " if cell.place is not None else ""
        yield f"  {where}{printable(cell.column)}: {_text(cell.value)}"
    yield f"  {printable(one.expression)}"
    for step in one.steps:
        result = f"({step.fault})" if step.fault else _text(step.value)
        yield f"    {printable(step.expression)}  ->  {result}"
    for side, told, value in (
        ("HR wants", one.has_desired, one.desired),
        ("directory", one.has_current, one.current),
        ("last agreed", one.has_base, one.base),
    ):
        unknown = "(no account)" if side == "directory" and story.account is None else "(not known)"
        yield f"  {side + ':':<13}{value_text(value) if told else unknown}"
    yield f"  authority:   {one.authority.value}"
    yield f"  rule:        {printable(one.rule)}"
    yield f"  verdict:     {printable(one.verdict)}"
    yield from _why(one.causes, one.advice)
    for deed in one.deeds:
        yield from _deed_lines(deed, "  ", one.path)


def _why(causes: Sequence[Cause], advice: str) -> Iterator[str]:
    for cause in causes:
        yield f"  {click.style(cause.code or 'because', fg='yellow')}: {printable(cause.why)}"
        if cause.advice:
            yield f"    {printable(cause.advice)}"
    if advice and all(advice != cause.advice for cause in causes):
        yield f"  What to do: {printable(advice)}"


def _deed_lines(deed: Deed, indent: str, path: str = "") -> Iterator[str]:
    guard = f" If-Match {deed.if_match}" if deed.if_match else ""
    sent = f"{deed.method}{guard}  " if deed.method else ""
    answer = f"{deed.status}{f' {deed.code}' if deed.code else ''}"
    trace = f"  correlation {deed.correlation_id}" if deed.correlation_id else ""
    yield f"{indent}{_when(deed.at)}  run {deed.run}  {sent}{answer}{trace}"
    if deed.answer:
        yield f"{indent}    {printable(deed.answer)}"
    for name, value in deed.written.items():
        if path in {"", name}:
            yield f"{indent}    {name}: {value_text(value)}"


def _text(value: str | None) -> str:
    return "(none)" if value is None else f"'{printable(value)}'"


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


# --- for programs ---------------------------------------------------------------------------------


def story_document(story: Story) -> dict[str, object]:
    """The same story as data; docs/commands.md describes it."""
    return {
        "key": story.key,
        "named": story.named,
        "also": list(story.also),
        "name": story.name,
        "place": story.place,
        "rows": list(story.rows),
        "account": story.account,
        "shown": story.shown,
        "active": story.active,
        "version": story.version,
        "live": story.live,
        "at": story.at.isoformat(),
        "standing": story.standing.value,
        "action": story.action,
        "told": list(story.told),
        "causes": list(map(_cause_document, story.causes)),
        "advice": story.advice,
        "paths": list(map(_path_document, story.paths)),
        "deeds": list(map(_deed_document, story.deeds)),
    }


def _path_document(one: PathStory) -> dict[str, object]:
    def side(told: bool, value: object) -> dict[str, object]:  # noqa: FBT001 - both in one line each below
        return {"known": told, "value": value}

    return {
        "path": one.path,
        "expression": one.expression,
        "authority": one.authority.value,
        "cells": [{"column": cell.column, "value": cell.value, "place": cell.place} for cell in one.cells],
        "steps": [{"expression": step.expression, "value": step.value, "fault": step.fault} for step in one.steps],
        "desired": side(one.has_desired, value_to_json(one.desired)),
        "current": side(one.has_current, value_to_json(one.current)),
        "base": side(one.has_base, value_to_json(one.base)),
        "becomes": one.becomes.value,
        "rule": one.rule,
        "verdict": one.verdict,
        "advice": one.advice,
        "causes": list(map(_cause_document, one.causes)),
        "deeds": list(map(_deed_document, one.deeds)),
    }


def _cause_document(cause: Cause) -> dict[str, object]:
    return {"code": cause.code, "why": cause.why, "advice": cause.advice, "path": cause.path}


def _deed_document(deed: Deed) -> dict[str, object]:
    return {
        "run": deed.run,
        "at": deed.at.isoformat(),
        "part": deed.part,
        "method": deed.method,
        "if_match": deed.if_match,
        "tries": deed.tries,
        "status": deed.status,
        "code": deed.code,
        "answer": deed.answer,
        "correlation_id": deed.correlation_id,
        "version": deed.version,
        "written": {path: value_to_json(value) for path, value in deed.written.items()},
        "overwritten": list(deed.overwritten),
    }

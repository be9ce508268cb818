"""fleet status, plan, sync, approve, add, schema."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click
from msgspec import Struct

from scimsync.cli import interrupting
from scimsync.cli.finding_text import printable
from scimsync.cli.running import show, show_json
from scimsync.config import Fleet, load_fleet
from scimsync.errors import ConfigError
from scimsync.services import configuring, diagnosis, enrolling, fleet
from scimsync.services.acting import this_person
from scimsync.services.fleet import Line, Work
from scimsync.showing.words import counted

#: words of a line that are no trouble
_WELL = frozenset({"quiet", "done", "planned", "approved", "nothing", "new"})


def status(file: Path, selected: Sequence[str], *, as_json: bool) -> int:
    """The fleet status command; returns the exit code. It talks to no target."""
    return _run(file, selected, fleet.status, as_json=as_json, secrets=False)


def plan(file: Path, selected: Sequence[str], *, as_json: bool) -> int:
    """The fleet plan command; returns the exit code."""
    return _run(file, selected, fleet.plan, as_json=as_json)


def sync(file: Path, selected: Sequence[str], *, as_json: bool) -> int:
    """The fleet sync command; returns the exit code."""
    return _run(file, selected, fleet.Sync(load_fleet(file)), as_json=as_json)


def ask(file: Path, selected: Sequence[str], *, as_json: bool) -> int:
    """The fleet sync --workers command; returns the exit code. Whoever ends it ends no run."""
    from scimsync.services import workers  # noqa: PLC0415 - loads SQLAlchemy

    found = load_fleet(file)
    members = fleet.select(found, selected)
    names = [member.name for member in members]
    _, faulty = fleet.loaded(found, secrets=False)
    wanted = [name for name in names if name not in faulty]
    lines = {name: faulty[name] for name in names if name in faulty}
    cause = workers.asked(found, wanted)
    with contextlib.closing(workers.watched(found, cause, wanted)) as done:
        lines |= {line.name: line for line in done}
    return _show([lines[name] for name in names], found, as_json=as_json)


def approve(file: Path, selected: Sequence[str], reason: str, *, as_json: bool) -> int:
    """The fleet approve command; returns the exit code. It talks to no target."""
    if not reason.strip():
        raise ConfigError("fleet approve: --reason TEXT says what you looked at; it is kept in each audit chain.")
    return _run(file, selected, fleet.Approve(this_person(), reason), as_json=as_json, secrets=False)


def schema() -> int:
    """The fleet schema command; returns the exit code."""
    show_json(configuring.fleet_schema())
    return 0


def _run(file: Path, selected: Sequence[str], work: Work, *, as_json: bool, secrets: bool = True) -> int:
    found = load_fleet(file)
    members = fleet.select(found, selected)
    if not members:
        raise ConfigError(f"{file} names no organisation. Take one in with: scimsync fleet add NAME --fleet {file}")
    lines = fleet.dropped(found)
    talk = threading.Lock()

    def told(name: str, text: str) -> None:
        with talk:
            click.echo(f"{name}: {text}", err=True)

    stopped = None
    with contextlib.closing(fleet.each(found, members, work, told, secrets=secrets)) as done:
        try:
            lines.extend(done)
        except interrupting.Interrupted as signal:
            stopped = signal
            click.echo("Stopping after the writes in progress.", err=True)
    order = {member.name: at for at, member in enumerate(found.members)}
    lines.sort(key=lambda line: order.get(line.name, -1))
    code = _show(lines, found, as_json=as_json)
    if stopped is not None:
        raise stopped
    return code


def _show(lines: Sequence[Line], found: Fleet, *, as_json: bool) -> int:
    if as_json:
        show_json([document(line) for line in lines])
    else:
        show(table(lines, found))
    return fleet.worst([line.code for line in lines])


def document(line: Line) -> dict[str, object]:
    """One organisation, for machines."""
    return {
        "organisation": line.name,
        "state": line.word,
        "exit_code": line.code,
        "run": line.run,
        "numbers": dict(line.numbers),
        "says": line.says,
        "at": line.at.isoformat() if line.at else None,
    }


def table(lines: Sequence[Line], found: Fleet) -> Iterator[str]:
    """All organisations, a row each; what one says stands in its row as far as there is room, and whole below."""
    rows = [
        (
            line.name,
            line.word,
            line.run or "-",
            f"{line.at:%Y-%m-%d %H:%M}" if line.at else "-",
            ", ".join(f"{number:,} {word}" for word, number in line.numbers.items()) or "-",
        )
        for line in lines
    ]
    head = ("ORGANISATION", "STATE", "RUN", "ENDED (UTC)", "CHANGES")
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    yield click.style(
        "  ".join(word.ljust(width) for word, width in zip(head, widths, strict=True)).rstrip(), bold=True
    )
    for line, row in zip(lines, rows, strict=True):
        cells = [word.ljust(width) for word, width in zip(row, widths, strict=True)]
        cells[1] = click.style(cells[1], fg="green" if line.word in _WELL and not line.code else "yellow")
        yield "  ".join(cells).rstrip()
    troubled = [line for line in lines if line.says]
    if troubled:
        yield ""
        yield from (f"{line.name}: {printable(line.says)}" for line in troubled)
    yield ""
    codes = [line.code for line in lines]
    well = sum(1 for code in codes if code == 0)
    yield f"{found.file.name}: {counted(len(lines), 'organisation')}, {well} well; exit code {fleet.worst(codes)}"


class Added(Struct, frozen=True, kw_only=True):
    """What stands on the command line of `fleet add`."""

    file: Path
    name: str
    config: str = ""
    extends: str = ""
    settings: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    schedule: str = ""


def add(given: Added) -> int:
    """The fleet add command; returns the exit code: that of the check, then that of the plan."""
    overrides: dict[str, dict[str, object]] = {}
    for one in given.settings:
        place, equals, value = one.partition("=")
        section, dot, key = place.partition(".")
        if not (equals and dot and key):
            raise ConfigError(f"--set {one}: write section.key=value, for instance target.region=eu-west-1")
        overrides.setdefault(section, {})[key] = enrolling.value_of(value)
    member = enrolling.enrol(
        given.file,
        name=given.name,
        config=given.config,
        extends=given.extends,
        overrides=overrides,
        labels=_labels(given.labels),
        schedule=given.schedule,
    )
    found = load_fleet(given.file)
    click.echo(f"{given.file}: {member.name} is in the fleet.", err=True)
    failed = 0
    for check in diagnosis.checks(found.place(member), interrupting.run):
        colour = {"ok": "green", "warn": "yellow", "fail": "red"}[check.mark]
        click.echo(f"{click.style(f'{check.mark:<4}', fg=colour)}  {check.name:<12} {check.words}")
        failed = failed or check.code
    if failed:
        return failed
    click.echo()
    return plan(given.file, (f"name={member.name}",), as_json=False)


def _labels(written: Sequence[str]) -> Mapping[str, str]:
    found = {}
    for one in written:
        label, equals, value = one.partition("=")
        if not (label and equals):
            raise ConfigError(f"--label {one}: write LABEL=VALUE, for instance region=eu")
        found[label] = value
    return found

"""The probe command: what was found, what is dangerous there, and the dialect file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click
from msgspec import Struct

from scimsync.cli import codes, interrupting
from scimsync.cli.running import show, show_json
from scimsync.errors import ConfigError
from scimsync.services import probing
from scimsync.services.probing import Probed


class Options(Struct, frozen=True, kw_only=True):
    """What stands on the command line."""

    url: str
    token: str
    config: Path | None
    write: bool
    yes: bool
    out: Path | None
    as_json: bool


def probe(options: Options) -> int:
    """The probe command; returns the exit code."""
    subject = probing.subject(options.url, options.token, options.config)
    if options.out is not None and options.out.exists():
        raise ConfigError(f"{options.out} is there already, and nothing is overwritten. Choose another name.")
    if options.out is not None and not options.out.absolute().parent.is_dir():
        raise ConfigError(
            f"{options.out} cannot be written: {options.out.parent} does not exist. Choose a folder of yours."
        )
    probed = run(subject, writes=options.write, yes=options.yes)
    if options.as_json:
        show_json(document(probed))
    else:
        show(lines(probed))
    if options.out is not None:
        write_dialect(options.out, probed)
        click.echo(f'Wrote {options.out}. Use it: [target] dialect = "file:{options.out.name}"', err=True)
    return code(probed)


def subject_of(url: str, token: str) -> probing.Subject:
    """Who is probed, by an address and a token."""
    return probing.subject(url, token, None)


def first_mapping(probed: Probed) -> tuple[str, str]:
    """By what accounts are found, and the lines of `[attributes]`, for a configuration."""
    return probing.first_mapping(probed)


def run(subject: probing.Subject, *, writes: bool, yes: bool) -> Probed:
    """Probe, after the question whether something may be made."""
    first = probing.token()
    if writes:
        click.echo(f"This will make: {probing.plan_of(first)}", err=True)
        if not yes:
            if not sys.stdin.isatty():
                raise ConfigError("--write makes an account, and nobody is there to be asked. Add --yes.")
            if not click.confirm("Make them?", err=True):
                raise ConfigError("nothing was asked of the target. Without --write it is only read.")
    return interrupting.run(probing.probe(subject, writes=writes, say=_say, first=first))


def write_dialect(out: Path, probed: Probed) -> None:
    """Write the dialect file.

    Raises:
        ConfigError: It cannot be written there.
    """
    try:
        out.write_text(probing.dialect_text(probed, name=out.stem), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{out} cannot be written ({error.strerror}). Choose a folder of yours.") from error


def code(probed: Probed) -> int:
    """The exit code: whether all was tried, and nothing is left."""
    untried = probed.wrote and "create.answers" not in probed.findings.found
    return codes.NOT_ALL_DONE if probed.left or probed.stopped or untried else 0


def _say(text: str) -> None:
    click.echo(text, err=True)


def _word(value: object) -> str:
    if value is None:
        return "any"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def lines(probed: Probed) -> Iterator[str]:
    """The report, for people."""
    found, dangers = probed.findings.found, probing.dangers(probed.findings)
    how = "reading and writing" if probed.wrote else "reading alone"
    yield f"{probed.url}, by {how}"
    yield ""
    width = max((len(entry) for entry in found), default=0)
    for entry in probing.in_order(found):
        yield f"{entry:<{width}}  {_word(found[entry].value)}"
        yield f"{'':<{width}}  {click.style(found[entry].evidence, dim=True)}"
        if entry in dangers:
            yield f"{'':<{width}}  {click.style('dangerous:', fg='yellow')} {dangers[entry].what}"
            yield f"{'':<{width}}  scimsync: {dangers[entry].cure}"
    yield from _unknown(probed)
    yield from _end(probed)


def _unknown(probed: Probed) -> Iterator[str]:
    """What could not be found out, under the reason, with what is taken instead."""
    unknown = probed.findings.unknown
    width = max((len(entry) for entry in unknown), default=0)
    if unknown:
        yield ""
        yield "Not found out; what generic says is taken:"
    for why in dict.fromkeys(unknown[entry] for entry in probing.in_order(unknown)):
        yield click.style(why, dim=True)
        for entry in probing.in_order(name for name, reason in unknown.items() if reason == why):
            yield f"  {entry:<{width}}  {_word(probing.generic_value(entry))}"
    if not probed.wrote:
        yield ""
        yield f"Tried only with --write: {', '.join(probing.untried(probed))}"


def _end(probed: Probed) -> Iterator[str]:
    yield ""
    yield from (f"{click.style('note:', fg='yellow')} {remark}" for remark in probed.findings.remarks)
    yield from (f"removed, left by an earlier probe: {what}" for what in probed.cleaned)
    yield from (f"{click.style('LEFT BEHIND:', fg='red', bold=True)} {what}" for what in probed.left)
    if probed.wrote and "create.answers" in probed.findings.found and not probed.left:
        yield "Everything that was made is removed."
    if probed.stopped:
        yield f"{click.style('stopped early:', fg='red')} {probed.stopped}"
    yield f"{probed.requests} requests of at most {probed.cap}"


def document(probed: Probed) -> dict[str, object]:
    """The report, for machines."""
    dangers = probing.dangers(probed.findings)
    return {
        "url": probed.url,
        "at": probed.at.isoformat(),
        "wrote": probed.wrote,
        "found": [
            {
                "entry": entry,
                "value": probed.findings.found[entry].value,
                "evidence": probed.findings.found[entry].evidence,
                "danger": dangers[entry].what if entry in dangers else None,
                "cure": dangers[entry].cure if entry in dangers else None,
            }
            for entry in probing.in_order(probed.findings.found)
        ],
        "unknown": [
            {"entry": entry, "assumed": probing.generic_value(entry), "why": probed.findings.unknown[entry]}
            for entry in probing.in_order(probed.findings.unknown)
        ],
        "attributes": dict(probed.findings.attributes),
        "remarks": list(probed.findings.remarks),
        "cleaned": list(probed.cleaned),
        "left": list(probed.left),
        "stopped": probed.stopped,
        "requests": probed.requests,
        "cap": probed.cap,
    }

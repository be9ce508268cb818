"""audit verify, show, export, prove, erase, checkpoint, key."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import click
import msgspec
from msgspec import Struct

from scimsync import files
from scimsync.cli.render import value_text
from scimsync.cli.running import show, show_json
from scimsync.config import load
from scimsync.errors import ConfigError
from scimsync.scim.kept import value_from_json
from scimsync.services import auditing, evidence, state
from scimsync.services.evidence import RecordShown, Verification
from scimsync.showing.words import counted

ERASED = "[erased]"


def verify(config: Path, file: Path | None, against: Path | None, public_key: str, *, as_json: bool) -> int:
    """Prove a file or the store."""
    if file is None:
        found = evidence.verify_state(load(config, secrets=False), against, public_key)
    else:
        known = load(config, secrets=False) if config.is_file() and not public_key else None
        found = evidence.verify_file(file, known, against, public_key)
    if as_json:
        show_json(
            {
                "origin": found.chain.origin,
                "first": found.chain.first,
                "size": found.chain.size,
                "root": found.chain.root.hex(),
                "checkpoints": found.chain.checkpoints,
                "covered": found.chain.covered,
                "signatures": found.signatures,
            }
        )
    else:
        show(_verified(found))
    return 0


def _verified(verification: Verification) -> Iterator[str]:
    found = verification.chain
    number = found.size - found.first + 1
    which = counted(number, "record") + (f", from {found.first:,} to {found.size:,}" if found.first > 1 else "")
    yield f"The audit chain {found.origin} is whole: {which}."
    if found.covered:
        largest = counted(found.covered, "record")
        yield f"Held against {counted(found.checkpoints, 'checkpoint')}; the largest is over {largest}."
    if found.covered < found.size:
        left = found.size - found.covered
        yield f"No checkpoint is over the last {left:,} records. Make one: scimsync audit checkpoint"
    if found.checkpoints and not verification.signatures:
        yield "The signatures were not looked at, for want of a public key: give it with --public-key."


def show_records(config: Path, user: str, run: str, limit: int, *, as_json: bool) -> int:
    """The latest records."""
    with state.open_store(load(config, secrets=False), writes=False) as store:
        found = evidence.latest(store, user, run, limit)
    if as_json:
        show_json([one.document for one in found])
    elif found:
        show(line for one in found for line in _lines(one))
    else:
        show(["No records yet."])
    return 0


def _lines(one: RecordShown) -> Iterator[str]:
    told, entry = one.document, one.entry
    who = ERASED if told.get("erased") else str(told.get("person", ""))
    words = [str(told[name]) for name in ("action", "method", "status", "code", "rule", "reason") if told.get(name)]
    if one.erased is not None and one.erased.erased is not None:
        words.append(f"erased {one.erased.erased:%Y-%m-%d %H:%M} UTC by {one.erased.erased_by}")
    line = (
        f"{entry.seq:>6}  {entry.at[:19]}  {entry.kind:<13}  {who}  {', '.join(dict.fromkeys(words))}  {told['actor']}"
    )
    yield "".join(ch if ch.isprintable() else "?" for ch in line)
    values = told.get("values")
    for path, sides in values.items() if isinstance(values, dict) else ():
        before, after = (value_text(value_from_json(sides.get(side))) for side in ("before", "after"))
        yield f"          {path}: {before} -> {after}"


class Options(Struct, frozen=True, kw_only=True):
    """What shall be exported, and how."""

    form: str
    out: Path | None
    run: str
    since: datetime | None
    values: bool


def export(config: Path, options: Options) -> int:
    """Write records to a file or to stdout."""
    settings = load(config, secrets=False)
    wanted = evidence.Wanted(form=options.form, run=options.run, since=options.since, values=options.values)
    with state.open_store(settings, writes=False) as store:
        lines = evidence.export(settings, store, wanted)
        if options.out is None:
            for line in lines:
                sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
            return 0
        _write(options.out, lines)
    return 0


def prove(config: Path, seq: int, out: Path | None) -> int:
    """A proof that one record is in the chain, for somebody who has nothing else."""
    settings = load(config, secrets=False)
    with state.open_store(settings, writes=False) as store:
        proof = evidence.prove(settings, store, seq)
    document = {
        "seq": proof.entry.seq,
        "record": proof.entry.body.decode(),
        "size": proof.size,
        "proof": [sibling.hex() for sibling in proof.siblings],
        "checkpoint": proof.checkpoint,
        "public_key": proof.public_key,
    }
    if out is None:
        show_json(document)
    else:
        _write(out, [msgspec.json.encode(document) + b"\n"])
    return 0


def _write(out: Path, chunks: Iterable[bytes]) -> None:
    try:
        files.write(out, chunks)
    except OSError as error:
        raise ConfigError(f"--out {out}: cannot be written ({error.strerror}).") from error


def erase(config: Path, person: str, reason: str, *, yes: bool) -> int:
    """Destroy the key of a person."""
    if not reason.strip():
        raise ConfigError("audit erase needs --reason TEXT: it stands in the chain for ever. Name nobody in it.")
    settings = load(config, secrets=False)
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError(
                f"audit erase: the values of {person} would be unreadable for ever, and there is no terminal to ask "
                "at. Nothing was erased. If that is what you want, say so with --yes."
            )
        click.confirm(f"Destroy the key of {person}? Nobody can read those values again.", abort=True, err=True)
    with state.open_store(settings) as store:
        auditing.erase(settings, store, person, reason, _tell)
    show([f"The values of {person} in the audit chain can be read by nobody any more. The chain is whole as before."])
    return 0


def checkpoint(config: Path) -> int:
    """Sign the chain as it is now."""
    settings = load(config, secrets=False)
    with state.open_store(settings) as store:
        note = auditing.latest_checkpoint(settings, store, _tell)
    click.echo(note or "There are no records yet, so there is nothing to sign.\n", nl=False)
    return 0


def key(config: Path) -> int:
    """Make the key that signs checkpoints where there is none; say where it is, and the public key."""
    where, public = auditing.make_audit_key(load(config, secrets=False))
    click.echo(f"The key is in {where}. Its public key, for whoever verifies:", err=True)
    show([public])
    return 0


def _tell(text: str) -> None:
    click.echo(text, err=True)

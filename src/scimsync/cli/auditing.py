"""audit verify, show, export, prove, erase, checkpoint, key."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import click
import msgspec

from scimsync import bootstrap, files
from scimsync.cli.render import counted, value_text
from scimsync.cli.running import show, show_json
from scimsync.config import Settings, load
from scimsync.core import chain, ocsf
from scimsync.engine import checkpoints, ledger
from scimsync.engine.ports import Store
from scimsync.errors import ConfigError
from scimsync.model.audit import Entry, Head, PersonKey
from scimsync.scim.schema import value_from_json
from scimsync.services import auditing

_encode = msgspec.json.Encoder().encode
ERASED = "[erased]"


@dataclass(slots=True)
class Reader:
    """Reads the personal parts of a chain, each key looked for once."""

    store: Store
    _keys: dict[str, PersonKey | None] = field(default_factory=dict)

    def key(self, pseudonym: str) -> PersonKey | None:
        """The key under a pseudonym."""
        if pseudonym not in self._keys:
            self._keys[pseudonym] = self.store.key(pseudonym)
        return self._keys[pseudonym]

    def clear(self, entry: Entry) -> bytes | None:
        """The personal part of an entry; None where there is none any more."""
        return ledger.reveal(entry, self.key(entry.person)) if entry.person else None


# verify


def verify(config: Path, file: Path | None, against: Path | None, public_key: str, *, as_json: bool) -> int:
    """Prove a file or the store."""
    notes = _notes(against) if against else []
    if file is not None:
        known = load(config, secrets=False) if config.is_file() and not public_key else None
        public = _public(public_key, known)
        try:
            with file.open("rb") as lines:
                found = checkpoints.verify_file(lines, public, notes)
        except OSError as error:
            raise ConfigError(f"{file}: cannot be read ({error.__class__.__name__})") from error
    else:
        settings = load(config, secrets=False)
        public = _public(public_key, settings)
        if settings.audit.checkpoints is not None and settings.audit.checkpoints.is_file():
            notes += _notes(settings.audit.checkpoints)
        with bootstrap.open_store(settings) as store:
            if public is None and store.checkpoints():
                raise ConfigError(
                    "[audit] key: the key that signed is not here. Give the public one: --public-key TEXT"
                )
            found = checkpoints.verify_store(store, public, notes)
    document = {
        "origin": found.origin,
        "first": found.first,
        "size": found.size,
        "root": found.root.hex(),
        "checkpoints": found.checkpoints,
        "covered": found.covered,
        "signatures": public is not None,
    }
    if as_json:
        show_json(document)
    else:
        show(_verified(found, public))
    return 0


def _verified(found: checkpoints.Verified, public: bytes | None) -> Iterator[str]:
    number = found.size - found.first + 1
    which = counted(number, "record") + (f", from {found.first:,} to {found.size:,}" if found.first > 1 else "")
    yield f"The audit chain {found.origin} is whole: {which}."
    if found.covered:
        largest = counted(found.covered, "record")
        yield f"Held against {counted(found.checkpoints, 'checkpoint')}; the largest is over {largest}."
    if found.covered < found.size:
        left = found.size - found.covered
        yield f"No checkpoint is over the last {left:,} records. Make one: scimsync audit checkpoint"
    if found.checkpoints and public is None:
        yield "The signatures were not looked at, for want of a public key: give it with --public-key."


def _public(given: str, settings: Settings | None) -> bytes | None:
    if not given:
        return None if settings is None else auditing.audit_public(settings)
    path = Path(given)
    try:
        return checkpoints.read_public(path.read_text(encoding="ascii") if path.is_file() else given)
    except (OSError, ValueError) as error:
        raise ConfigError("--public-key: give what `scimsync audit key` prints, or a file that holds it") from error


def _notes(file: Path) -> list[str]:
    try:
        notes = list(checkpoints.notes_in(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read ({error.__class__.__name__})") from error
    if not notes:
        raise ConfigError(f"{file}: there is no checkpoint in it. Make one with: scimsync audit checkpoint")
    return notes


# show


def show_records(config: Path, user: str, run: str, limit: int, *, as_json: bool) -> int:
    """The latest records."""
    settings = load(config, secrets=False)
    with bootstrap.open_store(settings) as store:
        people = [key.pseudonym for key in store.keys(user)] if user else []
        if user and not people:
            raise ConfigError(f"--user {user}: the audit chain knows nobody of this key. See: scimsync audit show")
        reader = Reader(store)
        found = list(store.entries(run=_run_of(store, run), people=people, newest=limit))
        if as_json:
            show_json([_document(entry, reader) for entry in found])
        else:
            show(line for entry in found for line in _lines(entry, reader))
            if not found:
                show(["No records yet."])
    return 0


def _run_of(store: Store, named: str) -> str:
    found = store.run(named) if named else None
    if named and found is None:
        raise ConfigError(f"there is no run {named!r}. List them with: scimsync runs")
    return found.id if found else ""


def _document(entry: Entry, reader: Reader) -> dict[str, object]:
    clear = reader.clear(entry)
    body = ledger.document_of(entry)
    more = {"hash": entry.hash.hex(), **(_members(clear) if clear else {})}
    return {**body, **more, **({"erased": True} if clear is None and "sealed" in body else {})}


def _members(clear: bytes) -> dict[str, object]:
    return {name: value for name, value in msgspec.json.decode(clear, type=dict[str, object]).items() if name != "salt"}


def _lines(entry: Entry, reader: Reader) -> Iterator[str]:
    told = _document(entry, reader)
    who = ERASED if told.get("erased") else str(told.get("person", ""))
    words = [str(told[name]) for name in ("action", "method", "status", "code", "rule", "reason") if told.get(name)]
    key = reader.key(entry.person) if told.get("erased") else None
    if key is not None and key.erased is not None:
        words.append(f"erased {key.erased:%Y-%m-%d %H:%M} UTC by {key.erased_by}")
    line = (
        f"{entry.seq:>6}  {entry.at[:19]}  {entry.kind:<13}  {who}  {', '.join(dict.fromkeys(words))}  {told['actor']}"
    )
    yield "".join(ch if ch.isprintable() else "?" for ch in line)
    values = told.get("values")
    for path, sides in values.items() if isinstance(values, dict) else ():
        before, after = (value_text(value_from_json(sides.get(side))) for side in ("before", "after"))
        yield f"          {path}: {before} -> {after}"


# export


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What shall be exported, and how."""

    form: str
    out: Path | None
    run: str
    since: datetime | None
    values: bool


def export(config: Path, options: Options) -> int:
    """Write records to a file or to stdout."""
    settings = load(config, secrets=False)
    with bootstrap.open_store(settings) as store:
        lines = _jsonl(store, settings, options) if options.form == "jsonl" else _ocsf(store, options)
        if options.out is None:
            for line in lines:
                sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
            return 0
        _write(options.out, lines)
    return 0


def _chosen(store: Store, options: Options) -> Iterator[Entry]:
    since = options.since.replace(tzinfo=UTC).isoformat(timespec="microseconds") if options.since else ""
    return (entry for entry in store.entries(run=_run_of(store, options.run)) if entry.at >= since)


def _jsonl(store: Store, settings: Settings, options: Options) -> Iterator[bytes]:
    """A stretch of the chain without holes: from the first chosen record to the last."""
    first, last = 1, store.head().size
    if options.run or options.since:
        numbers = [entry.seq for entry in _chosen(store, options)]
        first, last = (min(numbers), max(numbers)) if numbers else (last + 1, last)
    start = chain.start_of(store.head().origin)
    walk = store.entries()
    before = _whole(chain.check(islice(walk, first - 1), start))
    yield chain.first_line(before)
    reader, state = Reader(store), before
    for entry in islice(walk, last - first + 1):
        state = _whole(chain.check([entry], state))
        yield chain.record_line(entry, reader.clear(entry) if options.values else None)
    yield chain.last_line(checkpoints.signed(checkpoints.statement(state), auditing.audit_key(settings)[0]))


def _whole(found: chain.Checked) -> Head:
    if found.broken is not None:
        raise checkpoints.broken(found.broken)
    return found.head


def _ocsf(store: Store, options: Options) -> Iterator[bytes]:
    reader, origin, product = Reader(store), store.head().origin, version("scimsync")
    for entry in _chosen(store, options):
        clear = reader.clear(entry) if options.values else None
        told = ocsf.AuditedRecord(
            body=ledger.document_of(entry), clear=_members(clear) if clear else {}, origin=origin, product=product
        )
        for event in ocsf.events(told):
            yield _encode(event) + b"\n"


# prove, erase, checkpoint, key


def prove(config: Path, seq: int, out: Path | None) -> int:
    """A proof that one record is in the chain, for somebody who has nothing else."""
    settings = load(config, secrets=False)
    with bootstrap.open_store(settings) as store:
        seed = auditing.audit_key(settings)[0]
        try:
            entry, proof, note = checkpoints.prove(store, seq, seed)
        except LookupError as error:
            raise ConfigError(f"there is no record {seq}; the chain has {store.head().size:,}") from error
    document = {
        "seq": entry.seq,
        "record": entry.body.decode(),
        "size": checkpoints.opened(note, None).size,
        "proof": [sibling.hex() for sibling in proof],
        "checkpoint": note,
        "public_key": checkpoints.public_text(checkpoints.public_of(seed)),
    }
    if out is None:
        show_json(document)
    else:
        _write(out, [_encode(document) + b"\n"])
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
    with bootstrap.open_store(settings) as store:
        if not auditing.erase(store, person, reason):
            raise ConfigError(f"the audit chain knows nobody of the key {person}, or they were erased already.")
        auditing.checkpoint(settings, store, lambda text: click.echo(text, err=True))
    show([f"The values of {person} in the audit chain can be read by nobody any more. The chain is whole as before."])
    return 0


def checkpoint(config: Path) -> int:
    """Sign the chain as it is now."""
    settings = load(config, secrets=False)
    with bootstrap.open_store(settings) as store:
        note = auditing.checkpoint(settings, store, lambda text: click.echo(text, err=True))
        kept = store.checkpoints()
    click.echo(note or (kept[-1] if kept else "There are no records yet, so there is nothing to sign.\n"), nl=False)
    return 0


def key(config: Path) -> int:
    """Make the key that signs checkpoints where there is none; say where it is, and the public key."""
    settings = load(config, secrets=False)
    with bootstrap.open_store(settings):  # makes the private folder where the key may stand
        seed, where = auditing.audit_key(settings, make=True)
    click.echo(f"The key is in {where}. Its public key, for whoever verifies:", err=True)
    show([checkpoints.public_text(checkpoints.public_of(seed))])
    return 0

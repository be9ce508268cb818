"""Read the audit chain, prove it, and hand it to others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct, field

from scimsync.bootstrap import open_store
from scimsync.config import Settings
from scimsync.core import chain, ocsf
from scimsync.engine import checkpoints, ledger
from scimsync.engine.checkpoints import Verified
from scimsync.engine.continuity import witness
from scimsync.engine.state import Audit, Runs
from scimsync.errors import ConfigError
from scimsync.model.audit import Entry, Head, PersonKey
from scimsync.services.auditing import audit_public, existing_key

_encode = msgspec.json.Encoder().encode


class EvidenceState(Audit, Runs, Protocol):
    """Of the state: the chain, and the runs that a person may name."""


# verify


class Verification(Struct, frozen=True, kw_only=True):
    """A chain that is whole."""

    chain: Verified
    #: whether signatures were looked at
    signatures: bool


def verify_state(settings: Settings, against: Path | None, public_key: str) -> Verification:
    """Prove the chain of the state.

    Args:
        settings: Where it is, and who signs here.
        against: A file of checkpoints that were kept elsewhere.
        public_key: As text, or the file that holds it; the key that signs here where empty.

    Raises:
        ConfigError: A file or the key cannot be read, or the key is not here.
        StoreDamaged: With the first record that is not as it was written.
    """
    notes = _notes(against) if against else []
    public = _public(public_key, settings)
    if settings.audit.checkpoints is not None and settings.audit.checkpoints.is_file():
        notes += _notes(settings.audit.checkpoints)
    with open_store(settings, writes=False) as store:
        if (kept := witness(store)) is not None and kept.note not in store.checkpoints():
            notes.append(kept.note)
        if public is None and store.checkpoints():
            raise ConfigError("[audit] key: the key that signed is not here. Give the public one: --public-key TEXT")
        return Verification(chain=checkpoints.verify_store(store, public, notes), signatures=public is not None)


def verify_file(file: Path, settings: Settings | None, against: Path | None, public_key: str) -> Verification:
    """Prove an exported file, with what `verify_state` takes; without settings and key no signature is looked at.

    Raises:
        ConfigError: A file or the key cannot be read.
        StoreDamaged: With the first record that is not as it was written.
    """
    notes = _notes(against) if against else []
    public = _public(public_key, settings)
    try:
        with file.open("rb") as lines:
            found = checkpoints.verify_file(lines, public, notes)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.__class__.__name__})") from error
    return Verification(chain=found, signatures=public is not None)


def _public(given: str, settings: Settings | None) -> bytes | None:
    if not given:
        return None if settings is None else audit_public(settings)
    return given_public(given)


def given_public(given: str) -> bytes:
    """A public key as a person gives it: the text, or a file that holds it.

    Raises:
        ConfigError: It is none.
    """
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


# read


class _Reader(Struct):
    """Reads the personal parts of a chain, each key looked for once."""

    store: Audit
    _keys: dict[str, PersonKey | None] = field(default_factory=dict)

    def key(self, pseudonym: str) -> PersonKey | None:
        """The key under a pseudonym."""
        if pseudonym not in self._keys:
            self._keys[pseudonym] = self.store.key(pseudonym)
        return self._keys[pseudonym]

    def clear(self, entry: Entry) -> bytes | None:
        """The personal part of an entry; None where there is none any more."""
        return ledger.reveal(entry, self.key(entry.person)) if entry.person else None


class RecordShown(Struct, frozen=True, kw_only=True):
    """One record, as far as it can be read here."""

    entry: Entry
    document: Mapping[str, object]
    #: the same without what is encrypted: no names, no values
    bare: Mapping[str, object]
    #: what is left of the key of its person, where that was destroyed
    erased: PersonKey | None


def latest(store: EvidenceState, user: str, run: str, limit: int, *, kind: str = "") -> list[RecordShown]:
    """The latest records, oldest first: all, or those about a person, of a run, or of a kind.

    Raises:
        ConfigError: The chain knows nobody of this key, or there is no such run.
    """
    people = [key.pseudonym for key in store.keys(user)] if user else []
    if user and not people:
        raise ConfigError(f"--user {user}: the audit chain knows nobody of this key. See: scimsync audit show")
    reader = _Reader(store)
    found = store.entries(run=_run_of(store, run), kind=kind, people=people, newest=limit)
    return [_told(entry, reader) for entry in found]


def record(store: Audit, seq: int) -> RecordShown | None:
    """One record by its number; None where there is none."""
    entry = next(store.entries(after=seq - 1), None) if seq > 0 else None
    return _told(entry, _Reader(store)) if entry is not None and entry.seq == seq else None


def _run_of(store: Runs, named: str) -> str:
    found = store.run(named) if named else None
    if named and found is None:
        raise ConfigError(f"there is no run {named!r}. List them with: scimsync runs")
    return found.id if found else ""


def _told(entry: Entry, reader: _Reader) -> RecordShown:
    clear = reader.clear(entry)
    body = ledger.document_of(entry)
    is_erased = clear is None and "sealed" in body
    more = {"hash": entry.hash.hex(), **(_members(clear) if clear else {})}
    return RecordShown(
        entry=entry,
        bare={**body, "hash": entry.hash.hex()},
        document={**body, **more, **({"erased": True} if is_erased else {})},
        erased=reader.key(entry.person) if is_erased else None,
    )


def _members(clear: bytes) -> dict[str, object]:
    return {name: value for name, value in msgspec.json.decode(clear, type=dict[str, object]).items() if name != "salt"}


# export


class Wanted(Struct, frozen=True, kw_only=True):
    """Which records shall be exported, and how."""

    form: str
    run: str
    since: datetime | None
    values: bool


def export(settings: Settings, store: EvidenceState, wanted: Wanted) -> Iterator[bytes]:
    """The lines of an export: a stretch of the chain that can be verified (jsonl), or events for others (ocsf).

    Raises:
        ConfigError: There is no such run, or no key to sign with.
        StoreDamaged: The chain is not as it was written.
    """
    return _jsonl(settings, store, wanted) if wanted.form == "jsonl" else _ocsf(store, wanted)


def _chosen(store: EvidenceState, wanted: Wanted) -> Iterator[Entry]:
    since = wanted.since.replace(tzinfo=UTC).isoformat(timespec="microseconds") if wanted.since else ""
    return (entry for entry in store.entries(run=_run_of(store, wanted.run)) if entry.at >= since)


def _jsonl(settings: Settings, store: EvidenceState, wanted: Wanted) -> Iterator[bytes]:
    """A stretch of the chain without holes: from the first chosen record to the last."""
    first, last = 1, store.head().size
    if wanted.run or wanted.since:
        numbers = [entry.seq for entry in _chosen(store, wanted)]
        first, last = (min(numbers), max(numbers)) if numbers else (last + 1, last)
    start = chain.start_of(store.head().origin)
    walk = store.entries()
    before = _whole(chain.check(islice(walk, first - 1), start))
    yield chain.first_line(before)
    reader, state = _Reader(store), before
    for entry in islice(walk, last - first + 1):
        state = _whole(chain.check([entry], state))
        yield chain.record_line(entry, reader.clear(entry) if wanted.values else None)
    yield chain.last_line(checkpoints.signed(checkpoints.statement(state), existing_key(settings)))


def _whole(found: chain.Checked) -> Head:
    if found.broken is not None:
        raise checkpoints.broken(found.broken)
    return found.head


def _ocsf(store: EvidenceState, wanted: Wanted) -> Iterator[bytes]:
    reader, origin, product = _Reader(store), store.head().origin, version("scimsync")
    for entry in _chosen(store, wanted):
        clear = reader.clear(entry) if wanted.values else None
        told = ocsf.AuditedRecord(
            body=ledger.document_of(entry), clear=_members(clear) if clear else {}, origin=origin, product=product
        )
        for event in ocsf.events(told):
            yield _encode(event) + b"\n"


# prove


class Proof(Struct, frozen=True, kw_only=True):
    """That one record is in the chain, for somebody who has nothing else."""

    entry: Entry
    #: records of the chain that the checkpoint is over
    size: int
    siblings: Iterable[bytes]
    checkpoint: str
    #: as people pass it on
    public_key: str


def prove(settings: Settings, store: Audit, seq: int) -> Proof:
    """Prove one record.

    Raises:
        ConfigError: There is no such record, or no key to sign with.
        StoreDamaged: The chain is not as it was written.
    """
    seed = existing_key(settings)
    try:
        entry, siblings, note = checkpoints.prove(store, seq, seed)
    except LookupError as error:
        raise ConfigError(f"there is no record {seq}; the chain has {store.head().size:,}") from error
    return Proof(
        entry=entry,
        size=checkpoints.opened(note, None).size,
        siblings=siblings,
        checkpoint=note,
        public_key=checkpoints.public_text(checkpoints.public_of(seed)),
    )

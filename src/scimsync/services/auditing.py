"""Sign the audit chain, add to it outside a run, destroy a person's key."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol

from msgspec.structs import replace

from scimsync import files
from scimsync.bootstrap import actor, make_clock, make_key, now, open_store
from scimsync.config import Settings
from scimsync.engine import checkpoints
from scimsync.engine.continuity import WITNESS
from scimsync.engine.state import Artifacts, Audit, Journal, Runs
from scimsync.errors import ConfigError, StoreError
from scimsync.model.audit import Edit, Kind, Record
from scimsync.model.decisions import Actor
from scimsync.services import continuity


def audit_key(settings: Settings, *, make: bool = False) -> tuple[bytes, str]:
    """The key that signs checkpoints, and where it is.

    Args:
        settings: where it is.
        make: make it where there is none; where nobody named a key this is always done.

    Raises:
        ConfigError: There is none where one was named, or it cannot be read or made.
    """
    key = make_key(settings)
    seed = key.read()
    if seed is None:
        if not make and not settings.audit.makes:
            raise ConfigError(f"[audit] key: there is no key in {key}. Make it with: scimsync audit key")
        seed = secrets.token_bytes(32)
        key.write(seed)
    return seed, str(key)


def existing_key(settings: Settings) -> bytes:
    """The key that signs checkpoints; none is made.

    Raises:
        ConfigError: There is none, or it cannot be read.
    """
    key = make_key(settings)
    seed = key.read()
    if seed is None:
        raise ConfigError(f"[audit] key: there is no key in {key}. Make it with: scimsync audit key")
    return seed


def signing_key(settings: Settings, notice: Callable[[str], None]) -> bytes | None:
    """The key that signs plans; None where one was named and is not there, which is told: planning writes nothing.

    Raises:
        ConfigError: It cannot be read or made.
    """
    key = make_key(settings)
    if key.read() is None and not settings.audit.makes:
        notice(f"The plan is not signed: there is no key in {key}. Make it with: scimsync audit key")
        return None
    return audit_key(settings)[0]


def make_audit_key(settings: Settings) -> tuple[str, str]:
    """Make the key that signs checkpoints where there is none: where it is, and its public key as people pass it on.

    Raises:
        ConfigError: It cannot be read or made.
    """
    with open_store(settings):  # makes the private folder where the key may stand
        seed, where = audit_key(settings, make=True)
    return where, checkpoints.public_text(checkpoints.public_of(seed))


def audit_public(settings: Settings) -> bytes | None:
    """The public key of who signs here; None where there is no key yet."""
    seed = make_key(settings).read()
    return None if seed is None else checkpoints.public_of(seed)


class Signable(Runs, Audit, Artifacts, Protocol):
    """Of the state: the chain, and where its last checkpoint is kept beside it."""


def checkpoint(settings: Settings, store: Signable, notice: Callable[[str], None]) -> str:
    """As `sign`, of a state that is the one that was left: what would tell of another is not overwritten.

    Raises:
        ConfigError: There is no key to sign with.
        StoreDamaged: It was emptied, cut, or is an older one.
    """
    continuity.check(settings, store)
    return sign(settings, store, notice)


def sign(settings: Settings, store: Signable, notice: Callable[[str], None]) -> str:
    """Sign the audit chain as it is now; keep the note in the store, beside it, and where else the configuration says.

    Returns the note; "" where nothing was added since the last one. A file elsewhere that cannot be written is
    told of, and stops nothing.

    Raises:
        ConfigError: There is no key to sign with.
    """
    note = checkpoints.close(store, make_clock(), audit_key(settings)[0])
    witness = store.artifact(WITNESS)
    if last := note or ("" if witness.exists() else next(reversed(store.checkpoints()), "")):
        try:
            files.write(witness, [last.encode()])
        except OSError as error:
            notice(f"{witness} cannot be written ({error.strerror}): an older state that is put back may go unnoticed.")
    if note and settings.audit.checkpoints is not None:
        try:
            files.append(settings.audit.checkpoints, note.encode() + b"\n")
        except OSError as error:
            notice(
                f"[audit] checkpoints: {settings.audit.checkpoints} cannot be written ({error.strerror}). The "
                "checkpoint is kept in the state only; append the next one with: scimsync audit checkpoint"
            )
    return note


def latest_checkpoint(settings: Settings, store: Signable, notice: Callable[[str], None]) -> str:
    """As `checkpoint`; the last one that was kept where nothing was added since, "" where there are no records."""
    return checkpoint(settings, store, notice) or next(reversed(store.checkpoints()), "")


@contextmanager
def signed(settings: Settings, store: Signable, notice: Callable[[str], None]) -> Iterator[None]:
    """Sign the audit chain behind a piece of work. Trouble with that does not hide trouble of the work itself."""
    try:
        yield
    except BaseException:
        with suppress(ConfigError, StoreError):
            checkpoint(settings, store, notice)
        raise
    checkpoint(settings, store, notice)


def note(  # noqa: PLR0913 - a record has many parts
    settings: Settings,
    store: Journal,
    kind: Kind,
    *,
    action: str,
    reason: str = "",
    rule: str = "",
    run: str = "",
    person: str = "",
    account: str = "",
    edits: Sequence[Edit] = (),
    detail: str = "",
    status: str = "",
) -> None:
    """Append one record outside a run: a schema that was pinned, a run that was taken back, a hold that was decided.

    Time, actor and target are filled in. The values of `edits`, and `detail`, are encrypted where a person is named
    and stand in clear where none is.
    """
    made = replace(
        record(settings, kind, action=action),
        run=run,
        person=person,
        account=account,
        reason=reason,
        rule=rule,
        edits=tuple(edits),
        detail=detail,
        status=status,
    )
    store.append((), (made,))


def record(settings: Settings, kind: Kind, *, action: str, who: Actor | None = None) -> Record:
    """A record about something that a person did just now, to be filled in and kept.

    Args:
        settings: The configuration.
        kind: What it tells.
        action: What was done.
        who: The person; whoever runs this process where None.
    """
    return Record(
        kind=kind,
        at=now(),
        actor=actor() if who is None else who.name,
        target=settings.target.api_url + settings.target.dialect.base_path,
        action=action,
        configuration=settings.digest,
    )


class Erasable(Signable, Protocol):
    """Of the state: where people's values lie that an erasure takes away."""


def erase(settings: Settings, store: Erasable, person: str, reason: str, notice: Callable[[str], None]) -> None:
    """Destroy the key of a person in the audit chain, and sign the chain behind it.

    The memo of phone numbers goes as a whole: whose they are does not stand in it. So does what is remembered of the
    directory, which holds people whom nobody knows by key.

    Raises:
        ConfigError: The chain knows nobody of this key, or not any more; or there is no key to sign with.
    """
    continuity.check(settings, store)
    at = now()
    record = Record(kind=Kind.ERASURE, at=at, actor=actor(), person=person, action="erased", reason=reason)
    if not store.erase(person, record):
        raise ConfigError(f"the audit chain knows nobody of the key {person}, or they were erased already.")
    from scimsync.workbench import mirror, phones, unmanaged  # noqa: PLC0415 - loads DuckDB

    phones.forget(store.artifact("phones").parent)
    mirror.forget(store.artifact(mirror.MIRROR))
    unmanaged.forget(store.artifact(unmanaged.UNMANAGED))
    checkpoint(settings, store, notice)

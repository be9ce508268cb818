"""Signed checkpoints of the audit chain, and the check of a store or a file against them.

A checkpoint is signed as a note (C2SP signed-note): its text, an empty line, and `— ORIGIN BASE64`, where the base64
holds the first four bytes of SHA-256(origin || LF || 0x01 || public key) and the Ed25519 signature over the text.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from msgspec import Struct

from scimsync.core import chain
from scimsync.engine.ports import Clock
from scimsync.engine.state import Audit
from scimsync.errors import StoreDamaged
from scimsync.model.audit import Checkpoint, Entry, Head, Kind

_ED25519 = b"\x01"

#: what to do where the chain of the state is broken
_COMPARE = "Keep a copy of the state as it is, and compare it with the last backup from that record on."


_BRING_BACK = "The chain itself is whole. Bring back the table audit_key from the last backup."


def public_of(seed: bytes) -> bytes:
    """The public key (32 bytes) of a signing key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - 20 ms

    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def public_text(public: bytes) -> str:
    """A public key as people pass it on."""
    return f"ed25519:{base64.b64encode(public).decode()}"


def read_public(text: str) -> bytes:
    """Read what `public_text` wrote.

    Raises:
        ValueError: It wrote no such thing.
    """
    found = base64.b64decode(text.strip().removeprefix("ed25519:"), validate=True)
    if len(found) != 32:
        raise ValueError("a public key has 32 bytes")
    return found


def signed(checkpoint: Checkpoint, seed: bytes) -> str:
    """A checkpoint as a signed note."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    text = chain.checkpoint_text(checkpoint)
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(text.encode())
    return _note(checkpoint, _key_id(checkpoint.origin, public_of(seed)) + signature)


def _note(checkpoint: Checkpoint, signature: bytes) -> str:
    packed = base64.b64encode(signature).decode()
    return f"{chain.checkpoint_text(checkpoint)}\n— {checkpoint.origin} {packed}\n"


def _key_id(origin: str, public: bytes) -> bytes:
    return hashlib.sha256(origin.encode() + b"\n" + _ED25519 + public).digest()[:4]


def opened(note: str, public: bytes | None) -> Checkpoint:
    """Read a signed note; without a public key its signature is not looked at.

    Raises:
        StoreDamaged: It is none, or its signature is not of that key.
    """
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    try:
        text, _, rest = note.partition("\n\n")
        found = chain.read_checkpoint(text + "\n")
        signature = base64.b64decode(rest.rstrip("\n").rpartition(" ")[2], validate=True)
        if _note(found, signature) != note:
            raise ValueError("not as it was written")
        if public is not None:
            Ed25519PublicKey.from_public_bytes(public).verify(signature[4:], text.encode() + b"\n")
            if signature[:4] != _key_id(found.origin, public):
                raise ValueError("of another key")
    except (ValueError, InvalidSignature) as error:
        first = " ".join(note.splitlines()[:2])[:80] or "an empty one"
        raise StoreDamaged(
            f"audit: a checkpoint ({first}) was changed, or was signed with another key. Look for the one that was "
            "kept elsewhere, and verify against it: scimsync audit verify --against FILE"
        ) from error
    return found


def notes_in(text: str) -> Iterator[str]:
    """The notes of a file to which they were appended."""
    parts = [part for part in text.split("\n\n") if part.strip()]
    for body, signature in zip(parts[::2], [*parts[1::2], ""], strict=False):
        yield f"{body.strip()}\n\n{signature.strip()}\n"


def close(store: Audit, clock: Clock, seed: bytes) -> str:
    """Sign the chain as it is now and keep the checkpoint; "" where the last one says it all."""
    head = store.head()
    kept = store.checkpoints()
    if not head.size or (kept and opened(kept[-1], None) == statement(head)):
        return ""
    note = signed(statement(head), seed)
    store.save_checkpoint(head.size, clock.now(), note)
    return note


def statement(head: Head) -> Checkpoint:
    """What can be said of a chain that ends there."""
    return Checkpoint(head.origin, head.size, chain.root(head.frontier))


class Verified(Struct, frozen=True, kw_only=True):
    """A chain that is whole."""

    origin: str
    first: int
    size: int
    root: bytes
    #: size of the largest checkpoint it was held against; 0 where there was none
    covered: int
    checkpoints: int


def verify_store(store: Audit, public: bytes | None, notes: Iterable[str] = ()) -> Verified:
    """Walk the whole chain of a store and hold it against its checkpoints and those kept elsewhere.

    Raises:
        StoreDamaged: With the first record that is not as it was written.
    """
    head = store.head()
    told = [opened(note, public) for note in (*store.checkpoints(), *notes)]
    found = _verify(store.entries(), chain.start_of(head.origin), told, end=statement(head))
    _check_keys(store)
    return found


def _check_keys(store: Audit) -> None:
    """Whether every key is there, but those of which an erasure tells."""
    if seq := store.keyless():
        raise StoreDamaged(f"audit: the key of the person of record {seq:,} is missing. {_BRING_BACK}")
    gone = {key.pseudonym for key in store.gone_keys()}
    told = {entry.person for entry in store.entries(kind=Kind.ERASURE.value)} if gone else set()
    for name in sorted(gone - told):
        first = next(store.entries(people=[name]), None)
        of = f"the person of record {first.seq:,}" if first is not None else f"{name}, whom no record tells of,"
        raise StoreDamaged(f"audit: the key of {of} was destroyed, and no erasure tells of it. {_BRING_BACK}")


def verify_file(lines: Iterable[bytes], public: bytes | None, notes: Iterable[str] = ()) -> Verified:
    """Walk an exported file and hold it against its own checkpoint and others.

    Raises:
        StoreDamaged: With the first record that is not as it was written.
    """
    pages = chain.Pages.of(lines)
    advice = "Do not rely on this file from that record on, and have it exported again."
    told = [opened(note, public) for note in notes]
    found = chain.check(pages, pages.start, told)
    if found.broken is None:
        end = opened(pages.note, public)
        if end != statement(found.head):
            fault = chain.Broken(found.head.size, "or one before it does not fit the checkpoint of the file")
            raise broken(fault, advice)
        told.append(end)
    return _result(found, pages.start, told, advice)


def _verify(entries: Iterable[Entry], start: Head, told: Sequence[Checkpoint], *, end: Checkpoint) -> Verified:
    return _result(chain.check(entries, start, [*told, end]), start, told)


def _result(found: chain.Checked, start: Head, told: Sequence[Checkpoint], advice: str = _COMPARE) -> Verified:
    if found.broken is not None:
        raise broken(found.broken, advice)
    return Verified(
        origin=found.head.origin,
        first=start.size + 1,
        size=found.head.size,
        root=chain.root(found.head.frontier),
        covered=max((c.size for c in told), default=0),
        checkpoints=len(told),
    )


def broken(found: chain.Broken, advice: str = _COMPARE) -> StoreDamaged:
    """The error that names the first broken record, and says what to do."""
    return StoreDamaged(f"audit: {found}. The records before it are as they were written. {advice}")


def prove(store: Audit, seq: int, seed: bytes) -> tuple[Entry, list[bytes], str]:
    """A record, the proof that it is in the chain, and the signed checkpoint of the chain as it is now.

    Raises:
        LookupError: There is no such record.
        StoreDamaged: The chain is not as it was written.
    """
    head = store.head()
    entry = next(store.entries(after=seq - 1, newest=0), None) if 1 <= seq <= head.size else None
    if entry is None or entry.seq != seq:
        raise LookupError(seq)
    leaves = (chain.leaf(found.body) for found in islice(store.entries(), head.size))
    told = statement(head)
    try:
        proof = chain.inclusion(leaves, seq - 1, head.size)
    except ValueError:  # the end was cut off
        proof = []
    if not chain.proves(proof, chain.leaf(entry.body), seq - 1, head.size, told.root):
        raise StoreDamaged(
            "audit: the chain is not as it was written, so nothing is proven. Run: scimsync audit verify"
        )
    return entry, proof, signed(told, seed)

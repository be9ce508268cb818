"""How records become entries of the chain: what every store does inside its transaction.

The personal part of a record (person, login, account, values, words of the target) is encrypted with AES-256-GCM under
a key of that person. The body tells a commitment to it, SHA-256 over the clear bytes with a salt among them, so that
values that are shown later can be held against the chain; once the key is destroyed neither says anything. The person
stands in the body as a pseudonym, HMAC-SHA-256 under a key of the store.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

import msgspec
from msgspec import Struct, field

from scimsync.core import chain
from scimsync.errors import StoreDamaged
from scimsync.model.audit import Edit, Entry, Head, PersonKey, Record
from scimsync.scim.schema import Value

FORMAT = 1
_NONCE = 12
_CLEAR = (
    "run", "plan", "target", "action", "reason", "rule", "version_before", "version_after", "correlation_id", "status",
    "code", "configuration", "part", "attempt", "method",
)  # fmt: skip
_PERSONAL = ("name", "account", "detail")


def pseudonym(secret: bytes, person: str, life: int = 0) -> str:
    """The name of a person in the chain. After an erasure the same key of the source begins another life."""
    return hmac.new(secret, f"{life}\n{person}".encode(), hashlib.sha256).hexdigest()[:32]


class Ledger(Struct):
    """Adds records to a chain. Made inside a transaction that holds the head of the chain locked."""

    head: Head
    #: of the store, for pseudonyms
    secret: bytes
    #: the key kept under a pseudonym; None where there is none
    find: Callable[[str], PersonKey | None]
    #: so many bytes that nobody can guess
    fresh: Callable[[int], bytes]
    #: keys made on the way, to be kept with the entries
    made: dict[str, PersonKey] = field(default_factory=dict)
    _known: dict[str, PersonKey] = field(default_factory=dict)

    def add(self, records: Iterable[Record]) -> list[Entry]:
        """Chain records; afterwards `head` is the new end."""
        size, previous, frontier = self.head.size, self.head.hash, list(self.head.frontier)
        entries = []
        for record in records:
            entry = self._entry(record, size + 1, previous)
            chain.grow(frontier, size, chain.leaf(entry.body))
            size, previous = entry.seq, entry.hash
            entries.append(entry)
        self.head = Head(self.head.origin, size, previous, tuple(frontier))
        return entries

    def _entry(self, record: Record, seq: int, previous: bytes) -> Entry:
        at = record.at.astimezone(UTC).isoformat(timespec="microseconds")
        document: dict[str, object] = {
            "v": FORMAT,
            "seq": seq,
            "at": at,
            "kind": record.kind.value,
            "actor": record.actor,
            **{name: value for name in _CLEAR if (value := getattr(record, name))},
        }
        if record.edits:
            document["paths"] = [_told(edit) for edit in record.edits]
        personal = personal_part(record)
        name = ""
        if record.person:
            key = self.key(record.person)
            document["person"] = name = key.pseudonym
            document |= self._sealed({**personal, "person": record.person}, key)
        else:
            document |= personal
        body = chain.canonical(document)
        return Entry(seq, at, record.kind.value, record.run, name, body, chain.link(previous, body))

    def _sealed(self, personal: Mapping[str, object], key: PersonKey) -> dict[str, str]:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - 20 ms that reading need not pay

        clear = chain.canonical({**personal, "salt": self.fresh(16).hex()})
        nonce = self.fresh(_NONCE)
        hidden = nonce + AESGCM(key.secret or b"").encrypt(nonce, clear, key.pseudonym.encode())
        return {"commitment": hashlib.sha256(clear).hexdigest(), "sealed": base64.b64encode(hidden).decode()}

    def key(self, person: str) -> PersonKey:
        """The key of a person; made where there is none, or none any more."""
        if person not in self._known:
            life = 0
            while (found := self.find(name := pseudonym(self.secret, person, life))) and found.secret is None:
                life += 1
            if found is None:
                found = PersonKey(pseudonym=name, person=person, secret=self.fresh(32))
                self.made[name] = found
            self._known[person] = found
        return self._known[person]


def beginning(origin: str) -> Head:
    """The head of a chain without records."""
    return chain.start_of(origin)


def lives(secret: bytes, person: str, find: Callable[[str], PersonKey | None]) -> list[PersonKey]:
    """Every key a person ever had, oldest first."""
    found: list[PersonKey] = []
    while key := find(pseudonym(secret, person, len(found))):
        found.append(key)
    return found


def personal_part(record: Record) -> dict[str, object]:
    """What is encrypted of a record about a person, and stands in clear in one about nobody."""
    part: dict[str, object] = {name: value for name in _PERSONAL if (value := getattr(record, name))}
    values = {
        edit.path: {"before": plain(edit.before), "after": plain(edit.after)}
        for edit in record.edits
        if edit.before is not None or edit.after is not None
    }
    return {**part, "values": values} if values else part


def _told(edit: Edit) -> dict[str, str]:
    told = {"path": edit.path, "reason": edit.reason, "authority": edit.authority}
    return {name: text for name, text in told.items() if text}


def plain(value: Value) -> object:
    """A value as it is hashed: numbers as text, because floats have no one form.

    Examples:
        >>> plain(((("name", "Python"), ("proficiency", 3.0)),)), plain(2.5), plain(True)
        ([{'name': 'Python', 'proficiency': '3'}], '2.5', True)
    """
    if isinstance(value, tuple):
        return [{name: plain(member) for name, member in entry} for entry in value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return str(int(value)) if float(value).is_integer() else repr(value)


class _Sealed(msgspec.Struct):
    sealed: str = ""


_sealed = msgspec.json.Decoder(_Sealed).decode


def is_sealed(entry: Entry) -> bool:
    """Whether an entry has a personal part."""
    return bool(_sealed(entry.body).sealed)


def reveal(entry: Entry, key: PersonKey | None) -> bytes | None:
    """The personal part of an entry in clear; None where there is none, or where its key was destroyed.

    Raises:
        StoreDamaged: It cannot be read though the key is there.
    """
    try:
        hidden = _sealed(entry.body).sealed
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unreadable(entry) from error
    if not hidden or (key is not None and key.secret is None):
        return None
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - 20 ms
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    try:
        raw = base64.b64decode(hidden, validate=True)
        secret = key.secret if key is not None else None
        return AESGCM(secret or b"").decrypt(raw[:_NONCE], raw[_NONCE:], entry.person.encode())
    except (InvalidTag, ValueError) as error:
        raise StoreDamaged(
            f"audit: the personal part of record {entry.seq} cannot be read: its key is missing or was changed. "
            "Bring back the table audit_key from the last backup."
        ) from error


def document_of(entry: Entry) -> dict[str, object]:
    """What the body of an entry says.

    Raises:
        StoreDamaged: It is none of ours.
    """
    try:
        return msgspec.json.decode(entry.body, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unreadable(entry) from error


def _unreadable(entry: Entry) -> StoreDamaged:
    return StoreDamaged(f"audit: record {entry.seq} was changed and cannot be read. Run: scimsync audit verify")


def erased(key: PersonKey, at: datetime, actor: str) -> PersonKey:
    """What is left of a key after an erasure."""
    return PersonKey(pseudonym=key.pseudonym, person="", secret=None, erased=at, erased_by=actor)

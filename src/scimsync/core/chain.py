"""The audit chain: canonical bytes, hash chain, Merkle tree (RFC 6962 §2.1), checkpoints, and the check of it all.

hash of a record    SHA-256(hash of the record before || body); before the first stands SHA-256(origin)
leaf of the tree    SHA-256(0x00 || body); a node is SHA-256(0x01 || left || right)
checkpoint          `origin LF size LF base64(root) LF` (C2SP tlog-checkpoint), signed as a note

Bodies are JSON with sorted keys, made of texts, integers, booleans and null only, so that there is one form of each.
They are kept as they were hashed and never rendered anew.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct

from scimsync.errors import StoreDamaged
from scimsync.model.audit import Checkpoint, Entry, Head

_encode = msgspec.json.Encoder(order="sorted").encode


def canonical(document: Mapping[str, object]) -> bytes:
    """The one form of a document.

    Raises:
        TypeError: It holds something whose form is not fixed, as a float.

    Examples:
        >>> canonical({"b": [True, None], "a": 1})
        b'{"a":1,"b":[true,null]}'
    """
    _only_exact(document)
    return _encode(document)


def _only_exact(value: object) -> None:
    match value:
        case str() | bool() | int() | None:
            return
        case Mapping():
            for member in value.values():
                _only_exact(member)
        case list() | tuple():
            for member in value:
                _only_exact(member)
        case _:
            raise TypeError(f"a {type(value).__name__} has no canonical form")


# Hashes


def genesis(origin: str) -> bytes:
    """What the first record of a chain is chained to."""
    return hashlib.sha256(origin.encode()).digest()


def link(previous: bytes, body: bytes) -> bytes:
    """The hash of a record."""
    return hashlib.sha256(previous + body).digest()


def leaf(body: bytes) -> bytes:
    """The leaf of a record in the tree."""
    return hashlib.sha256(b"\x00" + body).digest()


def node(left: bytes, right: bytes) -> bytes:
    """The node over two others."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def grow(frontier: list[bytes], size: int, new: bytes) -> None:
    """Add a leaf to the frontier of a tree of `size` leaves: the roots of its full subtrees, largest first."""
    while size & 1:
        new = node(frontier.pop(), new)
        size >>= 1
    frontier.append(new)


def root(frontier: Sequence[bytes]) -> bytes:
    """The root of the tree with that frontier.

    Examples:
        >>> root([]).hex()[:8]
        'e3b0c442'
    """
    if not frontier:
        return hashlib.sha256(b"").digest()
    found = frontier[-1]
    for left in reversed(frontier[:-1]):
        found = node(left, found)
    return found


# Proofs


def siblings(index: int, size: int) -> list[tuple[int, int]]:
    """The subtrees (first leaf, end) whose roots prove leaf `index` of `size` (RFC 6962 §2.1.1), nearest first."""
    found, start, end = [], 0, size
    while end - start > 1:
        middle = start + (1 << (end - start - 1).bit_length() - 1)
        if index < middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start = middle
    return found[::-1]


def inclusion(leaves: Iterable[bytes], index: int, size: int) -> list[bytes]:
    """The proof that a leaf is in the tree, in one walk over its first `size` leaves.

    Raises:
        ValueError: There are fewer leaves.
    """
    wanted = siblings(index, size)
    starts = dict(wanted)
    roots: dict[int, bytes] = {}
    frontier: list[bytes] = []
    start = number = 0
    for number, new in enumerate(leaves, 1):
        if number - 1 in starts:
            start, frontier = number - 1, []
        grow(frontier, number - 1 - start, new)
        if starts.get(start) == number:
            roots[start] = root(frontier)
        if number == size:
            break
    if number < size:
        raise ValueError(f"{number} leaves do not make a tree of {size}")
    return [roots[start] for start, _ in wanted]


def proves(proof: Sequence[bytes], new: bytes, index: int, size: int, top: bytes) -> bool:
    """Whether a proof leads from a leaf to the root of the tree."""
    wanted = siblings(index, size) if 0 <= index < size else []
    if len(proof) != len(wanted) or not 0 <= index < size:
        return False
    for sibling, (start, _) in zip(proof, wanted, strict=True):
        new = node(new, sibling) if start > index else node(sibling, new)
    return new == top


# Checkpoints


def checkpoint_text(checkpoint: Checkpoint) -> str:
    """The text that is signed."""
    return f"{checkpoint.origin}\n{checkpoint.size}\n{base64.b64encode(checkpoint.root).decode()}\n"


def read_checkpoint(text: str) -> Checkpoint:
    """Read what `checkpoint_text` wrote, and nothing else.

    Raises:
        ValueError: It wrote no such thing.
    """
    origin, size, top, *rest = [*text.split("\n"), "", "", ""][:4]
    found = Checkpoint(origin, int(size), base64.b64decode(top, validate=True))
    if rest != [""] or checkpoint_text(found) != text or len(found.root) != 32:
        raise ValueError("not a checkpoint")
    return found


# The check


class Broken(Struct, frozen=True):
    """The first record that is not as it was written; `why` goes on from "record N"."""

    seq: int
    why: str

    def __str__(self) -> str:
        """One sentence."""
        return f"record {self.seq} {self.why}"


class Checked(Struct, frozen=True):
    """How far a chain is whole, and the first record that is not."""

    head: Head
    broken: Broken | None


class _Index(msgspec.Struct, gc=False):
    """What the columns of an entry repeat."""

    seq: int
    at: str
    kind: str
    run: str = ""
    person: str = ""


_index = msgspec.json.Decoder(_Index).decode


def start_of(origin: str) -> Head:
    """A chain without records."""
    return Head(origin, 0, genesis(origin), ())


def check(entries: Iterable[Entry], start: Head, checkpoints: Iterable[Checkpoint] = ()) -> Checked:
    """Walk a chain once, in constant memory, and name the first record that is not as it was written.

    Args:
        entries: the records after `start`, in the order in which they are kept.
        start: where the walk begins.
        checkpoints: believed statements; one that lies before `start` says nothing.
    """
    roots: dict[int, list[Checkpoint]] = {}
    for checkpoint in checkpoints:
        if checkpoint.size >= start.size:
            roots.setdefault(checkpoint.size, []).append(checkpoint)
    size, previous, frontier = start.size, start.hash, list(start.frontier)
    fault = _conflict(roots.get(size, ()), start.origin, frontier)
    sha256 = hashlib.sha256
    for entry in () if fault else entries:
        seq, body = entry.seq, entry.body
        size += 1
        if seq != size:
            fault = _out_of_place(seq, size)
            break
        found = sha256(previous + body).digest()
        if found != entry.hash or not _indexed(entry):
            fault = Broken(seq, "was changed")
            break
        previous, new, below = found, sha256(b"\x00" + body).digest(), size - 1
        while below & 1:
            new = sha256(b"\x01" + frontier.pop() + new).digest()
            below >>= 1
        frontier.append(new)
        if size in roots and (fault := _conflict(roots[size], start.origin, frontier)):
            break
    head = Head(start.origin, size, previous, tuple(frontier))
    return Checked(head, fault or _cut(size, roots))


def _indexed(entry: Entry) -> bool:
    try:
        told = _index(entry.body)
    except ValueError:  # whoever changed it made the hash fit
        return False
    columns = (entry.seq, entry.at, entry.kind, entry.run, entry.person)
    return (told.seq, told.at, told.kind, told.run, told.person) == columns


def _out_of_place(found: int, wanted: int) -> Broken:
    if found < wanted:
        return Broken(found, "stands twice or in the wrong place")
    return Broken(wanted, f"is missing: record {found} stands in its place")


def _conflict(told: Iterable[Checkpoint], origin: str, frontier: Sequence[bytes]) -> Broken | None:
    for checkpoint in told:
        if checkpoint.origin != origin:
            return Broken(checkpoint.size, f"belongs to another chain ({origin}) than a checkpoint says")
        if checkpoint.root != root(frontier):
            return Broken(checkpoint.size, "or one before it was written anew: a checkpoint tells of another root")
    return None


def _cut(size: int, checkpoints: Iterable[int]) -> Broken | None:
    latest = max(checkpoints, default=0)
    return Broken(size + 1, f"is missing: the chain was cut, a checkpoint tells of {latest}") if latest > size else None


# Files


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    """One record of a file."""

    record: msgspec.Raw
    hash: str
    #: the personal part in clear, as it was committed to; not there where it was erased or left out
    clear: msgspec.Raw = msgspec.Raw()


class _Begin(msgspec.Struct, forbid_unknown_fields=True):
    """The first line of a file: the chain before its first record."""

    scimsync_audit: int
    origin: str
    size: int
    hash: str
    frontier: list[str]


class _End(msgspec.Struct, forbid_unknown_fields=True):
    """The last line of a file: the signed checkpoint over its last record."""

    checkpoint: str


class _Commitment(msgspec.Struct):
    commitment: str = ""


FORMAT = 1
_line, _begin = msgspec.json.Decoder(_Line).decode, msgspec.json.Decoder(_Begin).decode
_end = msgspec.json.Decoder(_End).decode
_commitment = msgspec.json.Decoder(_Commitment).decode


def first_line(start: Head) -> bytes:
    """The first line of a file whose records follow `start`."""
    frontier = [known.hex() for known in start.frontier]
    return _encode(_Begin(FORMAT, start.origin, start.size, start.hash.hex(), frontier)) + b"\n"


def record_line(entry: Entry, clear: bytes | None) -> bytes:
    """The line of a record, with its personal part where that may be shown."""
    shown = b'"clear":%b,' % clear if clear else b""
    return b'{%b"hash":"%b","record":%b}\n' % (shown, entry.hash.hex().encode(), entry.body)


def last_line(note: str) -> bytes:
    """The last line: the signed checkpoint."""
    return _encode(_End(note)) + b"\n"


class Pages(Struct):
    """A file of records, walked once; what its last line said is known after the walk.

    Raises:
        StoreDamaged: (while it is walked) a line has not the form it was written in; the message names the record.
    """

    lines: Iterator[bytes]
    start: Head
    note: str = ""

    @classmethod
    def of(cls, lines: Iterable[bytes]) -> Pages:
        """Read the first line.

        Raises:
            StoreDamaged: It is not that of an audit file.
        """
        walk = iter(lines)
        first = next(walk, b"")
        try:
            told = _begin(first)
            start = Head(told.origin, told.size, bytes.fromhex(told.hash), tuple(map(bytes.fromhex, told.frontier)))
        except ValueError as error:
            raise StoreDamaged("audit: line 1 is not the heading of an audit file") from error
        if first_line(start) != first or told.scimsync_audit != FORMAT:
            raise StoreDamaged("audit: line 1 is not as scimsync wrote it")
        if told.size == 0 and start != start_of(told.origin):
            raise StoreDamaged("audit: line 1 tells of another beginning than its chain has")
        return cls(walk, start)

    def __iter__(self) -> Iterator[Entry]:
        """The records."""
        size = self.start.size
        for raw in self.lines:
            if self.note:
                raise StoreDamaged(f"audit: something stands after the end of the file, at record {size + 1}")
            entry = self._read(raw, size + 1)
            if entry is not None:
                size = entry.seq
                yield entry
        if not self.note:
            raise StoreDamaged(f"audit: record {size + 1} or the end of the file is missing: the file was cut")

    def _read(self, raw: bytes, number: int) -> Entry | None:
        broken = StoreDamaged(f"audit: record {number} was changed: its line is not as scimsync wrote it")
        try:
            if raw.startswith(b'{"checkpoint":'):
                self.note = _end(raw).checkpoint
                whole = last_line(self.note) == raw
                entry = None
            else:
                told = _line(raw)
                body, clear = bytes(told.record), bytes(told.clear)
                index = _index(body)
                entry = Entry(index.seq, index.at, index.kind, index.run, index.person, body, bytes.fromhex(told.hash))
                committed = not clear or hashlib.sha256(clear).hexdigest() == _commitment(body).commitment
                whole = committed and record_line(entry, clear) == raw
        except ValueError as error:
            raise broken from error
        if not whole:
            raise broken
        return entry

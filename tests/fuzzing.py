"""Bytes of anybody against each parser: it answers, or raises what it says that it raises.

In CI hypothesis plays a few (`tests/laws/test_fuzzing.py`). `make soak` lets atheris look for more, guided by what
the parsers do with them; by hand: python -m tests.fuzzing SECONDS [TARGET].
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

from scimsync.adapters.source_file import CsvSource, JsonlSource, ParquetSource
from scimsync.core import chain, sealing
from scimsync.engine import checkpoints, listening
from scimsync.errors import PlanDamaged, ProtocolError, SourceError, StoreDamaged
from scimsync.scim.grammar import parse_filter, parse_path, render_filter
from scimsync.testing import MemoryStore, VirtualClock

Target = Callable[[bytes], None]


def a_filter(content: bytes) -> None:
    """What is printed of a filter is read as the same filter."""
    with contextlib.suppress(ProtocolError):
        tree = parse_filter(content.decode("utf-8", "replace"))
        assert parse_filter(render_filter(tree)) == tree


def a_path(content: bytes) -> None:
    """What is printed of a path is read as the same path."""
    with contextlib.suppress(ProtocolError):
        path = parse_path(content.decode("utf-8", "replace"))
        assert parse_path(str(path)) == path


def an_event(content: bytes) -> None:
    """A message that is signed rightly is taken or refused; one that is not is forged, whatever its headers say."""
    keys, inbox, clock = [b"k" * 32], MemoryStore(_FOLDER / "artifacts"), VirtualClock()
    head, _, body = content.partition(b"\n")
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    given = dict(zip(names, head.decode("latin-1").split("|"), strict=False))
    assert listening.take(keys, given, body, inbox, clock).status == 401
    with contextlib.suppress(UnicodeDecodeError):
        headers = _signed(keys[0], body, clock)
        assert listening.take(keys, headers, body, inbox, clock).status in {202, 400}


def _signed(key: bytes, body: bytes, clock: VirtualClock) -> Mapping[str, str]:
    from scimsync.core import signing  # noqa: PLC0415 - beside the one that uses it

    return {name.lower(): value for name, value in signing.sign([key], "msg_1", clock.now(), body).items()}


def _rows(source: CsvSource | JsonlSource | ParquetSource) -> None:
    with contextlib.suppress(SourceError):
        for batch in source.read().batches:
            for row in batch.rows:
                assert len(row) >= 0


def a_csv_file(content: bytes) -> None:
    """Rows, or a sentence."""
    _FILE.write_bytes(content)
    _rows(CsvSource(_FILE, "id"))


def a_jsonl_file(content: bytes) -> None:
    """Rows, or a sentence."""
    _FILE.write_bytes(content)
    _rows(JsonlSource(_FILE, "id"))


def a_plan_file(content: bytes) -> None:
    """A plan, or a sentence."""
    with contextlib.suppress(PlanDamaged):
        sealing.opened(io.BytesIO(content))


def an_audit_file(content: bytes) -> None:
    """A chain that is whole, or a sentence."""
    with contextlib.suppress(StoreDamaged):
        checkpoints.verify_file(io.BytesIO(content), None)
    with contextlib.suppress(ValueError):
        chain.read_checkpoint(content.decode("utf-8", "replace"))


TARGETS: dict[str, Target] = {
    each.__name__: each for each in (a_filter, a_path, an_event, a_csv_file, a_jsonl_file, a_plan_file, an_audit_file)
}
#: where each begins: atheris and hypothesis go on from there
SEEDS: dict[str, tuple[bytes, ...]] = {
    "a_filter": (
        b'emails[type eq "work" and value co "@x"].value pr',
        b'not (a.b ge 1.5e3) or c sw "\\u00e9" and d eq null',
    ),
    "a_path": (b'urn:ietf:params:scim:schemas:core:2.0:User:emails[type eq "work"].value', b"name.familyName"),
    "an_event": (b'msg_1|1700000000|v1,abc=\n{"type": "person.changed", "keys": ["E1"]}',),
    "a_csv_file": (b'id,name\n1,"a ""b"" c"\n2,x\n', b"\xef\xbb\xbfid;name\r\n1;x\r\n"),
    "a_jsonl_file": (b'{"id": 1, "name": "x"}\n{"id": 2, "name": null}\n',),
    "a_plan_file": (b'{"scimsync_plan": 1}\n{"sha256": "00"}\n',),
    "an_audit_file": (
        b'{"frontier":[],"hash":"'
        + chain.genesis("o").hex().encode()
        + b'","origin":"o","scimsync_audit":1,"size":0}\n',
        b"o\n1\nAAAA\n",
    ),
}
_FOLDER = Path(tempfile.mkdtemp(prefix="scimsync-fuzz-"))
_FILE = _FOLDER / "given"


def mutated(seed: bytes, rng: Random) -> bytes:
    """A seed after some changes: bytes flipped, cut, doubled, strewn in."""
    found = bytearray(seed)
    for _ in range(rng.randint(1, 8)):
        place = rng.randint(0, len(found))
        match rng.randrange(4):
            case 0:
                found[place : place + 1] = bytes([rng.randrange(256)])
            case 1:
                del found[place : place + rng.randint(1, 6)]
            case 2:
                found[place:place] = found[place : place + rng.randint(1, 40)] * rng.randint(1, 3)
            case _:
                found[place:place] = rng.choice(
                    (b'"', b"\\", b"(", b"[", b"\0", b"\n", b"\xff", b"\xed\xa0\x80", b"1e999")
                )
    return bytes(found)


def main() -> None:
    """Let atheris play each target for some seconds, in a process of its own."""
    seconds, only = sys.argv[1], sys.argv[2:]
    if len(only) == 1:
        _play(only[0], int(seconds))
    for name in only or TARGETS:
        if os.spawnl(os.P_WAIT, sys.executable, sys.executable, "-m", "tests.fuzzing", seconds, name):
            sys.exit(f"{name}: see above; the bytes stand in crash-* here")


def _play(name: str, seconds: int) -> None:
    import atheris  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415 - an aid of a soak

    corpus = _FOLDER / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(SEEDS[name]):
        (corpus / str(number)).write_bytes(seed)
    atheris.instrument_all()
    atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", "-rss_limit_mb=4096", str(corpus)], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()

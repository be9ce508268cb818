"""A plan file is signed with the key of the audit chain; what was signed is refused after any change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.factories import make_change, make_delta, make_finding, make_plan

from scimsync.core import sealing
from scimsync.core.sealing import Opened
from scimsync.engine import signatures
from scimsync.engine.checkpoints import public_of
from scimsync.errors import PlanDamaged, PlanError

SEED, OTHER = bytes(range(32)), bytes(32)
PUBLIC = public_of(SEED)
PLAN = make_plan(
    changes=(make_change("E1", deltas=(make_delta(),)), make_change("É2", account=None, row=3)),
    findings=(make_finding(),),
)
LINES = list(sealing.encode(PLAN, signatures.signer_of(SEED)))
BYTES = b"".join(LINES)
#: any change of some bytes: (place, how many go, what comes in)
EDITS = st.tuples(st.integers(0, len(BYTES)), st.integers(0, 3), st.binary(max_size=3))


def opened(content: bytes) -> Opened:
    """A file as programs read it: by its lines."""
    found = sealing.opened(content.splitlines(keepends=True) if b"\r" not in content else _lines(content))
    signatures.check(found, PUBLIC, "the key file")
    return found


def _lines(content: bytes) -> list[bytes]:
    parts = content.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def test_a_signed_plan_opens_as_the_plan_it_was() -> None:
    found = opened(BYTES)
    assert found.plan == PLAN
    assert signatures.is_whole(found)
    assert signatures.is_signed(found.closing, PUBLIC)


def test_the_same_plan_and_key_make_the_same_bytes() -> None:
    assert b"".join(sealing.encode(PLAN, signatures.signer_of(SEED))) == BYTES


@given(st.integers(0, len(BYTES) - 1), st.integers(1, 255))
def test_any_byte_changed_anywhere_is_refused(place: int, change: int) -> None:
    with pytest.raises(PlanError):
        opened(BYTES[:place] + bytes([BYTES[place] ^ change]) + BYTES[place + 1 :])


def test_every_byte_of_the_closing_line_is_refused_with_any_one_bit_turned() -> None:
    start = len(BYTES) - len(LINES[-1])
    for place in range(start, len(BYTES)):
        for bit in range(8):
            with pytest.raises(PlanError):
                opened(BYTES[:place] + bytes([BYTES[place] ^ 1 << bit]) + BYTES[place + 1 :])


@given(EDITS)
def test_bytes_put_in_or_taken_out_anywhere_are_refused(edit: tuple[int, int, bytes]) -> None:
    place, gone, put = edit
    changed = BYTES[:place] + put + BYTES[place + gone :]
    if changed != BYTES:
        with pytest.raises(PlanError):
            opened(changed)


@given(st.lists(st.integers(0, len(LINES) - 1), max_size=len(LINES) + 2))
def test_lines_cut_doubled_or_in_another_order_are_refused(order: list[int]) -> None:
    if order != list(range(len(LINES))):
        with pytest.raises(PlanError):
            opened(b"".join(LINES[number] for number in order))


def test_a_plan_that_somebody_sealed_anew_is_refused_by_its_signature() -> None:
    forged = list(sealing.encode(make_plan(changes=(make_change("E9"),)), signatures.signer_of(OTHER)))
    found = sealing.opened(forged)
    assert signatures.is_whole(found)
    with pytest.raises(PlanDamaged, match="another key"):
        opened(b"".join(forged))


def test_a_signature_of_another_plan_is_refused() -> None:
    other = list(sealing.encode(make_plan(), signatures.signer_of(SEED)))
    closing = json.loads(LINES[-1]) | {"signature": json.loads(other[-1])["signature"]}
    with pytest.raises(PlanDamaged, match="changed after it was signed"):
        opened(b"".join([*LINES[:-1], json.dumps(closing, separators=(",", ":")).encode() + b"\n"]))


def test_a_signature_that_is_cut_off_is_missed() -> None:
    closing = json.loads(LINES[-1])
    del closing["signature"]
    with pytest.raises(PlanDamaged, match="cut off"):
        opened(b"".join([*LINES[:-1], json.dumps(closing, separators=(",", ":")).encode() + b"\n"]))


def test_a_plan_of_before_there_were_signatures_opens_with_its_digest_alone() -> None:
    found = opened(b"".join(sealing.encode(PLAN)))
    assert found.plan == PLAN
    assert not found.signer
    assert not signatures.is_whole(found)


def test_a_plan_is_written_with_the_digest_that_the_state_remembers(tmp_path: Path) -> None:
    file = tmp_path / "plan.ndjson"
    assert signatures.write(file, PLAN, SEED) == json.loads(LINES[-1])["sha256"]
    assert file.read_bytes() == BYTES
    assert file.stat().st_mode & 0o777 == 0o600
    signatures.write(file, PLAN, None)
    assert file.read_bytes() == b"".join(sealing.encode(PLAN))

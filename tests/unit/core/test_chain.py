"""The chain proves itself: whatever was changed, removed, swapped, repeated or cut off is named."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from scimsync.core import chain
from scimsync.errors import StoreDamaged
from scimsync.model.audit import Checkpoint, Entry, Head

ORIGIN = "scimsync/test"
#: the leaves and the root of the reference implementation of RFC 6962
LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOT = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


def make_chain(number: int) -> list[Entry]:
    entries, previous = [], chain.genesis(ORIGIN)
    for seq in range(1, number + 1):
        about = {"seq": seq, "at": f"2026-01-01T00:00:{seq:02}", "kind": "intent", "run": "r1", "person": f"p{seq % 7}"}
        body = chain.canonical({**about, "paths": [{"path": "title", "é": None}], "sealed": "x" * (seq % 5)})
        previous = chain.link(previous, body)
        entries.append(Entry(seq, str(about["at"]), str(about["kind"]), "r1", str(about["person"]), body, previous))
    return entries


def top(leaves: list[bytes]) -> bytes:
    """RFC 6962 §2.1, word for word."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return chain.node(top(leaves[:k]), top(leaves[k:]))


def frontier_of(leaves: list[bytes]) -> list[bytes]:
    frontier: list[bytes] = []
    for size, new in enumerate(leaves):
        chain.grow(frontier, size, new)
    return frontier


# Bytes


@pytest.mark.parametrize("value", [1.5, {"a": [0.1]}, b"bytes", {1, 2}, float("nan")])
def test_what_has_no_one_form_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        chain.canonical({"value": value})


json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), json, max_size=4), st.randoms())
def test_the_order_of_members_makes_no_difference(document: dict[str, object], draw: random.Random) -> None:
    names = list(document)
    draw.shuffle(names)
    assert chain.canonical(document) == chain.canonical({name: document[name] for name in names})


# Tree


def test_the_root_is_that_of_the_reference_vector() -> None:
    leaves = [chain.leaf(bytes.fromhex(text)) for text in LEAVES]
    assert chain.root(frontier_of(leaves)).hex() == ROOT


@given(st.integers(1, 200), st.data())
def test_every_leaf_can_be_proven_and_no_other_in_its_place(size: int, data: st.DataObject) -> None:
    leaves = [chain.leaf(bytes([n])) for n in range(size)]
    index = data.draw(st.integers(0, size - 1))
    root = chain.root(frontier_of(leaves))
    assert root == top(leaves)
    proof = chain.inclusion(iter(leaves), index, size)
    assert chain.proves(proof, leaves[index], index, size, root)
    assert not chain.proves(proof, chain.leaf(b"another"), index, size, root)
    assert not chain.proves(proof, leaves[index], (index + 1) % (size + 1), size, root) or size == 1
    assert not chain.proves([*proof, root], leaves[index], index, size, root)
    assert not chain.proves(proof, leaves[index], size, size, root)


def test_a_proof_needs_all_leaves() -> None:
    with pytest.raises(ValueError, match="3 leaves"):
        chain.inclusion([b"a", b"b", b"c"], 1, 4)


# Checkpoints


def test_a_checkpoint_is_read_as_it_was_written() -> None:
    told = Checkpoint(ORIGIN, 7, bytes(range(32)))
    assert chain.read_checkpoint(chain.checkpoint_text(told)) == told


@pytest.mark.parametrize("text", ["", "a\n1\n", "a\n01\nAAAA\n", "a\n1\nAAAA\nmore\n", "a\nx\n\n"])
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of several origins, all of them ValueErrors
        chain.read_checkpoint(text)


# The check


def state_after(entries: list[Entry], size: int) -> Head:
    return chain.check(entries[:size], chain.start_of(ORIGIN)).head


def checkpoint_at(entries: list[Entry], size: int) -> Checkpoint:
    return Checkpoint(ORIGIN, size, chain.root(state_after(entries, size).frontier))


def test_a_whole_chain_is_whole_from_any_place_on() -> None:
    entries = make_chain(50)
    whole = chain.check(entries, chain.start_of(ORIGIN), [checkpoint_at(entries, n) for n in (1, 17, 50)])
    assert whole.broken is None
    assert whole.head.size == 50
    assert chain.check(entries[20:], state_after(entries, 20), [checkpoint_at(entries, 50)]).head == whole.head


def test_an_empty_chain_is_whole() -> None:
    assert chain.check([], chain.start_of(ORIGIN)).broken is None


def flip(data: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << draw.randrange(8)]) + data[place + 1 :]


def tampered(entries: list[Entry], draw: random.Random) -> tuple[str, list[Entry], int]:
    """What was done, the chain after it, the first record that is not as it was written."""
    place, other = sorted(draw.sample(range(len(entries)), 2))
    entry, kept = entries[place], list(entries)
    match draw.choice(["body", "hash", "column", "remove", "swap", "repeat", "cut", "insert"]):
        case "body":
            kept[place] = replace(entry, body=flip(entry.body, draw))
            return "body", kept, entry.seq
        case "hash":
            kept[place] = replace(entry, hash=flip(entry.hash, draw))
            return "hash", kept, entry.seq
        case "column":
            name = draw.choice(["at", "kind", "run", "person"])
            kept[place] = replace(entry, **{name: getattr(entry, name) + "x"})
            return f"column {name}", kept, entry.seq
        case "remove":
            del kept[place]
            return "remove", kept, entry.seq
        case "swap":
            kept[place], kept[other] = kept[other], kept[place]
            return "swap", kept, entry.seq
        case "repeat":
            kept.insert(place, entry)
            return "repeat", kept, entry.seq
        case "cut":
            return "cut", kept[: place + 1], entry.seq + 1
    forged = replace(entry, body=entry.body.replace(b"intent", b"outcome"))
    kept.insert(place, forged)
    return "insert", kept, entry.seq


def test_in_a_thousand_tries_the_first_broken_record_is_named() -> None:
    draw = random.Random(1)
    entries = make_chain(64)
    told = [checkpoint_at(entries, 40), checkpoint_at(entries, 64)]
    for number in range(1000):
        what, kept, first = tampered(entries, draw)
        found = chain.check(kept, chain.start_of(ORIGIN), told)
        assert found.broken is not None, (number, what)
        assert found.broken.seq == first, (number, what, found.broken)


def test_a_chain_that_was_written_anew_fits_no_checkpoint() -> None:
    entries = make_chain(30)
    told = [checkpoint_at(entries, 10), checkpoint_at(entries, 30)]
    previous, anew = entries[19].hash, entries[:20]
    for entry in entries[20:]:
        body = entry.body.replace(b"title", b"other")
        previous = chain.link(previous, body)
        anew.append(replace(entry, body=body, hash=previous))
    assert chain.check(anew, chain.start_of(ORIGIN)).broken is None
    found = chain.check(anew, chain.start_of(ORIGIN), told)
    assert found.broken is not None
    assert found.broken.seq == 30


def test_a_checkpoint_of_another_chain_is_no_proof() -> None:
    entries = make_chain(3)
    foreign = replace(checkpoint_at(entries, 3), origin="scimsync/other")
    assert chain.check(entries, chain.start_of(ORIGIN), [checkpoint_at(entries, 3), foreign]).broken is not None


def test_a_body_that_is_no_record_is_named_though_its_hash_fits() -> None:
    entries = make_chain(2)
    body = b"no json"
    forged = replace(entries[1], body=body, hash=chain.link(entries[0].hash, body))
    found = chain.check([entries[0], forged], chain.start_of(ORIGIN))
    assert found.broken is not None
    assert found.broken.seq == 2


# Files


def file_of(entries: list[Entry], start: Head, note: str = "a note") -> list[bytes]:
    return [chain.first_line(start), *(chain.record_line(e, None) for e in entries), chain.last_line(note)]


def test_a_file_gives_back_its_records_and_its_note() -> None:
    entries = make_chain(5)
    pages = chain.Pages.of(file_of(entries[2:], state_after(entries, 2)))
    assert list(pages) == entries[2:]
    assert pages.note == "a note"


def test_in_a_thousand_tries_a_file_that_was_changed_is_never_whole() -> None:
    draw = random.Random(2)
    entries = make_chain(24)
    end = checkpoint_at(entries, 24)
    whole = b"".join(file_of(entries, chain.start_of(ORIGIN), chain.checkpoint_text(end)))
    for number in range(1000):
        lines = whole.splitlines(keepends=True)
        first, second = sorted(draw.sample(range(len(lines)), 2))
        what = draw.choice(["flip", "remove", "swap", "cut"])
        if what == "flip":
            lines[first] = flip(lines[first], draw)
        elif what == "remove":
            del lines[first]
        elif what == "swap":
            lines[first], lines[second] = lines[second], lines[first]
        else:
            lines = [whole[: draw.randrange(len(whole))]]
            lines = lines[0].splitlines(keepends=True)
        said = next(told(lines, end), "")
        assert "record" in said or "line 1" in said or said == "note", (number, what, said)


def told(lines: list[bytes], end: Checkpoint) -> Iterator[str]:
    """What is wrong with a file."""
    again = b"".join(lines).splitlines(keepends=True)
    try:
        pages = chain.Pages.of(again)
        found = chain.check(pages, pages.start, [end])
        if found.broken is not None:
            yield str(found.broken)
        elif pages.note != chain.checkpoint_text(end):
            yield "note"
    except StoreDamaged as error:
        yield str(error)

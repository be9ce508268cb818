"""A dialect as a file: what it may say, and what is said where it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scimsync.errors import InvalidDialect
from scimsync.scim.dialect_entries import ENTRIES, Entry
from scimsync.scim.dialect_file import CODED, dialect_of, entries_of, parse_dialect, shipped, write_dialect
from scimsync.scim.generic import GENERIC
from scimsync.scim.grounds import Certainty, Ground

HEAD = 'name = "acme"\n'


def faults(text: str) -> tuple[str, ...]:
    with pytest.raises(InvalidDialect) as caught:
        parse_dialect(text, "acme.toml")
    return caught.value.faults


def test_what_a_file_does_not_say_is_as_generic_has_it() -> None:
    made = parse_dialect(HEAD + '[paging]\nlargest = { value = 7, observed = "seen" }\n', "acme.toml")
    assert entries_of(made) == {"paging.largest": 7}
    assert made.grounds["page_size"] == Ground(Certainty.OBSERVED, "seen")
    assert made.grounds["patches"] == GENERIC.grounds["patches"]


def test_all_faults_are_told_at_once_each_with_its_place() -> None:
    told = faults(
        '[paging]\nlargst = { value = 5, observed = "seen" }\nlargest = 5\nstable = { value = 1, observed = "seen" }\n'
        '[patch]\nserved = { value = true }\nop_case = { value = "Title", guessed = "x" }\n'
        '[accounts]\nhidden = { value = ["titel"], guessed = "x" }\nunkept = { value = ["title"], observed = " " }\n'
    )
    assert told == (
        "acme.toml: paging.largst is not an entry; did you mean paging.largest?",
        'acme.toml: paging.largest must be a table of a value and what it rests on: largest = { value = ..., observed = "..." }',
        "acme.toml: paging.stable = 1: write true or false",
        "acme.toml: patch.served needs exactly one of documented, observed, guessed beside its value",
        "acme.toml: patch.op_case = 'Title': write one of lower, title",
        told[5],
        "acme.toml: accounts.unkept: observed must say whence, in a text",
        'acme.toml: name is missing: name = "acme"',
    )
    assert "titel" in told[5]
    assert "did you mean title" in told[5]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = 5", "name must be a text"),
        (HEAD + "paging = 5", "paging is not an entry: entries stand in tables, for instance [paging]"),
        ("nonsense", "is not TOML"),
        (HEAD + '[extension.Acme]\nurn = "urn:a"\nattributes = {}', "a short name is in small letters"),
        (HEAD + '[extension.a]\nurn = "urn:a"\nattributes = { b = "text" }', "b = 'text' is none of string"),
        (HEAD + '[extension.a]\nattributes = { b = "text" }', "[extension.a] needs urn"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(text: str, said: str) -> None:
    assert any(said in fault for fault in faults(text))


def test_a_name_that_nobody_ships_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(InvalidDialect, match="did you mean genesys"):
        dialect_of("genesis")
    with pytest.raises(InvalidDialect, match="scimsync probe"):
        dialect_of("file:nothing.toml", tmp_path)
    with pytest.raises(InvalidDialect, match="is none of"):
        dialect_of("../secrets")


def test_every_shipped_dialect_is_read_and_says_what_it_rests_on() -> None:
    for name in shipped():
        made = dialect_of(name)
        assert made.name == name
        assert all(ground.source.strip() for ground in made.grounds.values())


def test_a_file_is_found_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "ours.toml").write_text(HEAD + '[groups]\nserved = { value = false, observed = "404" }\n')
    made = dialect_of("file:ours.toml", tmp_path)
    assert (made.name, made.groups) == ("file:ours.toml", False)


VALUES = {
    "bool": st.booleans(),
    "int": st.integers(0, 10**6),
    "positive": st.integers(1, 10**6),
    "first": st.sampled_from([0, 1]),
    "text": st.text(),
    "paths": st.lists(st.sampled_from(["title", "name.givenName", "enterprise:department"]), unique=True).map(sorted),
    "seconds": st.lists(st.floats(0.1, 600)),
}


def values(entry: Entry) -> st.SearchStrategy[object]:
    if entry.kind == "list":
        return st.lists(st.sampled_from(entry.words), unique=True).map(sorted)
    return st.sampled_from(entry.words) if entry.words else VALUES[entry.kind]


@given(
    st.fixed_dictionaries({}, optional={entry.name: values(entry) for entry in ENTRIES}),
    st.sampled_from(Certainty),
    st.text().filter(str.strip),
)
def test_what_is_written_is_read_back(held: dict[str, object], certainty: Certainty, source: str) -> None:
    text = write_dialect({name: (value, Ground(certainty, source)) for name, value in held.items()}, name="acme")
    made = parse_dialect(text, "acme.toml")
    by = {entry.name: entry for entry in ENTRIES}
    assert {name: by[name].written(getattr(made, by[name].field)) for name in held} == held
    assert all(made.grounds[by[name].field] == Ground(certainty, source) for name in held)


def test_each_entry_is_a_field_of_its_own_and_none_is_missing() -> None:
    said = [entry.field for entry in ENTRIES]
    assert len(set(said)) == len(said)
    for entry in ENTRIES:
        held = getattr(GENERIC, entry.field)
        if held is not None:
            assert entry.read(entry.written(held)) == held
    assert set(CODED) == {"generic", "genesys"}

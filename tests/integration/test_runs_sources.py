"""A source that is cut, empty or silent: nobody is ever taken for a leaver. Must show 5."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runs import SOURCE_CSV, SOURCE_SQL, House, actions, codes, house
from tests.soak import WHOLE

from scimsync.errors import ConfigError, SourceError

PEOPLE = 24
#: in how many tests the places are cut at, and every how manieth of them; a law of source cuts plays others
CHUNKS, STEP = 6, 12 if WHOLE else 48
BLANK = b"\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house that reads CSV; HR and directory agree, and everybody is linked."""
    with house(tmp_path_factory.mktemp("csv"), users=PEOPLE, configure=False) as found:
        found.configure(source=SOURCE_CSV)
        found.write_csv(found.people)
        found.settle()
        yield found


def cuts(content: bytes) -> list[int]:
    """Where to cut: every line end and its neighbours, everything in the last two lines, and steps between."""
    ends = [i for i, byte in enumerate(content) if byte == ord("\n")]
    last = range(ends[-3], len(content))
    near = [e + d for e in ends for d in (0, 1)]
    return sorted({*near, *last, *range(0, len(content), 97)} - {len(content)})


def leavers(home: House) -> set[str]:
    """Whom a plan would disable; a refused source plans nothing."""
    try:
        made = home.plan()
    except (SourceError, ConfigError):
        return set()
    assert made.refusals == ()
    return {key for key, action in actions(made).items() if action == "disable"}


@pytest.mark.parametrize("part", range(CHUNKS))
def test_a_csv_cut_at_any_byte_makes_no_leaver(home: House, part: int) -> None:
    content = home.write_csv(home.people)
    places = cuts(content)
    assert len(places) > 150
    found = {}
    for cut in places[part::STEP]:
        (home.folder / "hr.csv").write_bytes(content[:cut])
        found[cut] = leavers(home)
    assert {cut: who for cut, who in found.items() if who} == {}


def test_a_csv_cut_at_any_byte_is_refused_where_a_checksum_stands_beside_it(home: House) -> None:
    home.configure(source=SOURCE_CSV + 'complete = "checksum"\n')
    try:
        content = home.write_csv(home.people)
        digest = hashlib.sha256(content).hexdigest()
        (home.folder / "hr.csv.sha256").write_text(f"{digest}  hr.csv\n")
        assert home.plan().changes == ()
        for cut in cuts(content)[::5]:
            (home.folder / "hr.csv").write_bytes(content[:cut])
            with pytest.raises(SourceError):
                home.plan()
    finally:
        home.configure(source=SOURCE_CSV)


def test_with_a_checksum_somebody_missing_is_a_leaver(home: House) -> None:
    home.configure(source=SOURCE_CSV + 'complete = "checksum"\n')
    try:
        gone = home.active(1)[0]
        content = home.write_csv(p for p in home.people if p != gone)
        (home.folder / "hr.csv.sha256").write_text(f"{hashlib.sha256(content).hexdigest()}  hr.csv\n")
        assert actions(home.plan()) == {gone.employee_id: "disable"}
    finally:
        home.configure(source=SOURCE_CSV)


def test_without_proof_somebody_missing_is_named_and_stays(home: House) -> None:
    gone = home.active(1)[0]
    home.write_csv(p for p in home.people if p != gone)
    made = home.plan()
    assert actions(made) == {}
    assert "source.absence" in codes(made)
    assert gone.employee_id in {f.subject for f in made.findings}


@pytest.mark.parametrize("content", [b"", BLANK, b"\xef\xbb\xbf", b"employee_id,email\n"])
def test_an_empty_csv_is_refused_before_the_directory_is_asked(home: House, content: bytes) -> None:
    (home.folder / "hr.csv").write_bytes(content)
    home.reset()
    with pytest.raises(SourceError):
        home.plan()
    assert home.stats()["requests"] == 0


@pytest.mark.parametrize("query", ["SELECT * FROM employee WHERE 1 = 0", "SELECT * FROM employee LIMIT 0"])
def test_a_query_that_returns_nothing_is_refused_before_the_directory_is_asked(tmp_path: Path, query: str) -> None:
    with house(tmp_path, users=10) as home:
        home.settle()
        home.configure(source=SOURCE_SQL.replace("SELECT * FROM employee ORDER BY employee_id", query))
        home.reset()
        with pytest.raises(SourceError):
            home.plan()
        assert home.stats()["requests"] == 0


def test_a_query_that_returns_few_people_makes_no_leavers(tmp_path: Path) -> None:
    with house(tmp_path, users=30) as home:
        home.settle()
        query = "SELECT * FROM employee LIMIT 20"
        home.configure(
            source=SOURCE_SQL.replace("SELECT * FROM employee ORDER BY employee_id", query),
            limits={"disable": "100%", "source_rows_drop": "10%"},
        )
        assert actions(home.plan()) == {}

"""The library of numbers is asked about distinct new ones alone, and what it said is kept for later plans."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scimsync.adapters.phones_library import read_phone
from scimsync.model.phones import Unread
from scimsync.workbench.bench import Workbench
from scimsync.workbench.expressions import Expression, check
from scimsync.workbench.phones import PREFIX, Memo, forget, stage_remembered

VERSION = "v1"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
NUMBERS = ["(317) 555-0142", "030 1234567", "no number", "(317) 555-0142"]


class Library:
    """The real function, and how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def __call__(self, number: str, region: str) -> str | Unread | None:
        self.asked.append((number, region))
        return read_phone(number, region)


@pytest.fixture
def library() -> Library:
    return Library()


def plan(
    folder: Path, library: Library, numbers: Sequence[str], version: str = VERSION, now: datetime = NOW
) -> list[object]:
    """One run over these numbers; what became of them."""
    with Workbench(folder) as bench:
        rows = ", ".join(f"({n}, '{number}', 'US')" for n, number in enumerate(numbers))
        bench.sql.execute(f"CREATE TABLE records AS SELECT * FROM (VALUES {rows}) t(n, phone, country)")
        found = check("e164(phone, country)", bench.sql, ["n", "phone", "country"])
        assert isinstance(found, Expression)
        before = len(library.asked)
        assert (
            stage_remembered(bench, [found], library, Memo(folder, now, lambda: version)) == len(library.asked) - before
        )
        return [value for (value,) in bench.sql.execute(f"SELECT {found.sql} FROM records ORDER BY n").fetchall()]


def memo(folder: Path) -> Iterator[Path]:
    return folder.glob(f"{PREFIX}*.parquet")


def test_a_number_is_asked_about_once_and_never_again(tmp_path: Path, library: Library) -> None:
    first = plan(tmp_path, library, NUMBERS)
    assert len(library.asked) == 3
    assert first[0] == first[3] == "+13175550142"
    assert plan(tmp_path, library, NUMBERS) == first
    assert len(library.asked) == 3


def test_of_a_changed_source_the_new_numbers_alone_are_asked_about(tmp_path: Path, library: Library) -> None:
    plan(tmp_path, library, NUMBERS)
    del library.asked[:]
    plan(tmp_path, library, [*NUMBERS, "317 555 0199"])
    assert library.asked == [("317 555 0199", "US")]
    files = set(memo(tmp_path))
    plan(tmp_path, library, [*NUMBERS, "317 555 0199"])
    assert set(memo(tmp_path)) == files, "a quiet run writes nothing"


def test_the_memo_is_private_and_is_no_longer_there_when_it_is_forgotten(tmp_path: Path, library: Library) -> None:
    plan(tmp_path, library, NUMBERS)
    assert [file.stat().st_mode & 0o777 for file in memo(tmp_path)] == [0o600]
    forget(tmp_path)
    assert not list(memo(tmp_path))
    plan(tmp_path, library, NUMBERS)
    assert len(library.asked) == 6


def test_another_way_of_reading_asks_anew_and_leaves_nothing_of_the_former(tmp_path: Path, library: Library) -> None:
    plan(tmp_path, library, NUMBERS)
    plan(tmp_path, library, NUMBERS, version="v2")
    assert len(library.asked) == 6
    assert all("v2" in file.name for file in memo(tmp_path))


@pytest.mark.parametrize("harm", [b"", b"not a file of columns", b"PAR1"])
def test_a_memo_that_is_damaged_is_asked_for_anew(tmp_path: Path, library: Library, harm: bytes) -> None:
    first = plan(tmp_path, library, NUMBERS)
    for file in memo(tmp_path):
        file.write_bytes(harm)
    assert plan(tmp_path, library, NUMBERS) == first
    assert plan(tmp_path, library, NUMBERS) == first
    assert len(library.asked) == 6


def test_many_files_become_one_with_the_numbers_that_are_there_now(tmp_path: Path, library: Library) -> None:
    for number in range(9):
        plan(tmp_path, library, [f"317 555 01{number}0"])
    assert len(list(memo(tmp_path))) == 1
    del library.asked[:]
    plan(tmp_path, library, ["317 555 0180"])
    assert not library.asked
    plan(tmp_path, library, ["317 555 0100"])
    assert library.asked == [("317 555 0100", "US")], "whom HR no longer names is forgotten"


def test_numbers_that_nobody_has_any_more_go_after_four_weeks(tmp_path: Path, library: Library) -> None:
    plan(tmp_path, library, NUMBERS)
    for file in memo(tmp_path):
        os.utime(file, (NOW.timestamp(),) * 2)
    plan(tmp_path, library, NUMBERS[:1], now=NOW + timedelta(days=29))
    del library.asked[:]
    plan(tmp_path, library, NUMBERS[:1])
    assert not library.asked
    plan(tmp_path, library, NUMBERS)
    assert len(library.asked) == 2


def test_without_a_version_nothing_is_kept(tmp_path: Path, library: Library) -> None:
    plan(tmp_path, library, NUMBERS, version="")
    assert not list(memo(tmp_path))

"""Whose links a reading takes over, and what a source is known by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scimsync.core.owning import RULES, SECOND, Held, identity, judge
from scimsync.model.plans import Severity

NAMES = ("", "hr", "contractors", "interns")


def of(source: str, links: int, met: int, rows: int = 0, *, alive: bool = True) -> Held:
    return Held(source=source, links=links, met=met, rows=rows, alive=alive)


@pytest.mark.parametrize(
    ("held", "known", "takes"),
    [
        ([], False, ()),
        ([of("me", 9, 9)], True, ()),
        ([of("hr", 10, 5)], False, ("hr",)),
        ([of("hr", 10, 4)], False, ()),
        ([of("hr", 10, 4, rows=8)], False, ("hr",)),
        ([of("hr", 10, 10)], True, ()),
        ([of("contractors", 3, 3), of("hr", 10, 10)], False, ()),
        ([of("", 10, 5)], True, ("",)),
        ([of("", 10, 4)], False, ()),
        ([of("", 1, 1), of("hr", 10, 10)], False, ("", "hr")),
    ],
)
def test_a_new_name_takes_over_where_exactly_one_other_has_most_of_its_people_here(
    held: list[Held], known: bool, takes: tuple[str, ...]
) -> None:
    assert judge("me", held, known=known).takes == takes


@pytest.mark.parametrize(
    ("held", "takes"),
    [
        ([of("hr", 10, 1)], ("hr",)),
        ([of("contractors", 3, 3), of("hr", 10, 10)], ("contractors", "hr")),
        ([of("contractors", 3, 0), of("hr", 10, 10)], ("hr",)),
        ([of("contractors", 3, 0), of("hr", 10, 1)], ()),
    ],
)
def test_who_sets_the_rule_aside_takes_over_what_can_be_meant(held: list[Held], takes: tuple[str, ...]) -> None:
    assert judge("me", held, known=True, overrides=[SECOND]).takes == takes


@given(
    st.dictionaries(st.sampled_from(NAMES), st.tuples(st.integers(1, 50), st.integers(0, 50), st.integers(0, 50))),
    st.booleans(),
    st.sampled_from([(), RULES]),
)
def test_nobody_is_left_to_another_source_in_silence_and_nobody_loses_what_is_ours(
    drawn: dict[str, tuple[int, int, int]], known: bool, overrides: tuple[str, ...]
) -> None:
    held = [of(name, links, min(met, links), rows) for name, (links, met, rows) in sorted(drawn.items())]
    judged = judge("hr", held, known=known, overrides=overrides)
    others = {each.source for each in held} - {"hr"}
    told = [f for f in judged.findings if f.code == SECOND]
    assert set(judged.takes) <= others
    assert len(told) == len(others - set(judged.takes))
    assert known or all(f.severity is Severity.WARNING for f in told)
    renamed = [f for f in judged.findings if f.code == "source.renamed"]
    assert len(renamed) == len(set(judged.takes) - {""})


SQL = "postgresql://me:s3cret@db.example.com:5432/hr?sslmode=require"


@pytest.mark.parametrize(
    ("place", "same"),
    [
        ("postgresql://you:0ther@db.example.com:5432/hr?sslmode=require", True),
        ("postgresql+psycopg://db.example.com:5432/hr?sslmode=require", True),
        ("postgresql://me:p/w:x@db.example.com:5432/hr?sslmode=require", True),
        ("postgresql://db.example.com:5432/hr?sslmode=require&password=s3cret", False),
        ("postgresql://me:s3cret@db.example.com:5432/other?sslmode=require", False),
        ("postgresql://me:s3cret@db2.example.com:5432/hr?sslmode=require", False),
    ],
)
def test_who_logs_in_does_not_make_another_source_and_another_place_does(place: str, same: bool) -> None:
    one, other = (identity(name="", kind="sql", place=each, key="id", query="SELECT 1") for each in (SQL, place))
    assert (one == other) is same
    assert "s3cret" not in one


def test_a_password_inside_of_a_driver_string_counts_for_nothing() -> None:
    place = "mssql+pyodbc:///?odbc_connect=DRIVER%3D{{x}}%3BSERVER%3Ddb%3BUID%3D{0}%3BPWD%3D{0}%3BDATABASE%3Dhr"
    one, other = (
        identity(name="", kind="sql", place=place.format(each), key="id", query="q") for each in ("one", "two")
    )
    assert one == other


def test_two_queries_on_one_database_are_two_sources_and_a_query_laid_out_anew_is_the_same() -> None:
    names = [
        identity(name="", kind="sql", place=SQL, key="id", query=query)
        for query in ("SELECT * FROM staff", "SELECT  *\nFROM staff ", "SELECT * FROM contractor")
    ]
    assert names[0] == names[1] != names[2]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("hr.csv?X-Amz-Date=1&X-Amz-Signature=s3cret", "hr.csv?X-Amz-Date=2&X-Amz-Signature=b", True),
        ("hr.csv?X-Goog-Signature=s3cret", "hr.csv?X-Goog-Signature=b", True),
        ("hr.csv?Expires=1&Signature=s3cret&Key-Pair-Id=K", "hr.csv?Expires=2&Signature=b&Key-Pair-Id=K", True),
        ("hr.csv?sv=1&se=1&sig=s3cret", "hr.csv?sv=1&se=2&sig=b", True),
        ("hr.csv", "hr.csv?sv=1&se=2&sig=b", True),
        ("hr.csv?versionId=1&X-Amz-Signature=s3cret", "hr.csv?versionId=2&X-Amz-Signature=s3cret", False),
        ("export?token=s3cret", "export?token=another", False),  # it may choose the export
        ("export?report=staff", "export?report=contractors", False),
        ("export?sv=1", "export?sv=2", False),  # no signature of Azure without sig
        ("export?expires=1", "export?expires=2", False),
        ("a/hr.csv?sig=s3cret&sv=1", "b/hr.csv?sig=s3cret&sv=1", False),
    ],
)
def test_what_signs_an_address_makes_no_other_source_and_what_chooses_in_it_does(
    one: str, other: str, same: bool
) -> None:
    names = [identity(name="", kind="csv", place=f"https://h/{each}", key="id") for each in (one, other)]
    assert (names[0] == names[1]) is same
    assert "s3cret" not in names[0]


def test_whoever_an_earlier_version_knew_under_the_former_name_is_taken_over_whoever_else_is_there() -> None:
    held = [of("contractors", 9, 0), of("then", 10, 0)]
    assert judge("now", held, known=False, former="then").takes == ("then",)
    assert judge("now", held, known=True, former="then").takes == ("then",)
    assert judge("now", held, known=False).takes == ()


def test_a_name_is_a_name_wherever_the_source_is() -> None:
    assert identity(name="hr", kind="sql", place=SQL, key="id", query="q") == "hr"

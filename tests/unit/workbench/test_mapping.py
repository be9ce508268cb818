"""Records into tables and desired values, on a real DuckDB."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.factories import MANAGER, SKILLS, WORK_PHONE, make_reading, mapped

from scimsync.adapters.phones_library import read_phone
from scimsync.errors import ConfigError, SourceError
from scimsync.model.plans import Finding
from scimsync.model.policy import Mapped
from scimsync.workbench.bench import Workbench
from scimsync.workbench.mapping import check_mapping, desired_blanks, stage_desired, stage_phones
from scimsync.workbench.records import stage_records

COUNTRY = {"US": "+1"}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    with Workbench(tmp_path) as made:
        yield made


def read(number: str, region: str) -> str | None:
    digits = "".join(c for c in number if c.isdigit())
    return COUNTRY[region] + digits if region in COUNTRY and len(digits) == 10 else None


def desired(
    bench: Workbench, rows: list[dict[str, Any]], key: str = "id", **mapping: str
) -> tuple[dict[str, Any], list[Finding]]:
    """Map rows; give what became of the first attribute by key, and the findings."""
    attributes: list[Mapped] = [mapped(path, expression) for path, expression in mapping.items()]
    stage_records(bench, make_reading(rows), key=key)
    expressions = check_mapping(bench, attributes, tuple(rows[0]))
    stage_phones(bench, expressions.values(), read)
    findings = stage_desired(bench, attributes, expressions, key=key)
    return {str(k): v for k, v in bench.rows("SELECT key, d0 FROM desired")}, findings


def codes(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.code, finding.subject) for finding in findings]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ([1, 2], "BIGINT"),
        ([1, None], "BIGINT"),
        ([1, 2.5], "DOUBLE"),
        ([Decimal("1.5"), 2], "DOUBLE"),
        ([Decimal("1.5"), 2.5], "DOUBLE"),
        ([True, False], "BOOLEAN"),
        ([date(2020, 1, 2), None], "DATE"),
        ([datetime(2020, 1, 2, 3, tzinfo=UTC)], "TIMESTAMP"),
        ([None, None], "VARCHAR"),
        (["a", None], "VARCHAR"),
        (["a", 1], "VARCHAR"),
        ([True, 1], "VARCHAR"),
        ([date(2020, 1, 2), "x"], "VARCHAR"),
    ],
)
def test_a_column_has_the_type_of_its_cells(bench: Workbench, cells: list[Any], kind: str) -> None:
    stage_records(bench, make_reading([{"id": str(n), "c": cell} for n, cell in enumerate(cells)]), key="id")
    assert bench.columns[1].type == kind
    assert [row[0] is None for row in bench.rows("SELECT c FROM records ORDER BY scimsync_n")] == [
        c is None for c in cells
    ]


@pytest.mark.parametrize("key", [1001, 1001.0, Decimal("1001"), Decimal("1001.000"), "1001"])
def test_a_number_is_one_key_however_the_driver_gives_it(bench: Workbench, key: Any) -> None:
    found, _ = desired(bench, [{"id": key, "c": "x"}], title="c")
    assert found == {"1001": "x"}


def test_a_number_beyond_64_bits_is_kept_as_text(bench: Workbench) -> None:
    stage_records(bench, make_reading([{"id": 2**70}]), key="id")
    assert [row[0] for row in bench.rows("SELECT id FROM records")] == [str(2**70)]


def test_the_health_of_a_reading_counts_rows_and_blanks(bench: Workbench) -> None:
    health = stage_records(
        bench, make_reading([{"id": "1", "t": ""}, {"id": "2", "t": None}, {"id": "3", "t": "x"}]), key="ID"
    )
    assert (health.rows, health.blanks) == (3, {"id": 0.0, "t": 2 / 3})


@pytest.mark.parametrize("cell", ["", " ", "\t\r\n", "\u00a0", "\u2009\u3000", "\u200b\u2060\ufeff", None])
def test_what_cannot_be_seen_is_a_blank(bench: Workbench, cell: Any) -> None:
    rows = [{"id": "1", "t": cell}, {"id": "2", "t": "a\u00a0b"}, {"id": "3", "t": "."}, {"id": "4", "t": "0"}]
    assert stage_records(bench, make_reading(rows), key="id").blanks["t"] == 0.25


def test_words_that_stand_for_nothing_are_null_whatever_white_space_is_around_them(bench: Workbench) -> None:
    cells = ["NULL", " NULL\u00a0", "#N/A", "-", "null", "N-U", None]
    rows = [{"id": str(n), "t": cell, "n": n} for n, cell in enumerate(cells)]
    health = stage_records(bench, make_reading(rows), key="id", null_values=("NULL", " #N/A", "-"))
    held = [cell for (cell,) in bench.rows("SELECT t FROM records ORDER BY scimsync_n")]
    assert held == [None, None, None, None, "null", "N-U", None]
    assert health.blanks == {"id": 0.0, "t": 5 / 7, "n": 0.0}


def test_blanks_are_counted_in_what_the_mapping_makes(bench: Workbench) -> None:
    dates = ["2026-01-31", "31.01.2026", "2026-02-01", "1.2.2026"]
    made = {"enterprise:dateHire": "strftime(try_strptime(t, '%Y-%m-%d'), '%Y-%m-%d')", "title": "t"}
    desired(bench, [{"id": str(n), "t": date} for n, date in enumerate(dates)], **made)
    assert desired_blanks(bench, [mapped(path) for path in made]) == {"enterprise:dateHire": 0.5, "title": 0.0}


def test_the_fingerprint_knows_content_and_not_order(bench: Workbench) -> None:
    rows: list[dict[str, Any]] = [{"id": "1", "t": "a"}, {"id": "2", "t": "b"}, {"id": "3", "t": None}]
    prints = [
        stage_records(bench, make_reading(some), key="id").fingerprint
        for some in (rows, rows[::-1], [*rows[:2], {"id": "3", "t": "c"}], rows[:2])
    ]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


def test_the_fingerprint_knows_whose_value_is_whose(bench: Workbench) -> None:
    rows: list[dict[str, Any]] = [{"id": "1", "s": "x", "t": "a"}, {"id": "2", "s": "x", "t": "b"}]
    exchanged = [{**rows[0], "t": "b"}, {**rows[1], "t": "a"}]
    renamed = [{"id": row["id"], "t": row["s"], "s": row["t"]} for row in rows]
    prints = [
        stage_records(bench, make_reading(some), key="id").fingerprint for some in (rows, rows, exchanged, renamed)
    ]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


def test_a_list_that_many_have_is_mapped_as_for_one(bench: Workbench) -> None:
    cells = ["B:2;A:1", " A ; a:3;A:0", None, "", ";;", "A:1;A:1"]
    rows: list[dict[str, Any]] = [{"id": str(n), "t": cells[n % len(cells)]} for n in range(60)]
    many, _ = desired(bench, rows, **{SKILLS: "skills(t)"})
    alone = {cell: desired(bench, [{"id": "0", "t": cell}], **{SKILLS: "skills(t)"})[0]["0"] for cell in cells}
    assert many == {row["id"]: alone[row["t"]] for row in rows}
    assert alone["B:2;A:1"] == '[{"name":"A","proficiency":1.0},{"name":"B","proficiency":2.0}]'
    assert alone["A:1;A:1"] == '[{"name":"A","proficiency":1.0}]'


def test_a_missing_key_column_and_an_empty_source_stop_the_run(bench: Workbench) -> None:
    with pytest.raises(SourceError, match="key column 'nr' is missing; the columns are id, t"):
        stage_records(bench, make_reading([{"id": "1", "t": "x"}]), key="nr")
    with pytest.raises(SourceError, match="no records"):
        stage_records(bench, make_reading([], columns=("id",)), key="id")


def test_records_keep_odd_texts(bench: Workbench) -> None:
    odd = ["a\nb", "tab\t", 'quo"te', "\\", "é", "e\u0301", "😀", " lead", "\u2028", "\x01x"]
    stage_records(bench, make_reading([{"id": str(n), "t": text} for n, text in enumerate(odd)]), key="id")
    assert [row[0] for row in bench.rows("SELECT t FROM records ORDER BY scimsync_n")] == odd


def test_blank_keys_are_findings_and_the_others_go_on(bench: Workbench) -> None:
    rows: list[dict[str, Any]] = [{"id": "1", "t": "a"}, {"id": " ", "t": "b"}, {"id": None, "t": "c"}]
    found, findings = desired(bench, rows, title="t")
    assert found == {"1": "a"}
    assert codes(findings) == [("record.no-key", "row 3"), ("record.no-key", "row 4")]


def test_a_key_that_stands_twice_holds_that_person(bench: Workbench) -> None:
    rows: list[dict[str, Any]] = [{"id": "1", "t": "a"}, {"id": " 1 ", "t": "b"}, {"id": "2", "t": "c"}]
    found, findings = desired(bench, rows, title="t")
    assert found == {"2": "c"}
    assert [(f.code, f.subject, f.detail, f.row, f.holds) for f in findings] == [
        ("record.duplicate-key", "1", "rows 2, 3", 2, True)
    ]
    assert ("1",) in list(bench.rows("SELECT DISTINCT key FROM held"))


def test_a_failing_expression_names_the_row_and_not_the_value(bench: Workbench) -> None:
    rows: list[dict[str, Any]] = [{"id": str(n), "t": "7" if n % 3 else "secret"} for n in range(1, 8)]
    found, findings = desired(bench, rows, title="CAST(t AS INTEGER) + 1")
    assert found == {str(n): "8" if n % 3 else None for n in range(1, 8)}
    assert [(f.code, f.subject, f.row) for f in findings] == [
        ("record.unmappable", "3", 4),
        ("record.unmappable", "6", 7),
    ]
    assert "secret" not in repr(findings)


def test_an_expression_that_fails_inside_e164_leaves_out_one_value_only(bench: Workbench) -> None:
    rows: list[dict[str, Any]] = [{"id": "1", "t": "3175550100"}, {"id": "2", "t": "bad"}]
    found, findings = desired(bench, rows, **{WORK_PHONE: "e164(CAST(t AS BIGINT)::VARCHAR, 'US')"})
    assert found == {"1": "+13175550100", "2": None}
    assert codes(findings) == [("record.unmappable", "2")]
    assert [f.path for f in findings] == [WORK_PHONE]


def test_an_unreadable_phone_leaves_out_one_value_only(bench: Workbench) -> None:
    rows: list[dict[str, Any]] = [{"id": "1", "t": "317 555 0100"}, {"id": "2", "t": "12"}, {"id": "3", "t": None}]
    found, findings = desired(bench, rows, **{WORK_PHONE: "e164(t, 'us')"})
    assert found == {"1": "+13175550100", "2": None, "3": None}
    assert list(bench.rows("SELECT n, i FROM spoiled")) == [(1, 0)]
    assert codes(findings) == [("record.bad-phone", "2")]


def test_country_trouble_of_a_phone_is_told_as_such(bench: Workbench) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "1", "t": "317 555 0100", "c": None},
        {"id": "2", "t": "317 555 0100", "c": "Germany"},
        {"id": "3", "t": "+999 1234 5678", "c": "US"},
        {"id": "4", "t": "317 555 0100", "c": "us"},
    ]
    attributes = [mapped(WORK_PHONE, "e164(t, c)")]
    stage_records(bench, make_reading(rows), key="id")
    expressions = check_mapping(bench, attributes, tuple(rows[0]))
    stage_phones(bench, expressions.values(), read_phone)
    findings = stage_desired(bench, attributes, expressions, key="id")
    assert codes(findings) == [("record.phone-country", key) for key in "123"]
    said = [f"{f.summary} {f.hint}" for f in findings]
    assert "no country is given" in said[0]
    assert "e164(phone, country)" in said[0]
    assert "ISO code" in said[1]
    assert "code of no country" in said[2]
    assert not any("317" in one or "Germany or DEU" not in said[1] for one in said)


@pytest.mark.parametrize("level", ["6", "-1", "x", "5.5", "10", "1e20", "nan", "inf", "-inf", "5.0001", "-0.5"])
def test_a_bad_skill_level_leaves_out_one_value_only(bench: Workbench, level: str) -> None:
    rows: list[dict[str, Any]] = [{"id": "1", "t": "A:5"}, {"id": "2", "t": f"A:1;B:{level};C:2"}]
    found, findings = desired(bench, rows, **{SKILLS: "skills(t)"})
    assert found["2"] is None
    assert codes(findings) == [("record.bad-level", "2")]


@pytest.mark.parametrize("level", ["0", "5", "5.0", "2.5", "0.1", "4.99", "", " 3 "])
def test_a_good_skill_level_goes_through(bench: Workbench, level: str) -> None:
    assert desired(bench, [{"id": "1", "t": f"A:{level}"}], **{SKILLS: "skills(t)"})[1] == []


def test_a_skill_may_be_called_anything(bench: Workbench) -> None:
    name = 'x","proficiency":9,"y'
    assert desired(bench, [{"id": "1", "t": f"{name}|3"}], **{SKILLS: "skills(t, ';', '|')"})[1] == []


def test_lists_are_sorted_and_empty_ones_are_none(bench: Workbench) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "1", "t": "b;a;b"},
        {"id": "2", "t": "a;b"},
        {"id": "3", "t": " ; "},
        {"id": "4", "t": None},
    ]
    found, _ = desired(bench, rows, roles="names(t)")
    assert found["1"] == found["2"] == '[{"value":"a"},{"value":"b"}]'
    assert (found["3"], found["4"]) == (None, None)


def test_active_must_be_known(bench: Workbench) -> None:
    rows: list[dict[str, Any]] = [{"id": "1", "s": "active"}, {"id": "2", "s": None}, {"id": "3", "s": "left"}]
    found, findings = desired(bench, rows, active="s = 'active'")
    assert found == {"1": "true", "3": "false"}
    assert codes(findings) == [("record.active-unknown", "2")]


@pytest.mark.parametrize("blank", ["", " ", "\u00a0", "\t\u2003", "\u200b\ufeff"])
def test_what_nobody_can_see_is_no_value(bench: Workbench, blank: str) -> None:
    found, _ = desired(bench, [{"id": "1", "t": blank}, {"id": "2", "t": f"{blank}Lead{blank}"}], title="t")
    assert found == {"1": None, "2": "Lead"}


def test_a_key_is_the_same_with_blanks_around_it(bench: Workbench) -> None:
    found, _ = desired(bench, [{"id": "1001\u00a0", "t": "a"}, {"id": "\u200b1002 ", "t": "b"}], title="t")
    assert found == {"1001": "a", "1002": "b"}


def faults(bench: Workbench, **mapping: str) -> list[str]:
    stage_records(bench, make_reading([{"id": 1, "t": "x", "b": True, "n": 1.5}]), key="id")
    with pytest.raises(ConfigError) as caught:
        check_mapping(bench, [mapped(path, expression) for path, expression in mapping.items()], ("id", "t", "b", "n"))
    return list(caught.value.faults)


def test_all_faults_of_a_mapping_are_told_at_once(bench: Workbench) -> None:
    found = faults(
        bench, title="tt", active="t", displayName="b", **{SKILLS: "t", MANAGER: "t", "enterprise:division": "ref(t)"}
    )
    assert len(found) == 6
    for words in (
        "the source has no column tt; did you mean t?",
        "this attribute is true or false, but the expression gives VARCHAR",
        "this attribute is a text, but the expression gives BOOLEAN",
        "this attribute is a list; write for instance skills(COLUMN)",
        "write ref(COLUMN)",
        "ref(...) and account(...) make a reference; this attribute takes none",
    ):
        assert any(words in fault for fault in found), words


def test_an_expression_whose_types_do_not_fit_is_refused_before_anything_is_read(bench: Workbench) -> None:
    assert "title" in faults(bench, title="lower(n, t)")[0]


def test_only_the_grammar_is_checked_without_a_source(bench: Workbench) -> None:
    assert [*check_mapping(bench, [mapped("title", "lower(anything)")], None)] == ["title"]


def test_a_workbench_leaves_nothing_behind(tmp_path: Path) -> None:
    with Workbench(tmp_path) as made:
        stage_records(made, make_reading([{"id": "1"}]), key="id")
        assert list(made.spool.iterdir()) == []
        (folder,) = tmp_path.iterdir()
        assert folder.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == []


def test_a_mapping_of_which_no_expression_is_good_says_what_is_wrong(bench: Workbench) -> None:
    with pytest.raises(ConfigError, match="job_titel"):
        desired(bench, [{"id": 1, "job_title": "Clerk"}], title="upper(job_titel)")

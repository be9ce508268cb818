"""In which order findings are told, and that none is lost behind many others."""

from __future__ import annotations

from tests.factories import make_finding

from scimsync.cli.finding_text import finding_lines
from scimsync.core.findings import in_order
from scimsync.model.plans import Finding, Severity


def about(code: str, subject: str = "") -> Finding:
    return make_finding(code=code, subject=subject, severity=Severity.WARNING)


def test_what_is_about_the_source_stands_before_what_follows_from_it_for_people() -> None:
    made = [about("leaver.unproven", "E1"), about("source.shares", "department"), about("target.incomplete")]
    assert [one.code for one in in_order(made)] == ["source.shares", "target.incomplete", "leaver.unproven"]


def test_a_finding_of_another_kind_is_shown_behind_those_of_a_hundred_people() -> None:
    many = [*(about("leaver.unproven", f"E{n}") for n in range(100)), about("record.bad-phone", "E7")]
    told = "\n".join(finding_lines(many))
    assert told.count("! leaver.unproven") == 1
    assert "100 x" in told
    assert "! record.bad-phone" in told
    assert "\n".join(finding_lines(many, everybody=True)).count("! leaver.unproven") == 100

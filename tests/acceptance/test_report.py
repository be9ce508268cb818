"""The report of real runs, opened in a real browser."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.browser import background, opened
from tests.factories import make_change, make_delta, make_plan
from tests.runs import House, house

from scimsync.cli import report
from scimsync.model.plans import Plan
from scimsync.showing import figures

#: --page of the style sheet in both schemes
LIGHT, DARK = (0xF7, 0xF7, 0xF5), (0x12, 0x15, 0x18)
NASTY = "<img src=http://example.test/x onerror=console.error(1)>\u202e"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house after a run in which something of everything happened."""
    with house(tmp_path_factory.mktemp("report")) as found:
        found.settle()
        mover, edited, odd, leaver, held = found.active(5)
        found.set(mover, job_title="Lead")
        found.edit(edited, "title", "Chief of Everything")
        found.set(odd, job_title=NASTY)
        found.set(leaver, status="inactive")
        found.set(held, phone="ask at reception", job_title="Clerk")
        found.hire(found.newcomer(0))
        yield found


@pytest.fixture(scope="module")
def file(home: House) -> Path:
    """The report of that run."""
    assert home.command("sync").code == 11
    run = home.runs()[0].id
    said = home.command("runs", run, "--html", "run.html")
    assert said.code == 0, said.err
    return home.folder / "run.html"


def test_the_report_opens_without_a_word_on_the_console_and_asks_nobody(file: Path) -> None:
    seen = opened(file)
    assert seen.console == []
    assert seen.asked == []
    assert "changes done in" in seen.dom
    assert "Changes by department" in seen.dom
    assert "Rate over time" in seen.dom
    assert "Prediction against reality" in seen.dom
    assert len(seen.shown("li")) > 5


def test_the_browser_of_these_tests_would_have_seen_trouble(tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text("<img src='http://example.test/x'><script>nothing()</script>", encoding="utf-8")
    seen = opened(page)
    assert len(seen.console) == 1
    assert seen.asked == ["http://example.test/x"]


def test_search_leaves_what_fits(home: House, file: Path) -> None:
    mover = home.active(1)[0]
    people = opened(file, f"q={mover.email}").shown("li")
    assert len(people) == 1
    assert mover.employee_id in people[0]
    both = opened(file, "q=lead%20title").shown("li")
    assert any(mover.employee_id in text for text in both)
    nothing = opened(file, "q=no%20such%20person")
    assert nothing.shown("li") == []
    assert '<p class="empty" id="nothing">' in nothing.dom


@pytest.mark.parametrize(("dark", "colour"), [(False, LIGHT), (True, DARK)])
def test_the_report_has_both_colour_schemes(file: Path, tmp_path: Path, dark: bool, colour: tuple[int, ...]) -> None:
    assert background(file, dark=dark, picture=tmp_path / "p.png") == colour


def test_the_report_can_be_read_by_its_owner_only(file: Path) -> None:
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_plan_has_a_report_too(home: House, file: Path) -> None:
    assert home.command("plan", "--html", "plan.html").code == 0
    text = (home.folder / "plan.html").read_text(encoding="utf-8")
    assert "<h1>Plan " in text
    assert "Rate over time" not in text


def test_a_report_needs_a_run_and_a_place(home: House, file: Path) -> None:
    said = home.command("runs", "--html", "x.html")
    assert (said.code, "--html needs RUN" in said.err) == (2, True)
    said = home.command("plan", "--html", "nowhere/x.html")
    assert (said.code, "cannot be written" in said.err) == (2, True)


def crowd(number: int) -> Plan:
    delta = make_delta("title", "Lead", "Clerk")
    changes = tuple(make_change(f"E{i:05}", deltas=(delta,), name=f"person.{i}@example.com") for i in range(number))
    return make_plan(changes=changes)


def test_ten_thousand_changes_stay_usable(tmp_path: Path) -> None:
    html = report.page(report.Story(plan=crowd(10_000), grouping=figures.Grouping(of={})))
    assert len(html) < 6_000_000
    page = tmp_path / "crowd.html"
    page.write_text(html, encoding="utf-8")
    assert len(opened(page, "q=e09999").shown("li")) == 1

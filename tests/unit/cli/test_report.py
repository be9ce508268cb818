"""The report as HTML text: nothing breaks out of its place, and the figures are those of plan and journal."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest
from jinja2 import UndefinedError
from tests.factories import make_change, make_delta, make_finding, make_plan, skills

from scimsync.cli import report
from scimsync.model.outcomes import JournalLine, Outcome, Run, RunState, Status, Step
from scimsync.model.plans import Action, Change, GroupChange, Member, Plan, Reason, Tally, Verdict
from scimsync.scim.messages import Operation
from scimsync.showing import figures
from scimsync.showing.values import environment, look

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><script>alert(1)</script>",
    "</title><svg onload=alert(1)>",
    "{{ 7 * 7 }} {% raw %}",
    "&lt;b&gt; &amp;",
    "javascript:alert(1)",
    "a\x00b\x1b[31mred\x07\r\nline",
    "evil\u202egnp.exe",
    "שלום עולם",
    "مرحبا",
    "\u2066isolate\u2069 \u200bnothing",
    "]]> --> <!-- ",
]


def line(key: str, step: Step, seconds: float, outcome: Outcome | None = None, part: int = 1) -> JournalLine:
    return JournalLine(run="r", key=key, part=part, step=step, at=START + timedelta(seconds=seconds), outcome=outcome)


def written(key: str, begin: float, end: float, status: Status = Status.DONE, **more: object) -> list[JournalLine]:
    outcome = Outcome(key=key, status=status, **more)  # type: ignore[arg-type]
    return [line(key, Step.INTENT, begin), line(key, Step.OUTCOME, end, outcome)]


def members(name: str, **more: object) -> GroupChange:
    defaults: dict[str, object] = {"add": (), "remove": (), "held": 9, "batch": 50, "version": "1"}
    return GroupChange(group=f"g-{name}", name=name, **{**defaults, **more})  # type: ignore[arg-type]


def told(plan: Plan, journal: Sequence[JournalLine] = (), run: Run | None = None, **groups: str) -> str:
    grouping = figures.Grouping(path="enterprise:department" if groups else "", of=groups)
    return report.page(report.Story(plan=plan, grouping=grouping, run=run, journal=journal))


def a_run(**more: object) -> Run:
    return Run(id="r", created=START, state=RunState.DONE, target="t", **more)  # type: ignore[arg-type]


class Tags(HTMLParser):
    """Tags and attributes as a browser would find them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


def everywhere(text: str) -> Plan:
    """A plan that holds a text wherever a text of others can stand."""
    delta = make_delta("title", desired=text, current=f"{text} before")
    listed = make_delta("genesys:routingSkills", desired=((("name", text), ("proficiency", 1.0)),), current=None)
    waits = make_delta("enterprise:manager", verdict=Verdict.DEFER, awaits=text)
    stands = make_delta("enterprise:manager", verdict=Verdict.AWAIT, awaits=text)
    edit = make_delta("title", desired="x", current=text, verdict=Verdict.KEEP, reason=Reason.TARGET_MOVED)
    group = make_delta("enterprise:department", desired=text)
    return make_plan(
        tally=Tally(actions={"update": 1, "create": 1}),
        changes=(
            make_change(text, deltas=(delta, listed, waits, group), name=text),
            make_change("E2", Action.CREATE, deltas=(delta, stands), name=text),
        ),
        groups=(members(text, add=(Member(text, None),), remove=(Member("", text),)),),
        notices=(make_change(text, deltas=(edit,), name=text),),
        findings=(make_finding(subject=text, detail=text, row=3),),
        refusals=(make_finding(code="limits.update", detail=text, hint="h"),),
        overrides={"plan.age": text},
    )


@pytest.mark.parametrize("text", NASTY)
def test_no_text_of_others_breaks_out_of_its_place(text: str) -> None:
    harmless = Tags(told(everywhere("plain"), run=a_run(), E1="x"))
    journal = written(text, 0, 1, Status.HELD, code="write.mismatch", detail=text)
    html = told(everywhere(text), journal, a_run(), E1=text)
    found = Tags(html)
    assert set(found.tags) <= set(harmless.tags) | {
        "bdi",
        "figure",
        "figcaption",
        "rect",
        "line",
        "text",
        "title",
        "code",
    }
    assert found.tags.count("script") == 1
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert not [value for name, value in found.attributes if name in {"src", "href", "style", "action"}]


@pytest.mark.parametrize("text", [t for t in NASTY if not t.isprintable()])
def test_control_and_direction_characters_are_shown_as_codes(text: str) -> None:
    html = told(everywhere(text))
    for odd in {c for c in text if not c.isprintable()}:
        assert odd not in html or odd == "\n"
        assert f"U+{ord(odd):04X}" in html


def test_a_text_from_right_to_left_stays_in_its_place() -> None:
    assert "<bdi>שלום עולם</bdi>" in told(everywhere("שלום עולם"))


def test_a_template_that_names_what_is_not_there_fails_aloud() -> None:
    with pytest.raises(UndefinedError):
        environment("scimsync.cli").from_string("{{ nothing }}").render()
    assert environment("scimsync.cli").from_string("{{ x }}").render(x="<b>") == "&lt;b&gt;"


def test_only_the_style_and_the_script_of_the_page_may_come_alive() -> None:
    html = told(everywhere("x"))
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy
    rules = dict(rule.split(" ", 1) for rule in policy[1].replace("&#39;", "'").split("; "))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        found = re.search(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        assert found
        digest = base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"


def test_nothing_is_loaded_from_elsewhere() -> None:
    html = told(everywhere("x"), written("E2", 0, 1), a_run(), E1="y")
    attributes = Tags(html).attributes
    assert not [a for a in attributes if a[0] in {"src", "href", "srcset", "data", "action", "xlink:href"}]
    assert "url(" not in html
    assert "@import" not in html


def test_before_and_after_of_every_change_is_there() -> None:
    old, new = skills(Billing=1.0, Sales=2.0), skills(Billing=1.0, Care=3.0)
    deltas = (make_delta("title", "Lead", "Clerk"), make_delta("genesys:routingSkills", new, old))
    html = told(make_plan(changes=(make_change(deltas=deltas),)))
    assert "<del>Clerk</del> <ins>Lead</ins>" in html
    assert '<ins class="add">Care 3</ins>, <del class="gone">Sales 2</del>' in html


def test_findings_of_one_kind_give_their_advice_once() -> None:
    findings = tuple(make_finding(subject=f"E{i}", hint="write it with country code") for i in range(5))
    html = told(make_plan(findings=findings))
    assert html.count("write it with country code") == 1
    assert "5 times" in html
    assert all(f"<b>E{i}</b>" in html for i in range(5))


def test_a_plan_that_is_refused_says_so_at_the_top() -> None:
    refusal = make_finding(code="limits.disable", summary="too many", detail="9 of 100", hint="look again")
    html = told(make_plan(refusals=(refusal,)))
    assert html.index("limits.disable") < html.index("<main>")
    assert "look again" in html


@pytest.mark.parametrize(
    ("statuses", "lead"),
    [
        ([], "2 changes planned: 2 requests. Nothing is written yet."),
        ([Status.DONE, Status.ALREADY], "All 2 changes done in 3.0 s."),
        ([Status.DONE, Status.HELD], "1 of 2 changes done in 3.0 s; 1 needs a look."),
    ],
)
def test_the_first_sentence_says_what_came_of_it(statuses: list[Status], lead: str) -> None:
    sent = (Operation("replace", "title", "Lead"),)
    plan = make_plan(changes=(make_change("A", operations=sent), make_change("B", operations=sent)))
    journal = [x for i, status in enumerate(statuses) for x in written("AB"[i], i, i + 2, status)]
    html = told(plan, journal, a_run())
    assert lead in html


def test_a_reference_that_is_awaited_is_shown_by_whose_account_it_will_be() -> None:
    waits = make_delta("enterprise:manager", None, verdict=Verdict.AWAIT, awaits="E7")
    html = told(make_plan(changes=(make_change("A", Action.CREATE, deltas=(waits,)),)))
    assert "<ins>the account of E7, once it exists</ins>" in html


def test_groups_stand_in_the_report_with_who_joins_and_who_leaves() -> None:
    group = members("Billing", add=(Member("E1", "u1"), Member("E2", None)), remove=(Member("", "u3"),))
    plan = make_plan(groups=(group,))
    html = told(plan)
    assert "1 change planned: 1 request. Nothing is written yet." in html
    assert "<dt>2 join</dt><dd>E1, E2</dd>" in html
    assert "<dt>1 leave</dt><dd>u3</dd>" in html
    assert "No changes" not in html
    held = told(plan, written(group.key, 0, 1, Status.HELD, code="write.mismatch", detail="not as written"), a_run())
    assert "0 of 1 change done in 1.0 s; 1 needs a look." in held
    assert "write.mismatch" in held


def test_people_and_groups_are_counted_together() -> None:
    plan = make_plan(changes=(make_change("A"), make_change("B")), groups=(members("Billing"),))
    journal = [*written("A", 0, 1), *written("B", 0, 1, Status.FAILED), *written("group:g-Billing", 1, 2)]
    assert "2 of 3 changes done in 2.0 s; 1 needs a look." in told(plan, journal, a_run())


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    digits = colour.lstrip("#")
    digits = "".join(d * 2 for d in digits) if len(digits) == 3 else digits
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_every_text_has_the_contrast_that_wcag_wants_in_light_in_dark_and_on_paper() -> None:
    css = look()
    schemes = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    assert len(schemes) == 3
    for scheme in schemes:
        colours = dict(re.findall(r"--([a-z]+): (#[0-9a-f]+)", scheme))
        for back in ("page", "card"):
            for text in ("ink", "soft", "quiet", "create", "update", "disable", "enable", "warn"):
                dark, light = sorted(luminance(colours[name]) for name in (back, text))
                assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, back, colours[text], colours[back])


# --- figures ----------------------------------------------------------------------------------------


def test_latency_is_taken_from_the_first_intent_to_the_outcome() -> None:
    race = [line("A", Step.INTENT, 0), line("A", Step.INTENT, 1)]
    done = line("A", Step.OUTCOME, 4, Outcome(key="A", status=Status.DONE, races=1))
    course = figures.course([*race, done, *written("B", 2, 2.5)])
    assert course is not None
    assert course.latencies == (0.5, 4.0)
    assert course.requests == 3
    assert course.seconds == 4.0
    assert sum(c.number for c in course.histogram()) == 2
    assert sum(c.number * course.width for c in course.rate()) == pytest.approx(2)


def test_a_run_without_a_write_has_no_course() -> None:
    assert figures.course([]) is None
    assert figures.course([line("A", Step.INTENT, 0)]) is None


def test_a_long_run_is_drawn_with_few_columns() -> None:
    lines = [x for i in range(500) for x in written(f"K{i}", i * 20, i * 20 + 1)]
    course = figures.course(lines)
    assert course is not None
    assert len(course.rate()) <= figures.COLUMNS + 1


def test_a_person_counts_by_the_worse_of_both_parts_and_the_latest_of_each() -> None:
    lines = [
        *written("A", 0, 1, Status.DEFERRED),
        *written("A", 2, 3, Status.DONE),
        line("A", Step.OUTCOME, 4, Outcome(key="A", status=Status.HELD), part=2),
    ]
    assert figures.outcomes(lines)["A", 1].status is Status.HELD
    assert figures.outcomes(lines[:4])["A", 1].status is Status.DONE


def change(key: str, action: Action, department: str = "") -> Change:
    deltas = (make_delta("enterprise:department", desired=department),) if department else ()
    return make_change(key, action, deltas=deltas)


def test_people_are_grouped_by_what_the_plan_says_else_by_what_was_agreed() -> None:
    changes = (change("A", Action.CREATE, "Sales"), change("B", Action.UPDATE), change("C", Action.DISABLE))
    grouping = figures.Grouping(path="enterprise:department", of={"A": "Old", "B": "Sales"})
    bars = figures.by_group(make_plan(changes=changes), grouping)
    assert [(bar.label, bar.number) for bar in bars] == [("Sales", 2), ("(none)", 1)]


def test_small_groups_are_counted_together() -> None:
    changes = tuple(change(f"K{i}", Action.UPDATE, f"G{i:02}") for i in range(30))
    bars = figures.by_group(make_plan(changes=changes), figures.Grouping(path="enterprise:department", of={}))
    assert len(bars) == figures.GROUPS + 1
    assert (bars[-1].label, bars[-1].number) == ("18 more", 18)

"""Verdicts and stories in words: every verdict has its words, and no word says more than the plan does."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.factories import MANAGER, mapped
from tests.strategies import placed_sides

from scimsync.core import explaining, verdicts
from scimsync.core.merge import merge
from scimsync.core.verdicts import Mine, Ruled
from scimsync.model.outcomes import JournalLine, Outcome, Status, Step
from scimsync.model.plans import Action, Change, Delta, Finding, Lifecycle, Reason, Severity, Sides, Verdict
from scimsync.model.policy import Authority, Leavers, Mapped, Policy
from scimsync.model.stories import Becomes, Standing, Traces

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
TITLE = mapped("title")
POLICY = Policy(attributes=(TITLE,), match=())
SAME = {"title": Ruled(becomes=Becomes.SAME, rule="", verdict="")}
PAIRED = Traces(
    rows=(3,),
    ns=(0,),
    desired={"title": "A"},
    account="a1",
    paired=True,
    current={"title": "A"},
    login="zoe",
    active=True,
)


def finding(code: str = "record.bad-phone", path: str = "", **more: object) -> Finding:
    given = {"severity": Severity.ERROR, "subject": "7", "summary": "it is bad", "hint": "mend it", "holds": True}
    return Finding(code=code, path=path, **{**given, **more})  # type: ignore[arg-type]


def delta(verdict: Verdict = Verdict.WRITE, reason: Reason = Reason.SOURCE_MOVED, **more: object) -> Delta:
    sides = Sides(desired="A", current="B", base="B", known=True)
    given = {"path": "title", "sides": sides, "authority": Authority.LOCAL_WINS}
    return Delta(verdict=verdict, reason=reason, **{**given, **more})  # type: ignore[arg-type]


def change(*deltas: Delta, action: Action = Action.UPDATE) -> Change:
    return Change(
        key="7", name="zoe", action=action, lifecycle=Lifecycle.MOVER, deltas=deltas, account="a1", version="1",
        operations=(),
    )  # fmt: skip


def told(traces: Traces, mine: Mine, policy: Policy = POLICY, **ruled: Ruled) -> explaining.Told:
    return explaining.person(traces, mine, policy, ruled or SAME)


# --- one attribute


@given(placed_sides(), st.sampled_from(Authority))
def test_every_verdict_of_the_merge_has_a_rule_and_words(placed: tuple[object, Sides], authority: Authority) -> None:
    where, sides = placed
    merged = merge(where, sides, authority)  # type: ignore[arg-type]
    if merged is None:
        return
    one = Delta(path="x", sides=sides, verdict=merged.verdict, reason=merged.reason, authority=authority)
    ruled = verdicts.of_delta(one)
    assert ruled.becomes.value == merged.verdict.value
    assert ruled.rule
    assert ruled.verdict
    if merged.reason is not Reason.SOURCE_MOVED:
        assert f"authority {authority.value}" in ruled.rule
    if merged.verdict in {Verdict.KEEP, Verdict.CONFLICT}:
        assert ruled.advice, "what is not written says what would have to change"


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_words(reason: Reason) -> None:
    assert verdicts.of_delta(delta(reason=reason)).rule


def test_what_waits_names_whom_it_waits_for() -> None:
    ruled = verdicts.of_delta(delta(Verdict.AWAIT, Reason.AWAITS, awaits="9", path=MANAGER))
    assert ruled.becomes is Becomes.AWAIT
    assert "9" in ruled.verdict
    assert "explain 9" in ruled.advice


def test_a_bad_value_of_ones_own_leaves_the_attribute_alone_and_that_of_another_does_not() -> None:
    mine = Mine(key="7", findings=(finding(path="title"),))
    assert verdicts.path(TITLE, PAIRED, mine).becomes is Becomes.LEFT_ALONE
    assert verdicts.path(TITLE, PAIRED, mine).advice == "mend it"
    assert verdicts.path(TITLE, PAIRED, Mine(key="7")).becomes is Becomes.SAME


def test_a_person_who_is_left_out_has_no_attribute_written() -> None:
    ruled = verdicts.path(TITLE, PAIRED, Mine(key="7", findings=(finding("record.duplicate-key"),)))
    assert ruled.becomes is Becomes.LEFT_ALONE
    assert "it is bad" in ruled.verdict


def test_a_column_that_went_blank_is_why_an_attribute_is_left_alone() -> None:
    traces = replace(PAIRED, desired={"title": None})
    blank = finding("source.blanks", subject="job_title", holds=False)
    ruled = verdicts.path(TITLE, traces, Mine(key="7", wide=(blank,)), ["job_title"])
    assert ruled.becomes is Becomes.LEFT_ALONE
    assert [cause.code for cause in ruled.causes] == ["source.blanks"]


def test_a_finding_about_many_is_no_cause_where_both_sides_hold_the_same() -> None:
    many = finding("reference.unknown", subject="", detail="title of 1, 2, 3", holds=False)
    assert verdicts.path(TITLE, PAIRED, Mine(key="7", wide=(many,))).causes == ()
    differing = replace(PAIRED, current={"title": "B"})
    assert [c.code for c in verdicts.path(TITLE, differing, Mine(key="7", wide=(many,))).causes] == [many.code]


def test_a_refused_plan_writes_nothing_and_its_attributes_say_so() -> None:
    limit = finding("limits.update", subject="")
    mine = Mine(key="7", changes=(change(delta()),), refusals=(limit,))
    ruled = verdicts.path(TITLE, replace(PAIRED, current={"title": "B"}), mine)
    assert "refused by limits.update" in ruled.verdict
    story = told(PAIRED, mine)
    assert story.standing is Standing.REFUSED
    assert story.advice == "mend it"


# --- one person


@pytest.mark.parametrize(
    ("traces", "mine", "standing"),
    [
        (PAIRED, Mine(key="7"), Standing.SAME),
        (PAIRED, Mine(key="7", changes=(change(delta()),)), Standing.CHANGES),
        (PAIRED, Mine(key="7", findings=(finding(),)), Standing.HELD),
        (PAIRED, Mine(key="7", notices=(change(delta(Verdict.KEEP, Reason.TARGET_MOVED)),)), Standing.EDITED),
        (Traces(rows=(3,), ns=(0,), desired={"active": False}), Mine(key="7"), Standing.NO_ACCOUNT),
        (Traces(rows=(3,), ns=(0,), desired={"active": True}), Mine(key="7"), Standing.HELD),
        (Traces(account="a1", current={}, active=False), Mine(key="7"), Standing.LEFT),
        (Traces(account="a1", gone=True), Mine(key="7"), Standing.LEFT),
        (Traces(account="a1", current={}, active=True), Mine(key="7"), Standing.HELD),
        (Traces(), Mine(key="7"), Standing.LEFT),
    ],
)
def test_how_it_stands_with_a_person(traces: Traces, mine: Mine, standing: Standing) -> None:
    story = told(traces, mine)
    assert story.standing is standing
    assert story.told
    if standing is not Standing.SAME:
        assert story.advice, "whatever is not as HR says has a sentence on what would change it"


def test_a_leaver_whom_policy_keeps_is_told_so() -> None:
    traces = Traces(account="a1", current={}, active=True)
    story = told(traces, Mine(key="7"), replace(POLICY, leavers=Leavers.KEEP))
    assert story.standing is Standing.LEFT
    assert "leavers" in story.advice


def test_several_records_with_one_key_are_told_with_their_places() -> None:
    assert "rows 3, 9" in told(replace(PAIRED, rows=(3, 9), ns=(0, 1)), Mine(key="7")).told[0]


def test_a_value_that_is_left_alone_is_told_of_a_person_who_is_the_same_else() -> None:
    left = Ruled(becomes=Becomes.LEFT_ALONE, rule="", verdict="", causes=(verdicts.cause_of(finding(path="title")),))
    story = told(PAIRED, Mine(key="7"), title=left)
    assert story.standing is Standing.SAME
    assert "title" in story.told[-1]
    assert [cause.code for cause in story.causes] == ["record.bad-phone"]


# --- what was done


def line(step: Step, minute: int, part: int = 1, outcome: Outcome | None = None) -> JournalLine:
    at = NOW + timedelta(minutes=minute)
    intent = {"method": "PATCH", "version": "4"} if step is Step.INTENT else {}
    return JournalLine(run="r1", key="7", part=part, step=step, at=at, outcome=outcome, **intent)  # type: ignore[arg-type]


def outcome(status: Status, **more: object) -> Outcome:
    return Outcome(key="7", status=status, written={"title": "A"}, correlation_id="c", **more)  # type: ignore[arg-type]


def test_a_deed_is_an_outcome_with_the_intent_before_it_and_the_latest_comes_first() -> None:
    lines = [
        line(Step.INTENT, 0),
        line(Step.OUTCOME, 1, outcome=outcome(Status.DONE)),
        line(Step.INTENT, 2, 2),
        line(Step.OUTCOME, 3, 2, outcome(Status.FAILED, code="target.refused", detail="400")),
    ]
    later, first = explaining.deeds(lines)
    assert (first.method, first.if_match, first.status, first.written) == ("PATCH", "4", "done", {"title": "A"})
    assert (later.status, later.code, later.answer) == ("failed", "target.refused", "400")


def test_an_intent_without_outcome_is_open() -> None:
    (deed,) = explaining.deeds([line(Step.INTENT, 0)])
    assert (deed.status, deed.written) == ("open", {})


def test_a_try_that_failed_is_told_with_its_code() -> None:
    failed = outcome(Status.FAILED, code="target.refused", detail="400 invalidValue")
    done = explaining.deeds([line(Step.INTENT, 0), line(Step.OUTCOME, 1, outcome=failed)])
    story = explaining.person(PAIRED, Mine(key="7"), POLICY, SAME, done=done)
    assert "target.refused" in story.told[-1]
    assert [cause.code for cause in story.causes] == ["target.refused"]


def test_a_write_that_went_well_is_told_and_is_no_cause() -> None:
    done = explaining.deeds([line(Step.INTENT, 0), line(Step.OUTCOME, 1, outcome=outcome(Status.DONE))])
    story = explaining.person(PAIRED, Mine(key="7"), POLICY, SAME, done=done)
    assert "Last written by run r1: title" in story.told[-1]
    assert story.causes == ()


def test_a_list_under_merge_says_how_it_is_merged() -> None:
    listed: Mapped = mapped("genesys:routingSkills", authority=Authority.MERGE)
    entry = ((("name", "Billing"),),)
    sides = Sides(desired=entry, current=None, base=None, known=True)
    one = Delta(
        path=listed.path, sides=sides, verdict=Verdict.WRITE, reason=Reason.TARGET_MOVED, authority=Authority.MERGE
    )
    assert "leaves the rest" in verdicts.of_delta(one).rule


def test_whoever_comes_later_did_not_leave() -> None:
    for account, active, standing in ((None, None, Standing.NO_ACCOUNT), ("a1", False, Standing.HELD)):
        comes = Traces(early=date(2026, 12, 5), account=account, active=active)
        found = told(comes, Mine(key="7"))
        assert found.standing is standing
        assert "the next one holds from 2026-12-05 on" in found.told[0]
        assert found.told[-1] == "Nothing is done about this person before that day."
        assert "plan --as-of 2026-12-05" in found.advice
        assert "that holds today" in verdicts.path(TITLE, comes, Mine(key="7")).verdict

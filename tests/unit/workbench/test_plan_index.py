"""A plan found page by page is the plan that was sealed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.factories import make_change, make_delta, make_plan

from scimsync.core import sealing
from scimsync.errors import PlanDamaged
from scimsync.model.outcomes import JournalLine, Outcome, Status, Step
from scimsync.model.plans import Action, Change, Finding, GroupChange, Member, Plan, Severity
from scimsync.workbench.plan_index import Filter, PlanIndex
from scimsync.workbench.pool import Pool

AT = datetime(2026, 11, 28, tzinfo=UTC)


def crowd(number: int = 300) -> Plan:
    actions = (Action.DISABLE, Action.CREATE, Action.UPDATE)
    changes = tuple(
        make_change(
            f"E{i:03}",
            action=actions[i % 3],
            deltas=(
                make_delta("title", f"Lead {i}", "Clerk"),
                *([make_delta("enterprise:department", "Sales", "Care")] if i % 2 else []),
            ),
            name=f"person.{i}@example.com",
        )
        for i in range(number)
    )
    group = GroupChange(
        group="g1", name="Night shift", version="1", add=(Member("E001", "a1"),), remove=(), held=3, batch=10
    )
    notice = make_change("E900", deltas=(make_delta("title", "Ärztin", "Arzt"),), name="x@example.com")
    finding = Finding(severity=Severity.ERROR, code="record.bad-phone", subject="E004", summary="no phone number")
    return make_plan(changes=changes, groups=(group,), notices=(notice,), findings=(finding,))


def indexed(folder: Path, plan: Plan, name: str = "a") -> PlanIndex:
    file = folder / f"plan-{name}.ndjson"
    file.write_bytes(b"".join(sealing.encode(plan)))
    groups = lambda keys: {key: "Care" for key in keys if key.startswith("E")}  # noqa: E731
    return PlanIndex(file, folder / f"{name}.db", group_path="enterprise:department", groups=groups)


def test_the_pages_together_are_the_plan_in_its_order(tmp_path: Path) -> None:
    plan = crowd()
    index = indexed(tmp_path, plan)
    found = [row.change for start in range(0, 400, 50) for row in index.page(Filter(), start, 50).rows]
    assert found == [*plan.changes, *plan.groups, *plan.notices]
    assert index.plan.findings == index.plan.changes == ()
    assert index.plan.seal == plan.seal
    assert index.digest == sealing.opened(sealing.encode(plan)).closing.sha256
    assert index.finding_codes() == [("record.bad-phone", 1)]
    assert index.findings_of("E004")[0]["summary"] == "no phone number"
    index.close()


@pytest.mark.parametrize(
    ("wanted", "test"),
    [
        (Filter(action="disable"), lambda i: i % 3 == 0),
        (Filter(path="enterprise:department"), lambda i: i % 2 == 1),
        (Filter(group="Sales"), lambda i: i % 2 == 1),
        (Filter(group="Care", action="create"), lambda i: i % 2 == 0 and i % 3 == 1),
        (Filter(text="lead 29"), lambda i: "29" in f"{i:03}"),
        (Filter(text="PERSON.7@ sales"), lambda i: i == 7),
        (Filter(rule="source_moved"), lambda i: True),
        (Filter(text="lead", values=False), lambda i: False),
        (Filter(text="e007", values=False), lambda i: i == 7),
        (Filter(path="userName"), lambda i: False),
        (Filter(text="'; DROP TABLE line; --"), lambda i: False),
    ],
)
def test_a_filter_leaves_what_a_walk_over_the_plan_leaves(tmp_path: Path, wanted: Filter, test: object) -> None:
    plan = crowd()
    index = indexed(tmp_path, plan)
    page = index.page(wanted, 0, 500)
    found = [row.change.key for row in page.rows if row.kind == "change"]
    assert found == [f"E{i:03}" for i in range(300) if test(i)]  # type: ignore[operator]
    assert page.total == len(page.rows)
    index.close()


def line(key: str, part: int, status: Status, code: str = "") -> JournalLine:
    outcome = Outcome(key=key, part=part, status=status, code=code)
    return JournalLine(run="r", key=key, part=part, step=Step.OUTCOME, at=AT, outcome=outcome)


def test_what_came_of_a_change_is_the_worst_of_its_passes_and_the_latest_of_each(tmp_path: Path) -> None:
    index = indexed(tmp_path, crowd(6))
    told = [
        line("E000", 1, Status.HELD, "race"),
        line("E000", 1, Status.DONE),
        line("E001", 1, Status.DONE),
        line("E001", 2, Status.FAILED, "http.500"),
        line("group:g1", 1, Status.DONE),
    ]
    for _ in range(2):
        index.take(told)
        assert index.statuses() == {"": 4, "done": 2, "failed": 1}
    assert [row.change.key for row in index.page(Filter(outcome="failed"), 0, 9).rows] == ["E001"]
    (failed,) = [row for row in index.of_person("E001") if isinstance(row.change, Change)]
    assert failed.status is Status.FAILED
    assert {outcome.code for outcome in failed.outcomes} == {"", "http.500"}
    index.close()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace(b"Lead 3", b"Boss 3"),
        lambda text: text[: text.rindex(b"\n", 0, -1) + 1],
        lambda text: b"\n".join(part for part in text.split(b"\n") if b"E004" not in part),
        lambda text: text + b"{}\n",
        lambda text: b"",
        lambda text: text.replace(b'{"change":', b'{"changed":', 1),
        lambda text: text.replace(b'"deltas":[', b'"deltas":[7,', 1),
    ],
)
def test_a_file_that_is_not_as_it_was_sealed_is_not_shown(tmp_path: Path, spoil: object) -> None:
    file = tmp_path / "plan.ndjson"
    file.write_bytes(spoil(b"".join(sealing.encode(crowd(6)))))  # type: ignore[operator]
    with pytest.raises(PlanDamaged):
        PlanIndex(file, tmp_path / "i.db")


def test_a_file_that_changes_afterwards_is_noticed(tmp_path: Path) -> None:
    index = indexed(tmp_path, crowd(3))
    assert index.is_current
    indexed(tmp_path, crowd(4), "b")
    (tmp_path / "plan-b.ndjson").replace(tmp_path / "plan-a.ndjson")
    assert not index.is_current
    index.close()


def test_an_index_that_nobody_holds_leaves_nothing_of_anybody_on_the_disk(tmp_path: Path) -> None:
    pool = Pool(tmp_path / "index.db")
    with pool.borrowed() as connection:
        connection.execute("CREATE TABLE person (name)")
    assert [*tmp_path.iterdir()]
    pool.close()
    del pool
    assert not [*tmp_path.iterdir()]

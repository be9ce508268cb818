"""Taking access away stands alone and comes first; a leaver who keeps it is the first thing that is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.factories import make_reply
from tests.soak import examples
from tests.unit.engine.test_whole_runs import MAPPING, Company, Silent, twin_of

from scimsync.core import leaving, notifications, sealing
from scimsync.engine.freshness import LONGEST_LAG
from scimsync.engine.preconditions import ApplyOptions, ApplyPorts, check_plan
from scimsync.errors import PlanRefused, SourceError, TargetUnavailable
from scimsync.model.events import EventKind
from scimsync.model.outcomes import Exchange, Reply, Status
from scimsync.model.plans import Action, Plan
from scimsync.model.policy import Authority, BadValue, Leavers, Limit, Limits
from scimsync.scim.genesys import GENESYS
from scimsync.scim.messages import ErrorReport, Operation

PHONE = 'phoneNumbers[type eq "work"].value'
JUNK_MAPPING = {
    **MAPPING,
    "enterprise:dateHire": "strftime(CAST(hired AS DATE), '%Y-%m-%d')",
    "enterprise:department": "CAST(CAST(cost AS INTEGER) AS VARCHAR)",
    PHONE: "e164(phone, 'US')",
    "genesys:routingSkills": "skills(skills)",
}
GOOD = {"hired": "2020-01-02", "cost": "7", "phone": "+13175550100", "skills": "Billing:3"}


class Office(Company):
    """A company with values that can be bad in every way."""

    def __init__(self, folder: Path, people: int = 6) -> None:
        super().__init__(folder, people)
        self.mapping = JUNK_MAPPING
        self.dialect = replace(GENESYS, characters=255)
        self.more = {"limits": Limits(disable=Limit(), update=Limit(), create=Limit())}
        for row in self.rows.values():
            row.update(GOOD)
        self.columns = tuple(next(iter(self.rows.values())))


def run_once(folder: Path) -> Office:
    made = Office(folder)
    made.sync()
    return made


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return twin_of(run_once, tmp_path / "artifacts")


def codes(plan: Plan, key: str) -> list[tuple[str, str]]:
    return [(f.code, f.path) for f in plan.findings if f.subject == key]


def changes(plan: Plan, key: str) -> list[tuple[Action, set[str]]]:
    return [(c.action, {d.path for d in c.deltas}) for c in plan.changes if c.key == key]


def kept(plan: Plan) -> dict[str, str]:
    return {f.subject: f.detail for f in plan.findings if f.code == leaving.KEPT}


TEXTS = st.one_of(
    st.none(), st.just(""), st.text(max_size=20), st.text("x", min_size=250, max_size=300), st.just("a\tb"),
    st.sampled_from(["12x", "2020-13-45", "Billing:99", "Billing:", "+1", "E0", "E1", "nobody", "p1@example.com", "@"]),
)  # fmt: skip
BAD = st.fixed_dictionaries(dict.fromkeys(("email", "name", "title", "boss", *GOOD), TEXTS))


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return twin_of(run_once, tmp_path_factory.mktemp("law") / "artifacts")


@settings(max_examples=examples(20, 6), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(junk=BAD, policy=st.sampled_from(BadValue))
def test_whatever_else_a_record_says_a_leaver_is_disabled_alone_and_first(
    settled: Office, junk: dict[str, Any], policy: BadValue
) -> None:
    before = dict(settled.rows)
    settled.rows["E2"] = {**before["E2"], **junk, "status": "left"}
    settled.more["on_bad_value"] = policy
    plan = settled.plan()
    settled.rows = before
    first = plan.changes[0]
    assert (first.key, first.action, first.operations) == (
        "E2",
        Action.DISABLE,
        (Operation("replace", "active", False),),
    )
    assert kept(plan) == {}
    assert all(c.part != 1 for c in plan.changes[1:] if c.key == "E2")


@settings(max_examples=examples(20, 6), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(junk=BAD)
def test_a_bad_value_never_clears_what_the_directory_holds(settled: Office, junk: dict[str, Any]) -> None:
    before = dict(settled.rows)
    settled.rows["E3"] = {**before["E3"], **junk}
    plan = settled.plan()
    settled.rows = before
    spoiled = {f.path for f in plan.findings if f.subject == "E3" and f.path}
    assert not spoiled & {d.path for c in plan.changes if c.key == "E3" for d in c.deltas}


# --- two pieces ---------------------------------------------------------------------------------


def test_what_else_hr_says_about_a_leaver_is_written_after_the_access_is_gone(office: Office) -> None:
    office.rows["E2"].update(status="left", title="Gone")
    office.rows["E1"]["title"] = "Lead"
    plan = office.plan()
    assert changes(plan, "E2") == [(Action.DISABLE, {"active"}), (Action.UPDATE, {"title"})]
    assert plan.changes[0].key == "E2"
    assert (plan.tally.actions, plan.tally.lifecycles) == ({"disable": 1, "update": 2}, {"leaver": 1, "mover": 1})
    report = office.apply(plan)
    assert report.clean
    assert report.statuses == {"done": 3}
    held = office.account("E2")
    assert (held["active"], held["title"]) == (False, "Gone")
    assert office.sync().changes == ()


def test_a_plan_file_keeps_the_two_pieces_and_one_of_before_has_one(office: Office) -> None:
    office.rows["E2"].update(status="left", title="Gone")
    plan = office.plan()
    assert sealing.decode(sealing.encode(plan)) == plan
    (line,) = [sealing.change_to_json(c) for c in plan.changes if c.part == 1]
    del line["part"]
    assert sealing.change_of(line) == plan.changes[0]


def test_a_refused_rename_neither_stops_nor_hides_that_the_access_is_gone(office: Office) -> None:
    office.rows["E2"].update(status="left", email="other@example.com")
    refuse(office, lambda operations: any(o.path == "userName" for o in operations))
    plan = office.plan()
    report = office.apply(plan)
    assert [(o.part, o.status, o.code) for o in report.outcomes["E2"]] == [
        (1, Status.DONE, ""),
        (3, Status.FAILED, "target.refused"),
    ]
    assert report.kept == {}
    assert not office.account("E2")["active"]
    again = office.plan()
    assert changes(again, "E2") == [(Action.UPDATE, {"userName"})]


def test_no_other_write_begins_before_the_access_of_all_leavers_is_settled(office: Office) -> None:
    for key in ("E1", "E3", "E5"):
        office.rows[key].update(status="left", title="Gone")
    office.rows["E0"]["title"] = "Lead"
    office.rows["E9"] = {**office.person(9), **GOOD}
    sent: list[bool] = []
    refuse(office, lambda operations: sent.append([o.path for o in operations] == ["active"]) is not None)
    office.sync()
    assert sent == [True] * 3 + [False] * 4


def refuse(office: Office, when: Callable[[Any], bool], status: int = 400) -> None:
    real = office.target.patch

    async def patch(account: str, operations: Any, version: str) -> Reply:
        if when(operations):
            error = ErrorReport(status=status, detail="no", scim_type="mutability")
            return Reply(exchange=Exchange.ANSWERED, method="PATCH", status=status, error=error)
        return await real(account, operations, version)

    office.target.patch = patch  # type: ignore[method-assign]


# --- bad values ---------------------------------------------------------------------------------

CELLS = [
    ({"phone": "12x"}, PHONE, "record.bad-phone"),
    ({"skills": "Billing:99"}, "genesys:routingSkills", "record.bad-level"),
    ({"cost": "x"}, "enterprise:department", "record.unmappable"),
    ({"hired": "01.02.2020"}, "enterprise:dateHire", "record.unmappable"),
    ({"title": "T" * 300}, "title", "record.too-long"),
    ({"title": "a\nb"}, "title", "record.control-characters"),
    ({"boss": "E1"}, "enterprise:manager", "reference.self"),
]


@pytest.mark.parametrize(("cells", "path", "code"), CELLS, ids=[f"{code} {path}" for _, path, code in CELLS])
def test_a_bad_value_is_left_out_and_the_person_goes_on(office: Office, cells: Any, path: str, code: str) -> None:
    held = office.account("E1")
    office.rows["E1"].update(name="Ada", **cells)
    plan = office.plan()
    assert codes(plan, "E1") == [(code, path)]
    assert changes(plan, "E1") == [(Action.UPDATE, {"displayName"})]
    assert (plan.tally.held, plan.tally.values) == (0, 1)
    office.apply(plan)
    assert office.account("E1") == {**held, "displayName": "Ada", "meta": office.account("E1")["meta"]}
    again = office.sync()
    assert (again.changes, codes(again, "E1")) == ((), [(code, path)])
    office.rows["E1"].update({**office.person(1), **GOOD, "name": "Ada"})
    mended = office.plan()
    assert (mended.changes, codes(mended, "E1"), mended.tally.conflicts) == ((), [], 0)


@pytest.mark.parametrize(("cells", "path", "code"), CELLS[:-1], ids=[code for _, _, code in CELLS[:-1]])
def test_a_joiner_is_made_without_the_bad_value(office: Office, cells: Any, path: str, code: str) -> None:
    office.rows["E9"] = {**office.person(9), **GOOD, **cells}
    plan = office.sync()
    assert codes(plan, "E9") == [(code, path)]
    ((action, paths),) = changes(plan, "E9")
    assert action is Action.CREATE
    assert path not in paths
    assert office.sync().changes == ()
    office.rows["E9"].update({**office.person(9), **GOOD})
    assert changes(office.sync(), "E9") == [(Action.UPDATE, {path})]


@pytest.mark.parametrize(("cells", "path", "code"), CELLS, ids=[code for _, _, code in CELLS])
def test_policy_may_leave_out_the_person_but_not_the_access_of_a_leaver(
    office: Office, cells: Any, path: str, code: str
) -> None:
    office.more["on_bad_value"] = BadValue.PERSON
    office.rows["E1"].update(name="Ada", **cells)
    office.rows["E2"].update(name="Bob", status="left", **({**cells, "boss": "E2"} if "boss" in cells else cells))
    plan = office.sync()
    assert changes(plan, "E1") == []
    assert codes(plan, "E1") == [(code, "")]
    assert changes(plan, "E2") == [(Action.DISABLE, {"active"})]
    assert [found for found, _ in codes(plan, "E2")] == [code]
    assert office.account("E1")["displayName"] == "P 1"


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        ({"email": "nobody"}, "record.bad-email"),
        ({"email": None}, "record.incomplete"),
        ({"status": None}, "record.active-unknown"),
    ],
)
def test_a_bad_login_or_status_leaves_out_the_person(office: Office, cells: Any, code: str) -> None:
    office.rows["E1"].update(title="Lead", **cells)
    plan = office.plan()
    assert (changes(plan, "E1"), codes(plan, "E1")) == ([], [(code, "")])
    assert plan.tally.held == 1


def test_a_login_that_somebody_keeps_leaves_out_the_login_alone(office: Office) -> None:
    office.rows["E1"].update(title="Lead", email="p4@example.com")
    plan = office.sync()
    assert changes(plan, "E1") == [(Action.UPDATE, {"title"})]
    assert codes(plan, "E1") == [("correlation.taken", "userName")]
    assert office.account("E1")["userName"] == "p1@example.com"


def test_who_is_not_linked_and_has_a_bad_mark_is_not_taken_for_new(office: Office) -> None:
    external = "CASE WHEN id = 'E9' THEN CAST(CAST(title AS INTEGER) AS VARCHAR) ELSE id END"
    office.mapping = {**office.mapping, "externalId": external}
    office.rows["E9"] = {**office.person(9), **GOOD}
    plan = office.plan()
    assert (changes(plan, "E9"), codes(plan, "E9")) == ([], [("record.unmappable", "")])
    assert plan.tally.held == 1


def test_an_expression_that_fails_on_nearly_all_leaves_its_attribute_alone_and_leavers_go(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scimsync.workbench.mapping._TOO_MANY", 3)
    for row in office.rows.values():
        row.update(cost="x", title="Lead")
    office.rows["E2"]["status"] = "left"
    plan = office.plan()
    assert changes(plan, "E1") == [(Action.UPDATE, {"title"})]
    assert changes(plan, "E2")[0] == (Action.DISABLE, {"active"})
    assert [(f.code, f.path) for f in plan.findings if f.holds] == [("mapping.failing", "enterprise:department")]
    office.mapping = {**office.mapping, "active": "CAST(title AS INTEGER) = 1"}
    with pytest.raises(SourceError, match="active"):
        office.plan()


# --- who keeps access ---------------------------------------------------------------------------


def test_a_leaver_of_whom_two_records_speak_is_told_first(office: Office) -> None:
    office.rows["x"] = {**office.rows["E2"], "status": "left"}
    plan = office.plan()
    assert kept(plan) == {"E2": "record.duplicate-key"}
    assert plan.findings[0].code == leaving.KEPT
    assert (plan.tally.leavers_kept, plan.tally.held) == (1, 1)
    assert next(notifications.of_plan(plan)).kind is EventKind.LEAVER_KEPT


def test_a_leaver_whom_two_records_fit_is_told(office: Office) -> None:
    office.rows["E9"] = {**office.rows["E2"], "id": "E9"}
    office.mapping = {**office.mapping, "externalId": "CASE id WHEN 'E9' THEN 'E2' ELSE id END"}
    office.store.links = list  # type: ignore[method-assign]
    office.rows["E2"]["status"] = "left"
    assert kept(office.plan()) == {"E2": "correlation.contested"}


@pytest.mark.parametrize(
    ("authority", "why"), [(Authority.ASK, "conflict.open"), (Authority.CLOUD_WINS, leaving.EDITED)]
)
def test_a_leaver_whom_an_edit_keeps_is_told(office: Office, authority: Authority, why: str) -> None:
    office.rows["E2"]["status"] = "left"
    office.sync()
    office.authority["active"] = authority
    office.edit("E2", active=True)
    plan = office.plan()
    assert kept(plan) == {"E2": why}
    assert plan.tally.held == 0


def test_a_leaver_who_is_missing_and_kept_by_an_edit_is_told(office: Office) -> None:
    office.authority["active"] = Authority.ASK
    gone = office.rows.pop("E2")
    office.sync()
    assert not office.account("E2")["active"]
    office.edit("E2", active=True)
    assert kept(office.plan()) == {str(gone["id"]): "conflict.open"}


def hide(office: Office, account: str, *, readable: bool) -> None:
    """The listing stops short of an account, which an id still reads or does not."""
    real, get = office.target.sweep, office.target.get

    async def sweep(attributes: Any, sink: Any) -> Any:
        hidden = office.target.users.pop(account)
        found = await real(attributes, sink)
        office.target.users[account] = hidden
        return replace(found, incomplete="a page was empty")

    async def refused(asked: str) -> Reply:
        return await get(asked) if readable or asked != account else make_reply(503, method="GET")

    office.target.sweep = sweep  # type: ignore[method-assign]
    office.target.get = refused  # type: ignore[method-assign]


def test_a_leaver_whose_account_the_listing_does_not_show_is_read_by_id_and_disabled(office: Office) -> None:
    office.rows["E2"]["status"] = "left"
    office.clock.advance(2 * LONGEST_LAG.total_seconds())
    hide(office, str(office.account("E2")["id"]), readable=True)
    plan = office.plan()
    assert changes(plan, "E2") == [(Action.DISABLE, {"active"})]
    assert kept(plan) == {}


def test_a_leaver_whose_account_nothing_shows_may_be_active_and_is_told(office: Office) -> None:
    office.rows["E2"]["status"] = "left"
    office.clock.advance(2 * LONGEST_LAG.total_seconds())
    hide(office, str(office.account("E2")["id"]), readable=False)
    plan = office.plan()
    assert changes(plan, "E2") == []
    assert kept(plan).keys() == {"E2"}


def test_leavers_are_named_where_no_plan_comes_about(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(Silent, "say", lambda _, text: said.append(text))
    office.sync()
    office.rows["E2"].update(status="left", phone="12x")

    async def sweep(*_: Any) -> Any:
        raise TargetUnavailable("down")

    office.target.sweep = sweep  # type: ignore[method-assign]
    with pytest.raises(TargetUnavailable):
        office.plan()
    assert said == ["leaver.kept: 1 person left and keeps access: E2 (no plan could be made)"]


def test_leavers_are_named_where_the_run_ends_before_them(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(Silent, "say", lambda _, text: said.append(text))
    office.rows["E2"]["status"] = office.rows["E4"]["status"] = "left"
    plan = office.plan()

    async def patch(*_: Any) -> Any:
        raise TargetUnavailable("down")

    office.target.patch = patch  # type: ignore[method-assign]
    with pytest.raises(TargetUnavailable):
        office.apply(plan)
    assert said == ["leaver.kept: 2 people left and keep access: E2 (run.unfinished), E4 (run.unfinished)"]


def test_whom_policy_keeps_is_none(office: Office) -> None:
    office.rows["E2"]["status"] = "left"
    office.more["protected"] = frozenset({"e2"})
    assert kept(office.plan()) == {}
    office.more |= {"protected": frozenset(), "leavers": Leavers.KEEP}
    assert kept(office.plan()) == {}


def test_nor_is_one_whose_account_is_disabled_or_not_there(office: Office) -> None:
    office.rows["E2"]["status"] = "left"
    office.sync()
    office.rows["E2"]["phone"] = "12x"
    office.rows["x"] = {**office.rows["E2"]}
    office.rows["E9"] = {**office.person(9), **GOOD, "status": "left", "cost": "x"}
    assert kept(office.plan()) == {}


def test_a_refused_plan_names_the_leavers_who_stay(office: Office) -> None:
    office.more["limits"] = Limits(disable=Limit(count=1))
    for key in ("E1", "E2", "E3"):
        office.rows[key]["status"] = "left"
    plan = office.plan()
    assert leaving.by_plan(plan) == dict.fromkeys(("E1", "E2", "E3"), "limits.disable")
    with pytest.raises(PlanRefused, match=r"^leaver.kept: 3 people left and keep access: E1 \(limits.disable\), E2"):
        refused_apply(office, plan)
    told = list(notifications.of_plan(plan))
    assert [e.kind for e in told] == [EventKind.LEAVER_KEPT] * 3 + [EventKind.PLAN_REFUSED]


def refused_apply(office: Office, plan: Plan) -> None:
    ports = ApplyPorts(target=office.target, store=office.store, clock=office.clock, observer=Silent())
    check_plan(plan, office.store.run(plan.id), ports, ApplyOptions(policy=office.policy, configuration="c"))


def test_a_refused_disable_is_a_leaver_who_keeps_access(office: Office) -> None:
    office.rows["E2"]["status"] = "left"
    refuse(office, lambda _: True)
    report = office.apply(office.plan())
    (outcome,) = report.outcomes["E2"]
    assert (outcome.status, outcome.code, outcome.detail) == (
        Status.FAILED,
        leaving.KEPT,
        "target.refused: 400 mutability no",
    )
    assert [*report.kept] == ["E2"]


def test_an_account_that_is_gone_gives_nobody_access(office: Office) -> None:
    office.rows["E2"]["status"] = "left"
    plan = office.plan()
    del office.target.users[str(office.account("E2")["id"])]
    report = office.apply(plan)
    assert [o.code for o in report.outcomes["E2"]] == ["account.gone"]
    assert report.kept == {}

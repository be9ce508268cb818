"""Rules on the result: what the directory will be is asked, and whoever makes a rule fail is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.unit.engine.test_whole_runs import Company

from scimsync.errors import ConfigError, PlanRefused
from scimsync.model.contracts import Contract, Rule
from scimsync.model.outcomes import Pin, RunState, Sweep
from scimsync.model.plans import Finding, Severity
from scimsync.model.policy import Limit, Limits
from scimsync.testing import MemoryTarget

WIDE = Limits(disable=Limit(share=1), update=Limit(share=1), create=Limit(share=1), clear=Limit(share=1))
COLUMNS = ("id", "email", "name", "status", "title", "boss", "department", "skills")
#: at least four active people who can do billing
BILLING = Rule(
    name="billing",
    message="too few people can do billing",
    where="active AND list_contains(routingSkills, 'Billing')",
    least=4,
)
SHRINKING = Rule(
    name="shrinking",
    message="a department loses more than a fifth of its people",
    sql="""
        SELECT b.department, count(*) AS was, count(a.id) AS is_ FROM before b
        LEFT JOIN after a ON a.id = b.id AND a.active AND a.department = b.department
        WHERE b.active AND b.department IS NOT NULL GROUP BY b.department HAVING count(a.id) < 0.8 * count(*)
    """,
)


class Ruled(Company):
    """Thirty people: ten in each department, five of Billing with the skill."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.columns = COLUMNS
        self.mapping["enterprise:department"] = "department"
        self.mapping["genesys:routingSkills"] = "skills(skills)"
        self.more = {"limits": WIDE}
        for number, row in enumerate(self.rows.values()):
            row["department"] = ("Billing", "Sales", "Lab")[number // 10]
            row["skills"] = "Billing:5" if number < 5 else "Chat"
        self.sync()

    def rule(self, *rules: Rule) -> None:
        self.contract = Contract(rules=rules)

    def refusals(self, **given: object) -> tuple[Finding, ...]:
        return self.plan(**given).refusals  # type: ignore[arg-type]


class Holes(MemoryTarget):
    """A directory that never shows all."""

    async def sweep(self, attributes: Sequence[str], sink: Callable[[Sequence[bytes]], None]) -> Sweep:
        return replace(await super().sweep(attributes, sink), incomplete="page 2 failed")


class Unread(MemoryTarget):
    """A directory that nobody may ask."""

    async def sweep(self, attributes: Sequence[str], sink: Callable[[Sequence[bytes]], None]) -> Sweep:
        raise AssertionError


@pytest.fixture
def firm(tmp_path: Path) -> Ruled:
    return Ruled(tmp_path)


def test_a_plan_that_keeps_the_rules_says_nothing_of_them(firm: Ruled) -> None:
    firm.rule(BILLING, SHRINKING)
    firm.rows["E0"]["status"] = "left"
    plan = firm.plan()
    assert (plan.refusals, plan.findings) == ((), ())


def test_a_rule_that_fails_refuses_the_plan_and_names_whom_to_blame(firm: Ruled) -> None:
    firm.rule(BILLING)
    firm.rows["E0"]["status"] = "left"
    firm.rows["E1"]["status"] = "left"
    firm.rows["E20"]["status"] = "left"
    plan = firm.plan()
    (told,) = plan.refusals
    assert (told.code, told.subject, told.rule, told.severity) == (
        "rule.failed",
        "billing",
        "rule.billing",
        Severity.ERROR,
    )
    assert told.summary == "rule billing: too few people can do billing"
    assert told.detail == "people 3, expected 4 or more; because of disable: E0, E1"
    assert told.hint.endswith('--override rule.billing --reason "..."')
    run = firm.store.run(plan.id)
    assert run is not None
    assert run.state is RunState.REFUSED
    with pytest.raises(PlanRefused, match=r"rule\.billing"):
        firm.apply(plan)


def test_the_kind_of_change_that_makes_it_fail_is_named(firm: Ruled) -> None:
    firm.rule(BILLING)
    firm.rows["E0"]["skills"] = "Chat"
    firm.rows["E1"]["skills"] = None
    firm.rows["E2"]["title"] = "Chief"
    (told,) = firm.refusals()
    assert told.detail == "people 3, expected 4 or more; because of update of genesys:routingSkills: E0, E1"


def test_two_kinds_of_change_of_which_each_is_needed_are_both_named(firm: Ruled) -> None:
    firm.rule(BILLING)
    firm.rows["E0"]["skills"] = "Chat"
    firm.rows["E1"]["status"] = "left"
    (told,) = firm.refusals()
    assert (
        told.detail
        == "people 3, expected 4 or more; because of update of genesys:routingSkills: E0; because of disable: E1"
    )


def test_a_department_that_loses_too_many_is_named_with_its_people(firm: Ruled) -> None:
    firm.rule(SHRINKING)
    for key in ("E10", "E11", "E12", "E20", "E21"):
        firm.rows[key]["status"] = "left"
    (told,) = firm.refusals()
    assert told.detail == "department Sales, was 10, is_ 7; because of disable: E10, E11, E12"


def test_people_whom_a_rule_names_by_key_are_those_to_blame(firm: Ruled) -> None:
    rule = Rule(name="titled", message="everybody has a title", sql="SELECT key, title FROM after WHERE title IS NULL")
    firm.rule(rule)
    firm.rows["E3"]["title"] = None
    firm.rows["E4"]["title"] = "Chief"
    (told,) = firm.refusals()
    assert told.detail == "key E3, title none; because of update of title: E3"


def test_joiners_count_and_leavers_by_absence_do_not(firm: Ruled) -> None:
    firm.rule(BILLING)
    for key in ("E0", "E1"):
        del firm.rows[key]
    assert [told.detail for told in firm.refusals()] == ["people 3, expected 4 or more; because of disable: E0, E1"]
    firm.rows["E90"] = {**firm.person(90), "department": "Billing", "skills": "Billing:1"}
    assert firm.refusals() == ()


def test_a_joiner_may_be_one_too_many(firm: Ruled) -> None:
    firm.rule(replace(BILLING, least=None, most=5))
    firm.rows["E90"] = {**firm.person(90), "department": "Billing", "skills": "Billing:1"}
    assert [told.detail for told in firm.refusals()] == ["people 6, expected 5 or fewer; because of create: E90"]


def test_what_is_held_is_no_change(firm: Ruled) -> None:
    firm.rule(BILLING)
    firm.rows["E0"]["status"] = firm.rows["E1"]["status"] = "left"
    firm.more["protected"] = frozenset({"e1"})
    assert firm.refusals() == ()


def test_people_are_joined_by_key_and_a_manager_is_a_key(firm: Ruled) -> None:
    rule = Rule(
        name="managed",
        message="a manager left",
        sql="SELECT a.key, a.manager FROM after a JOIN after m ON m.key = a.manager WHERE a.active AND NOT m.active",
    )
    firm.rows["E7"]["boss"] = "E0"
    firm.sync()
    firm.rule(rule)
    assert firm.refusals() == ()
    firm.rows["E8"]["boss"] = "E0"
    firm.rows["E9"]["boss"] = "E91"
    firm.rows["E91"] = {**firm.person(91), "department": "Lab", "skills": None}
    firm.rows["E0"]["status"] = "left"
    (told,) = firm.refusals()
    assert told.detail.startswith("key E7, manager E0; key E8, manager E0; because of disable: ")


def test_accounts_that_we_do_not_manage_count_without_a_key(firm: Ruled) -> None:
    firm.target._put({"userName": "stranger@example.com", "displayName": "S", "active": True}, version=1)
    firm.rule(Rule(name="ours", message="a stranger", sql="SELECT key, id FROM after WHERE key IS NULL AND active"))
    (told,) = firm.refusals()
    assert told.detail.endswith("it fails already as the directory is")
    assert "key none" in told.detail


def test_a_rule_that_failed_before_is_told_to_have(firm: Ruled) -> None:
    firm.rule(replace(BILLING, least=6))
    assert [told.detail for told in firm.refusals()] == [
        "people 5, expected 6 or more; it fails already as the directory is"
    ]


def test_a_person_may_set_one_rule_aside_and_it_is_told_all_the_same(firm: Ruled) -> None:
    firm.rule(BILLING, SHRINKING)
    for key in ("E0", "E1", "E2"):
        firm.rows[key]["status"] = "left"
    assert [told.rule for told in firm.refusals()] == ["rule.billing", "rule.shrinking"]
    plan = firm.plan(overrides=("rule.billing",))
    assert [told.rule for told in plan.refusals] == ["rule.shrinking"]
    assert [(f.code, f.severity, f.hint) for f in plan.findings] == [
        ("rule.failed", Severity.WARNING, "set aside: test")
    ]
    plan = firm.plan(overrides=("rule.billing", "rule.shrinking"))
    firm.apply(plan)
    assert not firm.account("E0")["active"]


def test_a_rule_that_only_warns_refuses_nothing(firm: Ruled) -> None:
    firm.rule(replace(BILLING, refuses=False))
    firm.rows["E0"]["status"] = firm.rows["E1"]["status"] = "left"
    plan = firm.plan()
    assert plan.refusals == ()
    assert [(f.code, f.severity) for f in plan.findings] == [("rule.failed", Severity.WARNING)]


def test_where_only_some_people_were_read_the_rules_are_told_to_be_unchecked(firm: Ruled) -> None:
    firm.rule(BILLING)
    firm.rows["E0"]["status"] = firm.rows["E1"]["status"] = "left"
    plan = firm.plan(only=("E0",))
    (told,) = [f for f in plan.findings if f.code == "rule.unchecked"]
    assert (told.severity, told.detail) == (Severity.INFO, "this plan is for some people only: billing")
    firm.target.__class__ = Holes
    plan = firm.plan()
    (told,) = [f for f in plan.findings if f.code == "rule.unchecked"]
    assert (told.severity, told.detail) == (Severity.WARNING, "the directory could not be read whole: billing")


def test_a_rule_on_a_path_that_is_not_shown_to_us_is_told_to_be_unchecked(firm: Ruled) -> None:
    firm.rule(BILLING, replace(BILLING, name="people", where="active", least=31))
    left_out = ("genesys:routingSkills",)
    firm.store.save_pin(Pin(target=firm.target.name, at=firm.clock.now(), actor="me", documents={}, left_out=left_out))
    plan = firm.plan()
    assert [told.subject for told in plan.refusals] == ["people"]
    (told,) = [f for f in plan.findings if f.code == "rule.unchecked"]
    assert (told.severity, told.detail) == (Severity.WARNING, "not all can be read of genesys:routingSkills: billing")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT key FROM ((FROM after) EXCEPT (FROM before)) WHERE NOT active",
        "(FROM before)\nEXCEPT FROM after",
        "SELECT count(*) FROM before NATURAL JOIN after HAVING count(*) < 30",
    ],
)
def test_a_rule_that_asks_for_all_columns_without_a_star_asks_for_those_that_are_not_shown(
    firm: Ruled, sql: str
) -> None:
    counting = "SELECT 2 * count(*) AS people FROM after WHERE active HAVING 2 * count(*) < 2"
    firm.rule(Rule(name="all", message="m", sql=sql), Rule(name="counts", message="m", sql=counting))
    left_out = ("genesys:routingSkills",)
    firm.store.save_pin(Pin(target=firm.target.name, at=firm.clock.now(), actor="me", documents={}, left_out=left_out))
    (told,) = [f for f in firm.plan().findings if f.code == "rule.unchecked"]
    assert told.detail == "not all can be read of genesys:routingSkills: all"


def test_a_bad_rule_is_refused_before_anything_is_read(firm: Ruled) -> None:
    firm.rule(
        replace(BILLING, where="active AND list_contains(routingSkils, 'Billing')"),
        Rule(name="other", message="m", sql="SELECT salary FROM records"),
        Rule(name="open", message="m", where="active) OR (true", least=1),
    )
    firm.target.__class__ = Unread
    with pytest.raises(ConfigError) as caught:
        firm.plan()
    assert caught.value.faults == (
        "[[rule]] billing: before and after have no column routingSkils; did you mean routingSkills? (at character 26)",
        "[[rule]] other: records is not one of the tables of a rule, before and after (at character 20)",
    )


def test_a_rule_that_cannot_be_answered_refuses_the_plan(firm: Ruled) -> None:
    firm.rule(Rule(name="cast", message="m", sql="SELECT key FROM after WHERE title::INTEGER > 3"))
    (told,) = firm.refusals()
    assert told.rule == "rule.cast"
    assert "Could not convert string 'Agent'" in told.detail

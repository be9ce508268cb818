"""[source.expect] and [[rule]]: what is read, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from scimsync.config import load
from scimsync.errors import ConfigError
from scimsync.model.contracts import Contract, Expect, Newest, Rule
from scimsync.model.policy import Limit

TEXT = """\
[source]
kind = "csv"
path = "hr.csv"
key = "id"
%s
[target]
dialect = "generic"
api_url = "https://scim.example.com"
token = "env:TOKEN"
[attributes]
userName = "login"
displayName = "name"
active = "status = 'active'"
%s
"""
EXPECT = """\
[source.expect]
rows = ">= 900"
churn = 40
blanks = { email = "2%", "Job Title" = "0.5 %" }
newest = { column = "updated_at", within = "36h" }
[source.expect.shares]
department = "20%"
country = 5
"""
RULES = """\
[[rule]]
name = "titled"
message = "everybody has a title"
sql = "SELECT key FROM after WHERE title IS NULL"
severity = "warning"
[[rule]]
name = "billing"
message = "too few"
where = "active"
count = "40 to 60"
"""


def contract(folder: Path, expect: str = "", rules: str = "") -> Contract:
    file = folder / "scimsync.toml"
    file.write_text(TEXT % (expect, rules), encoding="utf-8")
    return load(file, secrets=set()).contract


def test_nothing_is_expected_where_nothing_is_said(tmp_path: Path) -> None:
    assert contract(tmp_path) == Contract()


def test_expectations_are_read(tmp_path: Path) -> None:
    assert contract(tmp_path, EXPECT).expect == Expect(
        least=900,
        churn=Limit(count=40),
        blanks={"email": 0.02, "Job Title": 0.005},
        shares={"department": Limit(share=0.2, floor=3), "country": Limit(count=5)},
        newest=Newest(column="updated_at", within=timedelta(hours=36)),
    )


def test_rules_are_read(tmp_path: Path) -> None:
    titled = Rule(
        name="titled",
        message="everybody has a title",
        sql="SELECT key FROM after WHERE title IS NULL",
        refuses=False,
    )
    billing = Rule(name="billing", message="too few", where="active", least=40, most=60)
    assert contract(tmp_path, rules=RULES).rules == (titled, billing)


@pytest.mark.parametrize(
    ("rows", "least", "most"), [(">=9", 9, None), (" <= 9 ", None, 9), ("9 to 12", 9, 12), (">= 0", 0, None)]
)
def test_a_number_of_rows_is_at_least_at_most_or_between(
    tmp_path: Path, rows: str, least: int | None, most: int | None
) -> None:
    found = contract(tmp_path, f'[source.expect]\nrows = "{rows}"\n').expect
    assert (found.least, found.most) == (least, most)


@pytest.mark.parametrize(
    ("expect", "rules", "said"),
    [
        ('rows = "many"', "", "[source.expect] rows = 'many': write \">= 900\", \"<= 2000\" or \"900 to 2000\""),
        ('rows = "9 to 2"', "", "[source.expect] rows = '9 to 2': the second number is the smaller"),
        ('rowz = ">= 9"', "", "[source.expect] rowz is not a setting; did you mean rows?"),
        ('churn = "x"', "", "[source.expect] churn = 'x': write a number of people, or a share"),
        ("blanks = { email = 2 }", "", '[source.expect] blanks email = 2: write a share such as "2%"'),
        ('blanks = "2%"', "", "[source.expect] blanks must be a table"),
        ('shares = { department = "x" }', "", "[source.expect] shares department = 'x': write a number of people"),
        ('newest = { column = "u" }', "", "[source.expect] newest within is missing"),
        ('newest = { column = "u", within = "36h", witin = 3 }', "", "[source.expect] newest witin is not a setting"),
        ("", '[[rule]]\nname = "A b"\nmessage = "m"\nsql = "x"', "[[rule]] 1 name = 'A b': write small letters"),
        ("", '[[rule]]\nname = "a"\nsql = "x"', "[[rule]] 1 message is missing"),
        ("", '[[rule]]\nname = "a"\nmessage = "m"', "[[rule]] 1 needs either sql, or where and count"),
        ("", '[[rule]]\nname = "a"\nmessage = "m"\nwhere = "x"', "[[rule]] 1 needs either sql, or where and count"),
        ("", '[[rule]]\nname = "a"\nmessage = "m"\nsql = "x"\nwhere = "x"\ncount = ">= 3"', "[[rule]] 1 needs either"),
        ("", '[[rule]]\nname = "a"\nmessage = "m"\nsql = "x"\n' * 2, "[[rule]] 2 name = 'a': two rules have the same"),
        ("", '[[rule]]\nname = "a"\nmessage = "m"\nsql = "x"\nseverity = "eror"', "[[rule]] 1 severity = 'eror' is none"),
        ("", '[rule]\nname = "a"', "[[rule]] must be a list of tables: write [[rule]] with two brackets"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_its_place(tmp_path: Path, expect: str, rules: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        contract(tmp_path, f"[source.expect]\n{expect}" if expect else "", rules)
    assert [fault for fault in caught.value.faults if said in fault], caught.value.faults
    assert len(caught.value.faults) == 1


def test_a_plan_is_bound_to_what_was_written(tmp_path: Path) -> None:
    digests = set()
    for expect, rules in (("", ""), (EXPECT, ""), ("", RULES), (EXPECT, RULES)):
        contract(tmp_path, expect, rules)
        digests.add(load(tmp_path / "scimsync.toml", secrets=set()).digest)
    assert len(digests) == 4

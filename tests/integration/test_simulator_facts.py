"""The table of facts: every switch and every test it names exists, and the page is up to date."""

from __future__ import annotations

from pathlib import Path

from scimsync.simulator.facts import FACTS, table
from scimsync.simulator.options import SWITCHES, Options

ROOT = Path(__file__).parents[2]
TAGS = {"documented", "inferred", "folklore", "unknown"}


def test_every_named_test_exists() -> None:
    for fact in FACTS:
        file, _, name = fact.test.partition("::")
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), fact.test


def test_every_switch_is_held_by_a_fact_and_every_fact_names_a_real_one() -> None:
    assert {fact.switch for fact in FACTS} - {""} == set(SWITCHES)


def test_every_option_is_explained() -> None:
    assert set(Options.__struct_fields__) == set(SWITCHES)
    assert all(switch.text and switch.tag in TAGS and switch.section[0] == "§" for switch in SWITCHES.values())
    assert {fact.tag for fact in FACTS} == TAGS


def test_the_first_word_of_a_switch_is_its_default() -> None:
    defaults = Options().to_json()
    assert all(defaults[name] == switch.values[0] for name, switch in SWITCHES.items() if switch.values)


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "simulator-facts.md").read_text(encoding="utf-8") == table(), "run tools/simulator-facts"

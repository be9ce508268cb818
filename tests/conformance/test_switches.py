"""Every value of every switch: a joiner, a mover, a leaver and a rehire go through, and the next run finds nothing.

Where a reading of the documents makes that impossible, the product says so in words: `WORDS` lists what, and why.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.runs import House, house
from tests.soak import WHOLE

from scimsync.errors import TargetDenied
from scimsync.model.reports import Report
from scimsync.simulator.options import CHOICES, Options
from scimsync.simulator.people import Person

#: values of the switches that take numbers or free text, as a client feels them
FELT: Mapping[str, tuple[object, ...]] = {
    "divisions": ("all",),  # people of others are not there: with fewer no run of these people comes to rest
    "password_length": (0, 8),  # the client sends none
    "inactive_wall": (0, 10_000),
    "group_batch": (0, 1),
    "search_lag_ms": (0, 500, 60_000),
    "max_count": (0, 5),
    "permissions": ("SCIM Integration", "No Groups", "No Routing", "Read Only"),
    "rate_limit": (0, 300),
    "rate_shown": (0, 60),
    "refuse_again": (0, 1),
    "login_limit": (0, 300),
    "expires_in": (60, 86_400),
    "idle_timeout": (0, 900),
    "token_skew": (-30, 0, 30),
    "clock_skew": (-300, 0, 300),
    "request_bytes": (0, 100_000),
}


@dataclass(frozen=True, slots=True)
class Word:
    """What the product says where it cannot bring a run to rest: the codes of its outcomes, and a part of the text."""

    codes: frozenset[str]
    text: str
    reason: str


_REFUSED = frozenset({"target.refused"})
WORDS: Mapping[tuple[str, object], Word] = {
    ("proficiency_step", "1"): Word(
        frozenset({"write.mismatch"}),
        "genesys:routingSkills",
        reason="HR says 2.5 and the service keeps whole levels; nobody but HR can settle that",
    ),
    ("permissions", "No Routing"): Word(
        _REFUSED, "routing:skill:assign", reason="the role must allow what the attributes need"
    ),
}

#: nobody can be written at all, which ends the run and not three people
ENDED = ("permissions", "Read Only")


def values() -> list[tuple[str, object]]:
    """Every switch with each value that a client can meet; all of them as they are by themselves are one world."""
    listed: list[tuple[str, object]] = []
    for name, default in Options().to_json().items():
        words = CHOICES.get(name) or ((True, False) if isinstance(default, bool) else FELT[name])
        listed += [(name, word) for word in words if word != default or not listed]
    return listed


@dataclass(frozen=True, slots=True)
class Cast:
    """Whose life changes."""

    joiner: Person
    mover: Person
    leaver: Person
    rehire: Person
    manager: Person

    @classmethod
    def of(cls, home: House) -> Cast:
        leaver, mover, manager = home.active(3)
        rehire = next(person for person in home.people if not person.active)
        joiner = home.newcomer(1, manager_id=home.people[0].employee_id, skills=(("Billing", 3.0),))
        return cls(joiner, mover, leaver, rehire, manager)

    def live(self, home: House) -> None:
        """What HR enters."""
        home.hire(self.joiner)
        home.set(self.mover, phone="(317) 555-0199", country="US", job_title="Deputy")
        home.set(self.mover, skill_list="Sales:4;Refunds:2.5", manager_id=self.manager.employee_id)
        home.dismiss(self.leaver)
        home.set(self.rehire, status="active")

    def arrived(self, home: House) -> None:
        """The directory holds what HR entered."""
        assert home.skills(self.joiner) == {"Billing"}
        assert home.manager(self.joiner) == home.account(home.people[0])["id"]
        assert home.account(self.mover)["title"] == "Deputy"
        assert "+13175550199" in {phone["value"] for phone in home.account(self.mover)["phoneNumbers"]}
        assert home.skills(self.mover) == {"Sales", "Refunds"}
        assert home.manager(self.mover) == home.account(self.manager)["id"]
        assert home.account(self.leaver)["active"] is False
        assert home.account(self.rehire)["active"] is True


#: a third of them in CI, and what ends in words
PLAYED = [pair for at, pair in enumerate(values()) if WHOLE or at % 3 == 0 or pair == ENDED or pair in WORDS]


@pytest.mark.parametrize(("switch", "value"), PLAYED)
def test_a_run_comes_to_rest_or_the_product_says_why_not(switch: str, value: object, tmp_path: Path) -> None:
    with house(tmp_path, users=12, **({} if switch == "permissions" else {switch: value})) as home:
        home.settle()
        home.option(**{switch: value})
        cast = Cast.of(home)
        cast.live(home)
        word = WORDS.get((switch, value))
        if (switch, value) == ENDED:
            with pytest.raises(TargetDenied, match="directory:user:edit"):
                home.sync()
            return
        made, report = home.sync()
        assert len(made.changes) == 4
        if word is not None:
            says(report, word)
            return
        cast.arrived(home)
        assert report.statuses.keys() == {"done"}, report.statuses
        home.quiet()


def says(report: Report, word: Word) -> None:
    """The run is not clean, and every outcome that is not tells why."""
    assert not report.clean
    told = [outcome for listed in report.outcomes.values() for outcome in listed if outcome.code]
    # whoever comes back has lost their roles, which this mapping does not manage
    assert {outcome.code for outcome in told} - {"account.stripped"} == word.codes
    assert any(word.text in outcome.detail for outcome in told)


def test_every_word_is_of_a_value_that_is_played() -> None:
    assert WORDS.keys() <= set(values())


def test_the_matrix_gives_reasons_for_values_and_tests_that_exist() -> None:
    root = Path(__file__).parents[2]
    listed = tomllib.loads((root / "tools/switch-matrix.toml").read_text(encoding="utf-8"))["known"]
    pairs = {f"{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in values()}
    files = [*(root / "tests/integration").glob("test_runs_*.py"), root / "tests/acceptance/test_plans.py"]
    tests = {name for file in files for name in re.findall(r"^def (test_\w+)", file.read_text("utf-8"), re.MULTILINE)}
    assert {pair for entry in listed for pair in entry["switch"]} <= pairs
    assert {test for entry in listed for test in entry["tests"]} <= tests
    assert all(entry["reason"] for entry in listed)

"""What a worker does for an organisation, leg by leg; without the queue, which only says when."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.fleets import Fleet, fleet

from scimsync.services.fleet import Stop
from scimsync.services.labour import LEAVERS, REST, Labour, Leg


@contextlib.contextmanager
def one_at_a_time(folder: Path, names: Sequence[str], people: int) -> Iterator[Fleet]:
    """A fleet whose legs end exactly where they should: nothing else is under way."""
    with fleet(folder, names, people) as found:
        base = folder / "base.toml"
        base.write_text(base.read_text(encoding="utf-8").replace("[target]", "[target]\nworkers = 1"), encoding="utf-8")
        yield found


def labour(found: Fleet, chunk: int = 3) -> Labour:
    return Labour(found.folder / "fleet.toml", lambda *_: None, Stop(), chunk=chunk, chunk_s=0.0)


def played(work: Labour, name: str, leg: Leg | None = None) -> list[Leg]:
    """All legs from here on."""
    legs = []
    while leg is None or leg.goes_on:
        leg = work.carry(name, leg.run if leg else "", 0)
        legs.append(leg)
    return legs


def writes(found: Fleet, name: str) -> Counter[str]:
    return Counter(asked.path for asked in found.providers[name].asked if asked.method in {"PATCH", "POST"})


def test_a_run_is_written_leg_by_leg_and_whoever_loses_access_goes_first(tmp_path: Path) -> None:
    with one_at_a_time(tmp_path, ("one",), people=10) as found:
        people = [{"id": f"one{number}", "title": "New"} for number in range(10)]
        people[9]["status"] = "left"
        found.hr("one", *people)
        work = labour(found)
        first = work.carry("one", "", 0)
        assert (first.line.word, first.goes_on, first.priority) == ("planned", True, LEAVERS)
        assert writes(found, "one") == Counter()
        second = work.carry("one", first.run, 0)
        assert found.providers["one"].sent("PATCH")[0].body["Operations"][0]["path"] == "active"
        assert (second.line.word, second.goes_on, second.priority) == ("at work", True, REST)
        assert work.carry("one", "", 0).run == first.run  # another cause: what is under way is gone on with
        legs = played(work, "one", second)
        assert legs[-1].line.word == "done"
        assert len(legs) == 2
        assert set(writes(found, "one").values()) == {1, 2}  # who left: access, and then the title
        assert played(work, "one")[-1].line.word == "quiet"


def test_secrets_that_change_between_two_legs_are_taken_without_a_restart(tmp_path: Path) -> None:
    with one_at_a_time(tmp_path, ("one",), people=5) as found:
        work = labour(found)
        first = work.carry("one", "", 0)
        found.secret("one", "another-token")
        played(work, "one", first)
        tokens = {asked.headers["Authorization"] for asked in found.providers["one"].sent("PATCH")}
        assert tokens == {"Bearer another-token"}


def test_nothing_more_is_sent_for_an_organisation_that_is_dropped_or_doubled_meanwhile(tmp_path: Path) -> None:
    with one_at_a_time(tmp_path, ("one", "two"), people=5) as found:
        work, file = labour(found), tmp_path / "fleet.toml"
        text = file.read_text(encoding="utf-8")
        first = work.carry("one", "", 0)
        head, _, two = text.split("[[organisation]]")
        file.write_text(f"{head}[[organisation]]{two}", encoding="utf-8")
        dropped = work.carry("one", first.run, 0)
        assert (dropped.line.code, dropped.goes_on) == (2, False)
        assert "one is not in fleet.toml any more, and a run of it is under way" in dropped.line.says
        doubled = text.replace(found.providers["two"].address, found.providers["one"].address)
        file.write_text(doubled.replace("two/token", "one/token"), encoding="utf-8")
        refused = work.carry("one", first.run, 0)
        assert refused.line.says.startswith("one and two have one OAuth client (or token).")
        assert writes(found, "one") == writes(found, "two") == Counter()
        file.write_text(text, encoding="utf-8")
        assert played(work, "one", first)[-1].line.word == "done"


def test_a_run_that_no_longer_fits_is_settled_and_planned_anew(tmp_path: Path) -> None:
    with one_at_a_time(tmp_path, ("one",), people=7) as found:
        work = labour(found)
        second = work.carry("one", work.carry("one", "", 0).run, 0)
        assert second.goes_on
        base = tmp_path / "base.toml"
        base.write_text(base.read_text(encoding="utf-8").replace('"title"\n', "\"title || '!'\"\n"), encoding="utf-8")
        assert played(work, "one", second)[-1].line.word == "done"
        assert {user["title"] for user in found.providers["one"].users.values()} == {"New!"}
        assert played(work, "one")[-1].line.word == "quiet"

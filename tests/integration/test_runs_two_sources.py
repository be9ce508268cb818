"""Two configurations on one state and one directory, and a file that is renamed: with the installed command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from msgspec.structs import replace
from tests.runs import ATTRIBUTES, SOURCE_CSV, House, house

from scimsync.simulator.people import Person

PROVEN = f'{SOURCE_CSV}complete = "assume"\n'


def second(home: House, persons: list[Person], *, name: str = "") -> str:
    """A second configuration beside the first, with a file of its own; its path."""
    (home.folder / "contractors.csv").write_bytes(home.write_csv(persons))
    home.configure(source=PROVEN.replace("hr.csv", "contractors.csv") + (f'name = "{name}"\n' if name else ""))
    return shutil.copy(home.file, home.folder / "contractors.toml")


def test_two_files_on_one_state_disable_nobody_of_each_other(tmp_path: Path) -> None:
    with house(tmp_path, users=40) as home:
        everybody = [person for person in home.people if person.active]
        contractors, staff = everybody[:4], everybody[4:]
        other = second(home, contractors)
        home.configure(source=PROVEN)
        home.write_csv(staff)
        for config in (str(home.file), other) * 3:
            said = home.command("sync", "--config", config)
            assert said.code == 0, said.out + said.err
            assert "- 0 disable" in said.out
        home.write_csv(staff[1:])
        said = home.command("sync", "--config", other)
        assert "- 0 disable" in said.out
        said = home.command("sync")
        assert "- 1 disable" in said.out
        assert f"{len(contractors)} people of contractors.csv" in said.out


def test_a_file_that_is_renamed_is_the_same_source_and_its_leaver_is_disabled(tmp_path: Path) -> None:
    with house(tmp_path, users=20) as home:
        staff = [person for person in home.people if person.active]
        home.configure(source=PROVEN)
        home.write_csv(staff)
        assert home.command("sync").code == 0
        (home.folder / "people.csv").write_bytes(home.write_csv(staff[1:]))
        home.configure(source=PROVEN.replace("hr.csv", "people.csv"))
        said = home.command("sync")
        assert said.code == 0
        assert "source.renamed" in said.out
        assert "- 1 disable" in said.out
        assert "source.renamed" not in home.command("plan").out


def test_what_waits_for_a_person_of_one_source_is_not_touched_by_a_plan_of_the_other(tmp_path: Path) -> None:
    asking = ATTRIBUTES.replace('"job_title"\n', '{ value = "job_title", authority = "ask" }\n')
    with house(tmp_path, users=20) as home:
        everybody = [person for person in home.people if person.active]
        contractors, staff = everybody[:4], everybody[4:]
        other = second(home, contractors)
        home.configure(source=PROVEN, attributes=asking)
        home.write_csv(staff)
        for config in (str(home.file), other):
            assert home.command("sync", "--config", config).code == 0
        torn, again, ill, *rest = staff
        for who in (torn, again):
            home.edit(who, "title", "Chief")
        new = replace(home.newcomer(0), email="no address")
        moved = [replace(who, title="Lead") for who in (torn, again)]
        home.write_csv([*moved, replace(ill, email="no address"), new, *rest])
        assert home.command("sync").code == 11
        assert (
            home.command("conflicts", "decide", again.employee_id, "title", "--wins", "directory", "--no-plan").code
            == 0
        )

        def waits() -> tuple[list[tuple[str, str]], list[str], list[str]]:
            left_out = json.loads(home.command("findings", "quarantine", "--json").out)
            told = json.loads(home.command("conflicts", "--json").out)["conflicts"]
            decisions = json.loads(home.command("conflicts", "decisions", "--json").out)
            return (
                sorted((one["key"], one["since"]) for one in left_out),
                sorted(one["key"] for one in told),
                sorted(one["key"] for one in decisions),
            )

        before = waits()
        assert {key for key, _ in before[0]} == {ill.employee_id, new.employee_id}
        assert before[1:] == ([torn.employee_id], [again.employee_id])
        assert home.command("sync", "--config", other).code == 0
        assert waits() == before
        # and the plan of their own ends what is over
        home.write_csv([torn, again, ill, *rest])
        for who in (torn, again):
            home.edit(who, "title", who.title)
        assert home.command("sync").code == 0
        assert waits() == ([], [], [])

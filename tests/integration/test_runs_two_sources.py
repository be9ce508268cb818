"""Two configurations on one state and one directory, and a file that is renamed: with the installed command."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.runs import SOURCE_CSV, House, house

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

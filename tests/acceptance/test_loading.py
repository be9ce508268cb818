"""A plan loads the libraries that it needs, and no others: loading is most of what a small plan costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.runs import SOURCE_CSV, SOURCE_SQL, House, house

#: what reads, computes, asks the directory, signs and counts
NEEDED = {"click", "cryptography", "_duckdb", "msgspec", "httpx2", "prometheus_client", "pydantic", "sqlalchemy"}
#: what other commands need, or a terminal
HEAVY = {
    "alembic", "duckdb", "jinja2", "keyring", "opentelemetry", "phonenumbers", "rich",
    "scim2_models", "structlog", "uvicorn",
    "scimsync.simulator", "scimsync.testing", "scimsync.engine.applying", "scimsync.services.applying",
}  # fmt: skip
PLAN = f"""
import sys
sys.argv = ["scimsync", "plan"]
from scimsync.cli.main import main
try:
    main()
except SystemExit as end:
    assert not end.code
print("LOADED", *sorted(set(sys.modules) & {NEEDED | HEAVY!r}))
"""


def loaded(home: House) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", PLAN], cwd=home.folder, capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize("settled", [False, True], ids=["the first plan", "a later plan"])
@pytest.mark.parametrize("source", [SOURCE_CSV, SOURCE_SQL], ids=["csv", "sql"])
def test_a_plan_loads_what_it_needs_and_no_more(tmp_path: Path, source: str, *, settled: bool) -> None:
    with house(tmp_path, users=30) as home:
        home.configure(source=source)
        everybody = [home.newcomer(0, phone="+13175550100", mobile=None), *home.people]
        home.write_csv(everybody)
        home.write_hr(everybody)
        if settled:
            assert home.command("sync").code == 0
        assert loaded(home) - {"phonenumbers"} == NEEDED


def test_a_number_that_is_written_as_it_is_dialled_needs_the_library_of_numbers_and_others_do_not(
    tmp_path: Path,
) -> None:
    with house(tmp_path, users=30) as home:
        home.configure(source=SOURCE_CSV)
        home.write_csv(home.people)
        assert "phonenumbers" in loaded(home)
        extract = home.folder / "hr.csv"
        names, *rows = extract.read_text(encoding="utf-8").splitlines()
        place = names.split(",").index("phone")
        plain = [",".join([*cells[:place], "", *cells[place + 1 :]]) for cells in (row.split(",") for row in rows)]
        extract.write_text("\n".join([names, *plain, ""]), encoding="utf-8")
        assert "phonenumbers" not in loaded(home)


def test_numbers_that_were_read_before_need_no_library(tmp_path: Path) -> None:
    with house(tmp_path, users=30) as home:
        home.configure(source=SOURCE_CSV)
        home.write_csv(home.people)
        assert "phonenumbers" in loaded(home)
        assert "phonenumbers" not in loaded(home)

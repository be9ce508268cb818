"""What a directory does not show: read by id, else named; and no run that saw a part of it speaks of the whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.servers import Answer, Firm, Provider, account, codes, firm

PEOPLE = 150


class Stuck(Provider):
    """While it is stuck it shows the first page, whatever page was asked for."""

    stuck = False

    def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
        return super().list(table, {**query, "startIndex": "1"} if self.stuck else query)


class Hiding(Provider):
    """Its listing leaves some accounts out and says that this is all."""

    def __init__(self, *users: Mapping[str, object]) -> None:
        super().__init__(*users)
        self.hidden: set[str] = set()

    def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
        return super().list({name: one for name, one in table.items() if name not in self.hidden}, query)


class Doubling(Provider):
    """Whoever asks for inactive people gets everybody; it stands where Genesys Cloud does."""

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Any, if_match: str) -> Answer:
        return super().answer(method, path.removeprefix("/api/v2/scim/v2"), query, body, if_match)

    def select(self, resources: list[dict[str, Any]], expression: str) -> list[dict[str, Any]]:
        return resources if expression.startswith("active") else super().select(resources, expression)


def settled(tmp_path: Path, provider: Provider) -> Any:
    return firm(tmp_path, provider)


def everybody(*, but: Mapping[int, str] | None = None) -> list[dict[str, object]]:
    return [{"id": n, "status": (but or {}).get(n, "active")} for n in range(PEOPLE)]


def test_leavers_whom_a_stuck_listing_does_not_show_lose_access_all_the_same(tmp_path: Path) -> None:
    provider = Stuck(*(account(n) for n in range(PEOPLE)))
    with settled(tmp_path, provider) as it:
        it.hr(*everybody())
        assert it.sync()[1].clean
        provider.stuck = True
        it.hr(*everybody(but={148: "left"})[:149])  # 148 left by status, 149 is gone from HR
        said = it.command("sync")
        assert said.code == 11
        assert "target.incomplete" in said.out
        assert "the directory is what HR says" not in said.out
        assert [provider.named(f"p{n}@x.org")[0]["active"] for n in (148, 149)] == [False, False]
        assert provider.sent("POST") == []


def test_with_nothing_to_write_a_directory_that_was_not_read_whole_is_not_called_what_hr_says(tmp_path: Path) -> None:
    provider = Stuck(*(account(n) for n in range(PEOPLE)))
    with settled(tmp_path, provider) as it:
        it.hr(*everybody())
        assert it.sync()[1].clean
        provider.stuck = True
        said = it.command("sync")
        assert said.code == 11
        assert "could not be read whole" in said.out
        assert "the directory is what HR says" not in said.out


def test_on_a_first_run_nobody_is_told_that_the_own_login_is_another_persons(tmp_path: Path) -> None:
    provider = Stuck(*(account(n, externalId=None) for n in range(PEOPLE)))
    provider.stuck = True
    with settled(tmp_path, provider) as it:
        it.hr(*everybody())
        made, _ = it.sync()
        assert "correlation.taken" not in codes(made)
        assert provider.sent("POST") == []
        assert it.command("sync").code == 11


@pytest.mark.parametrize("by", ["status", "absence"])
def test_a_leaver_whom_the_listing_hides_is_read_by_id_and_disabled(tmp_path: Path, by: str) -> None:
    provider = Hiding(account(1), account(2))
    with settled(tmp_path, provider) as it:
        it.hr({"id": 1}, {"id": 2})
        assert it.sync()[1].clean
        hidden = provider.named("p2@x.org")[0]["id"]
        provider.hidden = {hidden}
        it.hr({"id": 1}, *([{"id": 2, "status": "left"}] if by == "status" else []))
        said = it.command("sync")
        assert provider.named("p2@x.org")[0]["active"] is False
        assert said.code == 0


def test_an_account_that_was_deleted_is_asked_for_once_and_then_forgotten(tmp_path: Path) -> None:
    provider = Provider(account(1), account(2))
    with settled(tmp_path, provider) as it:
        it.hr({"id": 1}, {"id": 2})
        assert it.sync()[1].clean
        gone = provider.named("p2@x.org")[0]["id"]
        del provider.users[gone]
        it.hr({"id": 1})
        assert it.command("sync").code == 0
        before = len(provider.asked)
        assert it.command("sync").code == 0
        assert [one.path for one in provider.asked[before:] if gone in one.path] == []


def test_whoever_is_in_both_slices_of_a_sweep_is_no_trouble(tmp_path: Path) -> None:
    provider = Doubling(account(1), account(2, active=False))
    with settled(tmp_path, provider) as it:
        as_genesys(it)
        it.hr({"id": 1, "title": "New"}, {"id": 2, "status": "left"})
        made, report = it.sync()
        assert "target.incomplete" not in codes(made)
        assert report.clean
        assert provider.named("p1@x.org")[0]["title"] == "New"


def as_genesys(it: Firm) -> None:
    """The same firm under the dialect that lists active people only."""
    file = it.folder / "scimsync.toml"
    file.write_text(file.read_text().replace('dialect = "generic"', 'dialect = "genesys"'))

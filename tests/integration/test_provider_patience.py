"""How many requests a run needs, and how long it waits: what a provider asks for, and no more."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.servers import Answer, Provider, account, firm, last

from scimsync.model.outcomes import Status
from scimsync.scim.genesys import GENESYS


class Sparing(Provider):
    """Shows in a listing what it was asked for, and no more."""

    #: names that it refuses to be asked for
    refused: tuple[str, ...] = ()

    def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
        names = query.get("attributes", "").split(",")
        if any(name in self.refused for name in names):
            return self.refuse(400, "there is no such attribute", "invalidPath")
        answer = super().list(table, query)
        if query.get("attributes") and isinstance(answer.body, dict):
            answer.body["Resources"] = [_chosen(one, names) for one in answer.body["Resources"]]
        return answer


def _chosen(resource: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    found = {name: held for name, held in resource.items() if name in {"id", *names}}
    if "meta.version" in names and "version" in resource["meta"]:
        found["meta"] = {"version": resource["meta"]["version"]}
    return found


def sevenfold(tmp_path: Path, provider: Provider) -> int:
    """Write seven people who are there; gives the requests of applying."""
    for n in range(7):
        provider.put(account(n, title="Old"))
    with firm(tmp_path, provider) as it:
        it.hr(*({"id": n} for n in range(7)))
        made = it.plan()
        before = len(provider.asked)
        report = it.apply(made.id)
        assert report.clean
        assert {user["title"] for user in provider.users.values()} == {"T"}
        return len(provider.asked) - before


def test_seven_changes_are_seven_requests_and_a_first_look(tmp_path: Path) -> None:
    provider = Sparing()
    assert sevenfold(tmp_path, provider) == 7 + 2  # what the target says of itself, and what its first PATCH does
    assert len(provider.sent("GET", "/Users/")) == 1


def test_who_refuses_to_list_versions_is_asked_for_the_attributes_all_the_same(tmp_path: Path) -> None:
    provider = Sparing()
    provider.refused = ("meta.version",)
    assert sevenfold(tmp_path, provider) == 15
    listed = [asked for asked in provider.sent("GET") if asked.path == "/Users" and asked.status == 200]
    assert listed[-1].query["attributes"]


def test_who_refuses_an_attribute_is_asked_for_everything(tmp_path: Path) -> None:
    provider = Sparing()
    provider.refused = ("title",)
    assert sevenfold(tmp_path, provider) == 7 + 2
    assert "attributes" not in provider.sent("GET")[-1].query


@pytest.mark.parametrize("status", [403, 404, 422, 500])
def test_who_fails_on_versions_in_a_listing_is_asked_without(tmp_path: Path, status: int) -> None:
    class Failing(Sparing):
        def refuse(self, code: int, detail: str, scim_type: str | None = None) -> Answer:
            return super().refuse(status if scim_type == "invalidPath" else code, detail)

    provider = Failing()
    provider.refused = ("meta.version",)
    assert sevenfold(tmp_path, provider) == 15
    listed = [asked for asked in provider.sent("GET") if asked.path == "/Users"]
    assert [asked.status for asked in listed] == [status, 200, 200]  # the last one asks for what may follow


class Careless(Sparing):
    """Shows versions, heeds none, and says nothing about it."""

    def guards(self, identity: str, if_match: str) -> bool:
        return True

    def describe(self, name: str) -> Answer:
        return self.refuse(404, "there is no such endpoint")


def test_an_edit_since_the_plan_is_not_written_over_where_nobody_says_that_versions_guard(tmp_path: Path) -> None:
    provider = Careless(*(account(n) for n in range(5)))
    with firm(tmp_path, provider) as it:
        it.configure(policy='authority = "cloud_wins"')
        it.hr(*({"id": n} for n in range(5)))
        it.sync()
        it.hr(*({"id": n, "title": "New"} for n in range(5)))
        made = it.plan()
        provider.edit("u0005", title="Theirs")
        it.apply(made.id)
        assert [user["title"] for user in provider.users.values()] == ["New", "New", "New", "New", "Theirs"]


def test_nobody_who_compares_is_asked_for_versions(tmp_path: Path) -> None:
    provider = Sparing()
    provider.put(account(1))
    with firm(tmp_path, provider) as it:
        it.configure(target='concurrency = "compare"')
        it.hr({"id": 1})
        it.plan()
        assert not any("meta.version" in asked.query.get("attributes", "") for asked in provider.asked)


# --- patience -----------------------------------------------------------------------------------


class Losing(Provider):
    """Answers the first creation with 503, and keeps nothing of it."""

    lost = 1

    def post(self, body: dict[str, Any], table: dict[str, dict[str, Any]]) -> Answer:
        if self.lost:
            self.lost -= 1
            return self.refuse(503, "not now")
        return super().post(body, table)


def test_where_no_search_lags_a_creation_that_was_lost_is_looked_for_once_and_at_once(tmp_path: Path) -> None:
    provider = Losing()
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1})
        said = it.command("sync", timeout=30)
        assert said.code == 11
        assert "write.unknown" in said.out
        assert it.command("sync").code == 0
        assert len(provider.users) == 1


def test_a_search_that_lags_is_asked_again_as_long_as_the_dialect_says(tmp_path: Path) -> None:
    class Lagging(Losing):
        """Makes the account of the creation that it does not own up to, and finds it a little later."""

        unseen = 4

        def post(self, body: dict[str, Any], table: dict[str, dict[str, Any]]) -> Answer:
            if self.lost:
                self.put(body)
            return super().post(body, table)

        def select(self, resources: list[dict[str, Any]], expression: str) -> list[dict[str, Any]]:
            self.unseen -= 1
            return super().select(resources, expression) if self.unseen < 0 else []

    provider = Lagging()
    with firm(tmp_path, provider) as it:
        dialect = tmp_path / "ours.toml"
        dialect.write_text(
            'name = "ours"\n[accounts]\nsearch_lag = { value = [0.2, 0.2], observed = "2026-11-27: late" }\n'
        )
        file = tmp_path / "scimsync.toml"
        file.write_text(file.read_text().replace('dialect = "generic"', 'dialect = "file:ours.toml"'))
        it.hr({"id": 1})
        _, report = it.sync()
        assert last(report, 1).status in {Status.DONE, Status.ALREADY}
        assert len(provider.users) == 1


def test_genesys_cloud_is_waited_for_as_ever() -> None:
    assert GENESYS.search_lag_s == pytest.approx((5, 30, 120))

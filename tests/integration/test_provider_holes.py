"""A directory that can never be read whole: nobody is made on its word; by a person's word, whom no look-up finds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.runs import Said
from tests.servers import ATTRIBUTES, WORK_EMAIL, Answer, Firm, Provider, account, firm

RULE = "target.incomplete"
GIVEN = ("--override", RULE, "--reason", "row 17 is broken, ticket 4711")


class Holed(Provider):
    """Counts everybody and never lists some of them."""

    #: logins that no listing shows, and those that no filter shows
    broken: tuple[str, ...] = ("broken",)
    lost: tuple[str, ...] = ()
    #: attributes on which it takes no filter
    deaf: tuple[str, ...] = ()
    unique = False

    def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
        if any(query.get("filter", "").startswith(f"{name} ") for name in self.deaf):
            return self.refuse(400, "no such filter", "invalidFilter")
        answer = super().list(table, query)
        hidden = self.lost if query.get("filter") else self.broken
        if isinstance(answer.body, dict):
            answer.body["Resources"] = [one for one in answer.body["Resources"] if one["userName"] not in hidden]
        return answer


def holed(*people: Mapping[str, object]) -> Holed:
    return Holed({"userName": "broken", "displayName": "X"}, *people)


def synced(it: Firm) -> Said:
    return it.command("sync", *GIVEN)


def test_joiners_wait_until_a_person_says_that_nobody_else_is_hidden(tmp_path: Path) -> None:
    provider = holed(account(1))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1}, {"id": 2})
        said = it.command("sync")
        assert said.code == 11
        assert provider.sent("POST") == []
        said = synced(it)
        assert said.code == 0
        assert RULE in said.out
        assert "row 17 is broken" in said.out
        assert len(provider.sent("POST")) == 1
        assert len(provider.named("p2@x.org")) == 1
        before = len(provider.asked)
        said = synced(it)
        assert said.code == 0
        assert {asked.method for asked in provider.asked[before:]} == {"GET"}
        assert "the directory is what HR says" not in said.out
        assert it.command("sync").code == 11
        records = json.loads(it.command("audit", "show", "--json").out)
        assert any(RULE in json.dumps(one) and "ticket 4711" in json.dumps(one) for one in records)


def test_every_path_of_match_is_asked_for_before_anybody_is_made(tmp_path: Path) -> None:
    provider = holed(account(1))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1}, {"id": 2})
        synced(it)
        asked = [one.query["filter"] for one in provider.sent("GET") if "filter" in one.query]
        assert asked == ['externalId eq "2"', 'userName eq "p2@x.org"']


def test_whom_a_look_up_finds_is_taken_over_and_not_made_again(tmp_path: Path) -> None:
    provider = holed(account(1), account(2, externalId=None))
    provider.broken = ("broken", "p2@x.org")
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1}, {"id": 2})
        said = synced(it)
        assert provider.sent("POST") == []
        assert said.code == 0
        assert provider.named("p2@x.org")[0]["externalId"] == "2"


def test_whom_a_look_up_finds_under_another_login_is_for_a_person_to_look_at(tmp_path: Path) -> None:
    provider = holed(account(1), account(2, userName="old@x.org"))
    provider.broken = ("broken", "old@x.org")
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1}, {"id": 2})
        said = synced(it)
        assert provider.sent("POST") == []
        assert said.code == 11
        assert "correlation.taken" in said.out


def test_whom_a_look_up_counts_and_does_not_show_is_not_made_again(tmp_path: Path) -> None:
    provider = holed(account(1), account(2))
    provider.broken = provider.lost = ("broken", "p2@x.org")
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1}, {"id": 2})
        said = synced(it)
        assert provider.sent("POST") == []
        assert said.code == 11
        assert "counts 1 accounts and shows 0" in said.out


@pytest.mark.parametrize("deaf", ["externalId", "userName"])
def test_nobody_is_made_where_a_path_of_match_cannot_be_asked_for(tmp_path: Path, deaf: str) -> None:
    provider = holed(account(1))
    provider.deaf = (deaf,)
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1}, {"id": 2})
        said = synced(it)
        assert provider.sent("POST") == []
        assert said.code == 11
        assert f"no filter on {deaf}" in said.out


def test_nobody_is_made_where_a_filter_is_not_heeded(tmp_path: Path) -> None:
    class Ignoring(Holed):
        def select(self, resources: list[dict[str, Any]], expression: str) -> list[dict[str, Any]]:
            return resources

    provider = Ignoring({"userName": "broken", "displayName": "X"}, account(1))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1}, {"id": 2})
        assert synced(it).code == 11
        assert provider.sent("POST") == []


def test_nobody_is_made_who_is_matched_by_what_no_filter_asks_for(tmp_path: Path) -> None:
    provider = holed(account(1))
    with firm(tmp_path, provider) as it:
        it.configure({**ATTRIBUTES, WORK_EMAIL: "login"}, match=["externalId", WORK_EMAIL])
        it.hr({"id": 1}, {"id": 2})
        assert synced(it).code == 11
        assert provider.sent("POST") == []


def test_on_a_first_run_whoever_is_listed_is_known_by_the_marks(tmp_path: Path) -> None:
    provider = holed(*(account(n) for n in range(20)))
    with firm(tmp_path, provider) as it:
        it.hr(*({"id": n} for n in range(21)))
        said = synced(it)
        assert said.code == 0
        assert len(provider.sent("POST")) == 1


def test_whose_account_the_listing_lost_is_neither_made_again_nor_gone(tmp_path: Path) -> None:
    provider = holed(account(1), account(2), account(3))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1}, {"id": 2}, {"id": 3})
        synced(it)
        provider.broken = ("broken", "p2@x.org", "p3@x.org")
        it.hr({"id": 1}, {"id": 2})
        assert synced(it).code == 0
        assert provider.sent("POST") == []
        assert provider.named("p2@x.org")[0]["active"] is True
        assert provider.named("p3@x.org")[0]["active"] is False  # HR says that 3 left, and the link knows the account


def test_the_rule_set_aside_for_a_directory_that_is_whole_changes_nothing(tmp_path: Path) -> None:
    provider = Provider(account(1))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1}, {"id": 2})
        assert synced(it).code == 0
        assert len(provider.users) == 2


def test_cursors_that_end_before_everybody_came_prove_nothing(tmp_path: Path) -> None:
    class Lost(Provider):
        """Pages by cursor, counts everybody, and knows no way after the second page."""

        def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
            at = int(query.get("cursor") or 0)
            answer = super().list(table, {**query, "startIndex": str(at + 1), "count": "2"})
            if isinstance(answer.body, dict) and at == 0:
                answer.body["nextCursor"] = "2"
            return answer

    provider = Lost(*(account(n) for n in range(8)))
    with firm(tmp_path, provider) as it:
        dialect = '[paging]\nby = { value = "cursor", documented = "RFC 9865" }\n'
        (tmp_path / "ours.toml").write_text(f'name = "ours"\n{dialect}')
        it.configure(dialect="file:ours.toml")
        it.hr(*({"id": n} for n in range(9)))
        said = it.command("sync")
        assert said.code == 11
        assert "8 were announced and 4 came" in said.out
        assert provider.sent("POST") == []

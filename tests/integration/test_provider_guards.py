"""Whole runs against servers that guard writes in their own way, or not at all: versions, comparing, PUT."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.servers import Answer, Provider, account, codes, firm, last

from scimsync.model.outcomes import COMPARED


class Bare(Provider):
    """Knows no versions, and says so."""

    versioned = False


class Silent(Bare):
    """Knows no versions, and says nothing about itself."""

    def describe(self, name: str) -> Answer:
        answer = super().describe(name)
        if not isinstance(answer.body, dict) or answer.status != 200:
            return answer
        return Answer(200, {"filter": answer.body["filter"]})


@pytest.mark.parametrize("kind", [Bare, Silent])
def test_without_versions_people_are_compared_written_and_read_back_and_the_plan_says_so(
    tmp_path: Path, kind: type[Provider]
) -> None:
    provider = kind(account(1, title="Old"), account(2), account(4, title="Old"))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1, "title": "New"}, {"id": 2, "status": "left"}, {"id": 3}, {"id": 4, "title": "New"})
        made, report = it.sync()
        assert "target.compares" in codes(made)
        assert report.clean
        assert provider.named("p1@x.org")[0]["title"] == "New"
        assert provider.named("p2@x.org")[0]["active"] is False
        assert {asked.headers.get("If-Match") for asked in provider.sent("PATCH")} == {None}
        outcome = last(report, 1)
        assert outcome.version.startswith(COMPARED)
        assert outcome.window_s is not None
        # one reading before and one after, of each
        assert len(provider.sent("GET", "/Users/")) <= 2 * 3 + 1 + (kind is Silent)
        it.quiet()


def test_a_change_of_another_hand_since_the_plan_is_seen_without_versions(tmp_path: Path) -> None:
    provider = Bare(account(1, title="Old"))
    with firm(tmp_path, provider) as it:
        it.configure(policy='authority = "cloud_wins"')
        it.hr({"id": 1, "title": "Old"})
        it.sync()
        it.hr({"id": 1, "title": "New"})
        made = it.plan()
        provider.edit("u0001", title="Theirs")
        it.apply(made.id)
        assert provider.users["u0001"]["title"] == "Theirs"
        assert not provider.sent("PATCH")


def test_nothing_is_written_without_a_version_where_the_configuration_wants_one(tmp_path: Path) -> None:
    provider = Bare(account(1, title="Old"))
    with firm(tmp_path, provider) as it:
        it.configure(target='concurrency = "version"')
        it.hr({"id": 1, "title": "New"})
        made, report = it.sync()
        assert "target.no-version" in codes(made)
        assert last(report, 1).code == "target.no-version"
        assert not provider.sent("PATCH")


def test_whoever_wants_to_compare_sends_no_version_though_there_is_one(tmp_path: Path) -> None:
    provider = Provider(account(1, title="Old"))
    with firm(tmp_path, provider) as it:
        it.configure(target='concurrency = "compare"')
        it.hr({"id": 1, "title": "New"})
        made, report = it.sync()
        assert "target.compares" in codes(made)
        assert report.clean
        assert [asked.headers.get("If-Match") for asked in provider.sent("PATCH")] == [None]


def test_genesys_cloud_is_always_written_under_a_version(tmp_path: Path) -> None:
    with firm(tmp_path, Provider()) as it:
        it.configure(target='concurrency = "compare"')
        file = tmp_path / "scimsync.toml"
        file.write_text(file.read_text(encoding="utf-8").replace('"generic"', '"genesys"'), encoding="utf-8")
        said = it.command("config", "check")
        assert said.code == 2
        assert "always written under a version" in said.out + said.err


class Moving(Provider):
    """Shows versions, says that it heeds none, and an administrator works in it."""

    def describe(self, name: str) -> Answer:
        answer = super().describe(name)
        assert isinstance(answer.body, dict)
        return Answer(answer.status, {**answer.body, "etag": {"supported": False}})

    def guards(self, identity: str, if_match: str) -> bool:
        return True


def test_a_target_that_says_it_heeds_no_version_is_compared_though_it_shows_some(tmp_path: Path) -> None:
    provider = Moving(account(1, title="Old"))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1, "title": "Old"})
        it.sync()
        it.hr({"id": 1, "title": "New"})
        made = it.plan()
        assert "target.compares" in codes(made)
        provider.edit("u0001", userName="other@x.org", active=False)
        it.apply(made.id)
        assert provider.users["u0001"]["active"] is False
        assert provider.users["u0001"]["userName"] == "other@x.org"


class Standing(Moving):
    """Shows one version for ever."""

    def tag(self, identity: str) -> str:
        return 'W/"1"'


def test_a_version_that_stands_still_lets_no_write_pass_over_an_edit_since_the_plan(tmp_path: Path) -> None:
    provider = Standing(*(account(n) for n in range(5)))
    with firm(tmp_path, provider) as it:
        it.configure(policy='authority = "cloud_wins"')
        it.hr(*({"id": n} for n in range(5)))
        it.sync()
        it.hr(*({"id": n, "title": "New"} for n in range(5)))
        made = it.plan()
        provider.edit("u0005", title="Theirs")
        it.apply(made.id)
        assert [user["title"] for user in provider.users.values()] == ["New", "New", "New", "New", "Theirs"]
        assert len(provider.sent("GET", "/Users/")) == 5 + 4  # before, and after where something was written


# --- versions are opaque ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "form", ['W/"%d"', '"%d"', '"%d-gzip"', "2021-03-02 10:00:00 v%d", 'W/"a"b%d"', "é%d", "日本 %d", "%d", 'W/"é %d"']
)
@pytest.mark.parametrize("header", [True, False])
def test_a_version_goes_back_as_it_came_whatever_it_looks_like(tmp_path: Path, form: str, *, header: bool) -> None:
    class Odd(Provider):
        def tag(self, identity: str) -> str:
            return form % self.changes[identity]

        def headers(self, resource: Mapping[str, Any]) -> dict[str, str]:
            tag = self.tag(resource["id"]).encode().decode("latin-1")
            return {"ETag": tag} if header else {}

        def guards(self, identity: str, if_match: str) -> bool:
            return if_match.encode("latin-1").decode() in {self.tag(identity), f'"{self.tag(identity)}"'}

    provider = Odd(account(1, title="Old"), account(2, title="Old"))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1, "title": "New"}, {"id": 2, "title": "New"})
        _, report = it.sync()
        assert report.clean
        assert {asked.status for asked in provider.sent("PATCH")} == {200}
        it.quiet()


@pytest.mark.parametrize("honoured", ["meta", "header", "strong", "bare"])
def test_the_form_that_a_target_honours_is_found_once(tmp_path: Path, honoured: str) -> None:
    class Picky(Provider):
        def headers(self, resource: Mapping[str, Any]) -> dict[str, str]:
            same = honoured in {"strong", "bare"}
            return {"ETag": self.tag(resource["id"]) if same else f'"{self.changes[resource["id"]]}-gzip"'}

        def guards(self, identity: str, if_match: str) -> bool:
            number = self.changes[identity]
            forms = {
                "meta": f'W/"{number}"',
                "header": f'"{number}-gzip"',
                "strong": f'"{number}"',
                "bare": f"{number}",
            }
            return if_match == forms[honoured]

    provider = Picky(*(account(number, title="Old") for number in range(9)))
    with firm(tmp_path, provider) as it:
        it.configure(target="workers = 1")
        it.hr(*({"id": number, "title": "New"} for number in range(9)))
        made, report = it.sync()
        assert "target.compares" not in codes(made)
        assert report.clean
        assert all(last(report, number).races == 0 for number in range(9))
        refused = [asked for asked in provider.sent("PATCH") if asked.status == 412]
        assert len(refused) <= (9 if honoured == "header" else 3)
        it.quiet()


def test_a_target_that_refuses_every_form_of_its_own_versions_is_compared(tmp_path: Path) -> None:
    class Refusing(Provider):
        def guards(self, identity: str, if_match: str) -> bool:
            return not if_match

    provider = Refusing(account(1, title="Old"), account(2))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1, "title": "New"}, {"id": 2, "status": "left"})
        _, report = it.sync()
        assert report.clean
        assert provider.users["u0002"]["active"] is False


def test_a_version_that_no_header_can_carry_is_none(tmp_path: Path) -> None:
    class Broken(Provider):
        def tag(self, identity: str) -> str:
            return f"a\r\nb{self.changes[identity]}"

        def headers(self, resource: Mapping[str, Any]) -> dict[str, str]:
            return {}

    provider = Broken(account(1, title="Old"))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1, "title": "New"})
        made, report = it.sync()
        assert "target.compares" in codes(made)
        assert report.clean
        assert provider.users["u0001"]["title"] == "New"


# --- without PATCH ----------------------------------------------------------------------------


class Replacing(Provider):
    """Takes PUT and no PATCH."""

    says_so = True
    status = 405

    def describe(self, name: str) -> Answer:
        answer = super().describe(name)
        if not isinstance(answer.body, dict) or not self.says_so:
            return answer
        return Answer(answer.status, {**answer.body, "patch": {"supported": False}})

    def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
        if "Operations" in body:
            return self.refuse(self.status, "no PATCH here")
        if not self.guards(resource["id"], if_match):
            return self.refuse(412, "the version has moved")
        kept = {"id": resource["id"]}
        resource.clear()
        resource.update({name: held for name, held in body.items() if name != "meta"} | kept)
        self.changes[resource["id"]] += 1
        return self.patched(resource)


@pytest.mark.parametrize(("says_so", "status"), [(True, 405), (False, 405), (False, 501)])
@pytest.mark.parametrize("versioned", [True, False])
def test_a_target_without_patch_is_written_with_all_that_it_shows_and_our_change(
    tmp_path: Path, status: int, *, says_so: bool, versioned: bool
) -> None:
    odd = {"urn:x:odd": {"keep": ["me", {"too": 1}]}, "nickName": "Nick", "schemas": ["urn:x"]}
    provider = Replacing(account(1, title="Old", **odd), account(2, **odd))
    provider.says_so, provider.status, provider.versioned = says_so, status, versioned
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1, "title": "New"}, {"id": 2, "status": "left"}, {"id": 3})
        made, report = it.sync()
        assert ("target.no-patch" in codes(made)) is says_so
        assert report.clean
        assert {name: provider.users["u0001"][name] for name in odd} == odd
        assert provider.users["u0001"]["title"] == "New"
        assert {name: provider.users["u0002"][name] for name in odd} == odd
        assert provider.users["u0002"]["active"] is False
        assert all(asked.headers.get("If-Match") for asked in provider.sent("PUT")) is versioned
        it.quiet()


def test_what_a_target_takes_by_patch_in_part_is_written_with_put_for_the_rest(tmp_path: Path) -> None:
    class Partly(Replacing):
        def describe(self, name: str) -> Answer:
            return Provider.describe(self, name)

        def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
            if {operation["path"] for operation in body.get("Operations", ())} == {"active"}:
                return Provider.patch(self, resource, body, if_match)
            return super().patch(resource, body, if_match)

    provider = Partly(*(account(n) for n in range(4)))
    provider.status = 501
    with firm(tmp_path, provider) as it:
        it.hr({"id": 0, "status": "left"}, *({"id": n, "title": "New"} for n in range(1, 4)))
        _, report = it.sync()
        assert report.clean
        assert [user["title"] for user in provider.users.values()] == ["T", "New", "New", "New"]
        it.hr({"id": 0}, *({"id": n, "title": "Newer", "status": "left"} for n in range(1, 4)))
        _, report = it.sync()
        assert report.clean
        assert [user["active"] for user in provider.users.values()] == [True, False, False, False]
        it.quiet()


def test_a_put_that_would_lose_what_nobody_can_read_is_not_sent(tmp_path: Path) -> None:
    provider = Replacing(account(1, title="Old", nickName={"en": "Nick"}), account(2, title="Old"))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1, "title": "New"}, {"id": 2, "title": "New"})
        _, report = it.sync()
        assert provider.users["u0001"]["title"] == "Old"
        assert provider.users["u0001"]["nickName"] == {"en": "Nick"}
        assert provider.users["u0002"]["title"] == "New"
        assert not report.clean
        assert "nickName" in str(report.outcomes)


def test_a_put_keeps_what_another_hand_wrote_since_the_plan(tmp_path: Path) -> None:
    provider = Replacing(account(1, title="Old"))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1, "title": "New"})
        made = it.plan()
        provider.edit("u0001", nickName="Nick")
        report = it.apply(made.id)
        assert report.clean
        assert provider.users["u0001"]["title"] == "New"
        assert provider.users["u0001"]["nickName"] == "Nick"

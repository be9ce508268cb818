"""`scimsync probe` and `scimsync init --probe`: from an address and a token to a first plan, without a line edited."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.integration.test_probing import MAIL, HidesDisabled, NoPatch, Odd, Sane, Unguarded, people
from tests.runs import Said, command
from tests.servers import Answer, serving

from scimsync.scim.dialect_file import dialect_of
from scimsync.scim.messages import Operation

TOKEN = "canary-token-7h3"


@pytest.fixture
def token(tmp_path: Path) -> str:
    secret = tmp_path / "token"
    secret.touch(mode=0o600)
    secret.write_text(TOKEN)
    return f"file:{secret}"


def play(folder: Path, provider: Sane, *words: str) -> Said:
    with serving(provider) as url:
        return command(*(url if word == "URL" else word for word in words), folder=folder, timeout=120)


def test_the_table_tells_what_was_found_what_is_dangerous_and_what_scimsync_does(tmp_path: Path, token: str) -> None:
    provider = Unguarded(*people())
    said = play(tmp_path, provider, "probe", "URL", "--token", token, "--write", "--yes", "--out", "acme.toml")
    assert said.code == 0, said.err
    for part in (
        "versions.concurrency      compare",
        "written all the same",
        "dangerous: no version guards a write",
        "scimsync: it reads, compares, writes and reads back",
        "Not found out; what generic says is taken:",
        "no answer announces a limit\n  service.requests_per_minute  300\n",
        "Everything that was made is removed.",
    ):
        assert part in said.out, part
    assert f"{len(provider.asked)} requests of at most 500" in said.out
    assert "This will make: account scimsync-probe-" in said.err
    assert TOKEN not in said.out + said.err + (tmp_path / "acme.toml").read_text()
    assert dialect_of("file:acme.toml", tmp_path).concurrency == "compare"
    again = play(tmp_path, provider, "probe", "URL", "--token", token, "--out", "acme.toml")
    assert again.code == 2
    assert "is there already" in again.err


def test_json_holds_the_same_for_machines(tmp_path: Path, token: str) -> None:
    said = play(tmp_path, HidesDisabled(*people()), "probe", "URL", "--token", token, "--write", "--yes", "--json")
    document = json.loads(said.out)
    found = {one["entry"]: one for one in document["found"]}
    assert found["accounts.disabled"]["value"] == "hidden"
    assert "looks like nobody" in found["accounts.disabled"]["danger"]
    assert {one["entry"] for one in document["unknown"]} >= {"paging.largest"}
    assert document["attributes"]["title"] == "kept"
    assert document["left"] == []


def test_nobody_is_asked_for_consent_who_is_not_there(tmp_path: Path, token: str) -> None:
    provider = Sane(*people())
    said = play(tmp_path, provider, "probe", "URL", "--token", token, "--write")
    assert said.code == 2
    assert "--yes" in said.err
    assert not provider.asked


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["probe", "URL", "--token", TOKEN], "takes a reference and no secret"),
        (["probe", "URL", "--token", "env:NOT_SET_AT_ALL"], "NOT_SET_AT_ALL, which is not set"),
        (["probe"], "give either an address, or --config FILE"),
        (["probe", "http://scim.example.com", "--token", "env:PATH"], "must be https"),
        (["probe", "scim.example.com/v2", "--token", "env:PATH"], "write for instance https://scim.example.com/v2"),
        (["probe", "URL"], "--token is needed: export SCIM_TOKEN=..., then --token env:SCIM_TOKEN"),
        (["init", "ours", "--probe", "URL"], "--token is needed"),
        (["init", "ours", "--token", "env:PATH"], "init: --token goes with --probe URL"),
        (["init", "ours", "--write"], "init: --write goes with --probe URL"),
        (["probe", "URL", "--token", "env:PATH", "--out", "nowhere/acme.toml"], "nowhere does not exist"),
    ],
)
def test_what_is_wrong_with_the_command_line_is_told_before_anything_is_asked(
    tmp_path: Path, words: list[str], told: str
) -> None:
    provider = Sane()
    said = play(tmp_path, provider, *words)
    assert said.code == 2
    assert told in said.err
    assert TOKEN not in said.err
    assert not provider.asked


@pytest.mark.parametrize(("kind", "write"), [(Sane, False), (NoPatch, False), (Odd, True)])
def test_init_probe_leads_to_a_first_plan_without_a_line_edited(
    tmp_path: Path, token: str, kind: type[Sane], write: bool
) -> None:
    provider = kind(*people())
    words = ["--write", "--yes"] if write else []
    with serving(provider) as url:
        said = command("init", "ours", "--probe", url, "--token", token, *words, folder=tmp_path, timeout=120)
        assert said.code == 0, said.err
        ours = tmp_path / "ours"
        written = tomllib.loads((ours / "scimsync.toml").read_text())
        assert written["target"]["dialect"] == "file:dialect.toml"
        assert written["target"]["api_url"] == url
        for step in ("config check", "doctor", "plan"):
            said = command(*step.split(), "--config", "ours/scimsync.toml", folder=tmp_path, timeout=120)
            assert said.code == 0, (step, said.out, said.err)
        assert "27" in said.out
    assert provider.mine == []
    assert TOKEN not in (ours / "scimsync.toml").read_text() + (ours / "dialect.toml").read_text()
    paths = written["attributes"].keys()
    assert {"userName", "active"} <= paths
    if write:
        assert {MAIL, "externalId", "title"} <= paths


def test_what_the_target_does_not_keep_is_not_mapped(tmp_path: Path, token: str) -> None:
    class Forgets(Sane):
        def put(self, resource: Mapping[str, object], table: dict[str, dict[str, Any]] | None = None) -> dict[str, Any]:
            return super().put({n: v for n, v in resource.items() if n not in {"title", "phoneNumbers"}}, table)

        def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
            kept = [o for o in operations if not str(o.path).startswith(("title", "phoneNumbers"))]
            return super().carry_out(resource, kept)

    with serving(Forgets(*people())) as url:
        said = command("init", "ours", "--probe", url, "--token", token, "--write", "--yes", folder=tmp_path)
    assert said.code == 0, said.err
    text = (tmp_path / "ours/scimsync.toml").read_text()
    assert not {"title"} & tomllib.loads(text)["attributes"].keys()
    assert "# title: unkept" in text
    assert '# phoneNumbers[type eq "work"].value: unkept' in text


class ReadOnly(Sane):
    def answer(self, method: str, path: str, query: Mapping[str, str], body: Any, if_match: str) -> Answer:
        if method != "GET":
            return self.refuse(403, "the scope is scim:read")
        return super().answer(method, path, query, body, if_match)


def test_a_token_that_may_only_read_is_told_and_what_to_do(tmp_path: Path, token: str) -> None:
    provider = ReadOnly(*people())
    told = "no account may be made: POST /Users -> 403; give the token the right to make accounts"
    with serving(provider) as url:
        said = command("probe", url, "--token", token, "--write", "--yes", folder=tmp_path)
        assert f"note: {told}" in said.out
        assert said.code == 11
        assert "Everything that was made is removed." not in said.out
        said = command("init", "ours", "--probe", url, "--token", token, "--write", "--yes", folder=tmp_path)
        assert f"note: {told}" in said.err
        assert said.code == 11
        assert len([asked for asked in provider.asked if asked.method != "GET"]) == 2
        said = command("sync", "--config", "ours/scimsync.toml", folder=tmp_path)
    assert said.code == 5
    assert 'people alike (403): "the scope is scim:read", needed for' in said.err
    assert "Give our token or client the right" in said.err


def test_a_probe_that_only_reads_says_what_it_did_not_try(tmp_path: Path, token: str) -> None:
    said = play(tmp_path, Sane(*people()), "probe", "URL", "--token", token)
    assert "Tried only with --write: service.media_type, versions.concurrency, patch.served, " in said.out
    assert "accounts.disabled" in said.out


def test_an_address_where_nobody_is_is_told_as_one(tmp_path: Path, token: str) -> None:
    said = command("probe", "http://127.0.0.1:9/scim", "--token", token, folder=tmp_path)
    assert said.code == 5
    assert "no answer" in said.err
    assert "Check the address, or try again later." in said.err


def test_init_says_that_the_sample_is_not_hr(tmp_path: Path, token: str) -> None:
    said = play(tmp_path, Sane(*people()), "init", "ours", "--probe", "URL", "--token", token)
    assert "put your own source in its place before you apply" in said.out
    assert "init --probe --write finds out whether it is kept" in (tmp_path / "ours/scimsync.toml").read_text()


def test_doctor_names_what_moved(tmp_path: Path, token: str) -> None:
    provider = Sane(*people(130))
    with serving(provider) as url:
        command("init", "ours", "--probe", url, "--token", token, folder=tmp_path)
        said = command("doctor", "--config", "ours/scimsync.toml", folder=tmp_path)
        assert "measured" in said.out
        assert "nothing moved" in said.out
        provider.page = 50
        said = command("doctor", "--config", "ours/scimsync.toml", folder=tmp_path)
    assert said.code == 0, said.err
    assert "paging.largest: the dialect says 100, the target shows 50" in said.out

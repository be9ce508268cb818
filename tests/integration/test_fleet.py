"""Many organisations in one process: one table, one exit code, and nobody is held up by somebody who is broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.fleets import Fleet, fleet

from scimsync.cli.main import cli
from scimsync.config import load, load_fleet
from scimsync.errors import ConfigError
from scimsync.model.decisions import Actor
from scimsync.services import fleet as services


def told(found: Fleet, *words: str) -> tuple[int, dict[str, Any]]:
    """The command in this process: exit code, and organisation -> its line."""
    said = CliRunner().invoke(cli, ["fleet", *words, "--json", "--fleet", str(found.folder / "fleet.toml")])
    assert isinstance(said.exception, SystemExit | None), said.exception
    return said.exit_code, {line["organisation"]: line for line in json.loads(said.stdout)}


def titles(found: Fleet, name: str) -> set[object]:
    return {user.get("title") for user in found.providers[name].users.values()}


def test_a_fleet_is_planned_synchronised_and_then_quiet(tmp_path: Path) -> None:
    with fleet(tmp_path, ("one", "two"), labels={"one": {"region": "eu"}, "two": {"region": "us"}}) as found:
        code, lines = told(found, "plan")
        assert (code, {name: line["state"] for name, line in lines.items()}) == (
            0,
            {"one": "planned", "two": "planned"},
        )
        assert all(titles(found, name) == {"Old"} for name in found.providers)
        code, lines = told(found, "sync", "--select", "region=eu")
        assert (code, list(lines)) == (0, ["one"])
        assert [titles(found, name) for name in found.providers] == [{"New"}, {"Old"}]
        code, lines = told(found, "sync")
        assert {name: line["state"] for name, line in lines.items()} == {"one": "quiet", "two": "done"}
        assert all(titles(found, name) == {"New"} for name in found.providers)
        states = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("state.db")}
        assert states == {f".scimsync/{name}/state.db" for name in found.providers}
        said = found.command("fleet", "status")
        assert said.code == 0
        assert [line.split()[:2] for line in said.out.splitlines()[1:3]] == [[n, "done"] for n in found.providers]


def test_whoever_is_broken_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    with fleet(tmp_path) as found:
        (tmp_path / "one/token").unlink()
        (tmp_path / "two/hr.csv").unlink()
        code, lines = told(found, "sync")
        assert code == 2  # the worst of 2 (configuration) and 3 (source)
        assert (lines["one"]["state"], lines["one"]["exit_code"]) == ("not loaded", 2)
        assert "fleet.toml:one: [target] token" in lines["one"]["says"]
        assert (lines["two"]["state"], lines["two"]["exit_code"]) == ("failed", 3)
        assert (lines["three"]["state"], titles(found, "three")) == ("done", {"New"})
        assert found.providers["one"].asked == []


@pytest.mark.parametrize("mistake", ["state", "client", "artifacts"])
def test_two_that_share_by_mistake_are_refused_by_name_and_the_others_go_on(mistake: str, tmp_path: Path) -> None:
    with fleet(tmp_path) as found:
        text = (tmp_path / "fleet.toml").read_text(encoding="utf-8")
        if mistake == "client":
            address = found.providers["one"].address
            text = text.replace(found.providers["two"].address, address).replace("two/token", "one/token")
        else:
            key = "url" if mistake == "state" else "artifacts"
            value = "sqlite:///same.db" if mistake == "state" else "same"
            for name in ("one", "two"):
                text = text.replace(
                    f'path = "{name}/hr.csv"',
                    f'path = "{name}/hr.csv"\n[organisation.overrides.state]\n{key} = "{value}"',
                )
        (tmp_path / "fleet.toml").write_text(text, encoding="utf-8")
        code, lines = told(found, "sync")
        assert code == 2
        assert [lines[name]["state"] for name in lines] == ["refused", "refused", "done"]
        assert all(lines[name]["says"].startswith("one and two have one ") for name in ("one", "two"))
        assert found.providers["one"].asked == found.providers["two"].asked == []
        code, lines = told(found, "sync", "--select", "name=one")
        assert (code, lines["one"]["state"]) == (2, "refused")  # though the other is not selected


def test_who_is_dropped_with_a_run_under_way_is_told_of(tmp_path: Path) -> None:
    with fleet(tmp_path, ("one", "two")) as found:
        found.providers["one"].patch = lambda *_: found.providers["one"].refuse(429, "slow down")  # type: ignore[method-assign]
        found.providers["one"].refuse = _busy(found.providers["one"])  # type: ignore[method-assign]
        code, lines = told(found, "sync")
        assert (code, lines["one"]["state"], lines["two"]["state"]) == (11, "stopped", "done")
        text = (tmp_path / "fleet.toml").read_text(encoding="utf-8")
        head, _, two = text.split("[[organisation]]")
        (tmp_path / "fleet.toml").write_text(f"{head}[[organisation]]{two}", encoding="utf-8")
        code, lines = told(found, "status")
        assert (code, lines["one"]["state"], lines["two"]["exit_code"]) == (11, "dropped", 0)
        assert "it is not in fleet.toml any more" in lines["one"]["says"]
        (tmp_path / "fleet.toml").write_text(text, encoding="utf-8")
        del found.providers["one"].patch, found.providers["one"].refuse
        code, lines = told(found, "sync")
        assert (code, titles(found, "one")) == (0, {"New"})
        (tmp_path / "fleet.toml").write_text(f"{head}[[organisation]]{two}", encoding="utf-8")
        code, lines = told(found, "status")
        assert (code, list(lines)) == (0, ["two"])


def _busy(provider: Any) -> Any:
    def refuse(status: int, detail: str, scim_type: str | None = None) -> Any:
        answer = type(provider).refuse(provider, status, detail, scim_type)
        return type(answer)(answer.status, answer.body, {"Retry-After": "4000"})

    return refuse


def test_a_plan_that_waits_is_approved_for_the_whole_fleet_by_somebody_else(tmp_path: Path) -> None:
    with fleet(tmp_path, ("one", "two")) as found:
        base = (tmp_path / "base.toml").read_text(encoding="utf-8")
        (tmp_path / "base.toml").write_text(f'{base}[[approval]]\nname = "all"\nevery = true\n', encoding="utf-8")
        code, lines = told(found, "sync")
        assert (code, {line["state"] for line in lines.values()}) == (4, {"waits"})
        code, lines = told(found, "approve", "--reason", "looked at it")
        assert code == 4
        assert all("somebody else approves" in line["says"] for line in lines.values())
        known = load_fleet(tmp_path / "fleet.toml")
        approve = services.Approve(Actor("ada@example.com", "os"), "looked at it")
        lines = {line.name: line for line in services.each(known, known.members, approve, lambda *_: None)}
        assert {line.word for line in lines.values()} == {"approved"}
        code, lines = told(found, "sync")
        assert (code, {line["state"] for line in lines.values()}) == (0, {"done"})
        assert titles(found, "one") == titles(found, "two") == {"New"}


def test_one_more_organisation_is_one_command(tmp_path: Path) -> None:
    with fleet(tmp_path, ("one", "two")) as found:
        text = (tmp_path / "fleet.toml").read_text(encoding="utf-8")
        (tmp_path / "fleet.toml").write_text("# ours\n" + text.split("[[organisation]]")[0], encoding="utf-8")
        address = found.providers["one"].address
        words = ["fleet", "add", "one", "--extends", "base.toml", "--set", "source.path=one/hr.csv"]
        words += ["--set", f"target.api_url={address}", "--set", "target.token=file:one/token"]
        said = found.command(*words, "--label", "region=eu", "--schedule", "5 * * * *")
        assert said.code == 0, said.out + said.err
        assert "ok    source" in said.out
        assert "2 update" in said.out
        written = (tmp_path / "fleet.toml").read_text(encoding="utf-8")
        assert written.startswith("# ours\n")
        member = load_fleet(tmp_path / "fleet.toml").members[0]
        assert (member.labels, member.schedule) == ({"region": "eu"}, "5 * * * *")
        assert found.command(*words).code == 2  # the name is taken
        assert (tmp_path / "fleet.toml").read_text(encoding="utf-8") == written


def test_an_organisation_of_a_fleet_is_a_configuration_for_every_command(tmp_path: Path) -> None:
    with fleet(tmp_path, ("one",)) as found:
        said = found.command("plan", "--config", "fleet.toml:one", "--json")
        assert said.code == 0
        assert len(json.loads(said.out)["changes"]) == 2
        assert found.command("config", "check", "--config", "fleet.toml:one").code == 0
        assert "one/hr.csv" in found.command("config", "show", "--config", "fleet.toml:one").out
        said = found.command("plan", "--config", "fleet.toml:on")
        assert said.code == 2
        assert "no organisation 'on'; did you mean one?" in said.err


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[[organisation]]\nconfig = 'a.toml'", "[[organisation]] 1 name is missing"),
        ("[[organisation]]\nname = 'a'", "give either config (a file of its own) or extends"),
        ("[[organisation]]\nname = 'a'\nconfig = 'a.toml'\noverrides = {source = {}}", "overrides go with extends"),
        ("[[organisation]]\nname = 'A'\nconfig = 'a.toml'", "[[organisation]] 1 (A) name: What the organisation"),
        ("[[organisation]]\nname = 'a'\nconfg = 'a.toml'", "confg is not a setting; did you mean config?"),
        ("[[organisation]]\nname = 'a'\nconfig = 'a.toml'\nschedule = '61 * * * *'", "the minute cannot be read"),
        ("[[organisation]]\nname = 'a'\nconfig = 'a.toml'\nlabels = {x = 1}", "[[organisation]] 1 (a) labels:"),
        ("[fleet]\nat_once = 0", "[fleet] at_once: How many"),
        ("[flet]", "[flet] is not a section; did you mean fleet?"),
        (
            "[[organisation]]\nname='a'\nconfig='a'\n[[organisation]]\nname='a'\nconfig='b'",
            "2 (a): another organisation",
        ),
    ],
)
def test_what_is_wrong_with_a_fleet_file_is_told_with_its_place(text: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "fleet.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        load_fleet(tmp_path / "fleet.toml")
    assert any(fault in one for one in raised.value.faults), raised.value.faults


def test_what_organisations_share_is_kept_apart_where_it_must_be(tmp_path: Path) -> None:
    with fleet(tmp_path, ("one", "two")) as found:
        more = '[state]\nurl = "postgresql://db/fleet"\nartifacts = "kept"\n[metrics]\ntextfile = "m.prom"\n'
        base = (tmp_path / "base.toml").read_text(encoding="utf-8")
        (tmp_path / "base.toml").write_text(base + more, encoding="utf-8")
        one, two = (load(found.folder / f"fleet.toml:{name}") for name in ("one", "two"))
        assert one.state.url == "postgresql://db/fleet?options=-csearch_path%3D%22one%22"
        assert (one.state.artifacts, two.state.artifacts) == (tmp_path / "kept/one", tmp_path / "kept/two")
        assert one.textfile == tmp_path / "m-one.prom"

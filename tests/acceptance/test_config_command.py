"""config schema, check and show by the installed command: data on stdout, faults with their codes, nothing written."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import jsonschema_rs
from tests.runs import command


def test_the_schema_on_stdout_judges_what_init_wrote(tmp_path: Path) -> None:
    assert command("init", folder=tmp_path).code == 0
    said = command("config", "schema", folder=tmp_path)
    assert (said.code, said.err) == (0, "")
    assert json.loads(said.out) == json.loads((tmp_path / "scimsync.schema.json").read_text(encoding="utf-8"))
    found = tomllib.loads((tmp_path / "scimsync.toml").read_text(encoding="utf-8"))
    validator = jsonschema_rs.validator_for(json.loads(said.out))
    assert validator.is_valid(found)
    assert not validator.is_valid(found | {"polcy": {}})


def test_the_schema_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    mine = tmp_path / "scimsync.schema.json"
    mine.write_text("{}", encoding="utf-8")
    said = command("init", folder=tmp_path)
    assert said.code == 2
    assert "overwritten" in said.err
    assert mine.read_text(encoding="utf-8") == "{}"
    assert not (tmp_path / "scimsync.toml").exists()


def test_check_says_good_in_one_line_or_everything_that_is_not(tmp_path: Path) -> None:
    command("init", folder=tmp_path)
    before = sorted(tmp_path.iterdir())
    words = {"GENESYS_CLIENT_ID": "me", "GENESYS_CLIENT_SECRET": "canary-word"}
    good = command("config", "check", folder=tmp_path, environ=words)
    assert (good.code, good.err) == (0, "")
    assert good.out.startswith("scimsync.toml: good")
    assert len(good.out.splitlines()) == 1
    bare = command("config", "check", folder=tmp_path)
    assert (bare.code, bare.out, len(bare.faults)) == (2, "", 2)
    assert "GENESYS_CLIENT_SECRET" in bare.err
    listed = command("config", "check", "--json", folder=tmp_path)
    assert listed.code == 2
    assert len(json.loads(listed.out)["faults"]) == 2
    assert sorted(tmp_path.iterdir()) == before


def test_show_tells_what_holds_and_masks_secrets(tmp_path: Path) -> None:
    command("init", folder=tmp_path)
    words = {"GENESYS_CLIENT_ID": "me", "GENESYS_CLIENT_SECRET": "canary-word"}
    said = command("config", "show", folder=tmp_path, environ=words)
    assert (said.code, said.err) == (0, "")
    assert 'client_id = "me"' in said.out
    assert "environment variable GENESYS_CLIENT_SECRET" in said.out
    assert "canary-word" not in said.out
    found = json.loads(command("config", "show", "--json", folder=tmp_path, environ=words).out)
    (secret,) = [each for each in found if each["key"] == "client_secret"]
    assert (secret["value"], secret["from"], secret["found"]) == ("***", "environment", True)


def test_show_refuses_what_is_faulty_with_all_faults(tmp_path: Path) -> None:
    (tmp_path / "scimsync.toml").write_text("[source]\nkin = 1\n", encoding="utf-8")
    said = command("config", "show", folder=tmp_path)
    assert (said.code, said.out) == (2, "")
    assert "did you mean kind?" in said.err
    assert "[target] is missing" in said.err

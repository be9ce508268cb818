"""Secrets by reference: what systemd hands over, and what a program prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from scimsync.config.references import References

CANARY = "canary-secret"


def looked_up(written: str, folder: Path) -> tuple[str, list[str]]:
    faults: list[str] = []
    return References(folder / "scimsync.toml", faults).resolve("[target] client_secret", written), faults


def test_a_credential_of_systemd_is_read_anew_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "genesys").write_text(f"{CANARY}\n", encoding="utf-8")
    assert looked_up("credential:genesys", tmp_path) == (CANARY, [])
    (tmp_path / "genesys").write_text("rotated", encoding="utf-8")
    assert looked_up("credential:genesys", tmp_path) == ("rotated", [])


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("none", "the credential none cannot be read (FileNotFoundError)"),
        ("../token", "'../token' cannot be the name of a credential"),
        ("empty", "the credential empty is empty"),
    ],
)
def test_a_credential_that_is_not_there_is_named(
    name: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "empty").touch()
    assert looked_up(f"credential:{name}", tmp_path) == ("", [f"[target] client_secret: {fault}"])


def test_without_systemd_there_are_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    value, faults = looked_up("credential:genesys", tmp_path)
    assert value == ""
    assert "LoadCredential=" in faults[0]


def test_what_a_program_prints_is_the_secret_and_no_shell_is_asked(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text(CANARY, encoding="utf-8")
    assert looked_up("exec:cat kept", tmp_path) == (CANARY, [])  # in the folder of the file
    assert looked_up("exec:echo 'a b' ; $HOME", tmp_path) == ("a b ; $HOME", [])


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        (f"sh -c 'echo {CANARY} >&2; echo {CANARY}; exit 3'", "sh ended with 3. Try it by hand"),
        ("true", "true printed nothing"),
        ("no-such-program", "no-such-program cannot be run (No such file or directory)"),
        ("echo 'open", "exec: holds an open quote"),
        ("", "exec: names no program"),
    ],
)
def test_a_program_that_gives_no_secret_is_named_and_what_it_said_is_not(
    command: str, fault: str, tmp_path: Path
) -> None:
    value, faults = looked_up(f"exec:{command}", tmp_path)
    assert value == ""
    assert fault in faults[0]
    assert CANARY not in faults[0]

"""Who a person is: as far as it is proven, in one spelling."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from scimsync import bootstrap
from scimsync.model.decisions import Actor, spelled


@pytest.fixture
def login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What Linux says of who logged in; nobody did."""
    file = tmp_path / "loginuid"
    file.write_text(str(2**32 - 1), encoding="ascii")
    monkeypatch.setattr(bootstrap, "_LOGIN", file)
    monkeypatch.delenv("SUDO_UID", raising=False)
    return file


def name(number: int) -> str:
    return pwd.getpwuid(number).pw_name


def test_who_logged_in_counts_also_behind_sudo(login: Path) -> None:
    login.write_text("1", encoding="ascii")
    assert bootstrap.person().local == name(1)


def test_where_nobody_logged_in_it_is_the_user_of_the_process(login: Path) -> None:
    assert bootstrap.person().local == name(os.getuid())
    login.unlink()
    assert bootstrap.person().local == name(os.getuid())


def test_root_is_whom_sudo_names_and_nobody_else_is(login: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert login.exists()
    monkeypatch.setenv("SUDO_UID", "1")
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert bootstrap.person().local == name(1)
    monkeypatch.setattr(os, "getuid", lambda: 2)
    assert bootstrap.person().local == name(2)


def test_the_environment_names_nobody(login: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert login.exists()
    for variable in ("SCIMSYNC_ACTOR", "USER", "LOGNAME"):
        monkeypatch.setenv(variable, "mallory")
    assert "mallory" not in bootstrap.person().name


@pytest.mark.parametrize(
    "text", ["ADA", " ada ", "a\u200bda", "\uff21\uff44\uff41", "Ada\u00ad", "a\x00da"], ids=ascii
)  # fmt: skip
def test_one_name_has_one_spelling(text: str) -> None:
    assert spelled(text) == "ada"


def test_people_of_two_domains_are_two_and_a_user_of_the_machine_is_who_bears_the_name_elsewhere() -> None:
    assert not Actor("ada@a.example", "oidc").is_same(Actor("ada@b.example", "oidc"))
    assert Actor("ada@laptop", "os").is_same(Actor("Ada@a.example", "oidc"))
    assert Actor("ada@a.example", "password").is_same(Actor("ADA@A.EXAMPLE", "oidc"))

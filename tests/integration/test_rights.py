"""What our client may not do is told beforehand by doctor, and once, not for each person, by a run."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.runs import House, house


def told(home: House, check: str) -> tuple[int, list[str]]:
    """The exit code of doctor, and its lines of one check."""
    said = home.command("doctor")
    return said.code, [line for line in said.out.splitlines() if line.split()[1:2] == [check]]


@pytest.mark.parametrize(
    ("role", "code", "lines"),
    [
        ("SCIM Integration", 0, ["ok    rights       the client has every permission that the configuration needs"]),
        ("No Routing", 5, ["fail  rights       permission routing:skill:assign is missing, needed by "
                           "genesys:routingSkills; add it to a role"]),
        ("Read Only", 5, ["directory:user:add is missing, needed by joiners", "directory:user:edit is missing",
                          "routing:skill:assign", "warn  rights       permission telephony:extension:assign",
                          "authorization:division:view is missing, needed by enterprise:division to check names",
                          "routing:skill:view"]),
        ("No Names", 0, ["authorization:division:view", "routing:skill:view"]),
    ],
)  # fmt: skip
def test_doctor_names_each_missing_permission_by_what_needs_it(
    tmp_path: Path, role: str, code: int, lines: list[str]
) -> None:
    with house(tmp_path, users=20, permissions=role) as home:
        got, found = told(home, "rights")
    assert (got, len(found)) == (code, len(lines)), found
    assert [words for line, words in zip(found, lines, strict=True) if words not in line] == []


def test_doctor_says_which_divisions_the_client_sees_and_the_limits_that_the_target_tells(tmp_path: Path) -> None:
    with house(tmp_path, users=20, divisions="Home,West", rate_limit=240) as home:
        _, [divisions] = told(home, "divisions")
        _, [limits] = told(home, "limits")
    assert "sees 2: Home, West" in divisions
    assert "240 requests a minute announced" in limits
    assert "client.credentials.token.rate.per.minute 240" in limits


@pytest.mark.parametrize("status", [403, 404])
def test_a_target_that_shows_neither_rights_nor_limits_is_told_so_and_no_check_fails(
    tmp_path: Path, status: int
) -> None:
    faults = [{"on": kind, "status": status, "message": "You are missing x:y:view", "times": 0} for kind in ("subject", "limits")]  # fmt: skip
    with house(tmp_path, *faults, users=20) as home:
        code, [rights] = told(home, "rights")
        _, [limits] = told(home, "limits")
    assert code == 0
    for line in (rights, limits):
        assert line.startswith("warn")
        assert str(status) in line
        assert "x:y:view" in line


@pytest.mark.parametrize("kind", ["empty", "html", "wrong_body", "truncate"])
def test_an_answer_of_another_form_is_no_error_either(tmp_path: Path, kind: str) -> None:
    with house(tmp_path, {"on": "subject", "kind": kind, "times": 0}, users=20) as home:
        code, [rights] = told(home, "rights")
    assert (code, rights[:4]) == (0, "warn")

"""Dirty files of HR, each against the directory of an established company: what is said, and what it holds then."""

from __future__ import annotations

import copy
import shutil
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.dirty import JOINER, KINDS, LEAVER, MOVER, Dirty, day_one, day_two, made, text_of
from tests.servers import Provider, serving
from tests.soak import WHOLE, examples

from scimsync.cli.main import cli
from scimsync.errors import ScimsyncError
from scimsync.scim.schema import ENTERPRISE_USER

MAPPING = """\
[attributes]
userName = "login"
displayName = "first || ' ' || last"
active = "one_of(status, 'active') AND coalesce(as_date(last_day) >= today(), true)"
externalId = "id"
title = "title"
"enterprise:department" = "dept"
"enterprise:manager" = "ref(manager)"
'phoneNumbers[type eq "work"].value' = "e164(phone, country)"
"""
LIMITS = "[limits]\ndisable = 1\nenable = 0\ncreate = 1\nupdate = 3\n"
PHONES = {
    "0101": "+493090182001", "0102": "+493090182002", "0103": "+34912345603", "0104": "+3612345604",
    "0105": "+420224345605", "0106": "+13175550106", "A0107": "+902123450107", "0109": "+351212345609",
}  # fmt: skip
PARTS = {"mover": MOVER, "leaver": LEAVER, "joiner": JOINER}

#: the kinds that are played: each in a soak, and in CI as many as fit
FEW = [*KINDS][:: len(KINDS) // examples(len(KINDS), 28) or 1]

#: key -> attribute -> value, of everybody who has an account
Held = Mapping[str, Mapping[str, object]]


@dataclass
class Company:
    """A company that was synchronised once, and is put back to where it was then before each file."""

    folder: Path
    provider: Provider
    #: accounts and versions as they were then
    kept: tuple[dict[str, Any], dict[str, int]] = ({}, {})

    def configure(self, source: str = "") -> None:
        kind = source if source.startswith("kind") else f'kind = "csv"\n{source}'
        (self.folder / "scimsync.toml").write_text(
            f'[source]\n{kind}\npath = "hr.file"\nkey = "id"\nname = "hr"\n'
            f'[target]\ndialect = "file:ours.toml"\napi_url = "{self.provider.address}"\ntoken = "file:token"\n'
            f'requests_per_minute = 0\n[correlation]\nmatch = ["externalId", "userName"]\n{MAPPING}{LIMITS}',
            encoding="utf-8",
        )

    def sync(self, content: bytes) -> tuple[int, str]:
        """The exit code, and what is said."""
        (self.folder / "hr.file").write_bytes(content)
        end = CliRunner().invoke(cli, ["sync", "--all", "--config", str(self.folder / "scimsync.toml")])
        if isinstance(end.exception, ScimsyncError):
            return end.exception.exit_code, f"{end.output}{end.exception}"
        assert end.exception is None or isinstance(end.exception, SystemExit), end.exc_info
        return end.exit_code, end.output

    def keep(self) -> None:
        """Remember how everything is."""
        shutil.copytree(self.folder / ".scimsync", self.folder / "kept")
        self.kept = copy.deepcopy((self.provider.users, self.provider.changes))

    def restore(self) -> None:
        """Let everything be as it was."""
        shutil.rmtree(self.folder / ".scimsync", ignore_errors=True)
        shutil.copytree(self.folder / "kept", self.folder / ".scimsync")
        self.provider.users, self.provider.changes = copy.deepcopy(self.kept)

    def held(self) -> Held:
        """What the directory holds of each."""
        keys = {user["id"]: user["externalId"] for user in self.provider.users.values()}
        assert len({*keys.values()}) == len(keys)
        return {key: _of_account(self.provider.users[identity], keys) for identity, key in keys.items()}


def _of_account(user: Mapping[str, Any], keys: Mapping[str, str]) -> Mapping[str, object]:
    work = user.get(ENTERPRISE_USER, {})
    return {
        "login": user["userName"],
        "name": unicodedata.normalize("NFC", user["displayName"]),
        "active": user["active"],
        "title": user.get("title", ""),
        "dept": work.get("department", ""),
        "manager": keys.get(work.get("manager", {}).get("value"), ""),
        "phone": next((phone["value"] for phone in user.get("phoneNumbers", [])), ""),
    }


def account_of(key: str, one: Mapping[str, object], keys: Sequence[str]) -> dict[str, object]:
    """The account of somebody."""
    ids = {other: f"u{number:04d}" for number, other in enumerate(keys, 1)}
    work = {"department": one["dept"], **({"manager": {"value": ids[str(one["manager"])]}} if one["manager"] else {})}
    phones = {"phoneNumbers": [{"type": "work", "value": one["phone"]}]} if one["phone"] else {}
    return {
        "externalId": key, "userName": one["login"], "displayName": one["name"], "title": one["title"],
        ENTERPRISE_USER: work, **phones,
    }  # fmt: skip


def of_rows(rows: list[dict[str, str]]) -> Held:
    """What the directory shall hold by some rows."""
    return {
        row["id"]: {
            "login": row["login"],
            "name": f"{row['first']} {row['last']}",
            "active": row["status"] == "active",
            "title": row["title"],
            "dept": row["dept"],
            "manager": row["manager"],
            "phone": PHONES.get(row["id"], ""),
        }
        for row in rows
    }


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    folder = tmp_path_factory.mktemp("company")
    people = of_rows(day_one())
    provider = Provider(*(account_of(key, one, [*people]) for key, one in people.items()))
    with serving(provider):
        made = Company(folder, provider)
        (folder / "token").touch(mode=0o600)
        (folder / "token").write_text("canary-token", encoding="utf-8")
        (folder / "ours.toml").write_text(
            'name = "ours"\n[accounts]\nlogin_is_email = { value = true, documented = "the manual" }\n',
            encoding="utf-8",
        )
        made.configure()
        code, said = made.sync(text_of(day_one()).encode())
        assert code == 0, said
        assert made.held() == people
        made.keep()
        yield made


def play(company: Company, dirty: Dirty) -> tuple[int, str, Held]:
    """Synchronise the file in a company as it was after the clean one."""
    company.restore()
    company.configure(dirty.source)
    return (*company.sync(dirty.content), company.held())


@pytest.mark.parametrize("seed", [1, 2] if WHOLE else [1])
@pytest.mark.parametrize("name", FEW)
def test_a_dirty_file_is_told_of_and_leaves_nothing_wrong_in_the_directory(
    company: Company, name: str, seed: int
) -> None:
    dirty = made(name, seed)
    code, said, held = play(company, dirty)
    before = of_rows(day_one())
    right = of_rows([{**row, **dirty.truth.get(row["id"], {})} for row in day_two()])
    assert {*before} <= {*held} <= {*right}
    for key, one in held.items():
        for attribute, value in one.items():
            assert value in {before.get(key, right[key])[attribute], right[key][attribute]}, (key, attribute)
    assert {key for key, one in held.items() if not one["active"]} <= {LEAVER}
    assert {part for part, key in PARTS.items() if held.get(key) == right[key]} == {*dirty.written.split()}
    assert code == dirty.code, said
    assert "of 0 compared" not in said  # nothing was compared, so nothing is said of it
    assert code or held == right
    assert dirty.written or held == before
    for text in dirty.says:
        assert text in said


def test_there_are_at_least_122_kinds() -> None:
    assert len(KINDS) >= 122

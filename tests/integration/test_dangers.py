"""What a probe says that scimsync does about a danger is what scimsync does: of accounts that are not active."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.integration.test_probing import HidesDisabled, LosesDisabled, Sane
from tests.servers import Firm, account, firm

from scimsync.core.probing_dangers import danger
from scimsync.errors import ConfigError
from scimsync.model.probing import Found


def promised(entry: str, value: object) -> str:
    found = danger(Found(entry=entry, value=value, evidence="seen"))
    assert found is not None
    return found.cure


def speak(home: Firm, *entries: tuple[str, object], policy: str = "") -> None:
    """Write a dialect of these entries, and a configuration that names it."""
    lines = ['name = "ours"']
    for entry, value in entries:
        lines.append(f'{entry} = {{ value = {json.dumps(value)}, observed = "seen" }}')
    (home.folder / "ours.toml").write_text("\n".join(lines), encoding="utf-8")
    home.configure(dialect="file:ours.toml", policy=policy)


def held(provider: Sane) -> Sequence[tuple[str, bool]]:
    return [(str(user["userName"]), bool(user["active"])) for user in provider.users.values()]


def leave(home: Firm) -> None:
    """Two people join, and the second one leaves."""
    home.hr({"id": 1}, {"id": 2})
    assert home.sync()[1].clean
    home.hr({"id": 1}, {"id": 2, "status": "left"})
    assert home.sync()[1].clean
    home.quiet()
    home.hr({"id": 1}, {"id": 2})


@pytest.mark.parametrize("unique", [True, False])
def test_who_is_hidden_and_was_seen_before_is_read_by_id_and_not_made_anew(tmp_path: Path, unique: bool) -> None:
    assert "makes none of them anew" in promised("accounts.disabled", "hidden")
    provider = HidesDisabled()
    provider.unique = unique
    with firm(tmp_path, provider) as home:
        speak(home, ("accounts.disabled", "hidden"), ("create.unique_logins", unique))
        leave(home)
        assert home.sync()[1].clean
        home.quiet()
    assert sorted(held(provider)) == [("p1@x.org", True), ("p2@x.org", True)]


def test_who_was_hidden_before_the_first_run_is_held_where_logins_are_unique(tmp_path: Path) -> None:
    assert "whom it never saw it cannot know" in promised("accounts.disabled", "hidden")
    provider = HidesDisabled(account(2, active=False))
    with firm(tmp_path, provider) as home:
        speak(home, ("accounts.disabled", "hidden"), ("create.unique_logins", True))
        home.hr({"id": 1}, {"id": 2})
        assert home.sync()[1].statuses == {"done": 1, "held": 1}
    assert len(provider.users) == 2


@pytest.mark.parametrize(("unique", "statuses"), [(True, {"held": 1}), (False, {"done": 1})])
def test_who_comes_back_where_the_account_is_gone_gets_a_new_one_or_is_held(
    tmp_path: Path,
    unique: bool,
    statuses: dict[str, int],
) -> None:
    cure = promised("accounts.disabled", "gone")
    assert "gets a new account, or is held where the login is still taken" in cure
    provider = LosesDisabled()
    provider.unique = unique
    with firm(tmp_path, provider) as home:
        speak(home, ("accounts.disabled", "gone"), ("create.unique_logins", unique))
        leave(home)
        assert home.sync()[1].statuses == statuses
    assert held(provider).count(("p2@x.org", True)) == (0 if unique else 1)


@pytest.mark.parametrize("word", ["kept", "refused"])
def test_where_nothing_is_deleted_for_good_the_policy_to_delete_is_refused(tmp_path: Path, word: str) -> None:
    assert promised("accounts.deleted", word) == 'it refuses leavers = "delete"; take "disable"'
    with firm(tmp_path, Sane()) as home:
        speak(home, ("accounts.deleted", word), policy='leavers = "delete"')
        home.hr({"id": 1})
        with pytest.raises(ConfigError, match='write "disable"'):
            home.plan()

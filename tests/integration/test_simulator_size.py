"""Untouched accounts are numbers: what is read of them is what a kept account would be."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from scimsync.errors import ProtocolError
from scimsync.scim.messages import Operation
from scimsync.scim.schema import ENTERPRISE_USER
from scimsync.simulator import normalising, snapshots
from scimsync.simulator.directory import USERS, Actor, Directory
from scimsync.simulator.generated import GeneratedUsers
from scimsync.simulator.people import account_id, people
from scimsync.simulator.queries import read_query


def test_an_untouched_account_reads_as_a_kept_one_would() -> None:
    directory = Directory()
    directory.fill(7, 600)
    for number, text in enumerate(directory.page(range(600), None, "")):
        assert text == msgspec.json.encode(directory.document(directory.entity(number)))
    cheap = read_query(b"attributes=id,roles", USERS)
    assert cheap.projection is not None
    for number, text in enumerate(directory.page(range(600), cheap.projection, cheap.key)):
        document = cheap.projection(directory.document(directory.entity(number)))
        assert msgspec.json.decode(text) == document


def test_an_invented_account_is_in_normal_form() -> None:
    generated = GeneratedUsers(3, 300, 0.0)
    for number in range(300):
        resource = generated.resource(number)
        assert normalising.settle(resource, resource, normalising.Rules()) == resource


def test_numbers_are_found_by_every_key() -> None:
    generated = GeneratedUsers(3, 300, 0.0)
    for number, who in enumerate(people(3, 300)):
        assert generated.number(account_id(3, number)) == number
        assert list(generated.find("userName", who.email)) == [number]
        assert list(generated.find("employeeNumber", who.employee_id)) == [number]
        assert number in generated.find("division", who.division)
    for strange in ("", "x" * 36, account_id(4, 1), account_id(3, 300)):
        assert generated.number(strange) is None
    assert list(generated.find("userName", "a.b.299@example.com")) == []
    assert list(generated.find("manager", account_id(3, 2))) == list(range(17, 25))


def test_reading_many_accounts_keeps_none_of_them() -> None:
    directory = Directory()
    directory.fill(7, 60_000)
    started = time.perf_counter()
    for start in range(0, 60_000, 1000):
        directory.page(range(start, start + 1000), None, "")
    assert time.perf_counter() - started < 20
    assert directory.kept == {}
    assert len(directory.by_state(active=True)) + len(directory.by_state(active=False)) == 60_000


def write_at_random(directory: Directory, dice: random.Random, actor: Actor) -> None:
    numbers = sorted(directory.numbers())
    user = directory.entity(dice.choice(numbers))
    somebody = directory.entity(dice.choice(numbers))
    mail = f"u{dice.randrange(20)}@example.com"
    changes: list[tuple[str, Any]] = [
        ("active", dice.random() < 0.5),
        ("userName", dice.choice([mail, str(user.resource["userName"]).upper()])),
        ("externalId", f"X{dice.randrange(9)}"),
        (f"{ENTERPRISE_USER}:manager", somebody.id),
        (f"{ENTERPRISE_USER}:division", dice.choice(["North", "South"])),
        (f"{ENTERPRISE_USER}:employeeNumber", f"E{dice.randrange(90):05d}"),
        ("emails", [{"type": "work", "value": mail}]),
    ]
    what = dice.randrange(10)
    if what == 0:
        directory.create({"userName": mail, "displayName": "New", "active": dice.random() < 0.7}, actor)
    elif what == 1:
        directory.put_in_front()
    elif user.deleted:
        return
    elif what == 2:
        directory.delete(user, actor)
    else:
        directory.patch(user, [Operation("replace", path, value) for path, value in dice.sample(changes, 2)], actor)


def found_by_looking(directory: Directory) -> dict[tuple[str, str], list[int]]:
    """What every filter finds, by reading every account; inactive ones only by `active`."""
    found: dict[tuple[str, str], list[int]] = {("active", "true"): [], ("active", "false"): []}
    for number in directory.numbers():
        user = directory.entity(number)
        if user.deleted:
            continue
        found["active", "true" if user.active else "false"].append(number)
        if user.active:
            enterprise: Any = user.resource.get(ENTERPRISE_USER, {})
            mails: Any = user.resource["emails"]
            keys = {
                ("userName", str(user.resource["userName"]).lower()),
                ("externalId", user.resource.get("externalId")),
                ("employeeNumber", enterprise.get("employeeNumber")),
                ("manager", enterprise.get("manager", {}).get("value")),
                ("division", enterprise.get("division")),
                *(("email", mail["value"].lower()) for mail in mails),
                ("id", user.id),
            }
            for index, key in keys:
                if key:
                    found.setdefault((index, str(key)), []).append(number)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_filters_find_what_reading_every_account_would(seed: int, tmp_path: Path) -> None:
    directory, dice = Directory(), random.Random(seed)
    directory.fill(seed, 80)
    keys = set(found_by_looking(directory))
    for step in range(1, 241):
        try:
            write_at_random(directory, dice, Actor("c", dice.choice(["PATCH", "PUT"])))
        except ProtocolError:
            continue
        if step % 20 == 0:
            found = found_by_looking(directory)
            keys |= found.keys()
            assert {key: list(directory.select(*key)) for key in keys} == {key: found.get(key, []) for key in keys}
    before = found_by_looking(directory)
    snapshots.write(directory, tmp_path / "one")
    again = Directory()
    snapshots.load(again, tmp_path / "one")
    assert found_by_looking(again) == before
    assert {key: list(again.select(*key)) for key in before} == before
    snapshots.write(again, tmp_path / "two")
    for name in ("users.ndjson", "groups.ndjson", "deleted.ndjson"):
        one, two = ((tmp_path / folder / name).read_bytes().splitlines() for folder in ("one", "two"))
        assert [*map(msgspec.json.decode, one)] == [*map(msgspec.json.decode, two)]


def test_a_snapshot_that_cannot_be_read_changes_nothing(tmp_path: Path) -> None:
    directory = Directory()
    directory.fill(7, 30)
    before = list(directory.page(range(30), None, ""))
    (tmp_path / "users.ndjson").write_text('{"userName": "a@example.com"}\n{"displayName": "nobody"}\n')
    with pytest.raises(ValueError, match="userName"):
        snapshots.restore(directory, tmp_path)
    assert directory.page(range(30), None, "") == before

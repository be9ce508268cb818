"""Who is left out: since when, why, what to do; and out again with the first plan that leaves them in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runs import House, Quiet, house

from scimsync import bootstrap
from scimsync.services import quarantine


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path, users=20) as found:
        found.sync()
        yield found


def listed(home: House) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(home.command("findings", "quarantine", "--json").out)
    return found


def test_who_is_left_out_is_listed_since_the_first_plan_that_did_so(home: House) -> None:
    assert home.command("findings", "quarantine").out.strip() == "Nobody is left out."
    (who,) = home.active(1)
    home.set(who, status="perhaps")
    first = home.plan()
    home.plan()
    (one,) = listed(home)
    assert (one["key"], one["plan"]) == (who.employee_id, first.id)
    assert one["since"] == first.created.isoformat()
    said = home.command("findings", "quarantine").out
    assert who.employee_id in said
    assert f"scimsync plan --user {who.employee_id}" in said


def test_tried_again_somebody_leaves_the_quarantine_and_the_others_stay(home: House) -> None:
    well, ill = home.active(2)
    for who in (well, ill):
        home.set(who, status="perhaps")
    home.plan()
    assert len(listed(home)) == 2
    home.set(well, status="active")
    settings = home.settings()
    with bootstrap.open_store(settings) as store:
        asyncio.run(quarantine.try_again(settings, store, Quiet(), well.employee_id))
        (left,) = quarantine.listed(store)
    assert left.key == ill.employee_id
    home.set(ill, status="active")
    home.plan()
    assert listed(home) == []


def test_a_plan_that_nobody_keeps_says_nothing_of_the_quarantine(home: House) -> None:
    (who,) = home.active(1)
    home.set(who, status="perhaps")
    home.command("explain", who.employee_id)
    home.command("plan", "--offline")
    assert listed(home) == []

"""A plan for some people reads their accounts alone, and decides as if it had read the whole directory."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace
from tests.laws.days import Organisation
from tests.soak import WHOLE, examples

from scimsync.model.plans import Plan

#: what is said of a listing, or counts everybody, and not of a person
OF_ALL = {"target.lagging"}


def about(plan: Plan, keys: set[str]) -> dict[str, Any]:
    """What a plan says of some people: of findings the codes, for of accounts that were not read less is told."""
    return {
        "changes": [replace(change, version="") for change in plan.changes if change.key in keys],
        "notices": [replace(change, version="") for change in plan.notices if change.key in keys],
        "findings": sorted((f.subject, f.code) for f in plan.findings if f.subject in keys and f.code not in OF_ALL),
    }


def known(org: Organisation) -> list[str]:
    """The keys of HR, and those of people whom HR dropped."""
    there = {row["id"].strip() for world in org.worlds.values() for row in world.rows if row["id"]}
    return sorted(there | {link.key for link in org.store.links()})


def forget(org: Organisation) -> None:
    """Forget which references wait, since when: each plan keeps that."""
    org.store.save_deferred((), [(edge.key, edge.path) for edge in org.store.deferred()])


@pytest.mark.parametrize("seed", range(examples(2, 1)))
def test_a_plan_for_some_decides_as_if_all_were_read(seed: int, tmp_path: Path) -> None:
    org = Organisation(tmp_path / "artifacts", 7000 + seed, range(100, 140))
    rng = Random(seed)
    for day in range(3 if WHOLE else 2):
        policy = replace(org.policy, groups=None)
        for number in (1, 1, 8, 30) if WHOLE else (1, 20):
            keys = tuple(rng.sample(known(org), number))
            whole = org.plan(policy, keys, keep=tmp_path / "accounts")
            forget(org)
            org.directory.holders, org.directory.swept = None, 0
            some = org.plan(policy, keys)
            mine, theirs = about(some, set(keys)), about(whole, set(keys))
            for name, said in mine.items():
                odd = [found for found in (*said, *theirs[name]) if (found in said) != (found in theirs[name])]
                assert not odd, f"day {day}, {keys}: {name}"
            assert {change.key for change in some.changes} <= set(keys)
            assert not org.directory.swept
            forget(org)
        org.run()
        org.night()
        org.directory.holders = None

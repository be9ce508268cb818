"""A thin slice of the sweep: each kind of point once. All of it: `make kill-points`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.killing.points import Point, When
from tests.killing.scene import Scene
from tests.killing.scenes import staged
from tests.soak import examples

USERS, GROUPS = "/api/v2/scim/v2/Users", "/api/v2/scim/v2/Groups"
INTENT = "commit: insert journal, insert audit_key, insert audit, update audit_head"
OUTCOME = "commit: insert journal, insert audit, update audit_head, insert outbox"
#: one of each kind, of an apply
SLICE: list[tuple[Point, When]] = [
    (Point(INTENT, 2), "after"),  # an intent, and nothing sent: a creation
    (Point(f"POST {USERS}", 1), "after"),  # an account that nobody knows of
    (Point(f"PATCH {GROUPS}/#", 1), "after"),
    (Point(OUTCOME, 3), "before"),  # an effect whose outcome was never durable
    (Point("replace: base-#-#.parquet", 1), "after"),
]


@pytest.fixture(scope="module")
def apply(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """An apply on SQLite that is about to be killed."""
    with staged(tmp_path_factory.mktemp("killed")) as stage:
        scene = next(scene for scene in stage.scenes() if scene.name == "apply")
        scene.count()
        yield scene


@pytest.mark.parametrize("turn", range(len(SLICE)))
def test_whoever_is_killed_at_a_point_is_followed_by_somebody_who_finds_nothing_lost_and_nothing_doubled(
    apply: Scene, turn: int
) -> None:
    point, when = SLICE[turn]
    assert point in apply.passed
    assert apply.kill(point, when, turn) == []


def test_on_postgresql_a_death_with_an_open_transaction_is_the_same(tmp_path: Path, postgres_url: str) -> None:
    with staged(tmp_path, postgres_url) as stage:
        scene = next(scene for scene in stage.scenes() if scene.name == "apply")
        scene.count()
        assert scene.kill(Point(OUTCOME, 3), "before", 0) == []


@pytest.mark.parametrize("mutant", ["no-intent", "double-outcome", "wrong-person"][: examples(3, 1)])
def test_a_program_with_a_bug_is_found_out(apply: Scene, mutant: str) -> None:
    apply.mutant = mutant
    try:
        told = apply.kill(Point(f"PATCH {USERS}/#", 2), "after", 0)
    finally:
        apply.mutant = ""
    assert told

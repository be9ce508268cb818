"""Nobody is hurt, whatever goes wrong at once; and the judge who says so sees what is put before it.

`make chaos` plays 2,000 worlds, `make soak` more; `make chaos SEED=n` replays one.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.chaos.__main__ import main
from tests.chaos.faults import KINDS
from tests.chaos.matrix import ALWAYS, ELSEWHERE, ROWS
from tests.chaos.mutants import MUTANTS
from tests.chaos.playing import play, shrunk
from tests.chaos.world import World
from tests.soak import WHOLE, examples

#: what both ways of planning must tell alike
TOLD = {"leaver.suspect", "leaver.unproven", "leaver.missing", "leaver.expired", "undo.held"}
TESTS = Path(__file__).parents[1]
SEEDS = examples(2000, 40)
#: mutants that every run of the tests looks for; the rest in a soak
FEW = ("early-outcome", "wrong-person")


@pytest.mark.parametrize("part", range(4))
def test_nobody_is_hurt_whatever_goes_wrong_at_once(part: int) -> None:
    for seed in range(part, SEEDS, 4):
        played = play(seed)
        assert not played.breaches, f"make chaos SEED={seed}"


@pytest.mark.parametrize("seed", [17, 33, 99] if WHOLE else [17, 33])
def test_a_seed_plays_one_way(seed: int) -> None:
    assert play(seed).digest == play(seed).digest


def test_a_world_is_at_rest_by_a_plan_that_was_made_after_the_fire() -> None:
    world = World(3564)  # its last plan of the fire has nothing to do and is cut off
    try:
        world.play()
        assert world.quiet
        assert world.intended[world.processes[-1].plans[-1]].plan.overrides == world.overrides
    finally:
        world.close()


@pytest.mark.parametrize("name", MUTANTS if WHOLE else FEW)
def test_a_bug_that_is_put_into_the_engine_is_found(name: str) -> None:
    assert any(play(seed, mutant=name).breaches for seed in range(2000)), name


def test_what_went_wrong_is_shrunk_to_the_faults_that_it_needs() -> None:
    seed = next(seed for seed in range(200) if play(seed, mutant="post-again").breaches)
    found, needed = shrunk(seed, "post-again")
    assert {fault.kind for fault in found.faults} & {"create lost", "unwell after", "lost after", "silence after"}
    assert 0 < len(needed) < len(play(seed, mutant="post-again").struck)
    assert play(seed, needed, "post-again").kinds & {"I2"}


def test_one_world_is_replayed_with_what_it_met(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "17"]) == 0
    said = capsys.readouterr().out
    assert "nobody was hurt" in said
    assert all(str(fault) in said for fault in play(17).faults)


def test_each_row_of_the_fault_matrix_is_played_or_names_its_test(capsys: pytest.CaptureFixture[str]) -> None:
    here = {row for kind in KINDS.values() for row in kind.rows} | ALWAYS.keys()
    assert here | ELSEWHERE.keys() == ROWS.keys()
    assert len(ROWS) == 100
    assert [test for test in ELSEWHERE.values() if test and not (TESTS / test).is_file()] == []
    assert main(["--seeds", "2"]) == 0
    told = capsys.readouterr().out
    assert all(f"{row:5}{what}" in told for row, what in ROWS.items())


def plans(seed: int, *, whole: bool) -> list[list[tuple[object, ...]]]:
    """What was planned in a world in which nothing goes wrong."""
    world = World(seed, [], whole=whole)
    try:
        world.play()
        return [
            [(c.key, c.action, tuple((d.path, d.verdict) for d in c.deltas)) for c in made.plan.changes]
            + [(g.name, g.word, (*g.add, "and", *g.remove)) for g in made.plan.groups]
            + [(one.subject, one.code) for one in made.plan.findings if one.code in TOLD]
            for made in world.intended.values()
        ]
    finally:
        world.close()


@pytest.mark.parametrize("seed", range(examples(40, 1)))
def test_a_plan_without_tables_is_the_plan_that_the_tables_make(seed: int) -> None:
    assert plans(seed, whole=False) == plans(seed, whole=True)

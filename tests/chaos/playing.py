"""Play worlds, replay one, and shrink what went wrong to the fewest faults."""

from __future__ import annotations

import gc
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.chaos.faults import Fault
from tests.chaos.judge import judge
from tests.chaos.mutants import mutated
from tests.chaos.world import World

from scimsync.core.ladder import SUSPECTED


@dataclass(frozen=True, slots=True)
class Played:
    """What came of one world."""

    seed: int
    breaches: tuple[str, ...]
    #: all that was drawn
    faults: tuple[Fault, ...]
    #: number of a fault -> how often it struck
    struck: dict[int, int] = field(default_factory=dict)
    quiet: bool = False
    #: of all that happened in the directory and in the journal
    digest: str = ""
    processes: int = 0
    requests: int = 0
    #: virtual
    seconds: float = 0.0
    most_requests: int = 0
    #: what is special about it, and how often what was done in it
    traits: tuple[str, ...] = ()
    done: dict[str, int] = field(default_factory=dict)

    @property
    def kinds(self) -> set[str]:
        """The numbers of the invariants that were broken."""
        return {breach.partition(" ")[0] for breach in self.breaches}


#: of so many worlds one is played on the tables
WHOLE_OF = 100


def play(seed: int, only: Sequence[int] | None = None, mutant: str = "") -> Played:
    """Play one world; the last of a hundred on the tables."""
    world = World(seed, only, whole=seed % WHOLE_OF == WHOLE_OF - 1)
    gc.disable()  # a world is gone as a whole, and collecting within it takes a fifth of the time
    try:
        with mutated(mutant):
            world.play()
            breaches = judge(world)
        return Played(
            seed=seed, breaches=tuple(breaches), faults=world.faults, struck=dict(world.weather.injected),
            quiet=world.quiet, digest=_digest(world), processes=len(world.processes),
            requests=sum(world.provider.requests.values()), seconds=world.loop.now,
            most_requests=max(world.provider.requests.values(), default=0), traits=world.special, done=_done(world),
        )  # fmt: skip
    finally:
        gc.enable()
        world.close()


def shrunk(seed: int, mutant: str = "") -> tuple[Played, tuple[int, ...]]:
    """The same breach with the fewest faults: each is left out that is not needed for it."""
    found = play(seed, mutant=mutant)
    kinds, needed = found.kinds, [fault.number for fault in found.faults if fault.number in found.struck]
    for number in list(needed):
        less = [other for other in needed if other != number]
        tried = play(seed, less, mutant)
        if tried.kinds & kinds:
            found, needed = tried, less
    return found, tuple(needed)


def _done(world: World) -> dict[str, int]:
    """How often what was done by us."""
    found = Counter[str]()
    for effect in world.provider.history:
        if effect.who >= 0:
            taken = effect.method == "PATCH" and effect.before.get("active") and not effect.after.get("active")
            found["disabled" if taken else {"POST": "made", "PATCH": "written"}.get(effect.method, "deleted")] += 1
    found["groups written"] += sum(effect.who >= 0 for effect in world.provider.group_history)
    for intended in world.intended.values():
        found["undo plans"] += bool(intended.plan.undoes and intended.plan.changes)
        found["refused plans"] += bool(intended.plan.refusals)
        found["suspects told"] += sum(finding.code == SUSPECTED for finding in intended.plan.findings)
    return dict(found)


def _digest(world: World) -> str:
    """Of everything that could be seen from outside: two plays of one seed have the same."""
    told = hashlib.sha256()
    for effect in world.provider.history:
        told.update(f"{effect.at} {effect.who} {effect.method} {effect.account} {effect.after}\n".encode())
    for commit in world.disk.commits:
        for line in commit.lines:
            told.update(
                f"{commit.at} {commit.who} {line.run} {line.key} {line.part} {line.step} {line.outcome}\n".encode()
            )
    for effect in world.provider.group_history:
        told.update(f"{effect.at} {effect.who} {effect.account} {effect.after}\n".encode())
    told.update(repr(sorted(world.provider.requests.items())).encode())
    return told.hexdigest()

"""What may go wrong, drawn from the seed before anything happens: so any of it can be left out, and the rest replayed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to go wrong."""

    #: rows of the fault matrix
    rows: tuple[str, ...]
    #: what is counted: the fault comes with the n-th of these in its world
    on: str
    #: the latest that it comes
    latest: int
    #: how often in a row
    times: tuple[int, int] = (1, 1)


#: `any` request, `read`, `write`, `create`, `token`, `list`; `append` of the journal, `stored` (any write to the state),
#: `turn` of the loop, `process` that begins
KINDS: dict[str, Kind] = {
    # the way there and back
    "refused": Kind(("F25",), "any", 60, (1, 12)),
    "lost before": Kind(("F26",), "any", 60, (1, 2)),
    "lost after": Kind(("F27", "F28"), "write", 12, (1, 2)),
    "create lost": Kind(("F52", "F27"), "create", 3, (1, 2)),
    "silence after": Kind(("F29",), "write", 12),
    "drip": Kind(("F23",), "any", 60, (1, 3)),
    "slow": Kind(("F24",), "any", 50, (2, 20)),
    # lies
    "truncated": Kind(("F30",), "any", 60, (1, 2)),
    "web page": Kind(("F31",), "any", 60, (1, 2)),
    "other person": Kind(("F32",), "write", 12, (1, 2)),
    "other person read": Kind(("F32",), "get", 8, (1, 2)),
    "old body": Kind(("F32",), "write", 12, (1, 2)),
    "no version": Kind(("F46", "F32"), "any", 60, (1, 4)),
    "empty": Kind(("F33",), "write", 12, (1, 3)),
    "garbage": Kind(("F34",), "any", 60, (1, 2)),
    # throttles in every dress
    "throttled seconds": Kind(("F11",), "any", 60, (1, 12)),
    "throttled date": Kind(("F12",), "any", 60, (1, 6)),
    "throttled bare": Kind(("F13",), "any", 60, (1, 6)),
    "throttled nonsense": Kind(("F13",), "any", 60, (1, 6)),
    "throttled a day": Kind(("F14",), "any", 60, (1, 2)),
    "throttled for ever": Kind(("F15",), "any", 60, (200, 400)),
    "throttled again": Kind(("F18",), "any", 60, (2, 3)),
    # the server is not well
    "unwell before": Kind(("F20", "F19"), "any", 60, (1, 5)),
    "unwell after": Kind(("F20", "F19"), "write", 12, (1, 3)),
    "outage": Kind(("F21", "F22"), "any", 60),
    "half applied": Kind(("F48",), "write", 12, (1, 2)),
    "refuses": Kind(("F61",), "write", 12, (1, 4)),
    "forbids": Kind(("F8",), "write", 12, (1, 4)),
    # tokens
    "token dies": Kind(("F6", "F9"), "any", 60, (1, 3)),
    "token refused": Kind(("F7",), "any", 60, (20, 60)),
    "login refused": Kind(("F1",), "token", 3, (1, 2)),
    "login throttled": Kind(("F2",), "token", 3, (1, 4)),
    "login unwell": Kind(("F3",), "token", 3, (1, 4)),
    "short tokens": Kind(("F5", "F9"), "token", 2, (5, 30)),
    # other hands
    "edited": Kind(("F42", "F86"), "write", 12, (1, 2)),
    "edited same": Kind(("F43",), "write", 12),
    "edited list": Kind(("F44",), "write", 12, (1, 2)),
    "edited each time": Kind(("F45",), "write", 12, (4, 8)),
    "enabled by hand": Kind(("F42",), "write", 12),
    "made by hand": Kind(("F51",), "create", 3),
    "member by hand": Kind(("F44", "F86"), "any", 60, (1, 3)),
    "edited any time": Kind(("F86",), "any", 60, (1, 3)),
    # listings
    "search lags": Kind(("F50",), "any", 60),
    "list short": Kind(("F56",), "list", 8, (1, 2)),
    "list empty": Kind(("F56",), "list", 8, (1, 2)),
    "list drifts": Kind(("F55",), "list", 8, (1, 4)),
    "list repeats": Kind(("F57",), "list", 8, (1, 2)),
    # this machine
    "killed": Kind(("F78",), "turn", 1500),
    "killed at store": Kind(("F78",), "stored", 40),
    "killed at write": Kind(("F78",), "write", 12),
    "disk full": Kind(("F80",), "append", 25, (1, 3)),
    "commit lost": Kind(("F81", "F92"), "append", 25),
    "slow disk": Kind(("F82",), "append", 25, (1, 3)),
    "stopped": Kind(("F79",), "write", 12),
    "cancelled": Kind(("F79",), "write", 12),
    "second process": Kind(("F84",), "any", 60),
    "sleeps": Kind(("F85",), "append", 25),
    "clock jumps": Kind(("F10",), "any", 60),
}

#: what tears work apart goes with everything else
OFTEN = ("killed", "killed at store", "killed at write", "lost after", "edited", "create lost")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong in one world."""

    number: int
    kind: str
    at: int
    times: int
    #: draws what is open about it
    chance: int

    @property
    def rng(self) -> Random:
        """Its own chance, so that it is the same whatever else is left out."""
        return Random(self.chance)

    def __str__(self) -> str:
        times = f" x{self.times}" if self.times > 1 else ""
        return f"{self.number}: {self.kind}{times} at {KINDS[self.kind].on} {self.at}"


def drawn(rng: Random) -> tuple[Fault, ...]:
    """The faults of one world: a few kinds, some of them often (swarm testing), so that each world has its own weather."""
    kinds = rng.sample(sorted(KINDS), rng.choice((1, 2, 3, 3, 4, 6)))
    kinds += [name for name in OFTEN if name not in kinds and rng.random() < 0.15]
    found: list[Fault] = []
    for name in kinds:
        kind = KINDS[name]
        for _ in range(rng.choice((1, 1, 2, 3))):
            found.append(Fault(
                len(found), name, rng.randint(1, kind.latest), rng.randint(*kind.times), rng.getrandbits(32)
            ))  # fmt: skip
    return tuple(found)


class Weather:
    """Says with each thing that happens what goes wrong with it."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.counts: dict[str, int] = {}
        self.injected: dict[int, int] = {}
        self.calm = False
        self._on: dict[str, list[Fault]] = {}
        for fault in faults:
            self._on.setdefault(KINDS[fault.kind].on, []).append(fault)

    def at(self, on: str) -> list[Fault]:
        """What goes wrong with the next of these."""
        count = self.counts[on] = self.counts.get(on, 0) + 1
        if self.calm or on not in self._on:
            return []
        return [fault for fault in self._on[on] if fault.at <= count < fault.at + fault.times]

    def struck(self, fault: Fault) -> None:
        """Note that it really happened."""
        self.injected[fault.number] = self.injected.get(fault.number, 0) + 1

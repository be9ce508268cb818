"""Cut the loops out of 100,000 nested groups, beside merely walking the same edges."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator

from benchmarks.harness import BenchmarkError, Report, Row, Size, measured, part, tell
from scimsync.core.references import Cuts, Edge, EdgeKind, cut

USUAL = 100_000
#: groups beside each other on each level of the chain
WIDE = 10
NOTES = (
    "`people` are groups here: a chain of levels ten wide, each group in two of the next level (diamonds), and one "
    "edge back up for each 200 groups; half of those lead up far, so that most groups are in one component.",
    "beside it: the same edges put into a dict of lists, and each walked once in depth. Edges are made outside the "
    "measured work; memory is the peak of the whole process, edges included.",
    "every loop that was found is checked in the members that are named (all of them up to 1,000); what is left has "
    "an order.",
)


def edges(groups: int) -> Iterator[Edge]:
    """The same for the same size."""
    chance, levels = random.Random(7), groups // WIDE

    def nested(level: int, place: int, below: int, there: int) -> Edge:
        return Edge(f"G{level * WIDE + place:07}", f"G{below * WIDE + there % WIDE:07}", EdgeKind.NESTED)

    for level in range(levels - 1):
        for place in range(WIDE):
            yield nested(level, place, level + 1, place)
            yield nested(level, place, level + 1, place + 1)
    for number in range(groups // 200):
        level = chance.randrange(levels)
        up = chance.randrange(level + 1) if number % 2 else max(0, level - chance.randrange(20))
        place = chance.randrange(WIDE)  # the same on both levels, so that a way leads down and a loop is closed
        yield nested(level, place, up, place)


def walk(given: list[Edge]) -> int:
    """Visit each edge once, in depth."""
    needs: dict[str, list[str]] = {}
    for edge in given:
        needs.setdefault(edge.who, []).append(edge.whom)
    seen: set[str] = set()
    count = 0
    for root in needs:
        ahead = [root]
        while ahead:
            node = ahead.pop()
            if node not in seen:
                seen.add(node)
                found = needs.get(node, [])
                count += len(found)
                ahead += found
    return count


def check(given: list[Edge], cuts: Cuts) -> None:
    """Hold the cuts against what they promise.

    Raises:
        BenchmarkError: They do not keep it.
    """
    known, opened = {(e.who, e.whom) for e in given}, cuts.edges
    place = {name: n for n, name in enumerate(cuts.order)}
    if any(place[e.whom] >= place[e.who] for e in given if e not in opened):
        raise BenchmarkError("the order does not hold")
    for loop in cuts.loops:
        following = [*loop.members[1:], *loop.members[:1]] if len(loop.members) == loop.length else loop.members[1:]
        if any(step not in known for step in zip(loop.members, following, strict=False)):
            raise BenchmarkError("a loop is not one")


def measure(size: Size) -> Report:
    """Take alternating pairs."""
    pairs = [
        (part("references", "cut", size.people), part("references", "walk", size.people)) for _ in range(size.pairs)
    ]
    loops, longest = (int(number) for number in pairs[0][0].out.split())
    return Report(
        name="references",
        size=size,
        notes=NOTES,
        rows=[
            Row(work="wall, of walking the edges", values=[o.wall / w.wall for o, w in pairs], bar="<= 10"),
            Row(work="CPU, of walking the edges", values=[o.cpu / w.cpu for o, w in pairs], bar="<= 10"),
            Row(work="memory, of walking the edges", values=[o.memory / w.memory for o, w in pairs], bar="<= 3"),
            Row(work="wall", values=[o.wall for o, _ in pairs], unit="s"),
            Row(work="CPU", values=[o.cpu for o, _ in pairs], unit="s"),
            Row(work="peak memory", values=[o.memory / 2**20 for o, _ in pairs], unit="MiB"),
            Row(work="loops cut, of edges that lead up", values=[loops / max(1, size.people // 200)], bar="<= 1"),
            Row(work="members of the longest loop", values=[longest], unit=""),
        ],
    )


def main(side: str, groups: int) -> None:
    """One side."""
    given = list(edges(groups))
    random.Random(3).shuffle(given)
    if side == "cut":
        spent, cuts = measured(lambda: cut(given))
        check(given, cuts)
        tell(spent, f"{len(cuts.loops)} {max((loop.length for loop in cuts.loops), default=0)}")
    else:
        spent, count = measured(lambda: walk(given))
        if count != len(given):
            raise BenchmarkError("an edge was not walked")
        tell(spent, count)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

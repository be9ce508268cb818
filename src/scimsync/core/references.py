"""Who needs whom: strongly connected components, loops, and where a loop is cut.

An edge says that `who` needs `whom`: a person needs the manager's account before the manager can be
written, a group needs its members. What is needed comes first; a loop of needs has no first, so one
of its edges is cut and set later. Nothing here recurses: a chain may be as deep as it likes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import TypeVar

from msgspec import Struct

T = TypeVar("T", bound=Hashable)

#: a loop names at most so many of its members
MOST_NAMED = 1000
#: steps that weighing the edges of all components together may take
_WEIGHED_ALL = 4_000_000
#: steps that a walk may go back for the sake of fewer cuts
_STEPS_BACK = 4_000_000
#: rising edges of a path that are looked at
_RISES = 64


class EdgeKind(Enum):
    """What is written when an edge is set, and so what a cut delays."""

    MEMBER = "member"  #: a person in a group
    NESTED = "nested"  #: a group in a group
    MANAGER = "manager"  #: a person's manager


#: the softest edge of a loop is cut
_HARM = {EdgeKind.MEMBER: 0, EdgeKind.NESTED: 1, EdgeKind.MANAGER: 2}
_HARMS = range(len(_HARM))


class Edge(Struct, frozen=True):
    """`who` needs `whom`; both are keys."""

    who: str
    whom: str
    kind: EdgeKind = EdgeKind.MANAGER


class Loop(Struct, frozen=True):
    """A closed loop and the edge that was cut to open it."""

    cut: Edge
    #: each needs the next, the last needs the first, `cut.who` comes first; at most `MOST_NAMED` of them
    members: tuple[str, ...]
    #: how many members the loop has
    length: int


class Cuts(Struct, frozen=True):
    """A graph of needs without its loops."""

    #: every node; whoever is needed by an edge that was not cut comes first
    order: tuple[str, ...]
    #: one for each edge that was cut
    loops: tuple[Loop, ...]

    @property
    def edges(self) -> frozenset[Edge]:
        """The edges that were cut."""
        return frozenset(loop.cut for loop in self.loops)


def components(edges: Mapping[T, Iterable[T]]) -> list[tuple[T, ...]]:
    """Strongly connected components, those that others need first (Tarjan 1972).

    Nodes that are only needed count too. The order follows that of the mapping and its targets.

    >>> components({"a": ["b"], "b": ["c"], "c": ["b"]})
    [('b', 'c'), ('a',)]
    """
    nodes, needs = _numbered(edges)
    return [tuple(nodes[n] for n in component) for component in _components(needs)]


def find_cycles(edges: Mapping[T, Iterable[T]]) -> tuple[tuple[T, ...], ...]:
    """One closed loop of each component that has any: each node needs the next, the last needs the first.

    The loop is a shortest one through the component's first node. A diamond is not a loop.

    >>> find_cycles({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []})
    ()
    >>> find_cycles({"a": ["b"], "b": ["c"], "c": ["a"], "me": ["me"]})
    (('a', 'b', 'c'), ('me',))
    """
    nodes, needs = _numbered(edges)
    return tuple(
        tuple(nodes[n] for n in _way(needs, component[0], component[0], frozenset(component)))
        for component in _components(needs)
        if len(component) > 1 or component[0] in needs[component[0]]
    )


def cut(edges: Iterable[Edge], *, weighed: int = 20_000) -> Cuts:
    """Cut loops until none is left, each at the edge whose delay harms least.

    That is a member before a nested group before a manager. In a component of ordinary size the choice
    among equals is the edge on most of the loops (of the shortest loop through each edge), then that of
    the person on whom the fewest wait, then the first by key. In a huge component it is the edge of the
    loop that leads up the most levels, counted from those on whom nobody waits.

    Args:
        edges: The graph, in any order.
        weighed: Steps that weighing the edges of one component may take; beyond, it is huge.
    """
    sorted_edges = sorted(set(edges), key=lambda e: (e.who, e.whom, _HARM[e.kind]))
    names = sorted({e.who for e in sorted_edges} | {e.whom for e in sorted_edges})
    graph = _Graph(names, sorted_edges, weighed)
    order: list[int] = []
    loops: list[Loop] = []
    for component in _components(graph.needs):
        found = graph.open(component)
        loops += found
        order += component if len(component) == 1 else graph.lined_up(component)
    return Cuts(tuple(names[n] for n in order), tuple(sorted(loops, key=lambda o: (o.cut.who, o.cut.whom))))


class _Graph:
    """Edges by number, from which some are cut."""

    def __init__(self, names: Sequence[str], edges: Sequence[Edge], weighed: int) -> None:
        self._names, self._edges = names, edges
        numbers = {name: n for n, name in enumerate(names)}
        self._whom = [numbers[e.whom] for e in edges]
        self._who = [numbers[e.who] for e in edges]
        self._harm = [_HARM[e.kind] for e in edges]
        self._out: list[list[int]] = [[] for _ in names]
        self._waiting = [0] * len(names)
        for number, (who, whom) in enumerate(zip(self._who, self._whom, strict=True)):
            self._out[who].append(number)
            self._waiting[whom] += who != whom
        self._cut: set[int] = set()
        self._weighed, self._budget = weighed, _WEIGHED_ALL
        self._levels: list[int] = []
        self._steps_back = _STEPS_BACK
        self.needs = [[self._whom[e] for e in out] for out in self._out]

    def open(self, component: Sequence[int]) -> list[Loop]:
        """Cut what closes loops in a component."""
        loops = [self._cut_at(e, (self._who[e],)) for n in component for e in self._out[n] if self._whom[e] == n]
        if len(component) == 1:
            return loops
        pending = [component]
        while pending:
            part = pending.pop()
            inside = frozenset(part)
            edges = [e for n in part for e in self._out[n] if self._whom[e] in inside and e not in self._cut]
            if len(edges) == len(part):
                loops.append(self._cut_at(min(edges, key=self._preference), self._ring(part[0], inside)))
            elif self._affords(len(edges) * (len(part) + len(edges))):
                loops.append(self._heaviest(edges, inside))
                pending += [p for p in self._parts(part, inside) if len(p) > 1]
            else:
                loops += self._walked(part, inside)
        return loops

    def _affords(self, steps: int) -> bool:
        is_small = steps <= self._weighed and steps <= self._budget
        self._budget -= steps if is_small else 0
        return is_small

    def _preference(self, edge: int) -> tuple[int, int, int]:
        return self._harm[edge], self._waiting[self._who[edge]], edge

    def _cut_at(self, edge: int, ring: Sequence[int]) -> Loop:
        self._cut.add(edge)
        start = ring.index(self._who[edge])
        named = [*ring[start:], *ring[:start]][:MOST_NAMED]
        return Loop(self._edges[edge], tuple(self._names[n] for n in named), len(ring))

    def _ring(self, node: int, inside: frozenset[int]) -> list[int]:
        """A component that is one ring, from one of its nodes on."""
        ring = [node]
        while (following := next(self._kept(ring[-1], inside))) != node:
            ring.append(following)
        return ring

    def _kept(self, node: int, inside: frozenset[int]) -> Iterator[int]:
        return (self._whom[e] for e in self._out[node] if e not in self._cut and self._whom[e] in inside)

    def _heaviest(self, edges: Sequence[int], inside: frozenset[int]) -> Loop:
        """Cut the edge on most of the shortest loops, among the softest."""
        needs = {n: list(self._kept(n, inside)) for n in inside}
        rings = [[self._who[e], *_way(needs, self._whom[e], self._who[e], inside)] for e in edges]
        steps = [frozenset(zip(ring, [*ring[1:], ring[0]], strict=True)) for ring in rings]
        softest = min(self._harm[e] for e in edges)
        on = {
            e: [ring for ring, step in zip(rings, steps, strict=True) if (self._who[e], self._whom[e]) in step]
            for e in edges
            if self._harm[e] == softest
        }
        chosen = min(on, key=lambda e: (-len(on[e]), *self._preference(e)))
        return self._cut_at(chosen, min(on[chosen], key=len))

    def _parts(self, part: Sequence[int], inside: frozenset[int]) -> list[list[int]]:
        numbers = {n: i for i, n in enumerate(part)}
        needs = [[numbers[m] for m in self._kept(n, inside)] for n in part]
        return [[part[i] for i in component] for component in _components(needs)]

    def _walked(self, part: Sequence[int], inside: frozenset[int]) -> list[Loop]:
        """Walk depth first; where an edge closes a loop, cut the softest of that loop.

        Among equals that is the edge that leads up the most levels, if any does, or else the one that
        closes the loop: an edge from deep below to the top is on most of the loops. Cutting an edge on
        the path takes the path back to it; what was left is walked again.
        """
        self._levels = self._levels or self._levelled()
        done: set[int] = set()
        return [loop for root in part if root not in done for loop in self._walked_from(root, inside, done)]

    def _walked_from(self, root: int, inside: frozenset[int], done: set[int]) -> Iterator[Loop]:
        path, taken, ahead, place = [root], [-1], [iter(self._out[root])], {root: 0}
        # by harm: where on the path such an edge was taken, and where one that leads up was
        depths: list[list[int]] = [[] for _ in _HARMS]
        rises: list[list[int]] = [[] for _ in _HARMS]
        while path:
            back = len(path)
            edge = next((e for e in ahead[-1] if self._leads_on(e, inside, done)), None)
            if edge is None:
                back -= 1
                done.add(path[-1])
            elif (whom := self._whom[edge]) in place:
                back = self._softest(taken, edge, place[whom], depths, rises)
                yield self._cut_at(edge if back == len(path) else taken[back], path[place[whom] :])
                self._steps_back -= len(path) - back
            else:
                depths[self._harm[edge]].append(back)
                if self._rise(edge) > 0:
                    rises[self._harm[edge]].append(back)
                place[whom] = back
                path.append(whom)
                taken.append(edge)
                ahead.append(iter(self._out[whom]))
                continue
            for node in path[back:]:
                del place[node]
            for taken_at in (*depths, *rises):
                del taken_at[bisect_left(taken_at, back) :]
            del path[back:], taken[back:], ahead[back:]

    def _softest(
        self, taken: Sequence[int], edge: int, start: int, depths: Sequence[list[int]], rises: Sequence[list[int]]
    ) -> int:
        """Where on the path the loop that begins at `start` is cut; the length of the path for `edge` itself."""
        own, end = self._harm[edge], len(taken)
        for harm in range(own):
            if depths[harm] and depths[harm][-1] > start:
                rising = [depth for depth in rises[harm][-_RISES:] if depth > start]
                return max(rising or depths[harm][-1:], key=lambda depth: self._rise(taken[depth]))
        rising = [depth for depth in rises[own][-_RISES:] if depth > start] if self._steps_back > 0 else []
        best = max(rising, key=lambda depth: self._rise(taken[depth]), default=end)
        return end if best == end or self._rise(edge) >= self._rise(taken[best]) else best

    def _rise(self, edge: int) -> int:
        """How many levels an edge leads up."""
        return self._levels[self._who[edge]] - self._levels[self._whom[edge]]

    def _levelled(self) -> list[int]:
        """The distance of each node from those on whom the fewest wait, along the edges."""
        levels = [-1] * len(self._out)
        ahead: deque[int] = deque(n for n in range(len(levels)) if not self._waiting[n])
        for n in ahead:
            levels[n] = 0
        for start in sorted(range(len(levels)), key=self._waiting.__getitem__):
            if levels[start] < 0:
                levels[start] = 0
                ahead.append(start)
            while ahead:
                node = ahead.popleft()
                for edge in self._out[node]:
                    if levels[self._whom[edge]] < 0:
                        levels[self._whom[edge]] = levels[node] + 1
                        ahead.append(self._whom[edge])
        return levels

    def _leads_on(self, edge: int, inside: frozenset[int], done: set[int]) -> bool:
        return self._whom[edge] in inside and self._whom[edge] not in done and edge not in self._cut

    def lined_up(self, component: Sequence[int]) -> list[int]:
        """A component that was opened, in the order of its needs."""
        return [n for part in self._parts(component, frozenset(component)) for n in part]


def _numbered(edges: Mapping[T, Iterable[T]]) -> tuple[list[T], list[list[int]]]:
    numbers: dict[T, int] = {}
    needs: list[list[int]] = []
    for who, whoms in edges.items():
        found = [numbers.setdefault(node, len(numbers)) for node in (who, *whoms)]
        needs.extend([] for _ in range(len(numbers) - len(needs)))
        needs[found[0]] += found[1:]
    return list(numbers), needs


def _components(needs: Sequence[Sequence[int]]) -> list[list[int]]:
    """Tarjan's algorithm with a path of its own; nodes within a component by number."""
    beyond = len(needs)  # as the index of a node whose component is known, it lowers nobody
    index: dict[int, int] = {}
    low = [beyond] * len(needs)
    stack: list[int] = []
    found: list[list[int]] = []
    for root in range(len(needs)):
        path = [] if root in index else [root]
        ahead = [iter(needs[root])]
        while path:
            node = path[-1]
            if node not in index:
                index[node] = low[node] = len(index)
                stack.append(node)
            following = next((whom for whom in ahead[-1] if whom not in index), None)
            if following is not None:
                path.append(following)
                ahead.append(iter(needs[following]))
                continue
            path.pop()
            ahead.pop()
            low[node] = min(low[node], *(low[whom] for whom in needs[node]), beyond)
            if low[node] == index[node]:
                component = [stack.pop()]
                while component[-1] != node:
                    component.append(stack.pop())
                for member in component:
                    low[member] = beyond
                found.append(sorted(component))
    return found


def _way(
    needs: Sequence[Sequence[int]] | Mapping[int, Sequence[int]], start: int, goal: int, inside: frozenset[int]
) -> list[int]:
    """The nodes of a shortest way from `start` to one that needs `goal`; there must be one."""
    came = {start: start}
    ahead = deque([start])
    while goal not in needs[ahead[0]]:
        node = ahead.popleft()
        for following in needs[node]:
            if following in inside and following not in came:
                came[following] = node
                ahead.append(following)
    way = [ahead[0]]
    while way[-1] != start:
        way.append(came[way[-1]])
    return way[::-1]

"""Components, loops and cuts: the laws, against slow and plain oracles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hypothesis import example, given
from hypothesis import strategies as st

from scimsync.core.references import MOST_NAMED, Cuts, Edge, EdgeKind, components, cut, find_cycles

MEMBER, NESTED, MANAGER = EdgeKind.MEMBER, EdgeKind.NESTED, EdgeKind.MANAGER
#: which of two edges is cut first
SOFTER = [MEMBER, NESTED, MANAGER]

nodes = st.sampled_from("abcdefgh")
graphs = st.dictionaries(nodes, st.lists(nodes, max_size=4), max_size=8)
edge_sets = st.lists(st.builds(Edge, nodes, nodes, st.sampled_from(EdgeKind)), max_size=24)


def everybody(edges: Mapping[str, Iterable[str]]) -> set[str]:
    return set(edges) | {whom for whoms in edges.values() for whom in whoms}


def reachable(edges: Mapping[str, Iterable[str]], start: str) -> set[str]:
    """Who is needed by `start`, over at least one edge."""
    found: set[str] = set()
    ahead = list(edges.get(start, ()))
    while ahead:
        node = ahead.pop()
        if node not in found:
            found.add(node)
            ahead += edges.get(node, ())
    return found


def needs_of(edges: Iterable[Edge]) -> dict[str, list[str]]:
    needs: dict[str, list[str]] = {}
    for edge in edges:
        needs.setdefault(edge.who, []).append(edge.whom)
    return needs


def managers(*pairs: str) -> list[Edge]:
    return [Edge(pair[0], pair[1], MANAGER) for pair in pairs]


# --- components ------------------------------------------------------------------------------


@given(graphs)
def test_components_are_those_who_need_each_other(edges: dict[str, list[str]]) -> None:
    found = components(edges)
    assert sorted(node for component in found for node in component) == sorted(everybody(edges))
    for component in found:
        for node in component:
            mutual = {other for other in reachable(edges, node) if node in reachable(edges, other)}
            assert mutual | {node} == set(component)


@given(graphs)
def test_components_come_after_what_they_need(edges: dict[str, list[str]]) -> None:
    place = {node: n for n, component in enumerate(components(edges)) for node in component}
    assert all(place[whom] <= place[who] for who, whoms in edges.items() for whom in whoms)


def test_a_chain_may_be_as_deep_as_it_likes() -> None:
    deep = {n: [n + 1] for n in range(50_000)}
    assert components(deep)[0] == (50_000,)
    assert find_cycles(deep) == ()
    assert find_cycles({**deep, 50_000: [0]}) == (tuple(range(50_001)),)


def test_nodes_need_only_be_hashable() -> None:
    assert components({("a", 1): [("b", 2)]}) == [(("b", 2),), (("a", 1),)]


# --- loops -----------------------------------------------------------------------------------


@given(graphs)
def test_every_component_with_a_loop_gives_one_closed_loop(edges: dict[str, list[str]]) -> None:
    loops = find_cycles(edges)
    for loop in loops:
        assert len(set(loop)) == len(loop)
        assert all(whom in edges[who] for who, whom in zip(loop, [*loop[1:], loop[0]], strict=True))
    looped = [set(c) for c in components(edges) if any(node in reachable(edges, node) for node in c)]
    assert len(loops) == len(looped)
    assert all(any(set(loop) <= component for loop in loops) for component in looped)


def test_a_diamond_is_not_a_loop() -> None:
    assert find_cycles({"a": ["b", "c"], "b": ["d"], "c": ["d"]}) == ()


def test_who_needs_himself_is_a_loop_of_one() -> None:
    assert find_cycles({"a": ["a"], "b": ["a"]}) == (("a",),)


# --- cuts ------------------------------------------------------------------------------------


def check_cuts(edges: list[Edge], cuts: Cuts) -> None:
    kept = set(edges) - cuts.edges
    place = {node: n for n, node in enumerate(cuts.order)}
    assert sorted(cuts.order) == sorted({e.who for e in edges} | {e.whom for e in edges})
    assert all(place[e.whom] < place[e.who] for e in kept)
    between: dict[tuple[str, str], list[EdgeKind]] = {}
    for edge in edges:
        between.setdefault((edge.who, edge.whom), []).append(edge.kind)
    assert len(cuts.edges) == len(cuts.loops)
    for loop in cuts.loops:
        assert loop.length == len(loop.members) == len(set(loop.members))
        steps = list(zip(loop.members, [*loop.members[1:], loop.members[0]], strict=True))
        assert steps[0] == (loop.cut.who, loop.cut.whom)
        hardest = [max(SOFTER.index(kind) for kind in between[step]) for step in steps]
        assert SOFTER.index(loop.cut.kind) <= min(hardest)


@given(edge_sets)
@example([Edge("a", "b", MEMBER), Edge("a", "b", MANAGER), Edge("b", "a", NESTED)])
def test_what_is_left_has_an_order_and_every_cut_has_its_loop(edges: list[Edge]) -> None:
    check_cuts(edges, cut(edges))


@given(edge_sets)
def test_one_walk_through_a_huge_component_keeps_the_same_laws(edges: list[Edge]) -> None:
    check_cuts(edges, cut(edges, weighed=0))


@given(edge_sets.flatmap(lambda edges: st.tuples(st.just(edges), st.permutations(edges))))
def test_the_order_in_which_edges_are_given_changes_nothing(both: tuple[list[Edge], list[Edge]]) -> None:
    assert cut(both[0]) == cut(both[1])


def test_a_graph_without_loops_is_left_whole() -> None:
    cuts = cut(managers("ab", "ac", "bd", "cd"))
    assert cuts.order == ("d", "b", "c", "a")
    assert cuts.loops == ()


def test_a_self_manager_is_cut() -> None:
    (loop,) = cut(managers("aa", "ba")).loops
    assert (loop.cut, loop.members) == (Edge("a", "a"), ("a",))


def test_membership_is_cut_before_a_manager() -> None:
    ring = [Edge("a", "b", MANAGER), Edge("b", "c", MEMBER), Edge("c", "a", NESTED)]
    assert cut(ring).edges == {Edge("b", "c", MEMBER)}


def test_the_edge_on_most_loops_is_cut_first() -> None:
    shared = managers("ab", "bc", "ca", "bd", "da", "be", "ea")
    (loop,) = cut(shared).loops
    assert loop.cut == Edge("a", "b")


def test_among_equals_the_person_on_whom_the_fewest_wait_is_delayed() -> None:
    assert cut(managers("ab", "bc", "ca", "xa", "yb")).edges == {Edge("c", "a")}


def test_among_equals_in_all_the_first_by_key_is_delayed() -> None:
    assert cut(managers("cb", "ba", "ac")).edges == {Edge("a", "c")}


def test_the_members_of_a_very_long_loop_are_named_in_part() -> None:
    size = 3 * MOST_NAMED
    ring = [Edge(f"{n:05}", f"{(n + 1) % size:05}") for n in range(size)]
    (loop,) = cut(ring).loops
    assert (len(loop.members), loop.length) == (MOST_NAMED, size)

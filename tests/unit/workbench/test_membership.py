"""The three-way rule of memberships in tables, held against the rule in words, and its size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.soak import examples

from scimsync.errors import ConfigError
from scimsync.model.accounts import Membership
from scimsync.model.policy import Grouping, Nested, Others
from scimsync.model.records import Batch, Reading
from scimsync.workbench.bench import Workbench
from scimsync.workbench.membership import PAIR, MemberTables, read_agreed, stage_pairs

NOBODY = "SELECT NULL::VARCHAR WHERE false"


def reading(rows: Iterable[tuple[object, object]], columns: tuple[str, ...] = ("who", "where")) -> Reading:
    listed = list(rows)
    return Reading(columns=columns, batches=[Batch(listed, range(len(listed)))], proven=True)  # type: ignore[arg-type]


@dataclass
class Scene:
    """Memberships of groups g0, g1 (folded names n0, n1); the person k1 has the account a1."""

    bench: Workbench
    grouping: Grouping

    def play(
        self,
        asked: Iterable[tuple[str, str]],
        current: Iterable[tuple[str, str, bool]],
        base: Iterable[tuple[str, str]],
        paired: Iterable[str] = (),
        linked: Iterable[str] = (),
        opened: Mapping[str, Iterable[str]] = MappingProxyType({}),
    ) -> MemberTables:
        sql = self.bench.sql
        sql.execute("CREATE OR REPLACE TABLE only_keys (key VARCHAR)")
        sql.execute("CREATE OR REPLACE TABLE pairing (n BIGINT, key VARCHAR, id VARCHAR)")
        sql.execute("CREATE OR REPLACE TABLE links (key VARCHAR, account VARCHAR)")
        sql.execute("CREATE OR REPLACE TABLE accounts (id VARCHAR, user_name VARCHAR)")
        sql.execute("CREATE OR REPLACE TABLE held (key VARCHAR)")
        sql.execute("CREATE OR REPLACE TABLE desired AS SELECT 'k' || r AS key FROM range(6) t(r)")
        for key in paired:
            sql.execute("INSERT INTO pairing VALUES (1, ?, ?)", [key, key.replace("k", "a")])
        for key in linked:
            sql.execute("INSERT INTO links VALUES (?, ?)", [key, key.replace("k", "a")])
        stage_pairs(self.bench, reading(asked), "m_pairs", PAIR)
        used = {f"n{str(name)[1:]}" for (name,) in self.bench.rows("SELECT DISTINCT name FROM m_pairs")}
        rosters = MemberTables(self.bench, self.grouping, NOBODY)
        rosters.lay_names({"N0": "n0", "N1": "n1"}, [], [])
        ids = {name: group for name, group in (("n0", "g0"), ("n1", "g1")) if name not in opened}
        rosters.lay_open(opened, chain(*opened.values()), [ids[name] for name in used if name in ids])
        rosters.lay_groups(ids, [], [])
        rosters.lay_base(Membership(g, a) for g, a in base)
        rosters.lay_current()
        held: dict[str, list[tuple[str, bool]]] = {"g0": [], "g1": []}
        for group, account, is_group in current:
            held[group].append((account, is_group))
        kinds = {g: {member: "group" if nested else "" for member, nested in held[g]} for g in held}
        assert rosters.add_current(kinds, believe=True) == set()
        return rosters


PEOPLE = st.sampled_from([f"k{n}" for n in range(5)])
GROUPS = st.sampled_from(["0", "1"])
MEMBERS = st.frozensets(st.tuples(GROUPS, PEOPLE))
Pairs = frozenset[tuple[str, str]]
#: whom HR names, who is there, who was agreed; who has an account, who is linked; an open name, and whether it is known
World = tuple[Pairs, Pairs, Pairs, frozenset[str], frozenset[str], frozenset[str], bool]


def account(key: str) -> str:
    return key.replace("k", "a")


@pytest.mark.parametrize("others", Others)
@given(
    world=st.tuples(
        MEMBERS,
        MEMBERS,
        MEMBERS,
        st.frozensets(PEOPLE),
        st.frozensets(PEOPLE),
        st.frozensets(GROUPS, max_size=1),
        st.booleans(),
    )
)
@settings(max_examples=examples(25, 10), deadline=None)
def test_who_joins_who_leaves_and_what_is_agreed(others: Others, world: World) -> None:
    asked, current, base, paired, linked, opened, remembered = world
    with TemporaryDirectory() as folder, Workbench(Path(folder)) as bench:
        rosters = Scene(bench, Grouping(others=others)).play(
            [(key, f"N{g}") for g, key in asked],
            [(f"g{g}", account(key), False) for g, key in current],
            [(f"g{g}", account(key)) for g, key in base],
            paired,
            linked,
            {f"n{g}": [f"g{g}"] if remembered else [] for g in opened},
        )
        joining = {(g, m.account) for g, m in rosters.joining()}
        leaving = {(g, m.account) for g, m in rosters.leaving()}
        spared = rosters.spared()
        path = Path(folder) / "agreed"
        rosters.write_agreed(path, ["g0", "g1"])
        agreed = dict(read_agreed(path)) if path.exists() else {}

    def ids(pairs: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        return {(f"g{g}", account(key)) for g, key in pairs}

    desired = ids((g, key) for g, key in asked if key in paired and g not in opened)
    named = ids((g, key) for g, key in asked if key in paired | linked and g not in opened)
    there, agreed_once = ids(current), ids(base)
    assert joining == desired - there
    dropped = (there if others is Others.REMOVE else there & agreed_once) - named
    assert leaving <= dropped
    assert Counter(g for g, _ in dropped - leaving) == spared
    unsure = {account(key) for g, key in asked if g in opened and key in paired | linked}
    reached = {f"g{g}" for g, _ in asked if g not in opened}
    doubtful = {f"g{g}" for g in "01" if f"g{g}" not in reached} if opened else set()
    assert leaving == {(g, a) for g, a in dropped if a not in unsure and g not in doubtful}
    assert not leaving & desired
    after = agreed_once | {(m.group, m.account) for m, comes in agreed.items() if comes}
    after -= {(m.group, m.account) for m, comes in agreed.items() if not comes}
    assert after == (desired & there) | (agreed_once & there)


def test_groups_that_are_members_are_left_alone_where_nesting_is_refused(tmp_path: Path) -> None:
    for nested, gone in ((Nested.REFUSE, set()), (Nested.KEEP, {"g9"})):
        with Workbench(tmp_path) as bench:
            scene = Scene(bench, Grouping(others=Others.REMOVE, nested=nested))
            rosters = scene.play([("k1", "N0")], [("g0", "a1", False), ("g0", "g9", True)], [], ["k1"])
            assert {m.account for _, m in rosters.leaving()} == gone


def test_pairs_are_texts_each_once_without_blanks(tmp_path: Path) -> None:
    with Workbench(tmp_path) as bench:
        rows = [(1001, "A"), (1001.0, " A "), ("1001", "A"), (None, "A"), ("1002", " "), ("1002", None)]
        assert stage_pairs(bench, reading(rows), "m_pairs") == 1
        with pytest.raises(ConfigError, match="exactly two"):
            stage_pairs(bench, reading([], ("one",)), "m_pairs")


def test_two_hundred_thousand_pairs_are_compared_in_seconds(tmp_path: Path) -> None:
    with Workbench(tmp_path) as bench:
        began = perf_counter()
        pairs = ((f"k{person}", f"N{group % 2}") for group in range(2) for person in range(100_000))
        current = ((f"g{group}", f"a{person}", False) for group in range(2) for person in range(10, 100_010))
        base = ((f"g{group}", f"a{person}") for group in range(2) for person in range(10, 100_010))
        rosters = Scene(bench, Grouping()).play(pairs, current, base)
        bench.sql.execute("INSERT INTO pairing SELECT r, 'k' || r, 'a' || r FROM range(100010) t(r)")
        rosters.lay_groups({"n0": "g0", "n1": "g1"}, [], [])
        assert sum(1 for _ in rosters.joining()) == 20
        assert sum(1 for _ in rosters.leaving()) == 20
        assert perf_counter() - began < 30

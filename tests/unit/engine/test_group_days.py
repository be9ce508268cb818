"""Days of a firm whose groups are renamed, doubled and deleted, and whose HR makes typing errors: who moves, and who must not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.soak import examples
from tests.unit.engine.test_membership import Company, Flawed

from scimsync.core import grouping
from scimsync.model.plans import Plan
from scimsync.model.policy import Grouping, Limit, Limits
from scimsync.testing import members_of

GROUPS = ("g0", "g1", "g2")
NAMES = ("Team", "team", "Sales", "Sales North", "Admins")
WRITTEN = (*NAMES, "Teem", "Nowhere")
KEYS = tuple(f"E{n}" for n in range(5))
MOST = 2

#: what another hand does to a group: a new name, a member taken out or put in, or (None) the end of it
HANDS = st.lists(
    st.tuples(st.sampled_from(GROUPS), st.one_of(st.sampled_from(NAMES), st.integers(0, 4), st.none())), max_size=2
)
PAIRS = st.frozensets(st.tuples(st.sampled_from(KEYS), st.sampled_from(WRITTEN)), min_size=1, max_size=8)
DAYS = st.lists(st.tuples(HANDS, PAIRS), min_size=1, max_size=4)

Roll = dict[str, set[str]]


class Firm(Company):
    """Five people and three groups; the last one is protected."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        named = zip(GROUPS, ("Team", "Sales", "Admins"), strict=True)
        groups = [{"id": group, "displayName": name, "members": []} for group, name in named]
        self.target = Flawed(users=self.target.users.values(), groups=groups)
        self.policy = replace(
            self.policy,
            limits=Limits(group_loss=Limit(count=MOST), group_gain=Limit(count=MOST)),
            groups=Grouping(protected=("g2",)),
        )

    def meddle(self, group: str, what: str | int | None) -> None:
        """Another hand."""
        held = self.target.groups.get(group)
        if held is None:
            return
        if what is None:
            del self.target.groups[group]
        elif isinstance(what, str):
            held["displayName"] = what
        else:
            held["members"] = [{"value": one} for one in sorted(members_of(held) ^ {f"a{what}"})]

    @property
    def roll(self) -> Roll:
        return {group: members_of(held) for group, held in self.target.groups.items()}

    def meaning(self) -> dict[str, list[str]]:
        """What each name of HR may mean, by what the directory shows alone."""
        shown = {group: str(held["displayName"]).casefold() for group, held in self.target.groups.items()}
        return {
            written: [group for group, name in shown.items() if name == written.casefold()]
            for written in {name for _, name in self.pairs}
        }


@given(DAYS)
@settings(max_examples=examples(12, 6), deadline=None)
def test_nobody_is_moved_by_a_name_that_does_not_resolve(
    days: list[tuple[list[tuple[str, str | int | None]], frozenset[tuple[str, str]]]],
) -> None:
    with TemporaryDirectory() as folder:
        firm = Firm(Path(folder))
        for hands, pairs in days:
            for hand in hands:
                firm.meddle(*hand)
            firm.pairs = sorted(pairs)
            before, agreed = firm.roll, {(m.group, m.account) for m in firm.base}
            made = firm.plan()
            assert firm.apply(made).clean
            judge(firm, made, before, firm.roll, agreed)


def judge(firm: Firm, made: Plan, before: Roll, after: Roll, agreed: set[tuple[str, str]]) -> None:
    meaning = firm.meaning()
    is_open = {name for name, found in meaning.items() if len(found) != 1}
    named = {(meaning[name][0], key.replace("E", "a")) for key, name in firm.pairs if name not in is_open}
    unsure = {key.replace("E", "a") for key, name in firm.pairs if name in is_open}
    reached = {group for group, _ in named}
    was, now = ({(group, one) for group, held in roll.items() for one in held} for roll in (before, after))
    for group, one in was - now:
        assert (group, one) in agreed - named, "who leaves was agreed, and HR names it no more"
        assert one not in unsure, "whom HR names by an open name loses nothing"
        assert group in reached or not is_open, "a group that no name reaches loses nobody while a name is open"
    assert now - was <= named, "nobody joins but by a name that means this one group"
    for moved in (was - now, now - was):
        assert all(number <= MOST for number in Counter(group for group, _ in moved).values())
        assert "g2" not in {group for group, _ in moved}
    if is_open:
        assert grouping.waits(made.findings)

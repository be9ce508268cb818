"""Which group a name of HR means."""

from __future__ import annotations

from difflib import get_close_matches

from hypothesis import example, given
from hypothesis import strategies as st

from scimsync.core.naming import Named, folded, memory, nearest, resolve, shield, slips
from scimsync.model.accounts import Group
from scimsync.model.policy import Grouping

BILLING, SALES, LOUD = Group("1", "Billing"), Group("2", "Sales"), Group("3", "SALES")


def names(*written: str) -> dict[str, str]:
    return {folded(name, "displayName"): name for name in written}


def found(written: list[str], groups: list[Group], remembered: dict[str, str], *overrides: str) -> Named:
    return resolve(names(*written), groups, Grouping(), remembered, overrides)


def test_names_compare_without_case_in_one_unicode_form_and_ids_as_they_are() -> None:
    assert folded("  STRASSE ", "displayName") == folded("straße", "displayName")
    assert folded("Caf\u00e9", "displayName") == folded("Cafe\u0301\u00a0", "displayName")
    assert folded(" A1 ", "id") == "A1"


def test_a_name_means_one_group_or_is_open_and_a_finding() -> None:
    told = found(["billing", "Sales", "Bilings", "Elsewhere"], [BILLING, SALES, LOUD], {})
    assert told.ids == {"billing": "1"}
    assert told.open == {"sales": {"2", "3"}, "bilings": set(), "elsewhere": set()}
    assert {(f.code, f.subject) for f in told.findings} == {
        ("group.unknown", "Bilings"),
        ("group.unknown", "Elsewhere"),
        ("group.ambiguous", "Sales"),
    }
    (slip,) = [f for f in told.findings if f.subject == "Bilings"]
    assert slip.hint.startswith("did you mean Billing? ")


def test_a_near_name_is_looked_for_twenty_times_and_each_unknown_name_is_told() -> None:
    told = found([f"Billing {n:02d}" for n in range(30)], [BILLING], {})
    assert [f.subject for f in told.findings] == [f"Billing {n:02d}" for n in range(30)]
    assert [f.hint.startswith("did you mean Billing? ") for f in told.findings] == [True] * 20 + [False] * 10


def test_a_name_whose_group_was_renamed_is_open_and_the_new_name_is_told() -> None:
    told = found(["Billing"], [Group("1", "Billing EMEA"), SALES], {"billing": "1"})
    assert told.ids == {}
    assert told.open == {"billing": {"1"}}
    assert [(f.code, f.detail) for f in told.findings] == [
        ("group.unknown", "the group that it meant is called Billing EMEA by now")
    ]


def test_a_name_that_went_over_to_another_group_is_open_until_a_person_says_that_it_is_right() -> None:
    groups = [Group("1", "Billing (old)"), Group("4", "Billing")]
    told = found(["Billing"], groups, {"billing": "1"})
    assert told.ids == {}
    assert told.meant == {"1", "4"}
    assert [f.code for f in told.findings] == ["group.moved"]
    assert found(["Billing"], groups, {"billing": "1"}, "group.moved").ids == {"billing": "4"}


def test_a_name_whose_group_was_deleted_and_made_anew_means_the_new_one() -> None:
    assert found(["Billing"], [Group("4", "Billing")], {"billing": "1"}).ids == {"billing": "4"}


def test_unknown_names_mean_nothing_where_a_person_says_so_and_doubled_ones_are_open_all_the_same() -> None:
    told = found(["Nowhere", "Sales"], [BILLING, SALES, LOUD], {}, "member.spared")
    assert told.open == {"sales": {"2", "3"}}
    assert {f.code for f in told.findings} == {"group.unknown", "group.ambiguous"}


def test_a_name_beside_the_managed_ones_may_be_a_typing_error_or_a_former_name() -> None:
    held = {"billing": ["1"], "sales emea": ["2"], "bilking": ["7"]}
    managed = frozenset({"billing", "sales emea"})
    beside = ["billling", "cost centre 12", "sales", "bilking"]
    assert slips(beside, managed, held, {"sales": "2"}) == {"billling", "sales"}


def test_what_a_name_meant_is_remembered_until_its_group_is_named_otherwise_or_gone() -> None:
    before = {"billing": "1", "sales": "2", "old": "9", "unused": "5"}
    now = found(["Billing", "Sales (new)"], [Group("1", "Billing EMEA"), Group("2", "Sales (new)")], before)
    used = frozenset(names("Billing", "Sales (new)"))
    learned = memory(now, used, before, frozenset({"1", "2", "5"}))
    assert learned == {"billing": "1", "sales (new)": "2", "unused": "5"}


def test_protected_groups_are_found_by_name_by_id_and_by_their_former_name() -> None:
    groups = [BILLING, SALES, LOUD, Group("8", "Chiefs")]
    shielded = shield(["BILLING ", "3", "Admins", "Typo"], groups, {"admins": "8"})
    assert shielded.ids == {"1", "3", "8"}
    assert shielded.names == {"billing": "1", "3": "3", "admins": "8"}
    assert [(f.code, f.subject) for f in shielded.findings] == [("group.protected-unknown", "Typo")]
    assert shield(["sales"], groups, {}).ids == {"2", "3"}


GROUPS = st.lists(
    st.builds(Group, st.sampled_from("12345"), st.sampled_from(["A", "a", "B", "C"])), unique_by=lambda g: g.id
)
MEMORY = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("12345"))


@given(GROUPS, MEMORY, st.frozensets(st.sampled_from("abcd")))
def test_each_name_means_one_group_that_bears_it_or_is_open(
    groups: list[Group], remembered: dict[str, str], asked: frozenset[str]
) -> None:
    told = resolve({name: name for name in asked}, groups, Grouping(), remembered)
    assert told.ids.keys() | told.open.keys() == asked
    assert not told.ids.keys() & told.open.keys()
    assert len(told.findings) == len(told.open)
    existing = {group.id for group in groups}
    for name, identity in told.ids.items():
        assert [g.id for g in groups if g.name.casefold() == name] == [identity]
        assert remembered.get(name, identity) in {identity} | (set("12345") - existing)
    for name, meant in told.open.items():
        assert meant <= existing
        assert {g.id for g in groups if g.name.casefold() == name} <= meant
        assert remembered.get(name) not in existing - meant


@given(st.text("abc 12", max_size=8), st.lists(st.text("abc 12", max_size=8), unique=True), st.sampled_from([0.6, 0.8]))
@example("team 1", ["team 2", "team 3"], 0.6)
@example("ab", ["ba", "ab", ""], 0.6)
def test_the_nearest_name_is_the_one_that_the_library_finds(word: str, choices: list[str], cutoff: float) -> None:
    assert nearest(word, choices, cutoff) == next(iter(get_close_matches(word, choices, n=1, cutoff=cutoff)), "")

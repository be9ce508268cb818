"""When a joiner and a leaver are probably one person: two strong marks of their own, and never one alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.factories import mapped

from scimsync.core.renaming import Ground, Likeness, Mark, Sign, finding, suspected, suspects, telling
from scimsync.model.policy import Renames

KNOWN = telling(
    [
        mapped(path, path)
        for path in (
            "userName", "displayName", "externalId", "enterprise:employeeNumber", "enterprise:dateHire",
            'phoneNumbers[type eq "mobile"].value', 'phoneNumbers[type eq "work"].value',
            'emails[type eq "work"].value',
        )
    ]
)  # fmt: skip
BORN = Mark("date of birth", Ground.BORN, (("born",),))
SIGNS = st.lists(
    st.builds(Sign, st.sampled_from([*KNOWN, BORN]), agrees=st.booleans(), others=st.integers(0, 3)),
    max_size=6,
    unique_by=lambda sign: sign.mark.name,
)


def named(name: str) -> Mark:
    return next(mark for mark in KNOWN if mark.name == name)


def same(*names: str) -> list[Sign]:
    return [Sign(named(name), agrees=True) for name in names]


def test_a_mapping_says_what_people_are_known_by() -> None:
    assert [(mark.name, mark.ground.value) for mark in KNOWN] == [
        ("address", "address"),
        ("address before the @", "name"),
        ("name", "name"),
        ("mobile phone", "mobile phone"),
        ("phone", "phone"),
        ("externalId", "number"),
        ("enterprise:employeeNumber", "number"),
        ("date of hire", "date of hire"),
        ("name and date of hire", "name"),
    ]


def test_two_strong_traits_of_different_grounds_are_enough() -> None:
    assert suspected(same("name", "mobile phone"))
    assert suspected(same("address before the @", "date of hire"))
    assert suspected(same("enterprise:employeeNumber", "name"))


def test_what_says_one_thing_counts_once() -> None:
    assert not suspected(same("name", "address before the @"))
    assert not suspected(same("address", "address before the @"))
    assert not suspected(same("externalId", "enterprise:employeeNumber"))


def test_a_desk_phone_adds_nothing_to_a_name() -> None:
    assert not suspected(same("name", "phone"))


@given(SIGNS)
def test_nobody_is_suspected_on_one_strong_mark(signs: list[Sign]) -> None:
    if suspected(signs):
        strong = {s.mark.ground for s in signs if s.agrees and s.mark.strong and not s.mark.of}
        assert len(strong) >= 2


@given(SIGNS)
def test_nobody_is_suspected_by_what_others_have_too(signs: list[Sign]) -> None:
    assert not suspected([replace(sign, others=1 + sign.others) for sign in signs])


@given(SIGNS, st.integers(0, 5))
def test_more_people_with_a_value_never_make_a_suspicion(signs: list[Sign], which: int) -> None:
    more = [replace(sign, others=sign.others + 1) if n == which else sign for n, sign in enumerate(signs)]
    assert suspected(signs) >= suspected(more)


@given(SIGNS)
def test_whoever_was_born_on_another_day_is_another_person(signs: list[Sign]) -> None:
    others = [sign for sign in signs if sign.mark is not BORN]
    assert not suspected([*others, Sign(BORN, agrees=False)])


@given(st.lists(st.builds(
    Likeness, n=st.integers(0, 3), key=st.sampled_from("abc"), row=st.none(), former=st.sampled_from("abxy"),
    account=st.sampled_from("12"), active=st.booleans(), signs=SIGNS.map(tuple),
)))  # fmt: skip
def test_each_pair_is_told_once_and_nobody_is_suspected_to_be_themselves(found: list[Likeness]) -> None:
    told = list(suspects(found))
    assert len({(one.key, one.account) for one in told}) == len(told)
    assert all(one.key != one.former and suspected(one.signs) for one in told)


def test_what_is_told_names_both_keys_what_agrees_what_differs_and_both_commands() -> None:
    signs = (*same("address before the @", "name", "date of hire"), Sign(named("externalId"), agrees=False))
    pair = Likeness(n=1, key="N", row=7, former="O", account="a1", active=True, signs=signs)
    told = finding(pair, Renames.HOLD)
    assert (told.subject, told.row, told.holds) == ("N", 7, True)
    assert told.detail == (
        "O left, account a1; the same: address before the @, name, date of hire; different: externalId"
    )
    assert told.hint == (
        "until a person says so, O keeps access and N gets no account; "
        'one person: scimsync link N a1 --from O --reason "..."; '
        'two people: scimsync link N a1 --different --reason "..."'
    )
    assert not finding(pair, Renames.TELL).holds

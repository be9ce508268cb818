"""When a list of members is believed to be whole."""

from __future__ import annotations

import pytest

from scimsync.core.grouping import Left
from scimsync.core.showing import has_shifted, is_cut, looks_cut, membership, seems_hidden


@pytest.mark.parametrize("shown", [0, 10, 20, 25, 50, 100, 256, 999, 1000])
def test_lists_end_at_round_numbers(shown: int) -> None:
    assert looks_cut(shown)
    assert not looks_cut(shown + 2)


@pytest.mark.parametrize(
    ("shown", "cut", "still"),
    [
        (100, 100, True),
        (99, 100, False),
        (200, 100, True),
        (150, 100, True),
        (137, 100, False),
        (0, 0, True),
        (3, 0, False),
        (38, 37, True),
        (2, 37, True),
        (20, None, True),
        (21, None, False),
    ],
)
def test_a_list_that_was_cut_is_believed_once_it_is_shorter_or_longer_without_being_round(
    shown: int, cut: int | None, still: bool
) -> None:
    assert is_cut(shown, cut) is still


def test_a_write_that_moved_the_version_was_taken_and_one_to_a_round_list_may_have_been() -> None:
    assert seems_hidden(37, moved=True, compared=False)
    assert seems_hidden(100, moved=False, compared=False)
    assert seems_hidden(20, moved=False, compared=True)
    assert not seems_hidden(20, moved=False, compared=False)
    assert not seems_hidden(37, moved=False, compared=True)


def test_whoever_makes_room_in_a_cut_list_is_not_lost_and_a_list_that_was_replaced_is() -> None:
    before = frozenset(map(str, range(20)))
    batch = Left(add=("a", "b"))
    assert has_shifted(before, batch, before - {"0", "1"} | {"a", "b"}, ["0", "1"])
    assert not has_shifted(before, batch, frozenset({"a", "b"}), sorted(before))
    assert not has_shifted(before, batch, before - {"0", "1", "2"} | {"a", "b"}, ["0", "1", "2"])
    assert not has_shifted(frozenset({"0", "1"}), batch, frozenset({"a", "b"}), ["0", "1"])


def test_an_account_that_shows_no_groups_says_nothing_of_any() -> None:
    assert membership({"groups": [{"value": "g"}]}, "g") is True
    assert membership({"groups": [{"value": "h"}]}, "g") is False
    assert membership({"groups": []}, "g") is None
    assert membership({}, "g") is None

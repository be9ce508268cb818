"""A list of accounts by number, in order; cheap to change at any size."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import overload


class NumberIndex(Sequence[int]):
    """Sorted account numbers: eight bytes each, found in log n, changed by one move of memory."""

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self._held = array("q", numbers)

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[int]:
        return iter(self._held)

    @overload
    def __getitem__(self, place: int) -> int: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[int]: ...
    def __getitem__(self, place: int | slice) -> int | Sequence[int]:
        return self._held[place]

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int):
            return False
        place = bisect_left(self._held, number)
        return place < len(self._held) and self._held[place] == number

    def add(self, number: int) -> None:
        """Take a number in."""
        if number not in self:
            self._held.insert(bisect_left(self._held, number), number)

    def take(self, numbers: Iterable[int]) -> None:
        """Take in numbers that are sorted and larger than all that are held."""
        self._held.extend(numbers)

    def discard(self, number: int) -> None:
        """Take a number out."""
        if number in self:
            self._held.pop(bisect_left(self._held, number))

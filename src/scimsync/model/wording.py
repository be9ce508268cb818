"""Some of many, in a sentence for people."""

from __future__ import annotations

from collections.abc import Collection

#: whom one sentence names
NAMED = 5


def some_of(names: Collection[str], number: int | None = None) -> str:
    """The first names, and how many there are beside them.

    Args:
        names: The names, in their order.
        number: How many there are, where not all are known by name.

    Examples:
        >>> some_of("AB"), some_of("ABCDEFG"), some_of("A", 1001)
        ('A, B', 'A, B, C, D, E and 2 more', 'A and 1,000 more')
    """
    shown = [*names][:NAMED]
    rest = (len(names) if number is None else number) - len(shown)
    return ", ".join(shown) + (f" and {rest:,} more" if rest > 0 else "")

"""Charts as the geometry of an SVG that a template draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from scimsync.showing import figures
from scimsync.showing.figures import Column
from scimsync.showing.words import counted


class Drawn(Struct, frozen=True, kw_only=True):
    """Geometry of a column chart of 480 by 150 units."""

    columns: tuple[Mapping[str, object], ...]
    lines: tuple[Mapping[str, object], ...]
    ticks: tuple[Mapping[str, object], ...]


def rate_title(column: Column) -> str:
    """What one column of the rate says."""
    return f"after {column.label}: {column.number:,.3g} a second"


def latency_title(column: Column) -> str:
    """What one column of the latencies says."""
    return f"{column.label}: {counted(int(column.number), 'write')}"


def chart(columns: Sequence[Column], title: Callable[[Column], str], *, every: bool = False) -> Drawn:
    """Lay some columns out.

    Args:
        columns: Their labels and numbers.
        title: What is said of each.
        every: Whether the labels stand under the middle of each column, and not at its beginning.
    """
    left, right, top, bottom = 34.0, 480.0, 10.0, 128.0
    highest = nice(figures.largest(columns))
    step = (right - left) / max(len(columns), 4)
    drawn, ticks = [], []
    apart = max(1, -(-len(columns) // 6))
    for number, column in enumerate(columns):
        height = (bottom - top) * column.number / highest
        x = left + number * step
        drawn.append(
            {
                "x": round(x + step * 0.08, 2),
                "y": round(bottom - height, 2),
                "width": round(step * 0.84, 2),
                "height": round(height, 2),
                "title": title(column),
            }
        )
        if number % apart == 0:
            ticks.append(
                {
                    "x": round(x + (step / 2 if every else 0), 2),
                    "label": column.label,
                    "anchor": "middle" if every else "start",
                }
            )
    levels = (0.0, highest / 2, highest)
    lines = tuple(
        {
            "y": round(bottom - (bottom - top) * level / highest, 2),
            "label": f"{level:,.0f}" if level >= 10 else f"{level:.3g}",
        }
        for level in levels
    )
    return Drawn(columns=tuple(drawn), lines=lines, ticks=tuple(ticks))


def nice(number: float) -> float:
    """The next number of the form 1, 2, 4, 5 or 10 times a power of ten.

    Examples:
        >>> nice(33), nice(0.7), nice(1), nice(480)
        (40.0, 1.0, 1.0, 500.0)
    """
    power = 10.0 ** (len(f"{int(number)}") - 1) if number >= 1 else 0.1
    while power * 10 < number:
        power *= 10
    return next(power * factor for factor in (1, 2, 4, 5, 10) if power * factor >= number)

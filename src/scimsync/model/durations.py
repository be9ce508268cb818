"""How long something takes, for people."""

from __future__ import annotations


def duration_text(seconds: float) -> str:
    """A duration for people.

    Examples:
        >>> duration_text(0.4), duration_text(75), duration_text(7300)
        ('a second', '1 min 15 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole <= 1:
        return "a second"
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"

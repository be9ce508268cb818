"""Words and marks that every door shows alike."""

from __future__ import annotations

from scimsync.model.plans import Action

#: how people see an action at a glance
SYMBOLS = {
    Action.CREATE: ("+", "green"),
    Action.UPDATE: ("~", "yellow"),
    Action.DISABLE: ("-", "red"),
    Action.ENABLE: ("^", "cyan"),
    Action.DELETE: ("x", "red"),
    Action.RESTORE: ("<", "green"),
}
#: actions that the summary names only where there are some
RARE = frozenset({Action.DELETE, Action.RESTORE})


def counted(number: int, word: str) -> str:
    """A number and its word.

    Examples:
        >>> counted(1, "change"), counted(2000, "person")
        ('1 change', '2,000 people')
    """
    plural = {"person": "people"}.get(word, f"{word}s")
    return f"{number:,} {word if number == 1 else plural}"

"""What takes access from somebody goes first, wherever requests wait for their turn.

It is said once, where a change is begun, and holds for all that is asked for its sake: reading, writing, reading back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_URGENT: ContextVar[bool] = ContextVar("scimsync_urgent", default=False)


def is_urgent() -> bool:
    """Whether what is asked now takes access from somebody."""
    return _URGENT.get()


@contextmanager
def urgently(*, when: bool = True) -> Iterator[None]:
    """Let everything that is asked inside go before what is not urgent.

    Args:
        when: False leaves it as it is.
    """
    token = _URGENT.set(_URGENT.get() or when)
    try:
        yield
    finally:
        _URGENT.reset(token)

"""How much a test plays: in CI as much as fits into a quarter of an hour, and all of it in `make soak`."""

from __future__ import annotations

import os

TIMES = int(os.environ.get("SCIMSYNC_DAYS_TIMES", "1"))
#: whether this is a soak
WHOLE = TIMES > 1


def examples(whole: int, few: int) -> int:
    """How many examples are played: `few` in CI, `whole` times the length of a soak there."""
    return whole * TIMES if WHOLE else few

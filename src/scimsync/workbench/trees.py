"""Trees of expressions as DuckDB writes them down, none of them deeper than whoever walks over them can go."""

from __future__ import annotations

import json
from typing import Any

#: how deep the JSON of a tree may be; an operator between two values takes three levels
DEEPEST = 260
_TOO_DEEP: dict[str, Any] = {
    "error": True,
    "error_message": "it is nested too deeply: more than about 80 operators or calls within one another. "
    "Write a || b || c as concat(a, b, c)",
}


def parsed(text: str) -> dict[str, Any]:
    """What DuckDB's parser says of a text: its statements, or an error; an error, too, where they are too deep."""
    try:
        answer: dict[str, Any] = json.loads(text)
    except RecursionError:
        return _TOO_DEEP
    level: list[object] = [answer]
    for _ in range(DEEPEST):
        if not level:
            return answer
        level = [below for one in level for below in _below(one)]
    return _TOO_DEEP


def _below(one: object) -> list[object]:
    if isinstance(one, dict):
        return [below for below in one.values() if isinstance(below, dict | list)]
    return [below for below in one if isinstance(below, dict | list)] if isinstance(one, list) else []

"""Functions that make a text as long as they are told: a width that no value has could use up all memory at once.

DuckDB's memory limit and its interruption do not reach into one call of them (observed with DuckDB 2.0: lpad to two
thousand million characters for each of some thousand rows took 20 GB).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from scimsync.workbench.statuses import Tree

#: the widest text that is made
WIDEST = 10_000
#: They take the names of DuckDB's own, so that nothing reaches those past them. The width is cut besides: where all
#: arguments are constants, DuckDB works out the other branch too.
MACROS = "\n".join(
    f"CREATE MACRO {name}(given, wide, pad) AS CASE WHEN wide > {WIDEST} "
    f"THEN error('{name}: wider than {WIDEST:,} characters') "
    f"ELSE system.main.{name}(given, (CASE WHEN wide <= {WIDEST} THEN wide END)::INTEGER, pad) END;"
    for name in ("lpad", "rpad")
)
#: a width of five digits or more, one that is another argument, or one in brackets
_WIDE = re.compile(r"[0-9]{5}|\*|\{[^{}]*\{")


def fault(name: str, arguments: Sequence[Tree]) -> str:
    """Why a call of `format` or `printf` is not allowed; "" where it is, or is of another function."""
    if name not in {"format", "printf"}:
        return ""
    literal = arguments[0].get("literal") if arguments else None
    given = literal.get("text") if isinstance(literal, dict) else None
    if isinstance(given, str) and not _WIDE.search(given):
        return ""
    return f"{name} takes a format in quotation marks, with widths as numbers below {WIDEST:,}"

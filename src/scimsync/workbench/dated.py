"""What a mapping gives where a text that it reads as a day is none."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from scimsync.core.desired import BAD_DATE
from scimsync.core.lifecycle import ACTIVE
from scimsync.model.policy import Mapped
from scimsync.scim.schema import Kind
from scimsync.workbench.bench import N, Workbench, row_of, text
from scimsync.workbench.expressions import FAULT_MARK, Expression


def dated(mapped: Mapped, expression: Expression) -> Expression:
    """The expression, which says so where a text in it that is read as a day is none; a status is then unknown."""
    if not expression.undated or mapped.path == ACTIVE:
        return expression
    is_text = mapped.place.kind not in {Kind.LIST, Kind.BOOLEAN, Kind.DECIMAL}
    fault = text(FAULT_MARK + "date") if is_text else f"error({text(BAD_DATE.summary)})"
    value = f"({expression.sql})::VARCHAR" if is_text else f"({expression.sql})"
    return replace(expression, sql=f"CASE WHEN {expression.undated} THEN {fault} ELSE {value} END")


def undated(bench: Workbench, expression: Expression, found: Sequence[int]) -> frozenset[int]:
    """Those of some records in which a text that is read as a day is none."""
    if not expression.undated:
        return frozenset()
    query = f"SELECT {N} FROM records WHERE {N} IN (SELECT unnest(?)) AND ({expression.undated})"
    return frozenset(row_of(n) or 0 for (n,) in bench.rows(query, [[*found]]))

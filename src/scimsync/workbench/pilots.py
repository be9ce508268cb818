"""Who of a plan stands in the ring before the first, by what the source says of them."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from scimsync.errors import ConfigError
from scimsync.model.plans import Change
from scimsync.workbench.bench import Workbench, quoted
from scimsync.workbench.expressions import Expression, check
from scimsync.workbench.types import type_of


def check_pilots(bench: Workbench, condition: str, columns: Sequence[str]) -> Expression | None:
    """The condition, checked; None where there is none, or nothing was read.

    Raises:
        ConfigError: It is no condition over the columns of the source.
    """
    if not condition or not bench.columns:
        return None
    where, faults = f"[policy] rings_first = {condition!r}", list[str]()
    result = check(condition, bench.sql, columns, texts=bench.texts, kinds=bench.kinds, is_test=True)
    if not isinstance(result, Expression):
        raise ConfigError(*(f"{where}: {fault}" for fault in result))
    found = type_of(bench, result.sql, where, faults)
    if found and found != "BOOLEAN":
        faults.append(f"{where}: it must be true or false, but gives {found}")
    if faults:
        raise ConfigError(*faults)
    return result


def marked(bench: Workbench, key: str, condition: Expression | None, changes: Sequence[Change]) -> tuple[Change, ...]:
    """The changes, with those of pilots marked.

    Args:
        bench: The table `records`.
        key: The column of the source that identifies a person.
        condition: Who is a pilot; None for nobody.
        changes: The changes of a plan.
    """
    if condition is None or not changes:
        return tuple(changes)
    query = f"SELECT DISTINCT tidy({quoted(key)}) FROM records WHERE TRY({condition.sql}) IS TRUE"
    found = {str(name) for (name,) in bench.rows(query)}
    return tuple(replace(change, pilot=True) if change.key in found else change for change in changes)

"""The accounts that HR does not know, kept from the latest plan about everybody, so that people can list them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import _duckdb as duckdb  # the compiled half alone: the other half takes longer to load than a plan to compute
from msgspec import Struct

from scimsync import files
from scimsync.errors import StoreDamaged
from scimsync.model.accounts import Stranger
from scimsync.model.plans import Plan
from scimsync.workbench.bench import Workbench, text
from scimsync.workbench.comparing import Comparison
from scimsync.workbench.mirror import MIRROR, seen_in

#: the artifact
UNMANAGED = "unmanaged-1.parquet"
#: what people call an account, where the mapping has it
_NAME = "displayName"


class Kept(Struct, frozen=True):
    """Of which plan they are, and when the directory was read for it."""

    plan: str
    read: datetime


def keep(comparison: Comparison, path: Path, plan: Plan) -> None:
    """Keep them, in the place of those of the plan before.

    Args:
        comparison: Knows which accounts are nobody's.
        path: The artifact.
        plan: The plan that was made of it.
    """
    bench = comparison.bench
    seen = seen_in(path.with_name(MIRROR))
    read = seen.listed if seen is not None else plan.created
    index = next((number for number, mapped in enumerate(comparison.attributes) if mapped.path == _NAME), None)
    name = "NULL::VARCHAR" if index is None else f"c{index}"
    beside = bench.spool / path.name
    bench.sql.execute(
        f"COPY (SELECT id, user_name AS login, active, {name} AS name FROM accounts WHERE {comparison.unmanaged()} "
        f"ORDER BY login, id) TO {text(str(beside))} "
        f"(FORMAT parquet, KV_METADATA {{plan: {text(plan.id)}, read: {text(read.isoformat())}}})"
    )
    files.settle(beside, path)


def kept(bench: Workbench, path: Path) -> Kept | None:
    """Of which plan there are some; None where none were kept.

    Raises:
        StoreDamaged: They cannot be read.
    """
    if not path.is_file():
        return None
    found = {
        bytes(key).decode(): bytes(value).decode()
        for key, value in _rows(bench, path, f"SELECT key, value FROM parquet_kv_metadata({text(str(path))})")
        if isinstance(key, bytes) and isinstance(value, bytes)
    }
    return Kept(found["plan"], datetime.fromisoformat(found["read"]))


def accounts(bench: Workbench, path: Path) -> Iterator[Stranger]:
    """The accounts, by login.

    Raises:
        StoreDamaged: They cannot be read.
    """
    for account, login, active, name in _rows(bench, path, f"SELECT * FROM read_parquet({text(str(path))})"):
        yield Stranger(
            account=str(account),
            login=str(login or ""),
            name=str(name or ""),
            active=active if isinstance(active, bool) else None,
        )


def _rows(bench: Workbench, path: Path, query: str) -> Iterator[tuple[object, ...]]:
    try:
        yield from bench.rows(query)
    except duckdb.Error as error:
        raise StoreDamaged(
            f"state: {path.name} cannot be read. Remove it from the artifacts folder; the next plan writes it anew."
        ) from error


def forget(path: Path) -> None:
    """Remove what was kept; the next plan about everybody keeps it anew."""
    path.unlink(missing_ok=True)

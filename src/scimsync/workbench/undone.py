"""What was agreed about those whom somebody takes something back of, and what HR says of what was taken back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from scimsync.model.policy import Mapped
from scimsync.scim.schema import Value
from scimsync.workbench.agreed import wish_of
from scimsync.workbench.bench import ACCOUNT, Workbench, quoted
from scimsync.workbench.comparing import Comparison
from scimsync.workbench.layers import Layers, readable
from scimsync.workbench.values import text_of, value_of


def agreed(
    bench: Workbench, base: Path, keys: Collection[str], attributes: Sequence[Mapped]
) -> dict[str, dict[str, Value]]:
    """What both sides agreed on about some people: key -> path -> value; paths on which they never did are missing.

    Raises:
        StoreDamaged: It cannot be read.
    """
    held = Layers(bench, base)
    mapped = [one for one in attributes if one.path in held.columns]
    columns = ", ".join(["key", *(quoted(one.path) for one in mapped)])
    _stage(bench, keys)
    with readable(base):
        rows = [*bench.rows(f"SELECT {columns} FROM {held.rows('key IN (SELECT key FROM looked_back)')}")]
    return {
        str(row[0]): {
            one.path: value_of(one.place, value)
            for one, value in zip(mapped, row[1:], strict=True)
            if value is not None
        }
        for row in rows
    }


def owners(bench: Workbench, base: Path, keys: Collection[str]) -> dict[str, str]:
    """The account that some people had when a base was written, by key.

    Raises:
        StoreDamaged: It cannot be read.
    """
    held = Layers(bench, base)
    _stage(bench, keys)
    with readable(base):
        query = f"SELECT key, {ACCOUNT} FROM {held.rows('key IN (SELECT key FROM looked_back)')}"
        return {str(key): str(account) for key, account in bench.rows(query) if account is not None}


def write_wishes(bench: Workbench, former: Path, path: Path, wishes: Iterable[tuple[str, str, Value]]) -> None:
    """Write the ground of the next base, where lists that others share are given back: only what is ours is agreed.

    Args:
        bench: A workbench for the work.
        former: The base before.
        path: The Parquet file.
        wishes: (key, path, value) of what is agreed there once the list is written.

    Raises:
        StoreDamaged: The base before cannot be read.
    """
    found, held, sql = [*wishes], Layers(bench, former), bench.sql
    _stage(bench, {key for key, *_ in found})
    with readable(former):
        sql.execute(
            f"CREATE OR REPLACE TABLE agreed AS SELECT * FROM {held.rows('key IN (SELECT key FROM looked_back)')}"
        )
    for name in sorted({wish_of(place) for _, place, _ in found}):
        sql.execute(f"ALTER TABLE agreed ADD COLUMN IF NOT EXISTS {quoted(name)} VARCHAR")
    for key, place, value in found:
        sql.execute(f"UPDATE agreed SET {quoted(wish_of(place))} = ? WHERE key = ?", [text_of(value), key])
    held.write(path, "agreed", fold=False)


def wanted(comparison: Comparison, keys: Collection[str]) -> dict[str, dict[str, str | None]]:
    """What HR says now of some people: key -> path -> text of a value column, None where that is not to be believed.

    Whoever is not in the source is missing.

    Args:
        comparison: The comparison of a run, after `resolve`.
        keys: Who.
    """
    bench, attributes = comparison.bench, comparison.attributes
    _stage(bench, keys)
    columns = [
        "w.key",
        *(f"CASE WHEN {comparison.is_told(i)} THEN coalesce(w.d{i}, '') END" for i in range(len(attributes))),
    ]
    rows = bench.rows(f"SELECT {', '.join(columns)} FROM wanted w WHERE w.key IN (SELECT key FROM looked_back)")
    unread = bench.rows(
        "SELECT key FROM looked_back WHERE key IN (SELECT key FROM held UNION ALL SELECT key FROM desired)"
    )
    found: dict[str, dict[str, str | None]] = {str(key): dict.fromkeys(m.path for m in attributes) for (key,) in unread}
    for row in rows:
        texts = (None if text is None else str(text) for text in row[1:])
        found[str(row[0])] = dict(zip((m.path for m in attributes), texts, strict=True))
    return found


def _stage(bench: Workbench, keys: Iterable[str]) -> None:
    bench.sql.execute("CREATE OR REPLACE TABLE looked_back AS SELECT unnest(?::VARCHAR[]) AS key", [[*keys]])

"""The accounts as the last whole reading showed them, for plans that do not ask the directory.

They are those of the mirror (`workbench.mirror`), with what we wrote since laid over them, from the journal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from scimsync.core.lifecycle import ACTIVE
from scimsync.model.plans import LOGIN
from scimsync.model.policy import Mapped
from scimsync.scim.schema import Value
from scimsync.workbench.bench import Workbench, encode, text
from scimsync.workbench.mirror import Mirror
from scimsync.workbench.values import text_of


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is known of the last whole reading of the directory."""

    path: Path
    #: when it was made, and how old a value of it may be that was taken from one before
    read_at: datetime
    oldest: datetime
    #: the mapped paths that it read
    paths: frozenset[str]


@dataclass(frozen=True, slots=True)
class Written:
    """What we wrote to one account since."""

    account: str
    values: Mapping[str, Value]
    version: str = ""
    gone: bool = False


def recall(bench: Workbench, path: Path, attributes: Sequence[Mapped]) -> Remembered | None:
    """What is kept; None where nothing is that can be read.

    Args:
        bench: Where it is looked at.
        path: The file of the mirror.
        attributes: The mapping.
    """
    mirror = Mirror(bench, path, attributes)
    if not mirror.is_there:
        return None
    ((newest, oldest),) = bench.rows(f"SELECT max(read_at), min(read_at) FROM {mirror.source}")
    if not isinstance(newest, datetime) or not isinstance(oldest, datetime):
        return None
    paths = frozenset(mapped.path for mapped in attributes if mirror.knows(mapped.path))
    return Remembered(path, newest.replace(tzinfo=UTC), oldest.replace(tzinfo=UTC), paths)


def stage_remembered(
    bench: Workbench, known: Remembered, attributes: Sequence[Mapped], written: Iterable[Written]
) -> int:
    """Make the tables that a reading makes, `accounts`, `renewed` and `gone`; how many accounts there are.

    A column of a path that was not read is NULL. Wants the table `links`.

    Args:
        bench: The tables of the run.
        known: The reading.
        attributes: The mapping, in the order of the columns.
        written: What we wrote since, in order.
    """
    mirror = Mirror(bench, known.path, attributes)
    bench.sql.execute(
        f"CREATE OR REPLACE TABLE accounts AS SELECT id, user_name, active, version, {mirror.values()} "
        f"FROM {mirror.source}"
    )
    _lay(bench, attributes, written)
    bench.sql.execute("CREATE OR REPLACE TABLE renewed (id VARCHAR)")
    bench.sql.execute(
        "CREATE OR REPLACE TABLE gone AS SELECT DISTINCT account AS id FROM links WHERE ours AND account NOT IN "
        "(SELECT id FROM accounts)"
    )
    return bench.number("SELECT count(*) FROM accounts")


def _lay(bench: Workbench, attributes: Sequence[Mapped], written: Iterable[Written]) -> None:
    """Lay what was written over the accounts; make those that we made, and take out those that we deleted."""
    index = {mapped.path: f"c{i}" for i, mapped in enumerate(attributes)}
    rows: dict[str, dict[str, str]] = {}
    for one in written:
        row = rows.setdefault(one.account, {})
        row |= {"id": one.account, **{index[path]: text_of(held) for path, held in one.values.items() if path in index}}
        row |= {column: text_of(one.values[path]) for path, column in _NAMED.items() if path in one.values}
        row |= {"version": one.version} if one.version else {}
        row["gone"] = "true" if one.gone else ""
    if not rows:
        return
    columns = ["id", "user_name", "active", "version", *index.values()]
    with bench.spooled("written") as (path, file):
        file.write(b"\n".join(map(encode, rows.values())) + b"\n")
        file.flush()
        given = ", ".join(f"{name}: 'VARCHAR'" for name in [*columns, "gone"])
        bench.sql.execute(
            f"CREATE OR REPLACE TABLE laid AS SELECT * FROM read_ndjson({text(str(path))}, columns = {{{given}}})"
        )
    sets = [f"{name} = coalesce({_laid(name)}, accounts.{name})" for name in columns[1:4]]
    # '' says that we wrote that there is none; NULL, that we did not write it
    sets += [
        f"{name} = CASE WHEN l.{name} IS NULL THEN accounts.{name} ELSE nullif(l.{name}, '') END"
        for name in columns[4:]
    ]
    bench.sql.execute(f"UPDATE accounts SET {', '.join(sets)} FROM laid l WHERE l.id = accounts.id")
    new = ", ".join(["l.id", _laid("user_name"), "coalesce(l.active <> 'false', true)", _laid("version")])
    values = "".join(f", nullif(l.{name}, '')" for name in index.values())
    bench.sql.execute(
        f"INSERT INTO accounts SELECT {new}{values} FROM laid l WHERE l.id NOT IN (SELECT id FROM accounts)"
    )
    bench.sql.execute("DELETE FROM accounts WHERE id IN (SELECT id FROM laid WHERE gone = 'true')")


_NAMED = {LOGIN: "user_name", ACTIVE: "active"}


def _laid(name: str) -> str:
    return "(l.active = 'true')" if name == "active" else f"l.{name}"

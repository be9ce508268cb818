"""Whose account is inactive because they left, and since when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from msgspec import Struct

from scimsync.core.lifecycle import ACTIVE
from scimsync.model.outcomes import Ending
from scimsync.model.policy import Mapped
from scimsync.workbench.bench import Workbench, encode, row_of, text
from scimsync.workbench.comparing import Comparison


class Inactive(Struct, frozen=True, kw_only=True):
    """A linked account that is inactive, of a person who left."""

    key: str
    #: the login; "" where the target does not list the account
    name: str
    account: str
    version: str
    row: int | None
    #: HR has no record of them
    absent: bool
    #: since when, as far as it is remembered
    ending: Ending | None


def stage_endings(bench: Workbench, endings: Iterable[Ending]) -> None:
    """Load what is remembered into the table `endings` (key, account, since, proven)."""
    known = [*endings]
    if not known:
        columns = "key VARCHAR, account VARCHAR, since VARCHAR, proven BOOLEAN"
        bench.sql.execute(f"CREATE OR REPLACE TABLE endings ({columns})")
        return
    with bench.spooled("endings") as (path, file):
        for one in known:
            line = {"k": one.key, "a": one.account, "s": one.since.isoformat(), "p": one.proven}
            file.write(encode(line) + b"\n")
        file.flush()
        bench.sql.execute(
            "CREATE OR REPLACE TABLE endings AS SELECT k AS key, a AS account, s AS since, p AS proven FROM "
            f"read_ndjson({text(str(path))}, columns = {{k: 'VARCHAR', a: 'VARCHAR', s: 'VARCHAR', p: 'BOOLEAN'}})"
        )


def over(bench: Workbench, *, whole: bool) -> list[str]:
    """The keys of what is remembered and holds no more: the account is active, is not that of the key, or is gone.

    Args:
        bench: The tables `endings`, `links` and `accounts`.
        whole: Whether the accounts are all there are.
    """
    if not bench.are("endings"):
        return []
    gone = "OR e.account NOT IN (SELECT id FROM accounts)" if whole else ""
    query = (
        "SELECT e.key FROM endings e LEFT JOIN links l ON l.key = e.key AND l.account = e.account "
        f"LEFT JOIN accounts a ON a.id = e.account WHERE l.key IS NULL OR a.active {gone} ORDER BY 1"
    )
    return [str(key) for (key,) in bench.rows(query)]


def inactive(
    bench: Workbench, attributes: Sequence[Mapped], comparison: Comparison, *, absence: bool, listed: bool
) -> Iterator[Inactive]:
    """Who left by all that HR says, and whose account the directory shows to be inactive; by key.

    Nobody whose account another record has, or may be about.

    Args:
        bench: The tables of the run.
        attributes: The mapping.
        comparison: The comparison of the run.
        absence: Whether who is missing from the source left.
        listed: Whether the directory lists all inactive accounts; if not, what is remembered of the others counts.
    """
    index = next((number for number, mapped in enumerate(attributes) if mapped.path == ACTIVE), None)
    left = ["l.key IN (SELECT key FROM orphans)"] if absence else []
    left += [f"d.d{index} = 'false'"] if index is not None else []
    unlisted = "" if listed else " OR (a.id IS NULL AND e.key IS NOT NULL)"
    query = (
        "SELECT l.key, a.user_name, l.account, a.version, d.place, e.since, e.proven, d.key IS NULL FROM links l "
        "LEFT JOIN accounts a ON a.id = l.account LEFT JOIN desired d ON d.key = l.key "
        "LEFT JOIN endings e ON e.key = l.key AND e.account = l.account LEFT JOIN pairing p ON p.id = l.account "
        f"WHERE l.ours AND (NOT a.active{unlisted}) AND ({' OR '.join(left) or 'false'}) "
        "AND coalesce(p.key, l.key) = l.key AND l.account NOT IN (SELECT id FROM disputed WHERE id IS NOT NULL) "
        f"AND l.account NOT IN (SELECT id FROM ({comparison.left_alone()}) WHERE id IS NOT NULL) "
        "AND ((SELECT count(*) FROM only_keys) = 0 OR l.key IN (SELECT key FROM only_keys)) ORDER BY l.key"
    )
    for key, name, account, version, place, since, proven, absent in bench.rows(query):
        known = Ending(str(key), str(account), datetime.fromisoformat(str(since)), bool(proven)) if since else None
        yield Inactive(
            key=str(key),
            name=str(name or ""),
            account=str(account),
            version=str(version or ""),
            row=row_of(place),
            absent=bool(absent),
            ending=known,
        )

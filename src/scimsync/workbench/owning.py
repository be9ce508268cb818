"""Whose links are whose, in tables: `links` says of each whether it is ours, a link of the source that is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scimsync.workbench.bench import Workbench

#: the code of a record whose key, or whose account, belongs to a person of another source
ELSEWHERE = "correlation.other-source"
#: the accounts of the people of other sources: not to be taken, not to be removed from anything
ACCOUNTS = "SELECT account FROM links WHERE NOT ours"
KEYS, EVERYBODY = "SELECT key FROM links WHERE NOT ours", "SELECT key FROM agreed"


def met(bench: Workbench) -> Iterator[tuple[str, int, int]]:
    """Each source that has links: its name, how many, and how many of their keys are in the records."""
    query = (
        "SELECT source, count(*), count(*) FILTER (WHERE key IN (SELECT key FROM desired UNION ALL "
        "SELECT key FROM held WHERE key IS NOT NULL)) FROM links GROUP BY 1 ORDER BY 1"
    )
    for source, links, found in bench.rows(query):
        yield str(source), int(str(links)), int(str(found))


def own(bench: Workbench, sources: Iterable[str]) -> None:
    """Say which sources are ours."""
    bench.sql.execute("UPDATE links SET ours = list_contains(?, source)", [list(sources)])


def hold_strangers(bench: Workbench, source: str, active: str) -> None:
    """Put into `doubtful` whoever has the key of another source's person, unless both sides say that they left.

    Args:
        bench: The tables `desired`, `links`, `accounts`, `doubtful`.
        source: The source that is read.
        active: SQL that tells of `desired` whether a record is active.
    """
    if not bench.are("links WHERE NOT ours"):
        return
    bench.sql.execute(
        f"INSERT INTO doubtful (n, key, place, code, detail) "
        f"SELECT n, key, place, '{ELSEWHERE}', 'a key of ' || source || '; this is ' || ? "
        "FROM (SELECT d.*, l.source, l.account FROM desired d JOIN links l ON l.key = d.key WHERE NOT l.ours) "
        f"WHERE {active} OR account IN (SELECT id FROM accounts WHERE active)",
        [source],
    )


def hold_claims(bench: Workbench, source: str, active: str, sides: Iterable[tuple[str, str]]) -> None:
    """Put into `doubtful` whoever is not found, and would be by the account of another source's person.

    Args:
        bench: As for `hold_strangers`, and `pairing`.
        source: The source that is read.
        active: SQL that tells of `desired` whether a record is active.
        sides: What is matched: SQL of the record's (`d`) and of the account's (`a`) value.
    """
    for left, right in sides if bench.are("links WHERE NOT ours") else ():
        bench.sql.execute(
            f"INSERT INTO doubtful (n, key, place, code, detail) "
            f"SELECT d.n, d.key, d.place, '{ELSEWHERE}', 'the account of ' || min(l.key) || "
            f"' of ' || min(l.source) || '; this is ' || ? FROM desired d JOIN accounts a ON {left} = {right} "
            "JOIN links l ON l.account = a.id WHERE NOT l.ours AND d.n NOT IN (SELECT n FROM pairing UNION ALL "
            f"SELECT n FROM doubtful) AND d.n IN (SELECT n FROM desired WHERE {active}) GROUP BY 1, 2, 3",
            [source],
        )

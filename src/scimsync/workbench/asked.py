"""Bring in only what a plan for some people needs: their accounts, and those of whom they name or may be.

Everybody else's linked account stands in the table `accounts` by its id alone, so that nobody is taken for new
and references find their people; `unseen` holds these ids, until `forget_unseen` takes them out again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from scimsync.model.policy import Mapped
from scimsync.scim.schema import Kind, Place
from scimsync.workbench.bench import Workbench, text
from scimsync.workbench.expressions import ACCOUNT_MARK
from scimsync.workbench.values import comparable, lowered

_LOGIN = "userName"


def stage_asked(bench: Workbench, keys: Sequence[str]) -> None:
    """Make the table `asked` (key, named): who is asked for."""
    bench.sql.execute("CREATE OR REPLACE TABLE asked AS SELECT unnest(?::VARCHAR[]) AS key, false AS named", [[*keys]])


def stage_named(bench: Workbench, attributes: Sequence[Mapped]) -> None:
    """Add the people whom those who are asked for name anew, in the references of the mapping."""
    for index, mapped in enumerate(attributes):
        if mapped.place.kind is Kind.REFERENCE:
            bench.sql.execute(
                f"INSERT INTO asked SELECT DISTINCT d.d{index}, true FROM desired d JOIN asked k ON k.key = d.key "
                f"LEFT JOIN links n ON n.key = d.d{index} LEFT JOIN links l ON l.key = d.key "
                f"LEFT JOIN accounts a ON a.id = l.account WHERE d.d{index} IS NOT NULL AND NOT k.named "
                f"AND d.d{index} NOT IN (SELECT key FROM asked) "
                f"AND (n.account IS NULL OR a.c{index} IS DISTINCT FROM n.account)"
            )


def stage_rivals(bench: Workbench, attributes: Sequence[Mapped], match: Sequence[Place]) -> None:
    """Add the people whose records claim what those who are asked for are found by: their accounts may be gone."""
    for number, place in _found_by(attributes, match):
        mine, theirs = comparable(place, f"d.d{number}"), comparable(place, f"o.d{number}")
        bench.sql.execute(
            f"INSERT INTO asked SELECT DISTINCT o.key, true FROM ({_records()}) d "
            f"JOIN (SELECT * FROM desired UNION ALL SELECT * FROM left_out) o ON {theirs} = {mine} "
            "WHERE NOT d.named AND o.key IS NOT NULL AND o.key NOT IN (SELECT key FROM asked)"
        )


def linked_accounts(bench: Workbench) -> list[str]:
    """The ids of the linked accounts of table `asked` that are not in `accounts` yet."""
    query = (
        "SELECT DISTINCT account FROM links WHERE key IN (SELECT key FROM asked) "
        "AND account NOT IN (SELECT id FROM accounts) ORDER BY 1"
    )
    return [str(account) for (account,) in bench.rows(query)]


def named_accounts(bench: Workbench, attributes: Sequence[Mapped]) -> list[str]:
    """The logins and ids by which references name accounts that are not in `accounts`."""
    found: set[str] = set()
    for index, mapped in enumerate(attributes):
        if mapped.place.kind is Kind.REFERENCE:
            query = (
                f"SELECT DISTINCT d.d{index}[2:] FROM desired d JOIN asked k ON k.key = d.key WHERE NOT k.named AND "
                f"starts_with(d.d{index}, {text(ACCOUNT_MARK)}) AND {lowered(f'd.d{index}[2:]')} NOT IN "
                f"(SELECT {lowered('user_name')} FROM accounts WHERE user_name IS NOT NULL "
                "UNION ALL SELECT id FROM accounts)"
            )
            found |= {str(name) for (name,) in bench.rows(query)}
    return sorted(found)


def unread(bench: Workbench, accounts: Iterable[str]) -> list[str]:
    """Of some accounts the ids of those that are not in `accounts`."""
    query = "SELECT unnest(?::VARCHAR[]) EXCEPT SELECT id FROM accounts ORDER BY 1"
    return [str(account) for (account,) in bench.rows(query, [[*accounts]])]


def is_anybody_new(bench: Workbench) -> bool:
    """Whether somebody of table `asked` has a record, good or bad, and no account that is known."""
    return bench.number(f"SELECT count(*) FROM ({_records()}) d WHERE {_new()}") > 0


def searched(bench: Workbench, attributes: Sequence[Mapped], match: Sequence[Place]) -> Iterator[tuple[str, str]]:
    """(name of the attribute, value): whose accounts may be those of table `asked`, or stand in their way.

    Of who is new all values to match by; of who has an account the login, where it changes.
    """
    for number, place in _found_by(attributes, match):
        ours = "SELECT a.* FROM links l JOIN accounts a ON a.id = l.account WHERE l.key = d.key"
        moved = (
            f"NOT d.named AND EXISTS ({ours} AND {comparable(place, f'a.c{number}')} IS DISTINCT FROM "
            f"{comparable(place, f'd.d{number}')})"
        )
        query = (
            f"SELECT DISTINCT d.d{number} FROM ({_records()}) d WHERE d.d{number} IS NOT NULL "
            f"AND ({_new()}{f' OR {moved}' if place.short == _LOGIN else ''}) ORDER BY 1"
        )
        for (value,) in bench.rows(query):
            yield place.root, str(value)


def _found_by(attributes: Sequence[Mapped], match: Sequence[Place]) -> list[tuple[int, Place]]:
    """The columns that people are found by, and their places; the login always."""
    names = {_LOGIN, *(place.short for place in match)}
    return [(number, mapped.place) for number, mapped in enumerate(attributes) if mapped.path in names]


def _records() -> str:
    return (
        "SELECT r.*, k.named FROM (SELECT * FROM desired UNION ALL SELECT * FROM left_out) r "
        "JOIN asked k ON k.key = r.key"
    )


def _new() -> str:
    return "d.key NOT IN (SELECT l.key FROM links l JOIN accounts a ON a.id = l.account)"


def stand_in(bench: Workbench) -> None:
    """Let the linked accounts that were not read stand in `accounts` by their id alone."""
    bench.sql.execute(
        "CREATE OR REPLACE TABLE unseen AS SELECT DISTINCT account AS id FROM links "
        "WHERE account NOT IN (SELECT id FROM accounts UNION ALL SELECT id FROM gone)"
    )
    bench.sql.execute("INSERT INTO accounts BY NAME SELECT id FROM unseen")


def forget_unseen(bench: Workbench) -> None:
    """Take out who only stood in, and pairs of people who were not asked for: nothing is agreed about them."""
    bench.sql.execute(
        "DELETE FROM pairing WHERE key NOT IN (SELECT key FROM asked WHERE NOT named UNION ALL SELECT key FROM moved)"
    )
    bench.sql.execute("DELETE FROM accounts WHERE id IN (SELECT id FROM unseen)")

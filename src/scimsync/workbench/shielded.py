"""Who of the accounts is listed under a protected login, and which protected names nobody is known by."""

from __future__ import annotations

from collections.abc import Collection

from scimsync.workbench.bench import Workbench
from scimsync.workbench.values import lowered


def word(name: str) -> str:
    """The SQL of a key or a login as `core.protecting.word` has it."""
    return f"coalesce({lowered(f'tidy({name})')}, '')"


def listed(bench: Workbench, names: Collection[str]) -> dict[str, str]:
    """Id -> login, as names compare, of the accounts in table `accounts` that have one of these logins."""
    query = f"SELECT id, {word('user_name')} AS login FROM accounts WHERE list_contains(?, {word('user_name')})"
    return {str(account): str(login) for account, login in bench.rows(query, [sorted(names)])}


def nameless(bench: Workbench) -> int:
    """How many accounts show no login."""
    return bench.number(f"SELECT count(*) FROM accounts WHERE {word('user_name')} = ''")


def unlisted(bench: Workbench, names: Collection[str]) -> list[str]:
    """The names that are no login in table `accounts` and no key of a record or a link."""
    keys = " UNION ALL ".join(f"SELECT key FROM {table}" for table in ("desired", "held", "links"))
    query = (
        "SELECT name FROM (SELECT unnest(?::VARCHAR[]) AS name) EXCEPT "
        f"(SELECT {word('user_name')} FROM accounts UNION ALL SELECT {word('key')} FROM ({keys})) ORDER BY 1"
    )
    return [str(name) for (name,) in bench.rows(query, [sorted(names)])]

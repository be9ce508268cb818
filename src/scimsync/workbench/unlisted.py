"""What a listing may have left out: attributes that are kept beside SCIM, and are listed "with a best effort".

Nothing is concluded from such an absence. Where both sides agreed on a value that is not listed now, and HR still wants
it, the account is read by id (somebody may have cleared it); whoever is not read so counts as it was agreed. Before
anything is written, every account is read by id anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from scimsync.model.policy import Mapped
from scimsync.scim.platform import INVITATION
from scimsync.workbench.bench import Workbench
from scimsync.workbench.values import writable


def beside(attributes: Sequence[Mapped]) -> Iterator[tuple[int, Mapped]]:
    """The attributes that SCIM does not have, with their numbers."""
    return ((number, mapped) for number, mapped in enumerate(attributes) if not mapped.place.published)


def doubted(bench: Workbench, attributes: Sequence[Mapped], most: int) -> list[str]:
    """The ids of linked accounts of which a listing leaves out what was agreed, and is wanted; some of many.

    Args:
        bench: The tables of the run: `accounts`, `links`, `base`, `desired`.
        attributes: The mapping, in the order of the columns.
        most: How many; chosen anew for each plan.
    """
    tests = [
        f"(a.c{i} IS NULL AND b.b{i} <> '' AND {writable(m.place, f'd.d{i}')} = {writable(m.place, f'b.b{i}')})"
        for i, m in beside(attributes)
        if m.path != INVITATION
    ]
    if not tests:
        return []
    query = (
        f"SELECT a.id FROM links l JOIN accounts a ON a.id = l.account JOIN base b ON b.key = l.key JOIN desired d "
        f"ON d.key = l.key WHERE l.ours AND ({' OR '.join(tests)}) "
        "ORDER BY hash(a.id || (SELECT count(*) || max(version) FROM accounts)) LIMIT ?"
    )
    return [str(account) for (account,) in bench.rows(query, [most])]


def owe(bench: Workbench, attributes: Sequence[Mapped]) -> None:
    """Let the invitation of everybody be as HR wants it, but of whom we made an account for and sent none yet.

    Who existed before us, or was invited, is never invited again; of others the base says that we owe it. Wants
    `pairing` too.
    """
    for number, mapped in beside(attributes):
        if mapped.path == INVITATION:
            bench.sql.execute(f"UPDATE accounts SET c{number} = NULL")
            bench.sql.execute(
                f"UPDATE accounts SET c{number} = CASE WHEN b.b{number} = 'false' THEN 'false' ELSE d.d{number} END "
                "FROM pairing p JOIN desired d ON d.n = p.n LEFT JOIN base b ON b.key = p.key WHERE p.id = accounts.id"
            )


def presume(bench: Workbench, attributes: Sequence[Mapped], read: Sequence[str]) -> list[str]:
    """Let what is not listed be as it was agreed, but for accounts that were read by id.

    Args:
        bench: The tables of the run.
        attributes: The mapping, in the order of the columns.
        read: The ids of the accounts that were.

    Returns:
        The ids of the accounts of which something is presumed now.
    """
    presumed: list[str] = []
    for number, mapped in beside(attributes):
        if mapped.path == INVITATION:
            continue
        changed = bench.rows(
            f"UPDATE accounts SET c{number} = b.b{number} FROM base b JOIN links l ON l.key = b.key "
            f"WHERE l.account = accounts.id AND accounts.c{number} IS NULL AND b.b{number} <> '' "
            "AND NOT list_contains(?, accounts.id) RETURNING accounts.id",
            [[*read]],
        )
        presumed += [str(account) for (account,) in changed]
    return presumed

"""What people are told about who belongs to whom: a finding for each record in doubt."""

from __future__ import annotations

from collections.abc import Iterator

from scimsync.model.plans import Finding, Severity
from scimsync.workbench import owning
from scimsync.workbench.bench import Workbench


def told(bench: Workbench, *, complete: bool) -> Iterator[Finding]:
    """The findings about people who are in doubt, held back, followed to a new key, or gone from the directory.

    Args:
        bench: The tables of `correlating`.
        complete: Whether the accounts are all there are; if not, nobody is gone.
    """
    yield from _doubts(bench)
    yield from _held_back(bench)
    yield from _followed(bench)
    if complete and bench.are("joiners"):
        yield from _gone(bench)


def _doubts(bench: Workbench) -> Iterator[Finding]:
    for key, place, code, detail, account, heir, owner in bench.rows(
        "SELECT DISTINCT ON (n) key, place, code, detail, id, heir, owner FROM doubtful ORDER BY n, code, detail, id"
    ):
        summary, hint = _WORDS[str(code)]
        yield Finding(
            severity=Severity.ERROR,
            code=str(code),
            subject=str(key),
            summary=summary,
            detail=str(detail),
            hint=hint if code in _UNLINKED else hint + _link(heir, account, owner),
            row=place if isinstance(place, int) else None,
            holds=True,
        )


def _held_back(bench: Workbench) -> Iterator[Finding]:
    """People who are gone from the source, and whose account stays because of a record with another key."""
    summary, hint = _WORDS["correlation.contested"]
    for owner, key, detail, account in bench.rows(
        "SELECT DISTINCT ON (owner) owner, key, detail, id FROM disputed WHERE owner_n IS NULL AND open "
        "ORDER BY owner, agreeing DESC, key"
    ):
        yield Finding(
            severity=Severity.ERROR,
            code="correlation.contested",
            subject=str(owner),
            summary=summary,
            detail=f"also {key}, by {detail}",
            hint=hint + _link(key, account, owner),
            holds=True,
        )


def _followed(bench: Workbench) -> Iterator[Finding]:
    for key, place, detail in bench.rows("SELECT key, place, detail FROM moved ORDER BY key"):
        yield Finding(
            severity=Severity.WARNING,
            code="correlation.rekeyed",
            subject=str(key),
            summary="this person gets the account of another key, because enough identifying values agree",
            detail=str(detail),
            hint='if they are two people, say so before the plan is applied: [correlation] rekey = "hold"',
            row=place if isinstance(place, int) else None,
        )


def _gone(bench: Workbench) -> Iterator[Finding]:
    for key, place in bench.rows(
        "SELECT d.key, d.place FROM desired d JOIN links l ON l.key = d.key JOIN joiners j ON j.n = d.n ORDER BY 1"
    ):
        yield Finding(
            severity=Severity.WARNING,
            code="account.gone",
            subject=str(key),
            summary="the account of this person was deleted in the directory",
            hint="it is created again; to stop that, mark the person as inactive in HR",
            row=place if isinstance(place, int) else None,
        )


def _link(key: object, account: object, owner: object) -> str:
    """What to type where record and account are one person after all."""
    former = f" --from {owner}" if owner is not None else ""
    return f'; if both are one person: scimsync link {key} {account}{former} --reason "..."'


#: doubts that no link of one record settles
_UNLINKED = frozenset({"correlation.ambiguous", "record.duplicate-login", owning.ELSEWHERE})
_WORDS = {
    "correlation.ambiguous": (
        "a record fits several accounts",
        "make the value unique in the directory, or put a path with unique values first in [correlation] match",
    ),
    "correlation.contested": (
        "several keys fit one account, and nobody has said whose it is",
        "where they are two people, correct the record that has marks of the other",
    ),
    owning.ELSEWHERE: (
        "the key, or the account, belongs to a person of another source",
        "say which of the two sources the person is in; if both mean the same person, take the record out of one, "
        "and if they do not, let the keys of one source begin differently",
    ),
    "correlation.taken": (
        "a record fits the account of another person",
        "give the person another login, or correct the key of the record",
    ),
    "record.duplicate-login": (
        "several new records want the same login",
        "give each of them a login of its own in the source",
    ),
}

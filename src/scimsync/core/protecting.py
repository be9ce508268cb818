"""Whom policy keeps from every write: by the key of the source or by the login, however either is written."""

from __future__ import annotations

from scimsync.core.desired import SPACE
from scimsync.model.plans import Finding, Plan, Severity
from scimsync.model.policy import Policy

#: a protected account; one that may be
PROTECTED, NAMELESS = "account.protected", "account.nameless"


def word(name: object) -> str:
    """The form in which keys and logins compare here: without capitals, and without blanks around them."""
    return str(name or "").strip(SPACE).lower()


def is_protected(key: str, name: object, policy: Policy) -> bool:
    """Whether policy keeps us from changing the account of this record, or of this login."""
    return bool({word(key), word(name)} & policy.protected)


def is_nameless(name: object, policy: Policy) -> bool:
    """Whether an account shows no login, while some logins are protected."""
    return not word(name) and bool(policy.protected)


def has_nameless(plan: Plan) -> bool:
    """Whether accounts showed no login when a plan was made, so that any of them may be protected."""
    return any(finding.code == NAMELESS for finding in plan.findings)


# --- findings -------------------------------------------------------------------------------------


def protected(key: str, row: int | None) -> Finding:
    """A protected account that HR would change, or would give to a new person."""
    return Finding(
        severity=Severity.WARNING,
        code=PROTECTED,
        subject=key,
        summary="a protected account would be changed; it is left alone",
        hint="change it by hand, or take it from [policy] protected",
        row=row,
        holds=True,
    )


def claimed(key: str, row: int | None) -> Finding:
    """A person whom HR gives a protected login."""
    return Finding(
        severity=Severity.WARNING,
        code=PROTECTED,
        subject=key,
        summary="the source gives this person a protected login; the login of the account stays as it is",
        hint="correct the login in the source, or take it from [policy] protected",
        row=row,
        holds=True,
    )


def nameless(key: str, row: int | None) -> Finding:
    """An account that shows no login, so that nobody knows whether it is protected."""
    return Finding(
        severity=Severity.ERROR,
        code=NAMELESS,
        subject=key,
        summary="the account shows no login, so it may be a protected one; it is left alone",
        hint="look at the account in the directory: every account has a userName, and this one does not show it",
        row=row,
        holds=True,
    )


def unnamed(number: int) -> Finding:
    """Accounts that show no login while some logins are protected."""
    told = "1 account shows" if number == 1 else f"{number} accounts show"
    return Finding(
        severity=Severity.WARNING,
        code=NAMELESS,
        subject="",
        summary="accounts show no login and may be protected ones; every account is read before it is written",
        detail=f"{told} no login",
        hint="look at them in the directory: every account has a userName",
    )

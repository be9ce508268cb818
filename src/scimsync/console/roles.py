"""Who may do what: a role is a set of rights, and each page names the right that it wants."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from msgspec import Struct

from scimsync.services.acting import Actor


class Right(Enum):
    """What one may do; the value is the scope of a token."""

    SEE = "see"  #: runs, plans and numbers, people by key alone
    VALUES = "values"  #: names, logins, and what people's attributes hold
    WRITE = "write"  #: make plans, apply them, stop, undo
    APPROVE = "approve"  #: approve and reject
    AUDIT = "audit"  #: the audit chain: search, prove, export
    ADMIN = "admin"  #: users and tokens


class Role(Enum):
    """What a person is here."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"
    AUDITOR = "auditor"
    ADMIN = "admin"


RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.VIEWER: frozenset({Right.SEE}),
    Role.OPERATOR: frozenset({Right.SEE, Right.VALUES, Right.WRITE}),
    Role.APPROVER: frozenset({Right.SEE, Right.VALUES, Right.APPROVE}),
    Role.AUDITOR: frozenset({Right.SEE, Right.VALUES, Right.AUDIT}),
    Role.ADMIN: frozenset(Right),
}


class Visitor(Struct, frozen=True, kw_only=True):
    """Who asks."""

    name: str
    rights: frozenset[Right]
    #: what a person is called in the head of each page
    role: str
    #: how it was proven who they are: `password`, `passkey`, `oidc`, `os` (the link), `token`
    proof: str = ""
    #: of a token, who made it: it acts for them
    maker: str = ""
    #: proves that a form is ours; "" for a machine, which has no forms
    csrf: str = ""

    def may(self, right: str) -> bool:
        """Whether they have a right, by its word."""
        return Right(right) in self.rights

    @property
    def called(self) -> str:
        """What stands in the head of each page: of whom a provider names, not what it knows them by."""
        return Actor(self.name, self.proof).shown

    @property
    def person(self) -> Actor:
        """How services and the audit chain call them."""
        return Actor(self.maker or self.name, self.proof)


#: whoever is not signed in
NOBODY = Visitor(name="", rights=frozenset(), role="")

"""Who may use the console: people with a password, and machines with a token."""

from __future__ import annotations

from datetime import datetime

from scimsync.values import Secretive


class User(Secretive, frozen=True, kw_only=True):
    """A person of the console."""

    name: str
    #: `viewer`, `operator`, `approver`, `auditor`, `admin`
    role: str
    #: what proves the password: a hash with its salt, never the password
    secret: str
    #: who said so last, and when
    actor: str
    at: datetime


class Token(Secretive, frozen=True, kw_only=True):
    """What a machine proves itself by; of the token itself its digest is kept alone."""

    id: str
    name: str
    digest: str
    #: what it may do: `see`, `values`, `write`, `approve`, `audit`
    scopes: tuple[str, ...]
    actor: str
    at: datetime
    expires: datetime

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


class Passkey(Secretive, frozen=True, kw_only=True):
    """What a user may prove themselves by instead of a password: a key of which a device has the other half."""

    #: by which the device calls it
    id: str
    user: str
    #: what the user calls it
    name: str
    #: the public half
    key: bytes
    #: how often the device says that it was used; 0 where it does not count
    count: int
    at: datetime
    used: datetime | None = None


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


class Asking(Secretive, frozen=True, kw_only=True):
    """What was asked of a provider of OpenID Connect, and must come back to the browser that asked."""

    #: comes back as it is
    state: str
    #: stands in what the provider says of a person
    nonce: str
    #: proves that it is still us
    verifier: str

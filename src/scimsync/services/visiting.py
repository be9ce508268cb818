"""Who may use the console: users with a password and a role, machines with a token. Each change is audited."""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Protocol

from scimsync.bootstrap import actor, make_passwords, now, person
from scimsync.config import Settings
from scimsync.engine.approving import USERS
from scimsync.engine.state import Journal
from scimsync.engine.visitor_state import Visitors
from scimsync.errors import ConfigError, IdentityRefused
from scimsync.model.audit import Kind
from scimsync.model.visitors import Token, User
from scimsync.services.auditing import note

__all__ = ["Token", "User"]

#: letters that a password has at least, and at most: what is hashed must not be a way to keep us busy
LEAST, MOST = 12, 256
#: how long a token may hold
LONGEST = timedelta(days=366)
#: passwords that are proven at a time, of which each takes 64 MiB, and seconds that one more waits for its turn
AT_ONCE, PATIENCE_S = 2, 2.0
_PROVING = threading.BoundedSemaphore(AT_ONCE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
#: how a token begins, so that scanners know one where somebody leaves it
PREFIX = "scimsync_"


class VisitorsState(Visitors, Journal, Protocol):
    """Of the state: who may use the console, and the audit chain that tells who let them."""


def sign_in(store: Visitors, name: str, password: str) -> User | None:
    """Whose name and password it is; None where it is nobody's. It takes as long either way.

    Raises:
        IdentityRefused: So many are proven at this moment that one more would take memory from the runs.
    """
    user = next((one for one in store.users() if one.name == name), None)
    if len(password) > MOST:
        return None
    if not _PROVING.acquire(timeout=PATIENCE_S):
        raise IdentityRefused("Many people sign in at this moment. Wait a few seconds, and try again.")
    try:
        return user if make_passwords().proves(user.secret if user is not None else "", password) else None
    finally:
        _PROVING.release()


def save_user(
    settings: Settings, store: VisitorsState, name: str, role: str, password: str, roles: Collection[str]
) -> User:
    """Make a user, or give one another role or password; an empty password leaves the one that is.

    Raises:
        ConfigError: The name, the role or the password will not do; or it would leave no admin.
    """
    there = next((one for one in store.users() if one.name == name), None)
    if not _NAME.fullmatch(name):
        raise ConfigError("A name has letters, digits and . _ @ + - and begins with a letter or digit.")
    if role not in roles:
        raise ConfigError(f"{role!r} is no role. Roles: {', '.join(sorted(roles))}.")
    if (there is None or password) and not LEAST <= len(password) <= MOST:
        raise ConfigError(f"A password has {LEAST} characters at least, {MOST} at most.")
    if there is not None and there.role == "admin" and role != "admin":
        _check_admin_left(store, name)
    secret = make_passwords().hashed(password) if password or there is None else there.secret
    user = User(name=name, role=role, secret=secret, actor=actor(), at=now())
    store.save_user(user)
    if password:  # who gives another password means that what was good until now is not any more
        for one in store.passkeys(name):
            store.remove_passkey(one.id)
    what = USERS[0] if there is None else USERS[1]
    told = f"{name}: {role}{', new password' if password else ''}"
    note(settings, store, Kind.CONSOLE, action=what, detail=told, status=person().proof)
    return user


def remove_user(settings: Settings, store: VisitorsState, name: str) -> None:
    """Remove a user.

    Raises:
        ConfigError: There is none of this name, or it would leave no admin.
    """
    _check_admin_left(store, name)
    if not store.remove_user(name):
        raise ConfigError(f"There is no user {name!r}.")
    note(settings, store, Kind.CONSOLE, action="user removed", detail=name)


def _check_admin_left(store: Visitors, name: str) -> None:
    users: Sequence[User] = store.users()
    others = [one for one in users if one.role == "admin" and one.name != name]
    if any(one.name == name and one.role == "admin" for one in users) and not others and len(users) > 1:
        raise ConfigError(f"{name} is the last admin. Make another one first.")


def make_token(
    settings: Settings, store: VisitorsState, name: str, scopes: Collection[str], holds: timedelta
) -> tuple[Token, str]:
    """Make a token; the second is what the machine gets, and is shown once.

    Raises:
        ConfigError: It has no name or no scope, or holds too long.
    """
    if not name.strip() or len(name) > 80:
        raise ConfigError("Say in up to 80 characters what the token is for.")
    if not scopes:
        raise ConfigError("A token that may do nothing is of no use: choose a scope.")
    if not timedelta(0) < holds <= LONGEST:
        raise ConfigError(f"A token holds from 1 to {LONGEST.days} days.")
    secret, at = PREFIX + secrets.token_urlsafe(32), now()
    token = Token(
        id=secrets.token_hex(6),
        name=name.strip(),
        digest=_digest(secret),
        scopes=tuple(sorted(scopes)),
        actor=actor(),
        at=at,
        expires=at + holds,
    )
    store.save_token(token)
    told = f"{token.id} {token.name}: {', '.join(token.scopes)}, until {token.expires:%Y-%m-%d}"
    note(settings, store, Kind.CONSOLE, action="token made", detail=told)
    return token, secret


def remove_token(settings: Settings, store: VisitorsState, identity: str) -> None:
    """Remove a token; the next question with it is refused.

    Raises:
        ConfigError: There is none of this id.
    """
    if not store.remove_token(identity):
        raise ConfigError(f"There is no token {identity!r}.")
    note(settings, store, Kind.CONSOLE, action="token removed", detail=identity)


def token_of(store: Visitors, secret: str) -> Token | None:
    """The token that a machine shows; None where it is none, or not any more."""
    wanted = _digest(secret)
    found = next((one for one in store.tokens() if secrets.compare_digest(one.digest, wanted)), None)
    return found if found is not None and now() < found.expires else None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()

"""Passkeys of the users of the console: made by whoever is signed in, and proven instead of a password."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Protocol
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from scimsync.bootstrap import make_passkeys, now
from scimsync.config import Settings
from scimsync.engine.state import Journal
from scimsync.engine.visitor_state import Visitors
from scimsync.errors import ConfigError, IdentityRefused
from scimsync.model.audit import Kind
from scimsync.model.visitors import Passkey, User
from scimsync.services.auditing import note

__all__ = ["PROOF", "Passkey", "Place"]

#: how people are proven who have one
PROOF = "passkey"
#: passkeys that one user may have
MOST = 20


class PasskeysState(Visitors, Journal, Protocol):
    """Of the state: users with their passkeys, and the audit chain that tells of them."""


class Place(Struct, frozen=True):
    """Under which address somebody is here: a passkey holds for it alone."""

    origin: str

    @property
    def host(self) -> str:
        """Its name, without port."""
        return urlsplit(self.origin).hostname or ""

    @property
    def is_fit(self) -> bool:
        """Whether browsers make passkeys for it: for names, and not for numbers."""
        try:
            ip_address(self.host)
        except ValueError:
            return True
        return False


def begin(store: Visitors, place: Place, user: str) -> tuple[str, bytes]:
    """What a browser is asked in order to make a passkey for a user, and the challenge that must come back.

    Raises:
        ConfigError: This address is a number; the user is none here, or has many.
    """
    if not place.is_fit:
        raise ConfigError(
            "Browsers make passkeys for names only: open the console as http://localhost, not by a number."
        )
    if not any(one.name == user for one in store.users()):
        raise ConfigError("Passkeys are for users of the page Settings; who came in otherwise has none here.")
    held = [one.id for one in store.passkeys(user)]
    if len(held) >= MOST:
        raise ConfigError(f"A user has {MOST} passkeys at most. Remove one first.")
    return make_passkeys().register(place.host, user, held)


def keep(  # noqa: PLR0913, PLR0917 - each is a fact of its own
    settings: Settings, store: PasskeysState, place: Place, user: str, name: str, said: str, challenge: bytes
) -> Passkey:
    """Keep a passkey that a browser made; it is a record of the audit chain.

    Raises:
        IdentityRefused: It is no answer to what was asked.
        ConfigError: It has no name, or is there already.
    """
    if not name.strip() or len(name) > 80:
        raise ConfigError("Say in up to 80 characters where the passkey is.")
    identity, key, count = make_passkeys().registered(place.host, place.origin, said, challenge)
    if any(one.id == identity for one in store.passkeys()):
        raise ConfigError("This passkey is there already.")
    made = Passkey(id=identity, user=user, name=name.strip(), key=key, count=count, at=now())
    store.save_passkey(made)
    note(settings, store, Kind.CONSOLE, action="passkey made", detail=f"{user}: {made.name}")
    return made


def ask(place: Place) -> tuple[str, bytes]:
    """What a browser is asked of whoever has a passkey, and the challenge that must come back."""
    return make_passkeys().ask(place.host)


def prove(store: Visitors, place: Place, said: str, challenge: bytes) -> User:
    """Whose passkey it is that answered.

    Raises:
        IdentityRefused: Nobody's here, or it proves nothing.
    """
    library = make_passkeys()
    named = library.named(said)
    found = next((one for one in store.passkeys() if one.id == named), None) if named else None
    user = next((one for one in store.users() if found is not None and one.name == found.user), None)
    if found is None or user is None:
        raise IdentityRefused("This passkey is nobody's here. It may have been removed.")
    count = library.proven(place.host, place.origin, said, challenge, found.key, found.count)
    store.save_passkey(replace(found, count=count, used=now()))
    return user


def remove(settings: Settings, store: PasskeysState, user: str, identity: str) -> None:
    """Remove one of a user's passkeys.

    Raises:
        ConfigError: The user has none of this id.
    """
    found = next((one for one in store.passkeys(user) if one.id == identity), None)
    if found is None or not store.remove_passkey(identity):
        raise ConfigError("There is no such passkey of yours.")
    note(settings, store, Kind.CONSOLE, action="passkey removed", detail=f"{user}: {found.name}")

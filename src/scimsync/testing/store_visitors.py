"""Users and tokens of the console, in memory."""

from __future__ import annotations

from collections.abc import Sequence

from scimsync.model.visitors import Passkey, Token, User
from scimsync.testing.store_memory import Memory


class MemoryVisitors(Memory):
    """Who may use the console."""

    def __init__(self) -> None:
        super().__init__()
        self._users: dict[str, User] = {}
        self._tokens: dict[str, Token] = {}
        self._passkeys: dict[str, Passkey] = {}

    def users(self) -> Sequence[User]:
        """All of them, by name."""
        return [self._users[name] for name in sorted(self._users)]

    def save_user(self, user: User) -> None:
        """Insert or replace a user by name."""
        self._users[user.name] = user

    def remove_user(self, name: str) -> bool:
        """Remove a user with their passkeys; whether there was one."""
        self._passkeys = {key: one for key, one in self._passkeys.items() if one.user != name}
        return self._users.pop(name, None) is not None

    def passkeys(self, user: str = "") -> Sequence[Passkey]:
        """Those of a user, or of all, the oldest first."""
        found = [one for one in self._passkeys.values() if not user or one.user == user]
        return sorted(found, key=lambda one: (one.at, one.id))

    def save_passkey(self, passkey: Passkey) -> None:
        """Insert or replace a passkey by its id."""
        self._passkeys[passkey.id] = passkey

    def remove_passkey(self, identity: str) -> bool:
        """Remove a passkey by its id; whether there was one."""
        return self._passkeys.pop(identity, None) is not None

    def tokens(self) -> Sequence[Token]:
        """All of them, the newest first."""
        ordered = sorted(self._tokens.values(), key=lambda token: token.id)
        return sorted(ordered, key=lambda token: token.at, reverse=True)

    def save_token(self, token: Token) -> None:
        """Insert a token."""
        self._tokens[token.id] = token

    def remove_token(self, identity: str) -> bool:
        """Remove a token by its id; whether there was one."""
        return self._tokens.pop(identity, None) is not None

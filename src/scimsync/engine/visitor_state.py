"""What is asked of the state about who may use the console, as `engine.state` has it of the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from scimsync.model.visitors import Passkey, Token, User


class Visitors(Protocol):
    """Who may use the console."""

    def users(self) -> Sequence[User]:
        """All of them, by name."""
        ...

    def save_user(self, user: User) -> None:
        """Insert or replace a user by name."""
        ...

    def remove_user(self, name: str) -> bool:
        """Remove a user with their passkeys; whether there was one."""
        ...

    def passkeys(self, user: str = "") -> Sequence[Passkey]:
        """Those of a user, or of all, the oldest first."""
        ...

    def save_passkey(self, passkey: Passkey) -> None:
        """Insert or replace a passkey by its id."""
        ...

    def remove_passkey(self, identity: str) -> bool:
        """Remove a passkey by its id; whether there was one."""
        ...

    def tokens(self) -> Sequence[Token]:
        """All of them, the newest first."""
        ...

    def save_token(self, token: Token) -> None:
        """Insert a token."""
        ...

    def remove_token(self, identity: str) -> bool:
        """Remove a token by its id; whether there was one."""
        ...

"""Users and tokens of the console, in the store."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from scimsync.adapters.store_connections import Connections
from scimsync.adapters.store_tables import PASSKEY, TOKEN, USER
from scimsync.model.visitors import Passkey, Token, User


class Visitors(Connections):
    """Who may use the console."""

    def users(self) -> Sequence[User]:
        """All of them, by name."""
        with self._reading() as connection:
            return [User(**row) for row in connection.execute(sa.select(USER).order_by(USER.c.name)).mappings()]

    def save_user(self, user: User) -> None:
        """Insert or replace a user by name."""
        row = {"name": user.name, "role": user.role, "secret": user.secret, "actor": user.actor, "at": user.at}
        with self._writing() as connection:
            connection.execute(self._upsert(USER), row)

    def remove_user(self, name: str) -> bool:
        """Remove a user with their passkeys; whether there was one."""
        with self._writing() as connection:
            connection.execute(sa.delete(PASSKEY).where(PASSKEY.c.user == name))
            return connection.execute(sa.delete(USER).where(USER.c.name == name)).rowcount > 0

    def passkeys(self, user: str = "") -> Sequence[Passkey]:
        """Those of a user, or of all, the oldest first."""
        wanted = sa.select(PASSKEY).order_by(PASSKEY.c.at, PASSKEY.c.id)
        wanted = wanted.where(PASSKEY.c.user == user) if user else wanted
        with self._reading() as connection:
            found = connection.execute(wanted).mappings()
            return [Passkey(**{**row, "key": bytes(row["key"])}) for row in found]

    def save_passkey(self, passkey: Passkey) -> None:
        """Insert or replace a passkey by its id."""
        row = {column.name: getattr(passkey, column.name) for column in PASSKEY.columns}
        with self._writing() as connection:
            connection.execute(self._upsert(PASSKEY), row)

    def remove_passkey(self, identity: str) -> bool:
        """Remove a passkey by its id; whether there was one."""
        with self._writing() as connection:
            return connection.execute(sa.delete(PASSKEY).where(PASSKEY.c.id == identity)).rowcount > 0

    def tokens(self) -> Sequence[Token]:
        """All of them, the newest first."""
        with self._reading() as connection:
            found = connection.execute(sa.select(TOKEN).order_by(TOKEN.c.at.desc(), TOKEN.c.id)).mappings()
            return [Token(**{**row, "scopes": tuple(map(str, row["scopes"]))}) for row in found]

    def save_token(self, token: Token) -> None:
        """Insert a token."""
        row = {
            "id": token.id,
            "name": token.name,
            "digest": token.digest,
            "scopes": list(token.scopes),
            "actor": token.actor,
            "at": token.at,
            "expires": token.expires,
        }
        with self._writing() as connection:
            connection.execute(sa.insert(TOKEN), row)

    def remove_token(self, identity: str) -> bool:
        """Remove a token by its id; whether there was one."""
        with self._writing() as connection:
            return connection.execute(sa.delete(TOKEN).where(TOKEN.c.id == identity)).rowcount > 0

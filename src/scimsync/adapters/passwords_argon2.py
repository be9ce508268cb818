"""Passwords kept as Argon2id hashes (RFC 9106), each with a salt and its cost."""

from __future__ import annotations

import argon2


class Argon2Passwords:
    """Hashes passwords and proves them."""

    def __init__(self) -> None:
        self._hasher = argon2.PasswordHasher()  # RFC 9106, second recommended option
        #: of a password that nobody has, so that whether there is a user cannot be told by the time it takes
        self._nobody = self._hasher.hash("nobody has this password")

    def hashed(self, password: str) -> str:
        """What is kept of a password."""
        return self._hasher.hash(password)

    def proves(self, secret: str, password: str) -> bool:
        """Whether it is the password; "" as secret is nobody's, and takes as long."""
        try:
            self._hasher.verify(secret or self._nobody, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False
        return bool(secret)

"""What a browser has begun and not ended, kept by the browser itself, sealed: nothing is held here for strangers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from cryptography.fernet import Fernet, InvalidToken

#: seconds that people may take to sign in elsewhere
LASTS_S = 600.0


class Pending:
    """Seals what is begun under a key of this process; what another process sealed is nothing here.

    Args:
        monotonic: Seconds that never step back.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic, self._fernet = monotonic, Fernet(Fernet.generate_key())

    def seal(self, kind: str, **kept: str) -> str:
        """What the browser keeps.

        Args:
            kind: What was begun; what was begun as something else does not end it.
            kept: What is needed to end it.
        """
        said = {"kind": kind, "at": self._monotonic(), "kept": kept}
        return self._fernet.encrypt(json.dumps(said).encode()).decode()

    def open(self, kind: str, sealed: str) -> Mapping[str, str] | None:
        """What was needed; None where nothing of this kind was begun here, or too long ago."""
        try:
            said = json.loads(self._fernet.decrypt(sealed.encode()))
        except (InvalidToken, ValueError):
            return None
        fits = said["kind"] == kind and self._monotonic() - said["at"] <= LASTS_S
        return {str(name): str(value) for name, value in said["kept"].items()} if fits else None

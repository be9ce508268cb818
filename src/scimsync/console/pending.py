"""What a browser has begun and not ended, kept by the browser itself, sealed: nothing is held here for strangers."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
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
        #: what was ended, by its digest, the oldest first, with when
        self._ended: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()

    def seal(self, kind: str, **kept: str) -> str:
        """What the browser keeps.

        Args:
            kind: What was begun; what was begun as something else does not end it.
            kept: What is needed to end it.
        """
        said = {"kind": kind, "at": self._monotonic(), "kept": kept}
        return self._fernet.encrypt(json.dumps(said).encode()).decode()

    def end(self, sealed: str) -> bool:
        """Whether this ends it: what was begun once ends once, or what somebody overheard could end it again."""
        digest, at = hashlib.sha256(sealed.encode()).digest(), self._monotonic()
        with self._lock:
            while self._ended and at - next(iter(self._ended.values())) > LASTS_S:
                self._ended.popitem(last=False)
            if digest in self._ended:
                return False
            self._ended[digest] = at
            return True

    def open(self, kind: str, sealed: str) -> Mapping[str, str] | None:
        """What was needed; None where nothing of this kind was begun here, or too long ago."""
        try:
            said = json.loads(self._fernet.decrypt(sealed.encode()))
        except (InvalidToken, ValueError):
            return None
        fits = said["kind"] == kind and self._monotonic() - said["at"] <= LASTS_S
        return {str(name): str(value) for name, value in said["kept"].items()} if fits else None

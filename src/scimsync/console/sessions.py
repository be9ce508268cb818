"""Who is signed in: sessions held by this process, one link that lets the first person in, and patience with guessers.

A browser holds a random number and nothing else. What is kept of it here is its digest.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable

from msgspec import Struct

from scimsync.console.roles import RIGHTS, Right, Role, Visitor
from scimsync.services.acting import this_person

#: seconds without a question, and in all, after which a session ends
IDLE_S, WHOLE_S = 30 * 60.0, 8 * 3600.0
#: sessions at a time; beyond them the oldest ends
MOST = 1000
#: tries in vain before one has to wait, and the longest wait
TRIES, LONGEST_WAIT_S = 5, 300.0
#: seconds without a try after which those before are forgotten
FORGOTTEN_S = 3600.0


class _Session(Struct):
    visitor: Visitor
    began: float
    seen: float


class Sessions:
    """The sessions of this process.

    Args:
        monotonic: Seconds that never step back.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic, self._lock = monotonic, threading.Lock()
        self._held: OrderedDict[bytes, _Session] = OrderedDict()
        self._link = b""
        #: who started the service; in a request it would be whoever asks
        self._starter = this_person()

    def invite(self) -> str:
        """A new token for the link that lets one person in as admin, once; the one before is worth nothing."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._link = _digest(token)
        return token

    def redeem(self, token: str) -> str | None:
        """A session for whoever has the link; None where it is not it, or was used."""
        with self._lock:
            if not self._link or not hmac.compare_digest(self._link, _digest(token)):
                return None
            self._link = b""
        # who started the service has the link; approving is for somebody who signs in as another person
        starter = self._starter
        given = RIGHTS[Role.ADMIN] - {Right.APPROVE}
        return self.begin(starter.name, Role.ADMIN, proof=starter.proof, rights=given)

    def begin(self, name: str, *roles: Role, proof: str = "password", rights: frozenset[Right] | None = None) -> str:
        """A new session; what the browser keeps of it.

        Args:
            name: Who it is.
            roles: What they are; they may do what any of these may.
            proof: How it was proven.
            rights: What they may instead.
        """
        token, at = secrets.token_urlsafe(32), self._monotonic()
        given = frozenset().union(*(RIGHTS[role] for role in roles)) if rights is None else rights
        word = Role.ADMIN.value if Role.ADMIN in roles else ", ".join(role.value for role in roles)
        visitor = Visitor(name=name, rights=given, role=word, proof=proof, csrf=secrets.token_urlsafe(32))
        with self._lock:
            self._held[_digest(token)] = _Session(visitor, at, at)
            while len(self._held) > MOST:
                self._held.popitem(last=False)
        return token

    def visitor(self, token: str) -> Visitor | None:
        """Whose session it is; None where there is none, or not any more."""
        at, key = self._monotonic(), _digest(token)
        with self._lock:
            found = self._held.get(key)
            if found is None:
                return None
            if at - found.seen > IDLE_S or at - found.began > WHOLE_S:
                del self._held[key]
                return None
            found.seen = at
            return found.visitor

    def end(self, token: str) -> None:
        """End one session."""
        with self._lock:
            self._held.pop(_digest(token), None)

    def end_all(self, name: str) -> None:
        """End all sessions of a person: what they may do changed."""
        with self._lock:
            for key in [key for key, held in self._held.items() if held.visitor.name == name]:
                del self._held[key]


class Patience:
    """How often somebody may guess: a few times, then each try costs twice the wait of the one before.

    Args:
        monotonic: Seconds that never step back.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic, self._lock = monotonic, threading.Lock()
        self._tried: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def take(self, *who: str) -> float:
        """Count a try of each of these before it is made, so that many at once are many.

        Returns the seconds that they have to wait; nothing is tried or counted then. 0 where they need not.
        """
        with self._lock:
            at = self._monotonic()
            wait = max(self._wait_s(one, at) for one in who)
            for one in () if wait else who:
                tries, last = self._tried.pop(one, (0, at))
                self._tried[one] = (1 if at - last > FORGOTTEN_S else tries + 1, at)
                while len(self._tried) > MOST:
                    self._tried.popitem(last=False)
            return wait

    def succeeded(self, who: str) -> None:
        """They knew it: what they tried before is forgotten."""
        with self._lock:
            self._tried.pop(who, None)

    def give_back(self, who: str) -> None:
        """The try was none in vain, and those before it were: who knows one password may not guess at others for it."""
        with self._lock:
            tries, last = self._tried.get(who, (0, 0.0))
            if tries > 1:
                self._tried[who] = (tries - 1, last)
            else:
                self._tried.pop(who, None)

    def _wait_s(self, who: str, at: float) -> float:
        tries, last = self._tried.get(who, (0, 0.0))
        if tries < TRIES or at - last > FORGOTTEN_S:
            return 0.0
        pause: float = min(2.0 ** (tries - TRIES + 1), LONGEST_WAIT_S)
        return max(0.0, last + pause - at)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()

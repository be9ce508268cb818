"""One allowance for several processes: taken out of a row, changed by the rules, put back, in one transaction."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from scimsync.adapters.target_allowance import Allowance, Terms
from scimsync.adapters.target_limits import Clock
from scimsync.adapters.target_pace import LEASE_S, Lease, Ledgers, Told
from scimsync.adapters.target_wire import TargetSettings


class Rows(Protocol):
    """Where a row stands for each client."""

    def change(self, client: str, target: str, turn: Callable[[str, float], str]) -> bool:
        """Change one, alone; False where none can be kept yet."""
        ...

    def close(self) -> None:
        """Let go of them."""
        ...


def client_of(settings: TargetSettings, what: str = "requests") -> str:
    """Whose limit it is: the service, and the client that asks it, without any secret of theirs.

    Two clients are never one. Whoever has no name (a ready-made token, a header) is known by the service alone.
    """
    api = urlsplit(settings.api_url)
    login = settings.token_url or settings.login_url
    who = [what, api.scheme, api.netloc.lower(), login, settings.client_id, settings.username, settings.header]
    return hashlib.sha256(json.dumps(who).encode()).hexdigest()[:32]


def read_allowance(known: str, now: float) -> Allowance:
    """What is known, of a row; nothing where it cannot be read or is too old."""
    try:
        allowance = msgspec.json.decode(known, type=Allowance) if known else Allowance()
    except msgspec.DecodeError:
        allowance = Allowance()
    allowance.aged(now)
    return allowance


class StoredLedger:
    """Fits `target_pace.Ledger`.

    Args:
        rows: Where the row stands.
        client: Whose it is.
        target: What the target is called.
        clock: Says when, on the clock that never steps.
    """

    def __init__(self, rows: Rows, client: str, target: str, clock: Clock) -> None:
        self._rows, self._client, self._target, self._clock = rows, client, target, clock

    async def settle(self, terms: Terms, told: Told, wanted: int, ahead: float | None) -> Lease | None:
        """Take in what we learned, and lease so many requests for a second; None where there is no state yet.

        Raises:
            StoreError: The state cannot be used now.
        """
        found: list[tuple[Allowance, Sequence[float], float]] = []

        def turn(known: str, now: float) -> str:
            allowance = read_allowance(known, now)
            if ahead is not None:
                told.teach(allowance, terms)
            slots = allowance.grant(terms, now, wanted, LEASE_S) if wanted else ()
            found[:] = [(allowance, slots, now - self._clock.monotonic())]
            return msgspec.json.encode(allowance).decode()

        if not await asyncio.to_thread(self._rows.change, self._client, self._target, turn):
            return None
        return Lease(found[0][1], found[0][0], found[0][2])

    async def close(self) -> None:
        """Let go of the state."""
        await asyncio.to_thread(self._rows.close)


def shared(settings: TargetSettings, rows: Rows, clock: Clock) -> Ledgers:
    """The ledgers of the client that settings name.

    Args:
        settings: Whose.
        rows: Where they stand.
        clock: Says when.
    """
    host = urlsplit(settings.api_url).netloc
    return Ledgers(
        requests=StoredLedger(rows, client_of(settings), host, clock),
        logins=StoredLedger(rows, client_of(settings, "logins"), host, clock),
    )

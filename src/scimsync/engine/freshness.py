"""Make the accounts of a sweep as fresh as what is known of them.

A listing may show a write late: the provider serves it from a search (inferred; genesys-scim §4.9). A GET
by id is fresh. So an account is read again where the journal knows a newer version than the listing shows,
or where a linked person would else be made a second time. Where the listing is up to date, nothing is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from msgspec import Struct

from scimsync.engine.ports import Clock, Observer, Target
from scimsync.engine.state import Journal, Runs
from scimsync.errors import TargetError
from scimsync.model.outcomes import JournalLine
from scimsync.model.plans import Finding
from scimsync.model.policy import Mapped
from scimsync.workbench.accounts import AccountSpool, hold_late, late_accounts, stage_written
from scimsync.workbench.bench import Workbench, encode

#: how far back a write may still be missing from a listing; three minutes are documented of a client
LONGEST_LAG = timedelta(hours=1)
#: how long a run takes at most that was begun, cut short and gone on with
LONGEST_RUN = timedelta(days=7)
#: accounts that one plan reads again: the requests of two minutes. Whoever is beyond waits for a later run
MOST_READ_AGAIN = 600


class WrittenState(Runs, Journal, Protocol):
    """Of the state: what was lately written."""


class Freshness(Struct, frozen=True, kw_only=True):
    """What is needed to read accounts again."""

    target: Target
    store: WrittenState
    clock: Clock
    observer: Observer
    attributes: Sequence[Mapped]
    workers: int
    #: whether versions are counters, so that of two the older can be told
    counters: bool

    async def renew(self, bench: Workbench, spool: AccountSpool) -> list[Finding]:
        """Put what is fresh into table `accounts`; hold the people of whom that cannot be had.

        Args:
            bench: The tables of the run; `desired`, `links`, `base` and `accounts` are there. Ids of accounts that are
                not there any more go into `gone`.
            spool: What loaded the accounts.

        Raises:
            TargetError: The directory cannot be read.
        """
        stage_written(bench, self._written())
        late = late_accounts(bench, self.attributes, counters=self.counters)
        late, beyond = late[:MOST_READ_AGAIN], late[MOST_READ_AGAIN:]
        if late:
            self.observer.stage("reading again what the listing shows late", len(late))
        again = await read_again(self.target, self.observer, late, self.workers)
        if again.fresh or again.gone:
            spool.renew(again.fresh, again.gone)
        bench.sql.execute("CREATE OR REPLACE TABLE gone AS SELECT unnest(?::VARCHAR[]) AS id", [again.gone])
        return [
            *hold_late(bench, again.unread, "the account could not be read by its id"),
            *hold_late(bench, beyond, f"one plan reads at most {MOST_READ_AGAIN} accounts again"),
        ]

    def _written(self) -> Iterator[tuple[str, str, str]]:
        """Key, account and version of what was lately written."""
        for line in written(self.store, self.clock.now() - LONGEST_LAG):
            if line.outcome is not None and line.outcome.account and line.outcome.version:
                yield line.key, line.outcome.account, line.outcome.version


def written(store: WrittenState, since: datetime) -> Iterator[JournalLine]:
    """What the journals of all runs say from a moment on."""
    for run in store.worked(since - LONGEST_RUN):
        if run.finished is None or run.finished >= since:
            yield from store.journal(run.id, since=since)


class Again(Struct, frozen=True):
    """What reading accounts by their ids came to."""

    #: raw resources, each one line of JSON
    fresh: list[bytes]
    #: ids of accounts that are not there any more
    gone: list[str]
    #: ids of accounts that could not be read
    unread: list[str]


async def read_again(target: Target, observer: Observer, accounts: Sequence[str], workers: int) -> Again:
    """Read accounts by their ids, some at a time.

    Raises:
        TargetError: The directory cannot be read.
    """
    again = Again([], [], [])
    failed: list[TargetError] = []
    waiting = iter(accounts)

    async def worker() -> None:
        for account in waiting:
            try:
                reply = await target.get(account)
            except TargetError as error:
                failed.append(error)
            else:
                if reply.ok and reply.body is not None:
                    again.fresh.append(encode(reply.body))
                else:
                    (again.gone if reply.status == 404 else again.unread).append(account)
            if failed:
                return
            observer.advance()

    async with asyncio.TaskGroup() as group:
        for _ in range(min(workers, len(accounts))):
            group.create_task(worker())
    if failed:
        raise failed[0]
    return again

"""Take calls from outside, and answer them with runs for the people they name."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence

from scimsync.bootstrap import make_clock, warm_up
from scimsync.config import Settings
from scimsync.engine import listening
from scimsync.engine.listening import LONGEST_BODY, Answer
from scimsync.engine.ports import Observer, Store
from scimsync.engine.state import Inbox
from scimsync.errors import PersonUnknown, PlanRefused, ScimsyncError, StoreError
from scimsync.model.plans import Plan
from scimsync.model.reports import Report
from scimsync.services import applying, planning, state
from scimsync.services.planning import Choices
from scimsync.services.scheduling import blackout_now

__all__ = ["AGAIN_S", "LONGEST_BODY", "Answer", "Receiver", "warm_up"]

#: seconds before a run that found the lease taken, or failed, is tried again
AGAIN_S = (0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0)


class Receiver:
    """Keeps calls, and answers all that wait with one run; made inside an event loop.

    Args:
        settings: the configuration.
        inbox: where calls are kept.
        observer: told what a person should know.
        ran: told of each run: how many people were named, what was planned, what came of it.

    What is told comes from other threads.
    """

    def __init__(
        self, settings: Settings, inbox: Inbox, observer: Observer, ran: Callable[[int, Plan, Report], None]
    ) -> None:
        self._settings, self._inbox, self._observer, self._ran = settings, inbox, observer, ran
        self._called, self._stop = asyncio.Event(), asyncio.Event()
        self._ending = threading.Event()
        self._said = ""

    def halt(self) -> None:
        """Come to an end: nothing more is begun; what is under way is brought to its end."""
        self._ending.set()
        self._stop.set()

    async def take(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Prove a message and keep its call; what the caller is told."""
        keys, clock = self._settings.events, make_clock()
        try:
            answer = await asyncio.to_thread(listening.take, keys, headers, body, self._inbox, clock)
        except StoreError:
            return Answer(503, {"error": "it cannot be kept now; send it again"})
        if answer.status == 202:
            self._called.set()
        return answer

    async def on(self) -> None:
        """Answer until halted: one run for all who are waiting; again and again until it went through."""
        failures = 0
        while not self._stop.is_set():
            self._called.clear()
            answered = await asyncio.to_thread(self._answer_waiting)
            if answered is None:
                await self._either(self._called)
            elif answered:
                failures = 0
            else:
                await self._either(seconds=AGAIN_S[min(failures, len(AGAIN_S) - 1)])
                failures += 1

    def _answer_waiting(self) -> bool | None:
        """Whether those who are waiting are settled; None where nobody is."""
        try:
            calls = self._inbox.waiting()
            settled = self._run(listening.group(calls)) if calls else None
            if settled:
                self._inbox.answered([call.id for call in calls])
        except StoreError as error:
            self._complain(error)
            return False
        return settled

    async def _either(self, event: asyncio.Event | None = None, seconds: float | None = None) -> None:
        """Wait for the end, and for an event or some seconds, whichever comes first."""
        waits = [asyncio.ensure_future(each.wait()) for each in (self._stop, event) if each is not None]
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    def _run(self, keys: Sequence[str]) -> bool:
        """Synchronise these people, in a thread; whether they are settled and need not be looked at again."""
        try:
            with state.held(self._settings) as store:
                return asyncio.run(self._synchronise(store, keys))
        except PersonUnknown as error:
            unknown = ", ".join(error.keys)
            self._observer.say(f"{unknown}: neither the source nor a link knows this key; nothing was done.")
            known = [key for key in keys if key not in error.keys]
            return self._run(known) if known else True
        except PlanRefused as error:
            self._observer.say(str(error))
            return True
        except ScimsyncError as error:
            self._complain(error)
            return False
        except Exception as error:  # noqa: BLE001 - a fault of ours in one run must not end the service
            self._observer.say(f"the run for {', '.join(keys)} broke ({type(error).__name__}); it is tried again.")
            return False

    def _complain(self, error: ScimsyncError) -> None:
        """Tell of trouble, once each time it begins."""
        if str(error) != self._said:
            self._observer.say(f"{error} It is tried again; no event is lost.")
        self._said = str(error)

    async def _synchronise(self, store: Store, keys: Sequence[str]) -> bool:
        holding = blackout_now(self._settings.blackouts, make_clock().now())
        choices = Choices(only=tuple(keys), deliver=False, blackout=holding)
        await applying.settle(self._settings, store, self._observer)
        made = await planning.plan(self._settings, store, self._observer, choices)
        if self._ending.is_set():
            return False
        report = await applying.apply(self._settings, store, self._observer, (made, store.run(made.id)), choices)
        self._said = ""
        self._ran(len(keys), made, report)
        return not report.left and not report.stopped

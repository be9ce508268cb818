"""The durable queue of a fleet: DBOS on PostgreSQL carries it. An extra: `scimsync[fleet]`.

A run of an organisation is a chain of legs. Each leg is one workflow with one step, in which the engine works for a
while under the lease of the state; its last act is to put the next leg into the queue. The name of a leg follows from
the one before, so a leg that is played twice (its worker died, or woke up again) has one successor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from dbos import DBOS, DBOSClient, DBOSConfig, error
from sqlalchemy.exc import SQLAlchemyError

from scimsync.errors import StoreError

#: what does a leg: organisation, cause, run and tries so far -> what came of it, with those of the next leg
Carry: TypeAlias = Callable[[str, str, str, int], Mapping[str, Any]]
QUEUE, _LEG = "scimsync", "scimsync.leg"
_OPEN = ["PENDING", "ENQUEUED", "DELAYED"]
#: seconds between two looks into the queue
_POLL_S = 0.5
#: what a database or its address may be the cause of; all else is a fault of ours, and is told as one
_TROUBLE = (error.DBOSException, SQLAlchemyError, ValueError, OSError)


def _said(fault: Exception) -> str:
    first = (str(fault).splitlines() or [""])[0]
    return f"[fleet] url: the queue cannot be used ({type(fault).__name__}: {first})."


def _schema(schema: str) -> str:
    """DBOS keeps its tables beside ours; its schema takes no hyphen."""
    return f"{schema.replace('-', '_')}_dbos"


def _url(url: str) -> str:
    """As the driver wants it that we use."""
    scheme, _, rest = url.partition("://")
    return f"postgresql://{rest}" if scheme.startswith("postgres") else url


def _options(organisation: str, cause: str, number: int, version: str, priority: int, pause_s: float) -> Any:  # noqa: ANN401 - a form of DBOS
    options: dict[str, Any] = {
        "workflow_name": _LEG,
        "queue_name": QUEUE,
        "workflow_id": f"{organisation}/{cause}/{number:06d}",
        "app_version": version,
        "priority": priority,
    }
    return {**options, "delay_seconds": pause_s} if pause_s else options


class Durable:
    """Fits `services.workers.Queue`; one for each process.

    Args:
        url: The database.
        schema: As of the fleet.
        worker: What this process is called.
        version: Which legs it understands.
        slots: How many legs at a time.
        carry: Does one.
    """

    def __init__(self, url: str, schema: str, worker: str, version: str, slots: int, carry: Carry) -> None:
        self._version, self._slots = version, slots
        config = DBOSConfig(
            name="scimsync",
            system_database_url=_url(url),
            dbos_system_schema=_schema(schema),
            executor_id=worker,
            application_version=version,
            log_level="ERROR",
            sys_db_pool_size=5,
            enable_otlp=False,
        )
        DBOS(config=config)

        def leg(organisation: str, cause: str, number: int, run: str, tries: int) -> Mapping[str, Any]:
            told: Mapping[str, Any] = DBOS.run_step({"name": "carry"}, carry, organisation, cause, run, tries)
            if told["goes_on"]:
                wanted = _options(organisation, cause, number + 1, version, told["priority"], told["pause_s"])
                DBOS.enqueue_workflow_with_options(wanted, organisation, cause, number + 1, told["run"], told["tries"])
            return told

        DBOS.workflow(name=_LEG)(leg)

    def begin(self) -> None:
        """Take legs from the queue from here on.

        Raises:
            StoreError: The database cannot be used.
        """
        try:
            DBOS.launch()
            DBOS.register_queue(
                QUEUE, worker_concurrency=self._slots, polling_interval_sec=_POLL_S, on_conflict="always_update"
            )
        except _TROUBLE as fault:
            raise StoreError(_said(fault)) from fault

    def ask(self, organisation: str, cause: str, priority: int) -> None:
        """Put a run into the queue; once for each cause, whoever asks how often."""
        DBOS.enqueue_workflow_with_options(
            _options(organisation, cause, 0, self._version, priority, 0.0), organisation, cause, 0, "", 0
        )

    def take_over(self, workers: Sequence[str]) -> None:
        """Put what dead workers had at work back into the queue."""
        if workers:
            DBOS._recover_pending_workflows([*workers])  # noqa: SLF001 - there is no other door to it

    def strangers(self) -> Mapping[str, str]:
        """Legs that are open and of another version -> that version."""
        found = DBOS.list_workflows(status=_OPEN, load_input=False, load_output=False)
        return {one.workflow_id: str(one.app_version) for one in found if one.app_version != self._version}

    def cancel(self, leg: str) -> None:
        """Begin a leg no more."""
        DBOS.cancel_workflow(leg)

    def end(self, patience_s: int) -> None:
        """Take no more, and wait so long for what is at work."""
        DBOS.destroy(workflow_completion_timeout_sec=patience_s)


def ask(url: str, schema: str, version: str, legs: Sequence[tuple[str, str]], priority: int) -> None:
    """Put runs into the queue from a process that is no worker.

    Args:
        url: The database.
        schema: As of the fleet.
        version: Whose legs they are.
        legs: Organisation and cause of each.
        priority: Of all; the lower, the earlier.

    Raises:
        StoreError: The database cannot be used, or no worker ever was there.
    """
    try:
        client = DBOSClient(
            system_database_url=_url(url), dbos_system_schema=_schema(schema), application_name="scimsync"
        )
        try:
            for organisation, cause in legs:
                client.enqueue(_options(organisation, cause, 0, version, priority, 0.0), organisation, cause, 0, "", 0)
        finally:
            client.destroy()
    except _TROUBLE as fault:
        raise StoreError(f"{_said(fault)} Start a worker first: scimsync worker") from fault

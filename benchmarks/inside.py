"""Running the product's use cases in this process, with another target or store in the place of the real one."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from scimsync import bootstrap, bootstrap_sources
from scimsync.adapters.clock_system import SystemClock
from scimsync.adapters.phones_library import read_phone
from scimsync.config import Settings, load
from scimsync.engine import applying, planning, preconditions
from scimsync.engine.plan_request import PlanPorts, PlanRequest
from scimsync.engine.ports import Store, Target
from scimsync.engine.preconditions import ApplyOptions, ApplyPorts
from scimsync.model.outcomes import Description, Document, Exchange, Guard, Reply, Sweep
from scimsync.model.plans import Plan
from scimsync.model.reports import Report
from scimsync.scim.messages import Operation


class Quiet:
    """An observer that looks away."""

    def stage(self, name: str, total: int | None = None) -> None:
        """Nothing."""

    def advance(self, steps: int = 1) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""


class _Page(msgspec.Struct, rename={"resources": "Resources", "total": "totalResults"}):
    total: int
    resources: list[msgspec.Raw]


class _Head(msgspec.Struct):
    id: str


class PageTarget:
    """A target without network: pages of a file are taken apart as the adapter takes them apart.

    A PATCH is answered at once with the account as it will be, where `answers` knows it.
    """

    name = "pages"
    rate = 60_000

    def __init__(
        self, pages: Callable[[], Iterator[bytes]], answers: Mapping[str, Mapping[str, object]] | None = None
    ) -> None:
        self._pages = pages
        self._answers = answers or {}

    async def sweep(self, attributes: Sequence[str], sink: Callable[[Sequence[bytes]], None]) -> Sweep:  # noqa: ARG002
        """Hand over all pages, each account checked for its id and counted."""
        pages, heads = msgspec.json.Decoder(_Page), msgspec.json.Decoder(_Head)
        seen: dict[str, int] = {}
        requests = 0
        for text in self._pages():
            page = pages.decode(text)
            requests += 1
            for raw in page.resources:
                seen[heads.decode(raw).id] = requests
            sink([bytes(raw) for raw in page.resources])
        return Sweep(accounts=len(seen), announced=len(seen), requests=requests)

    async def get(self, account: str) -> Reply:
        """The account, where it is known."""
        return self._reply("GET", account)

    async def find(self, attribute: str, value: str) -> Sequence[Reply]:  # noqa: ARG002
        """Nobody."""
        return ()

    async def create(self, resource: dict[str, object]) -> Reply:  # noqa: ARG002
        """Refused: no benchmark creates."""
        return Reply(exchange=Exchange.NOT_SENT, method="POST")

    async def patch(self, account: str, operations: Sequence[Operation], version: str) -> Reply:  # noqa: ARG002
        """Done, at once."""
        return self._reply("PATCH", account)

    async def guard(self, account: str = "") -> Guard:  # noqa: ARG002
        """By version."""
        return Guard()

    def _reply(self, method: str, account: str) -> Reply:
        body = self._answers.get(account)
        status = 404 if body is None else 200
        return Reply(exchange=Exchange.ANSWERED, method=method, status=status, body=body, version="2")

    async def describe(self, known: Mapping[str, Document] | None = None) -> Description:  # noqa: ARG002
        """Nothing to say."""
        return Description(documents={})

    async def close(self) -> None:
        """Nothing to let go of."""


def settings_in(place: Path) -> Settings:
    """The configuration of a folder."""
    return load(place / "scimsync.toml")


def real_target(settings: Settings) -> Target:
    """The target that the configuration names."""
    return bootstrap.make_target(settings, lambda _: None)


async def make_plan(settings: Settings, store: Store, target: Target) -> Plan:
    """What `planning.plan` does, with this target."""
    ports = PlanPorts(
        source=bootstrap_sources.make_source(settings),
        target=target,
        store=store,
        clock=SystemClock(),
        observer=Quiet(),
        phones=read_phone,
        phones_version=bootstrap.phones_version,
        fresh=lambda: secrets.token_hex(2),
    )
    request = PlanRequest(
        policy=settings.policy,
        catalog=settings.target.dialect.users,
        key=settings.source.key,
        configuration=settings.digest,
        memory_limit=settings.state.memory,
    )
    return await planning.make_plan(ports, request)


async def apply_plan(settings: Settings, store: Store, target: Target, made: Plan) -> Report:
    """What `applying.apply` does, with this target."""
    ports = ApplyPorts(target=target, store=store, clock=SystemClock(), observer=Quiet())
    options = ApplyOptions(policy=settings.policy, configuration=settings.digest, workers=settings.target.workers)
    run = preconditions.check_plan(made, store.run(made.id), ports, options)
    return await applying.apply_plan(made, run, ports, options)


def ready_target(settings: Settings, made: Plan) -> PageTarget:
    """A target that answers every PATCH of a plan as the real one would, at once."""
    from scimsync.core.writing import resource  # noqa: PLC0415

    places = {path: mapped.place for path, mapped in settings.policy.by_path.items()}
    answers = {
        change.account: {"id": change.account, **resource((places[d.path], d.sides.desired) for d in change.deltas)}
        for change in made.changes
        if change.account
    }
    target = PageTarget(lambda: iter(()), answers)
    target.name = made.seal.target
    return target

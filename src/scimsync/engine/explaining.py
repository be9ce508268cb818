"""Tell the story of one person: plan for them alone, keep nothing of it, and read what the tables and the state say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from msgspec import Struct
from msgspec.structs import replace

from scimsync.core import explaining, verdicts
from scimsync.core.verdicts import Mine, Ruled
from scimsync.engine import planning
from scimsync.engine.plan_request import PlanPorts, PlanRequest
from scimsync.engine.ports import Store, Target
from scimsync.engine.unwritten import untouched
from scimsync.errors import ConfigError, FilterRefused, PersonUnknown
from scimsync.model.outcomes import Link, Reply
from scimsync.model.plans import LOGIN, Finding, Plan
from scimsync.model.policy import Mapped
from scimsync.model.stories import Deed, Hit, PathStory, Standing, Story, Traces
from scimsync.scim.schema import Value
from scimsync.workbench import absent, explained
from scimsync.workbench.bench import Workbench
from scimsync.workbench.expressions import Expression
from scimsync.workbench.mapping import check_mapping


class Question(Struct, frozen=True, kw_only=True):
    """What a person wants to have explained."""

    #: a source key, the id of an account, or a login
    who: str
    #: the attribute; all of them where empty
    path: str = ""


async def explain(ports: PlanPorts, request: PlanRequest, question: Question) -> Story:
    """The story of one person, from a look at their account: as it is, or offline as it was read last. None is kept.

    Raises:
        PersonUnknown: Nobody is meant.
        SourceError: The source cannot be read.
        TargetError: The directory cannot be read.
        StoreError: The state cannot be read.
    """
    asked = question.who
    try:
        return await _seen(ports, request, question, [Hit(asked, "key")])
    except _NoKeyError as error:
        meant, near = error.meant, error.near
    if not meant and request.offline is not None:
        raise unknown(asked, near)
    if not meant:
        reply = await _account(ports.target, asked)
        if reply is None:
            raise unknown(asked, near)
        account = str((reply.body or {}).get("id", ""))
        link = next((link for link in ports.store.links() if link.account == account), None)
        if link is None or link.source not in {"", request.source, request.former}:
            return _unmanaged(ports, reply, asked, link)
        meant = [Hit(link.key, "account" if asked == account else "login")]
    try:
        return await _seen(ports, request, question, meant)
    except _NoKeyError as error:
        raise unknown(asked, near) from error


def unknown(who: str, near: Sequence[str]) -> PersonUnknown:
    """That nobody is meant, with who may be."""
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return PersonUnknown(who, said=f"explain: no record, no link and no account has this key, id or login{hint}")


@contextmanager
def _bench(ports: PlanPorts, request: PlanRequest) -> Iterator[tuple[Workbench, PlanPorts]]:
    folder = ports.store.artifact("plan").parent
    with Workbench(folder, memory_limit=request.memory_limit, zone=request.zone) as bench:
        store = untouched(ports.store, bench.spool, rereads=request.offline is None)
        yield bench, replace(ports, store=store, phones_kept=False)


class _NoKeyError(Exception):
    """No person has this key; whom the word may mean instead, and who is near."""

    def __init__(self, meant: Sequence[Hit], near: Sequence[str]) -> None:
        self.meant, self.near = meant, near
        super().__init__()


async def _seen(
    ports: PlanPorts, request: PlanRequest, question: Question, meant: Sequence[Hit], before: Sequence[str] = ()
) -> Story:
    """The story of the first who is meant, planned with those who go before in a plan for everybody.

    Raises:
        _NoKeyError: Nobody has that key.
    """
    attributes, findings = request.policy.attributes, list[Finding]()
    key = meant[0].key
    with _bench(ports, request) as (bench, looking):
        try:
            plan = await planning.look(looking, replace(request, only=(key, *before)), bench, findings)
        except PersonUnknown as error:
            named = explained.hits(bench, question.who, attributes)
            raise _NoKeyError(named, explained.near(bench, question.who, attributes)) from error
        awaited = explained.awaited(bench, key, attributes)
        if before or not awaited:
            also = explained.hits(bench, question.who, attributes)
            told = _Telling(looking.store, request, bench, question, [*dict.fromkeys((*meant, *also))])
            return told.story(plan, findings)
    return await _seen(ports, request, question, meant, awaited)


async def _account(target: Target, named: str) -> Reply | None:
    """The account that somebody means by its id or its login."""
    reply = await target.get(named)
    if reply.ok and reply.body is not None:
        return reply
    try:
        found = await target.find(LOGIN, named)
    except FilterRefused:
        return None
    return found[0] if len(found) == 1 else None


def _unmanaged(ports: PlanPorts, reply: Reply, asked: str, link: Link | None) -> Story:
    """The story of an account that no person of this source has."""
    body = reply.body or {}
    account, login = str(body.get("id", "")), str(body.get("userName") or "")
    active = body.get("active")
    return Story(
        key=link.key if link else "",
        named="account" if asked == account else "login",
        name=login,
        account=account,
        shown=True,
        active=active if isinstance(active, bool) else None,
        version=reply.version,
        live=True,
        at=ports.clock.now(),
        standing=Standing.UNMANAGED,
        told=(
            f"The account {account} ({login}) is that of {link.key}, a person of the source {link.source}."
            if link
            else f"The account {account} ({login}) is nobody's: no record is linked to it, and none has its login.",
            "It is never touched from here.",
        ),
        advice="ask with the configuration of that source"
        if link
        else f'if a record is this person: scimsync link KEY {account} --reason "..."',
    )


class _Telling(Struct):
    """One person, by what the tables and the state say."""

    store: Store
    request: PlanRequest
    bench: Workbench
    question: Question
    meant: Sequence[Hit]

    @property
    def key(self) -> str:
        return self.meant[0].key

    @property
    def attributes(self) -> tuple[Mapped, ...]:
        return self.request.policy.attributes

    @property
    def _names(self) -> list[str]:
        return [*(mapped.path for mapped in self.attributes), *(column.name for column in self.bench.columns)]

    def story(self, plan: Plan, findings: Sequence[Finding]) -> Story:
        """By a plan that was made just now on this bench."""
        traces = explained.traces(self.bench, self.key, self.request.key, self.attributes)
        known = self.request.offline
        mine = Mine.of(plan, self.key, self._names, findings, asked=known is None)
        done, place = explaining.deeds(self.store.journal_of(self.key)), plan.place
        columns = [column.name for column in self.bench.columns]
        if self.request.is_delta and not traces.rows:  # it may hold nobody, and then says nothing of its columns
            expressions = absent.without_values(self.bench, self.attributes)
        else:
            expressions = check_mapping(self.bench, self.attributes, columns)
        ruled = {m.path: verdicts.path(m, traces, mine, expressions[m.path].columns) for m in self.attributes}
        told = explaining.person(traces, mine, self.request.policy, ruled, place=place, done=done)
        change = next(iter((*mine.changes, *mine.notices)), None)
        login = traces.desired.get(LOGIN)
        return Story(
            key=self.key,
            named=self.meant[0].by,
            also=tuple(dict.fromkeys(hit.key for hit in self.meant[1:] if hit.key != self.key)),
            name=traces.login or (change.name if change else "") or str(login or ""),
            place=place,
            rows=traces.rows,
            account=traces.account,
            shown=traces.current is not None if traces.account else None,
            active=traces.active,
            version=traces.version,
            live=mine.asked,
            at=plan.created if known is None else known.listed,
            standing=told.standing,
            action=told.action,
            told=told.told,
            causes=told.causes,
            advice=told.advice,
            paths=tuple(
                self._path(mapped, expressions[mapped.path], ruled[mapped.path], (traces, mine, done))
                for mapped in self.attributes
                if self.question.path in {"", mapped.path}
            ),
            deeds=done,
        )

    def _path(
        self,
        mapped: Mapped,
        expression: Expression,
        ruled: Ruled,
        known: tuple[Traces, Mine, Sequence[Deed]],
    ) -> PathStory:
        (traces, mine, done), path = known, mapped.path
        n = traces.n
        delta = mine.delta_of.get(path)
        left = path not in traces.desired and delta is not None
        current: Mapping[str, Value] = traces.current or {}
        return PathStory(
            path=path,
            expression=mapped.expression,
            authority=mapped.authority,
            cells=explained.cells(self.bench, traces.ns, sorted(expression.columns)),
            steps=() if n is None else explained.steps(self.bench, n, mapped),
            desired=delta.sides.desired if left and delta is not None else traces.desired.get(path),
            current=current.get(path),
            base=traces.base.get(path),
            has_desired=left or path in traces.desired,
            has_current=path in current,
            has_base=path in traces.base,
            becomes=ruled.becomes,
            rule=ruled.rule,
            verdict=ruled.verdict,
            advice=ruled.advice,
            causes=ruled.causes,
            deeds=tuple(deed for deed in done if path in {*deed.written, *deed.overwritten} or deed.code),
        )


def check_path(path: str, attributes: Sequence[Mapped]) -> None:
    """Whether an attribute is mapped.

    Raises:
        ConfigError: It is not; with those that are.
    """
    if path and path not in {mapped.path for mapped in attributes}:
        listed = ", ".join(mapped.path for mapped in attributes)
        raise ConfigError(f"explain: {path} is not mapped, so it is never touched. Mapped are: {listed}")

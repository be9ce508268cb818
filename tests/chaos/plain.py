"""Planning without tables: the rules of a plan (`core`) over a handful of people, in a millisecond and not a third of a second.

What is real: correlation's result is remembered in links, every verdict is `core.planner`'s, values are checked,
logins handed on, references ordered, the plan sealed, stored, and read again from its file. What is not: staging,
mapping and comparing on DuckDB, trust, groups. The base is kept as a pickle beside the plan,
and `Tables` puts that in the place of the two tables that applying reads (whom planning paired) and writes (the next
base). One world in a hundred is played on the tables instead (`playing.WHOLE_OF`).
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
from msgspec.structs import replace
from tests.chaos.groups import Planned as Grouped
from tests.chaos.groups import lines, plan_groups

from scimsync import files
from scimsync.core import limits, logins, planner, validation
from scimsync.core.desired import read_desired
from scimsync.core.identity import said
from scimsync.core.lifecycle import ACTIVE, active_of
from scimsync.core.limits import Demand, Past
from scimsync.core.person import (
    Decided,
    Seen,
    _agreed,  # the same rule for one person
)
from scimsync.core.planner import Planned
from scimsync.core.trust import _UNPROVEN as UNPROVEN
from scimsync.core.trust import Trust
from scimsync.engine import ending, freshness, hindsight, limiting, settling, signatures, undoing, undone
from scimsync.engine.ladder import Ladder
from scimsync.engine.owners import Owners
from scimsync.engine.ports import Clock, Observer, Store, Target
from scimsync.engine.reviving import plan_revivals
from scimsync.model.accounts import Leaver, Pair
from scimsync.model.outcomes import Ending, Link, Run, RunState
from scimsync.model.plans import LOGIN, MAKING, Change, Finding, Plan, Seal
from scimsync.model.policy import Mapped, Policy
from scimsync.model.records import SourceHealth
from scimsync.scim.dialect import Dialect
from scimsync.scim.forms import truth
from scimsync.scim.grammar import lookup
from scimsync.scim.schema import Value
from scimsync.workbench import ending as endings
from scimsync.workbench import layers, suspects
from scimsync.workbench import undone as pasts
from scimsync.workbench.ending import Inactive
from scimsync.workbench.values import text_of

#: key -> (account, path -> value on which both sides agree)
Base = dict[str, tuple[str | None, dict[str, Value]]]
#: path of the reference whose record names a key
MANAGER = "enterprise:manager"
HEALTH = SourceHealth(rows=0, blanks={}, fingerprint="")
#: before the path of a shared list: what HR wants of it
_WISH = "wish:"


def read_base(path: Path) -> Base:
    """A base as it was kept; empty where there is none."""
    return pickle.loads(path.read_bytes()) if path.is_file() else {}


def write_base(path: Path, base: Base) -> None:
    """Keep a base, whole or not at all."""
    beside = path.with_suffix(".new")
    beside.write_bytes(pickle.dumps(base))
    beside.replace(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainRequest:
    """What a plan is about."""

    policy: Policy
    dialect: Dialect
    #: key -> a value for each path of the mapping; the manager by key
    wanted: Mapping[str, Mapping[str, object]]
    source: str
    fresh: Callable[[], str]
    #: the reading proves that nobody is missing
    proven: bool = True
    overrides: Mapping[str, str] = field(default_factory=dict)
    is_partial: bool = False


@dataclass(slots=True)
class _Found:
    """The directory as it was read."""

    accounts: dict[str, dict[str, Any]] = field(default_factory=dict)
    complete: bool = True
    unread: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Plainly:
    """In the place of comparison and workbench: what is asked of them about leavers."""

    request: PlainRequest
    found: _Found
    links: Mapping[str, str]
    paired: Mapping[str, str]
    base: Base
    known_endings: dict[str, Ending] = field(default_factory=dict)

    @property
    def attributes(self) -> Sequence[Mapped]:
        """What is managed."""
        return self.request.policy.attributes

    @property
    def bench(self) -> Plainly:
        """It is its own workbench."""
        return self

    def opaque(self) -> int:
        """Nobody is left out here."""
        return 0

    def linked(self) -> int:
        """How many people have an account."""
        return len(self.paired)

    def leavers(self) -> Iterator[Leaver]:
        """As `Comparison.leavers`."""
        for key, account in sorted(self.links.items()):
            body = self.found.accounts.get(account)
            if key in self.request.wanted or body is None or body.get(ACTIVE) is not True or self._is_taken(account):
                continue
            agreed = self.base.get(key, (None, {}))[1].get(ACTIVE)
            yield Leaver(
                key=key, name=str(body["userName"]), account=account, version=_tag(body),
                agreed=agreed if isinstance(agreed, bool) else None,
            )  # fmt: skip

    def _is_taken(self, account: str) -> bool:
        return account in self.paired.values()

    def inactive(self, endings: Mapping[str, Ending], *, absence: bool) -> Iterator[Inactive]:
        """As `workbench.ending.inactive`."""
        for key, account in sorted(self.links.items()):
            body, person = self.found.accounts.get(account), self.request.wanted.get(key)
            left = absence if person is None else person[ACTIVE] is False
            if body is None or body.get(ACTIVE) is not False or not left:
                continue
            if self.paired.get(key, account) == account and (key in self.paired or not self._is_taken(account)):
                known = endings.get(key)
                yield Inactive(
                    key=key, name=str(body["userName"]), account=account, version=_tag(body), row=None,
                    absent=person is None, ending=known if known and known.account == account else None,
                )  # fmt: skip

    def over(self, endings: Iterable[Ending], *, whole: bool) -> list[str]:
        """As `workbench.ending.over`."""
        accounts = self.found.accounts
        return [
            one.key
            for one in endings
            if self.links.get(one.key) != one.account
            or accounts.get(one.account, {}).get(ACTIVE) is True
            or (whole and one.account not in accounts)
        ]


async def make_plain_plan(
    target: Target, store: Store, clock: Clock, observer: Observer, request: PlainRequest
) -> Plan:
    """Read the directory, decide about everybody, seal, store."""
    policy, last = request.policy, store.last_applied()
    base = read_base(store.artifact(last.base)) if last else {}
    links = {link.key: link.account for link in store.links()}
    found = await _read(target, store, clock, observer, links, policy)
    paired = _correlated(request, found, links)
    pairs, joiners = _sides(request, found, paired, base)
    changes: list[Change] = []
    agreed: Base = {}
    for pair, desired in pairs:
        planned = planner.plan_pair(pair, policy)
        changes += filter(None, (planned.change, planned.besides))
        agreed[pair.key] = pair.account, _settled(pair, desired, planned, found, request)
    for pair in joiners:
        planned = planner.plan_joiner(pair, policy)
        changes += filter(None, (planned.change,))
        agreed[pair.key] = None, _wishes(pair, policy)
    side = Plainly(request, found, links, paired, base)
    ladder = Ladder(cast("Any", request), store, clock.now(), "")
    trusted = Trust(request.proven, frozenset(), frozenset(), () if request.proven else (UNPROVEN,), HEALTH)
    active = active_of(policy, request.dialect.users)
    if found.complete:
        for leaver in ladder.leavers(cast("Any", side), trusted, ()):
            changes += filter(None, (planner.plan_leaver(leaver, policy, active).change,))
    believed = undone.Believed(frozenset(), request.proven, request.overrides)
    left = undone.leave(cast("Any", side), store, changes, believed)
    changes = _vain(left.changes)
    attributes = [*policy.attributes, active_of(policy, request.dialect.users)]
    validated = validation.validate(
        changes, attributes, request.dialect.users, request.dialect, validation.Known(),
        marks=frozenset(place.short for place in policy.match),
    )  # fmt: skip
    holders: dict[str, set[str]] = {}
    for account, body in found.accounts.items():
        holders.setdefault(logins.folded(body.get("userName")), set()).add(account)
    handed = logins.hand_over(
        validated.changes, {k: frozenset(v) for k, v in holders.items()}, attributes, policy.exchange
    )
    past = limiting.past(store, clock.now(), policy.limits, (request.source,))
    known = ending.Known(
        now=clock.now(), believed=found.complete, listed=True, whole=found.complete,
        absence=request.proven, past=past, missing=ladder.missing,
    )  # fmt: skip
    ends = ending.plan_ends(cast("Any", side), cast("Any", side), cast("Any", request), store, known)
    ended = {change.key for change in ends.changes}
    revived, bygone = await plan_revivals(handed.changes, {}, target, store, policy)
    ordered, _ = planner.lined_up([*(c for c in revived if c.key not in ended), *ends.changes])
    grouped = Grouped()
    if policy.groups is not None and found.complete and request.proven:
        spared = [suspect.account for suspect in ladder.suspects]
        grouped = await plan_groups(
            target, store, request.wanted, paired, ordered, spared, policy.groups.batch, request.overrides
        )
    plan = _stored(
        target, store, clock, request, ordered, (last.base if last else ""), agreed, len(found.accounts),
        (*ladder.told, *left.findings, *ends.findings, *bygone, *grouped.findings), past, ends.demanded, grouped,
    )  # fmt: skip
    ladder.keep(cast("Any", side), plan)
    return plan


async def _read(
    target: Target, store: Store, clock: Clock, observer: Observer, links: Mapping[str, str], policy: Policy
) -> _Found:
    """All accounts, each as fresh as what is known of it (`engine.freshness`)."""
    found = _Found()
    listed: list[bytes] = []
    names = ["id", "userName", "active", *(m.place.root for m in policy.attributes)]
    sweep = await target.sweep(tuple(dict.fromkeys(names)), listed.extend)
    found.complete = not sweep.incomplete
    for raw in listed:
        body = msgspec.json.decode(raw, type=dict[str, Any])
        found.accounts[body["id"]] = body
    written: dict[str, int] = {}
    for line in freshness.written(store, clock.now() - freshness.LONGEST_LAG):
        if line.outcome is not None and line.outcome.account and line.outcome.version.isdecimal():
            account = line.outcome.account
            written[account] = max(written.get(account, 0), int(line.outcome.version))
    late = [
        account
        for account in dict.fromkeys([*links.values(), *written])
        if account not in found.accounts or _version(found.accounts[account]) < written.get(account, 0)
    ]
    again = await freshness.read_again(target, observer, late, 4)
    for raw in again.fresh:
        body = msgspec.json.decode(raw, type=dict[str, Any])
        found.accounts[body["id"]] = body
    for account in again.gone:
        found.accounts.pop(account, None)
    found.unread |= set(again.unread)
    return found


def _version(body: Mapping[str, Any]) -> int:
    return int(_tag(body) or 0)


def _tag(body: Mapping[str, Any]) -> str:
    """The version; blank where none was shown."""
    return str(body.get("meta", {}).get("version", "")).removeprefix("W/").strip('"')


def _correlated(request: PlainRequest, found: _Found, links: Mapping[str, str]) -> dict[str, str]:
    """key -> account: by link, else by the first path of `match` that finds one account which is nobody else's."""
    taken = {account: key for key, account in links.items()}
    paired = {key: account for key, account in links.items() if account in found.accounts and key in request.wanted}
    for key, wanted in request.wanted.items():
        if key in paired:
            continue
        for place in request.policy.match:
            hits = [
                account
                for account, body in found.accounts.items()
                if place.alike(place.read(body), wanted[place.short]) and taken.get(account, key) == key
            ]
            hits = [account for account in hits if _fits(request, found.accounts[account], wanted, place.short)]
            if len(hits) == 1:
                paired[key], taken[hits[0]] = hits[0], key
            if hits:
                break
    return paired


def _fits(request: PlainRequest, body: Mapping[str, Any], wanted: Mapping[str, object], hit: str) -> bool:
    """Whether an account holds nothing, or this record's value, on every path of `match` before the hit."""
    for place in request.policy.match:
        if place.short == hit:
            return True
        if (held := place.read(body)) is not None and not place.alike(held, wanted[place.short]):
            return False
    return True


def _sides(
    request: PlainRequest, found: _Found, paired: Mapping[str, str], base: Base
) -> tuple[list[tuple[Pair, Any]], list[Pair]]:
    policy = request.policy
    pairs, joiners = [], []
    waiting = {key for key in request.wanted if key not in paired}
    doubted = found.unread | (set() if found.complete else {"?"})
    for row, (key, wanted) in enumerate(request.wanted.items(), 1):
        boss = wanted.get(MANAGER)
        given = [(paired.get(str(boss)) if m.path == MANAGER and boss else wanted[m.path]) for m in policy.attributes]
        desired = read_desired(policy.attributes, given, lambda number, _: number)
        awaits = {MANAGER: str(boss)} if boss in waiting and boss != key else {}
        unresolved = frozenset({MANAGER} if boss and boss not in paired and not awaits else ())
        account = paired.get(key)
        common = {"key": key, "name": str(wanted[LOGIN]), "row": row, "desired": desired.values}
        if account is None:
            if doubted or base.get(key, (None, {}))[0] in found.unread:
                continue  # who is not shown may be there all the same
            if wanted[ACTIVE]:
                joiners.append(Pair(**common, account=None, version="", awaits=awaits, unresolved=unresolved))
            continue
        body = found.accounts[account]
        current = {ACTIVE: truth(lookup(body, ACTIVE))} | {m.path: m.place.read(body) for m in policy.attributes}
        pair = Pair(
            **common, account=account, version=_tag(body), current=current,
            base=base.get(key, (None, {}))[1], awaits=awaits, unresolved=unresolved,
        )  # fmt: skip
        pairs.append((pair, desired))
    return pairs, joiners


def _settled(pair: Pair, desired: Any, planned: Planned, found: _Found, request: PlainRequest) -> dict[str, Value]:
    """What both sides agree on now, above what they agreed on before; of shared lists what HR wants."""
    seen = Seen(
        key=pair.key, account=str(pair.account), version=pair.version,
        resource=found.accounts[str(pair.account)], base=pair.base,
    )  # fmt: skip
    decided = Decided(desired=desired, seen=seen, pair=pair, planned=planned, findings=())
    agreed, _ = _agreed(decided, request.policy)
    return {**pair.base, **agreed, **_wishes(pair, request.policy)}


def _wishes(pair: Pair, policy: Policy) -> dict[str, Value]:
    """What HR wants of shared lists: that is agreed once they are written, and not what others have in them."""
    return {_WISH + m.path: pair.desired[m.path] for m in policy.attributes if m.is_shared}


def _vain(changes: Sequence[Change]) -> list[Change]:
    """Without references that wait for somebody who gets no account in this plan."""
    created = {change.key for change in changes if change.action in MAKING}
    kept = []
    for change in changes:
        deltas = tuple(d for d in change.deltas if d.awaits is None or d.path == LOGIN or d.awaits in created)
        if any(d.verdict in planner.SENT for d in deltas):
            kept.append(change if deltas == change.deltas else replace(change, deltas=deltas))
    return kept


def _stored(  # noqa: PLR0917 - all that a plan rests on
    target: Target, store: Store, clock: Clock, request: PlainRequest, changes: tuple[Change, ...], former: str,
    agreed: Base, accounts: int, findings: tuple[Finding, ...], past: Past, ending_demands: Sequence[Demand],
    grouped: Grouped,
) -> Plan:  # fmt: skip
    now, sources = clock.now(), (request.source,)
    identity = f"{now:%Y%m%d-%H%M%S}-{request.fresh()}"
    numbers = {"records": len(request.wanted), "accounts": accounts, "linked": len(agreed), "unmanaged": 0}
    counted = planner.tally(numbers | {"compared": 0, "equal": 0}, changes, (), findings, grouped.changes)
    demanded = [*limits.demands(counted, request.policy.limits)]
    plan = Plan(
        id=identity,
        created=now,
        seal=Seal(target=target.name, configuration="c", source="s", base=former, links=said(store.link_decisions())),
        tally=counted,
        changes=changes,
        groups=grouped.changes,
        findings=findings,
        refusals=limits.refusals(demanded, request.overrides, past),
        overrides=dict(request.overrides),
        expires=now + timedelta(days=3),
        rate=target.rate,
    )
    name = f"agreed-{identity}.parquet"
    write_base(store.artifact(name), agreed)
    files.write(store.artifact(f"members-{identity}.ndjson"), lines(grouped.agreed))
    path = f"plan-{identity}.ndjson"
    digest = signatures.write(store.artifact(path), plan, None)
    store.save_run(
        Run(
            id=identity, created=now, state=RunState.REFUSED if plan.refusals else RunState.PLANNED, target=target.name, plan=path, agreed=name,
            tally=planner.numbers(plan), source=request.source, digest=digest,
        )
    )  # fmt: skip
    wanted = {demand.kind: demand for demand in (*demanded, *ending_demands)}
    limiting.remember(store, plan, [*wanted.values()], past, sources, whole=not findings)
    return plan


# --- in the place of two tables ---------------------------------------------------------------------------


def _lay_base(plan: Plan, run: Run, store: Any, people: Mapping[str, Sequence[Any]]) -> tuple[str, Sequence[Link]]:
    """As `settling._lay_base`, on a pickle."""
    values = {
        (outcome.key, path): value
        for parts in people.values()
        for outcome in parts
        for path, value in outcome.written.items()
    }
    outcomes = [o for parts in people.values() for o in parts]
    accounts = {o.key: o.account for o in outcomes if o.account and o.code != "account.gone"}
    last = store.last_applied()
    number = int(last.base.split("-")[1]) + 1 if last else 1
    base = store.artifact(f"base-{number:08d}-{run.id}.parquet")
    former = read_base(store.artifact(plan.seal.base)) if plan.seal.base else {}
    agreed = read_base(store.artifact(run.agreed))
    laid: Base = {key: (account, dict(held)) for key, (account, held) in {**former, **agreed}.items()}
    for (key, path), value in values.items():
        account, held = laid.setdefault(key, (None, {}))
        held[path] = held.get(_WISH + path, value)
    for key, account in accounts.items():
        laid[key] = account, laid.get(key, (None, {}))[1]
    for _, held in laid.values():
        for path in [path for path in held if path.startswith(_WISH)]:
            del held[path]
    write_base(base, laid)
    known = {link.key: link.account for link in store.links()}
    fresh = [
        Link(key, account, run.source)
        for key, (account, _) in sorted(laid.items())
        if account is not None and known.get(key) != account
    ]
    return base.name, store.save_links(fresh, frozenset(plan.moved.values()))


def _paired(self: Any) -> dict[str, str]:
    """As `Owners._paired`: who was found for whom while planning, and is not linked yet."""
    known = {link.key: link.account for link in self._store.links()}
    agreed = read_base(self._store.artifact(self._agreed))
    return {account: key for key, (account, _) in agreed.items() if account and known.get(key) != account}


def _is_former(self: Any, account: str, active: Any) -> bool:
    """As `Owners.is_former`."""
    owner = self._store.owner_of(account)
    if owner is None or self._present(account) is not None:
        return False
    agreed = read_base(self._store.artifact(self._agreed))
    return agreed.get(owner, (None, {}))[1].get(active.path) is False


@contextmanager
def without_tables() -> Iterator[None]:
    """Apply on these in the place of the tables."""
    places: list[tuple[Any, str, Any]] = [
        (settling, "_lay_base", _lay_base),
        (Owners, "_paired", _paired),
        (Owners, "is_former", _is_former),
        *_of_undoing(),
        (suspects, "spare", lambda *_: None),
        (suspects, "there", _there),
        (endings, "stage_endings", _stage_endings),
        (endings, "over", lambda side, *, whole: side.over(side.known_endings.values(), whole=whole)),
        (endings, "inactive", lambda side, *_, absence, **__: side.inactive(side.known_endings, absence=absence)),
    ]
    held = [(where, name, where.__dict__[name]) for where, name, _ in places]
    try:
        for where, name, new in places:
            setattr(where, name, new)
        yield
    finally:
        for where, name, old in held:
            setattr(where, name, old)


class _Room:
    """In the place of a workbench that nobody asks."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.sql = self

    def __enter__(self) -> _Room:
        return self

    def __exit__(self, *_: object) -> None: ...

    def execute(self, *_: Any) -> None:
        """Do nothing."""

    executemany = execute


def _of_undoing() -> list[tuple[Any, str, Any]]:
    async def guarded(target: Any, bench: Any, changes: Any, groups: Any) -> Any:
        del target, bench, groups
        return changes, []

    return [
        *((module, "Workbench", _Room) for module in (undoing, undone, hindsight)),
        (undoing.guarding, "look", guarded),
        (undoing, "foreseen", lambda plan, *_: plan),
        (layers, "needed", lambda *_: ()),
        (hindsight, "last_known", lambda *_: {}),
        (pasts, "agreed", _agreed_then),
        (pasts, "owners", lambda _, base, keys: {k: a for k, (a, _) in read_base(base).items() if k in keys and a}),
        (pasts, "write_wishes", _write_wishes),
        (pasts, "wanted", _said),
    ]


def _agreed_then(_: Any, base: Path, keys: Collection[str], attributes: Sequence[Any]) -> dict[str, dict[str, Value]]:
    """As `workbench.undone.agreed`."""
    paths = {mapped.path for mapped in attributes}
    held = {key: values for key, (_, values) in read_base(base).items() if key in keys}
    return {key: {p: v for p, v in values.items() if p in paths} for key, values in held.items()}


def _write_wishes(_: Any, former: Path, path: Path, wishes: Iterable[tuple[str, str, Value]]) -> None:
    """As `workbench.undone.write_wishes`."""
    base, found = read_base(former), dict[str, tuple[str | None, dict[str, Value]]]()
    for key, place, value in wishes:
        account, held = found.setdefault(key, (base.get(key, (None, {}))[0], dict(base.get(key, (None, {}))[1])))
        held[_WISH + place] = value
        found[key] = account, held
    write_base(path, found)


def _said(side: Any, keys: Collection[str]) -> dict[str, dict[str, str | None]]:
    """As `workbench.undone.wanted`; references as the accounts that they name."""
    found: dict[str, dict[str, str | None]] = {}
    for key in sorted(set(keys) & side.request.wanted.keys()):
        person = side.request.wanted[key]
        texts: dict[str, str | None] = {}
        for mapped in side.attributes:
            value = side.paired.get(str(person[MANAGER])) if mapped.path == MANAGER else person[mapped.path]
            read = read_desired([mapped], [value], lambda number, _: number).values[mapped.path]
            texts[mapped.path] = text_of(read) or ""
        found[key] = texts
    return found


def _there(side: Plainly, keys: Sequence[str], *, whole: bool) -> list[str]:
    """As `workbench.suspects.there`."""
    orphans = side.links.keys() - side.request.wanted.keys()
    return [key for key in keys if key in side.request.wanted or (whole and key not in orphans)]


def _stage_endings(side: Plainly, known: Iterable[Ending]) -> None:
    side.known_endings = {one.key: one for one in known}

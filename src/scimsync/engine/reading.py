"""Read the directory for a plan: what it says about itself, then all accounts (those that lag once more), or some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from msgspec import Struct
from msgspec.structs import replace

from scimsync.core import drifting, ending, fixing, rights, trust, unshown
from scimsync.core.depths import of_fallback
from scimsync.core.findings import of_unshown
from scimsync.core.lifecycle import ACTIVE
from scimsync.engine import depths, shielding
from scimsync.engine.freshness import LONGEST_LAG, MOST_READ_AGAIN, Freshness, read_again, written
from scimsync.engine.offline import read_remembered
from scimsync.engine.plan_request import PlanPorts, PlanRequest
from scimsync.errors import FilterRefused, SchemaDrifted, TargetUnanswered
from scimsync.model.outcomes import Document, Pin, Run, Sweep
from scimsync.model.plans import LOGIN, Finding
from scimsync.model.policy import Depth
from scimsync.scim.drift import SCHEMAS
from scimsync.scim.published import schemas_from_json
from scimsync.workbench import asked, unlisted
from scimsync.workbench.accounts import AccountSpool, hold_late
from scimsync.workbench.bench import Workbench, encode
from scimsync.workbench.mirror import MIRROR, Mirror
from scimsync.workbench.recalled import RECALLED_FROM, Recall, met

#: so many people are read one by one; beyond, pages of the whole directory are fewer requests
MOST_ASKED = 50
#: how long the schema that a plan for everybody was made with is believed for plans for some people
SCHEMA_BELIEVED = timedelta(days=1)


class Compared(Struct, frozen=True):
    """What came of a look at what the target says about itself."""

    told: Sequence[Finding] = ()
    #: the mapped paths that are written only where an account is made
    fixed: frozenset[str] = frozenset()
    #: mark of the schemas; "" where nobody looked
    mark: str = ""


async def compare_schema(ports: PlanPorts, request: PlanRequest) -> Compared:
    """Hold what the target says about itself against the pin, or what the dialect assumes.

    A plan for some people, or one that does not list, believes the schema of a plan for everybody that was made within
    a day, under the same configuration: under another it was compared for other paths.

    Raises:
        SchemaDrifted: What the mapping writes is not what it was.
    """
    since = ports.clock.now() - SCHEMA_BELIEVED
    plans = (run for run in ports.store.runs() if run.compared and run.target == ports.target.name)
    pin = ports.store.pin(ports.target.name)
    if request.offline is not None:
        return Compared(fixed=_fixed(request, pin.documents if pin else {}))
    spared = bool(request.only) or request.depth is Depth.SOURCE
    if spared and any(run.created > since and _is_under(ports, run, request.configuration) for run in plans):
        return Compared(fixed=_fixed(request, pin.documents if pin else {}))
    ports.observer.stage("comparing the schema")
    found = await ports.target.describe(pin.documents if pin else None)
    baseline = drifting.Baseline.of(pin, request.dialect)
    rulings = drifting.judge(baseline, found, request.policy, request.catalog)
    if blocking := tuple(f"{r.drift} ({r.hint})" for r in rulings if r.blocks):
        raise SchemaDrifted(baseline.name, blocking)
    told, published = drifting.findings(rulings, stops=baseline.stops), schemas_from_json(found.body(SCHEMAS))
    fixed = fixing.fixed(published, request.policy.attributes, request.dialect)
    mark = unshown.schema_mark(published, request.catalog)
    if not published and (unpublished := drifting.unpublished(found)):
        return Compared([*told, unpublished], fixed, mark)
    if pin is None and not baseline.stops:
        documents = found.documents
        ports.store.save_pin(
            Pin(target=ports.target.name, at=ports.clock.now(), actor=drifting.FIRST_PLAN, documents=documents)
        )
        told = (*told, drifting.remembered(found))
    return Compared(told, fixed, mark)


def _fixed(request: PlanRequest, documents: Mapping[str, Document]) -> frozenset[str]:
    published = schemas_from_json(documents[SCHEMAS].body) if SCHEMAS in documents else ()
    return fixing.fixed(published, request.policy.attributes, request.dialect)


async def left_alone(ports: PlanPorts, request: PlanRequest) -> list[Finding]:
    """A finding about each path that is left alone: what the target does not have or keep, what beside SCIM is refused.

    Raises:
        TargetError: The target cannot be asked.
    """
    policy, target = request.policy, ports.target
    unkept = fixing.unkept(policy.attributes, request.dialect)
    unkept += drifting.left_out(ports.store.pin(target.name), policy) if request.schema else []
    if all(mapped.place.published for mapped in policy.attributes):
        return unkept
    granted = (await target.rights()).granted
    closed = rights.closed(policy, request.dialect, granted) if granted is not None else {}
    closed |= {path: why for path, why in target.unread.items() if path in policy.by_path}
    return [*unkept, *(of_unshown(path, why) for path, why in closed.items())]


def _is_under(ports: PlanPorts, run: Run, configuration: str) -> bool:
    """Whether the plan of a run was made under a configuration."""
    file = ports.store.artifact(run.plan) if run.plan else None
    if file is None or not file.is_file():
        return False
    with file.open("rb") as lines:
        return configuration.encode() in next(lines, b"")


async def read_directory(ports: PlanPorts, request: PlanRequest, bench: Workbench) -> tuple[bool, list[Finding]]:
    """Make the table `accounts`; whether it is whole, and what is to be told of it.

    Raises:
        TargetError: The directory cannot be read at all.
    """
    if request.offline is not None:
        return True, read_remembered(ports, request, bench, request.offline)
    attributes, target = request.policy.attributes, ports.target
    # whether managed or not: who is protected, and who has access already
    roots = [*dict.fromkeys([*(mapped.place.root for mapped in attributes), LOGIN, ACTIVE])]
    mirror = Mirror(bench, ports.store.artifact(MIRROR), attributes, target.name)
    depth, explained = depths.chosen(ports, request, mirror)
    if depth is Depth.SOURCE:
        depths.stand_in(bench, mirror)
        looked, told = await _looked_at(ports, request, bench, mirror)
        holes = trust.incomplete(looked, request.overrides)
        return holes is None, [*explained, *([] if holes is None else [holes]), *told]
    spool = AccountSpool(bench, request.catalog, attributes, mirror if request.keep is None else None)
    by_version = depth is Depth.VERSIONS
    costly = [r for r in roots if request.dialect.is_expensive(r) or (by_version and r not in {LOGIN, ACTIVE})]
    recall = Recall(bench, mirror, attributes, costly, request.recall, ports.clock.now())
    recalls = request.keep is None and not request.only and recall.load()
    if by_version and not recalls:
        by_version, explained = False, [of_fallback(depth, f"fewer than {RECALLED_FROM:,} are remembered by version")]
    ports.observer.stage("reading the directory")

    def take(resources: Sequence[bytes]) -> None:
        spool.take(resources)
        ports.observer.advance(len(resources))

    try:
        asked_for = [root for root in roots if not (recalls and root in costly)]
        mirror.expect(asked_for, spool.form)
        sweep = await target.sweep(asked_for, take)
    except BaseException:
        spool.close()
        raise
    spool.load(request.keep)
    unread = await _reread(ports, request, (recall, spool), roots) if recalls else []
    reread = _renewed_ids(bench)
    if unread and not sweep.incomplete:
        sweep = replace(sweep, incomplete=f"{len(unread)} accounts could not be read again")
    presumed = await _unlisted(ports, request, bench, spool)
    holes = trust.incomplete(sweep, request.overrides)
    late = await _renewed(ports, request, bench, spool)
    shown = await shielding.shield(ports, request, bench, spool)
    late += hold_late(bench, unread, "the account could not be read by its id")
    if request.keep is None and not sweep.incomplete:
        alone = _renewed_ids(bench) - reread  # a listing may leave out what an account shows by itself
        mirror.save(ports.clock.now(), whole=not by_version, recalled=recalls, unsure=[*presumed, *alone])
    told = [] if holes is None else [holes]
    told += [ending.of_unlisted(sweep.unlisted)] if sweep.unlisted else []
    return holes is None, [*explained, *told, *spool.findings, *shown, *late]


async def _looked_at(
    ports: PlanPorts, request: PlanRequest, bench: Workbench, mirror: Mirror
) -> tuple[Sweep, list[Finding]]:
    """Read by id, where nobody is listed, of whom what is remembered is not good enough.

    That is who is linked or was written since the last listing, and is not remembered so: else they would be made a
    second time, or keep access when they leave. And who is remembered with a mark of a record that is not linked to
    them: by now it may be another's account.

    Returns:
        What that came to, and what is to be told.
    """
    policy = request.policy
    spool = AccountSpool(bench, request.catalog, policy.attributes)
    spool.close()
    told = await _renewed(ports, request, bench, spool)
    doubted = {*met(bench, policy.attributes, policy.match), *_outrun(ports, bench, mirror)} - _renewed_ids(bench)
    if not doubted:
        return Sweep(accounts=0, announced=0), told
    ports.observer.stage("reading by id whom what is remembered cannot tell", len(doubted))
    again = await read_again(ports.target, ports.observer, sorted(doubted), request.workers)
    spool.renew(again.fresh, [*again.gone, *again.unread])
    bench.sql.execute("INSERT INTO gone SELECT unnest(?::VARCHAR[])", [again.gone])
    told += hold_late(bench, again.unread, "the account could not be read by its id")
    why = f"{len(again.unread)} accounts could not be read by their ids" if again.unread else ""
    return Sweep(accounts=len(again.fresh), announced=len(doubted), incomplete=why), told


def _renewed_ids(bench: Workbench) -> set[str]:
    """The ids of the accounts that were read again."""
    return {str(account) for (account,) in bench.rows("SELECT id FROM renewed")}


def _outrun(ports: PlanPorts, bench: Workbench, mirror: Mirror) -> list[str]:
    """The ids of the remembered accounts that a run wrote since, where a plan that was reading meanwhile hid that."""
    since = (mirror.seen.listed if mirror.seen is not None else ports.clock.now()) - LONGEST_LAG
    found = (line.outcome for line in written(ports.store, since) if line.outcome is not None)
    last = {outcome.account: outcome.version for outcome in found if outcome.account}
    held = bench.rows("SELECT id, version FROM accounts WHERE id IN (SELECT unnest(?::VARCHAR[]))", [[*last]])
    return [str(account) for account, version in held if last[str(account)] != version]


async def _unlisted(ports: PlanPorts, request: PlanRequest, bench: Workbench, spool: AccountSpool) -> list[str]:
    """Read by id of whom the listing left out what is kept beside SCIM; what nobody tells is as it was agreed.

    Returns:
        The ids of the accounts of which something is presumed.
    """
    attributes = request.policy.attributes
    doubted = unlisted.doubted(bench, attributes, MOST_READ_AGAIN)
    if doubted:
        ports.observer.stage("reading by id what the listing left out", len(doubted))
    again = await read_again(ports.target, ports.observer, doubted, request.workers)
    if again.fresh:
        spool.renew(again.fresh, [])
    refused = any(not mapped.place.published and mapped.path in ports.target.unread for mapped in attributes)
    unseen = {*again.gone, *again.unread, *(doubted if refused else ())}
    return unlisted.presume(bench, attributes, [account for account in doubted if account not in unseen])


async def _reread(
    ports: PlanPorts, request: PlanRequest, into: tuple[Recall, AccountSpool], roots: Sequence[str]
) -> list[str]:
    """Recall what an earlier plan read, and read again whom that is not good enough for; who could not be read."""
    recall, spool = into
    lines = [*written(ports.store, recall.newest - LONGEST_LAG)]
    touched = {line.key for line in lines} | {line.outcome.account or "" for line in lines if line.outcome is not None}
    stale = {
        *recall.fill(request.policy.match, touched),
        *await _claimed(ports, recall.sought(request.policy.match), recall.unlinked()),
    }
    found: list[bytes] = []
    ports.observer.stage("reading again whose version or place has moved", len(stale))
    await ports.target.reread(stale, roots, found.extend)
    if found:
        spool.renew(found, [])
    again = await read_again(ports.target, ports.observer, recall.missing(stale), request.workers)
    if again.fresh or again.gone:
        spool.renew(again.fresh, again.gone)
    return again.unread


async def _claimed(ports: PlanPorts, sought: Sequence[tuple[str, str]], unlinked: Sequence[str]) -> Sequence[str]:
    """The ids of the accounts that may have a mark of a new person by now: asked by filter, where that is less."""
    if len(sought) > MOST_ASKED:
        return unlinked
    try:
        found = [reply for name, value in sought for reply in await ports.target.find(name, value)]
    except (FilterRefused, TargetUnanswered):
        return unlinked
    return [str(reply.body["id"]) for reply in found if reply.body is not None]


async def read_asked(ports: PlanPorts, request: PlanRequest, bench: Workbench) -> list[Finding] | None:
    """Make the table `accounts` for the people who are asked for, by their links and by filters; what is to be told.

    None where only the whole directory tells enough: many people, a person without account where logins are not
    surely unique or a path of `match` is no filter, or memberships, which are judged among everybody.

    Raises:
        TargetError: They cannot be read at all.
    """
    policy = request.policy
    if (
        request.offline is not None
        or not request.only
        or len(request.only) > MOST_ASKED
        or request.keep is not None
        or policy.groups is not None
    ):
        return None
    spool = AccountSpool(bench, request.catalog, policy.attributes)
    spool.load()
    ports.observer.stage("reading the accounts that are asked for", len(request.only))
    asked.stage_asked(bench, request.only)
    gone, unread = await _read_linked(ports, request, bench, spool)
    asked.stage_named(bench, policy.attributes)
    asked.stage_rivals(bench, policy.attributes, policy.match)
    named = await _read_linked(ports, request, bench, spool)
    bench.sql.execute("CREATE OR REPLACE TABLE gone AS SELECT unnest(?::VARCHAR[]) AS id", [[*gone, *named[0]]])
    if asked.is_anybody_new(bench):
        mapped = policy.by_path
        filters = all(place.is_filter for place in policy.match if place.short in mapped)
        if not (request.dialect.unique_logins and filters):
            return None
    found: dict[str, Mapping[str, object]] = {}
    try:
        for name, value in asked.searched(bench, policy.attributes, policy.match):
            for reply in await ports.target.find(name, value):
                found[str((reply.body or {}).get("id", ""))] = reply.body or {}
        for name in asked.named_accounts(bench, policy.attributes):
            replies = await ports.target.find(LOGIN, name) or [await ports.target.get(name)]
            found |= {str(reply.body.get("id", "")): reply.body for reply in replies if reply.body is not None}
    except FilterRefused:
        return None
    # a search may show late what was read by its id already
    if new := [encode(found[account]) for account in asked.unread(bench, found)]:
        spool.renew(new, [])
    asked.stand_in(bench)
    late = hold_late(bench, [*unread, *named[1]], "the account could not be read by its id")
    return [*spool.findings, *late]


async def _read_linked(
    ports: PlanPorts, request: PlanRequest, bench: Workbench, spool: AccountSpool
) -> tuple[list[str], list[str]]:
    """Read the linked accounts of table `asked` into `accounts`; who is gone, and who could not be read."""
    again = await read_again(ports.target, ports.observer, asked.linked_accounts(bench), request.workers)
    if again.fresh:
        spool.renew(again.fresh, [])
    return again.gone, again.unread


async def _renewed(ports: PlanPorts, request: PlanRequest, bench: Workbench, spool: AccountSpool) -> list[Finding]:
    """Read again what the listing shows as it was before our last writes."""
    freshness = Freshness(
        target=ports.target,
        store=ports.store,
        clock=ports.clock,
        observer=ports.observer,
        attributes=request.policy.attributes,
        workers=request.workers,
        counters=request.dialect.counts_versions,
    )
    return await freshness.renew(bench, spool)

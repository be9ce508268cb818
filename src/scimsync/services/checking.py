"""Try source, mapping and target without planning anything."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from scimsync.bootstrap import open_store
from scimsync.bootstrap_sources import describe_sources, guarded_sources, make_pairs, make_source
from scimsync.config import Settings
from scimsync.core import drifting
from scimsync.core.contract import unknown
from scimsync.core.drifting import COMMON
from scimsync.core.lifecycle import ACTIVE
from scimsync.core.rights import Missing
from scimsync.core.rights import missing as missing_rights
from scimsync.engine import binding
from scimsync.errors import ConfigError, StoreDamaged, StoreError, TargetError
from scimsync.model.outcomes import Guard, Rights, Run
from scimsync.model.plans import LOGIN
from scimsync.model.records import JoinedHealth
from scimsync.scim.drift import CONFIG, SCHEMAS, config_facts
from scimsync.scim.platform import is_platform
from scimsync.scim.published import schemas_from_json
from scimsync.services import continuity
from scimsync.services.reaching import Target, reached
from scimsync.services.retention import Sizes, sizes


class SourceFacts(Struct, frozen=True, kw_only=True):
    """What a reading of the source to its end found."""

    rows: int
    #: it proves that nobody is missing
    proven: bool
    columns: int
    #: status words of the mapping are open: a built-in list says what they mean
    bare: bool
    #: which delivery it was (version, ETag, time, bytes); "" for no file
    delivery: str
    #: what came of the sources that are joined to it
    joined: tuple[JoinedHealth, ...]


def try_source(settings: Settings) -> SourceFacts:
    """Read the source to its end and check the mapping against it.

    Raises:
        SourceError: It cannot be read.
        ConfigError: The mapping does not fit; all faults at once.
    """
    from scimsync.engine.staging import opened  # noqa: PLC0415 - loads DuckDB
    from scimsync.workbench.bench import Workbench  # noqa: PLC0415 - loads DuckDB
    from scimsync.workbench.mapping import check_mapping  # noqa: PLC0415 - loads DuckDB
    from scimsync.workbench.pilots import check_pilots  # noqa: PLC0415 - loads DuckDB
    from scimsync.workbench.presence import check_presence  # noqa: PLC0415 - loads DuckDB
    from scimsync.workbench.records import stage_records  # noqa: PLC0415 - loads DuckDB
    from scimsync.workbench.ruling import check as check_rules  # noqa: PLC0415 - loads DuckDB
    from scimsync.workbench.validity import check_validity  # noqa: PLC0415 - loads DuckDB

    given = settings.source
    reading = opened(make_source(settings), given.key, may_be_empty=given.is_delta)
    with tempfile.TemporaryDirectory() as folder, Workbench(Path(folder), zone=given.zone) as bench:
        health = stage_records(
            bench,
            reading,
            key=given.key,
            null_values=given.null_values,
            trim=given.trim,
            may_be_empty=given.is_delta,
        )
        if not health.rows:  # a quiet day says nothing of columns
            return SourceFacts(
                rows=0, proven=reading.proven, columns=0, bare=False, delivery=reading.delivery, joined=health.joined
            )
        columns = [column.name for column in bench.columns]
        if faults := unknown(settings.contract.expect, columns):
            raise ConfigError(*faults)
        mapped = check_mapping(bench, settings.policy.attributes, columns)
        check_validity(bench, given.validity, reading.columns)
        check_presence(bench, given.presence, reading.columns)
        check_pilots(bench, settings.policy.rings.first, reading.columns)
        check_rules(bench, settings.policy.attributes, settings.contract.rules)
    bare = any(expression.is_bare for expression in mapped.values())
    return SourceFacts(
        rows=health.rows,
        proven=reading.proven,
        columns=len(columns),
        bare=bare,
        delivery=reading.delivery,
        joined=health.joined,
    )


def told_by_source(settings: Settings) -> Sequence[str]:
    """What the source says about itself, a line each.

    Raises:
        SourceError: It cannot be asked.
    """
    return describe_sources(settings)


def told_of_writing(settings: Settings) -> Sequence[tuple[str, bool]]:
    """What keeps our queries from writing into each database that is read, and whether the database itself does.

    Raises:
        SourceError: An address cannot be understood.
    """
    return guarded_sources(settings)


def try_pairs(settings: Settings) -> int | None:
    """Read the memberships of the source to their end, and count them; None where none are managed.

    Raises:
        SourceError: They cannot be read.
        ConfigError: They have other than two columns.
    """
    from scimsync.engine.membership import read_pairs  # noqa: PLC0415 - loads DuckDB
    from scimsync.engine.staging import opened  # noqa: PLC0415 - loads DuckDB
    from scimsync.workbench.bench import Workbench  # noqa: PLC0415
    from scimsync.workbench.records import stage_records  # noqa: PLC0415

    if settings.policy.groups is None:
        return None
    with tempfile.TemporaryDirectory() as folder, Workbench(Path(folder)) as bench:
        if settings.policy.groups.column:
            given = settings.source
            reading = opened(make_source(settings), given.key, may_be_empty=given.is_delta)
            if not stage_records(bench, reading, key=given.key, may_be_empty=given.is_delta).rows:
                return 0
        return read_pairs(bench, settings.policy.groups, make_pairs(settings), key=settings.source.key)[0]


def try_state(settings: Settings) -> tuple[Run | None, Mapping[str, int], Sizes]:
    """Open the state; the run that was applied last, path -> people of whom it is never shown, and its bytes.

    Raises:
        StoreError: It cannot be used.
    """
    with open_store(settings) as store:
        return store.last_applied(), Counter(one.path for one in store.unshown()), sizes(store)


def try_continuity(settings: Settings) -> list[str]:
    """What tells that the state is not the one that was left, or that what was agreed cannot be read.

    Raises:
        StoreError: It cannot be used.
    """
    with open_store(settings) as store:
        found, last = continuity.breaks(settings, store), store.last_applied()
        try:
            if last is not None:
                binding.proven(store, last.base)
        except StoreDamaged as error:
            found.append(str(error))
        return found


def asked_last(settings: Settings) -> int:
    """How many requests the last whole plan for this target asked; 0 where none is known.

    Raises:
        StoreError: The state cannot be used.
    """
    name = settings.target.api_url.rstrip("/") + settings.target.dialect.base_path
    with open_store(settings) as store:
        whole = (run for run in store.runs() if run.target == name and not run.partial)
        counts = (sum(run.took("plan")[0].values()) for run in whole)
        return next((count for count in counts if count), 0)


class TargetFacts(Struct, frozen=True, kw_only=True):
    """What a look at the target found."""

    rate: int
    skew_s: float | None
    #: what its ServiceProviderConfig says, as text by name
    config: Mapping[str, str]
    #: names of the schemas that it publishes
    schemas: tuple[str, ...]
    #: mapped paths that the target's schemas do not have
    missing: tuple[str, ...]
    #: those of them that the pin has left out
    left_out: frozenset[str]
    #: what the schemas were compared with, and what drifted
    baseline: str
    rulings: tuple[drifting.Ruling, ...]
    #: what our client may do and how much, and the permissions that the configuration needs and we lack
    rights: Rights
    #: what keeps our writes from undoing somebody else's
    guard: Guard
    lacking: tuple[Missing, ...]
    #: accounts and groups that are announced by what a run reads; None for unknown
    listed: tuple[int, int | None] | None
    #: why what a run reads cannot be read
    unread: str
    #: name of a document in which the target would describe itself -> why it does not
    untold: Mapping[str, str]


async def _look(settings: Settings, target: Target) -> tuple[tuple[int, int | None] | None, str]:
    """Read what a run reads, one page of it."""
    policy = settings.policy
    roots = [*dict.fromkeys([*(mapped.place.root for mapped in policy.attributes), LOGIN, ACTIVE])]
    try:
        return await target.look(roots, groups=policy.groups is not None), ""
    except TargetError as error:
        return None, str(error)


async def describe_target(settings: Settings) -> TargetFacts:
    """Ask the target who it is, and who we are to it: token, schemas, clock, rate, rights.

    Raises:
        TargetError: It refuses us or cannot be reached.
    """
    catalog = settings.target.dialect.users
    pin = None
    async with reached(settings) as target:
        with suppress(StoreError), open_store(settings) as store:  # the state has a check of its own
            pin = store.pin(target.name)
        found = await target.describe()
        rights, guard = await target.rights(), await target.guard()
        listed, unread = await _look(settings, target)
    published = schemas_from_json(found.body(SCHEMAS))
    known = {(s.id.lower(), a.name.lower()) for s in published for a in s.attributes}
    known |= {(catalog.core.id.lower(), name) for name in COMMON} if known else set()
    absent = [
        mapped.path
        for mapped in settings.policy.attributes
        if not is_platform(mapped.place.root)
        and ((mapped.place.urn or catalog.core.id).lower(), mapped.place.attribute.name.lower()) not in known
    ]
    baseline = drifting.Baseline.of(pin, settings.target.dialect)
    return TargetFacts(
        rate=target.rate,
        skew_s=found.skew_s,
        config=config_facts(found.body(CONFIG)),
        schemas=tuple(schema.name or schema.id for schema in published),
        missing=tuple(absent) if known else (),
        left_out=frozenset(pin.left_out if pin is not None else ()),
        listed=listed,
        unread=unread,
        untold=found.untold,
        baseline=baseline.name,
        rulings=drifting.judge(baseline, found, settings.policy, catalog),
        rights=rights,
        guard=guard,
        lacking=tuple(missing_rights(settings.policy, settings.target.dialect, rights.granted))
        if rights.granted is not None
        else (),
    )

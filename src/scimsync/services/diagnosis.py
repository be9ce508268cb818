"""Look at each thing that a run needs, and say what is wrong with it and what to do."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sized
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

from msgspec import Struct

from scimsync.config import Settings, TargetSettings, load
from scimsync.core.signing import LEAST_KEY
from scimsync.errors import ConfigError, ScimsyncError, StoreError, TargetError
from scimsync.model.durations import duration_text
from scimsync.model.outcomes import Guard
from scimsync.model.plans import Severity
from scimsync.model.policy import Depth
from scimsync.model.records import JoinedHealth
from scimsync.scim.dialect import Dialect, among
from scimsync.scim.dialect_entries import ENTRIES
from scimsync.scim.drift import CONFIG, SCHEMAS
from scimsync.services import checking, probing, scheduling
from scimsync.services.checking import TargetFacts
from scimsync.services.retention import size_text
from scimsync.services.state import open_store

#: seconds that the two clocks may differ before tokens and limits are misread
_SKEW_S = 120
#: words of a list that are told one by one
_FEW = 5
_T = TypeVar("_T")


class Wait(Protocol):
    """As `asyncio.run`."""

    def __call__(self, work: Coroutine[object, object, _T], /) -> _T:
        """Play it to its end."""
        ...


class Check(Struct, frozen=True):
    """What one look found. `code` is the exit code a run would end with; 0 for ok and for a warning."""

    name: str
    mark: str
    words: str
    code: int = 0


def checks(config: Path, wait: Wait) -> Iterator[Check]:
    """Look at configuration, source, state and target.

    Args:
        config: The configuration file, which may be faulty.
        wait: Runs what is asynchronous to its end.
    """
    faulty = False
    try:
        settings = load(config)
    except ConfigError as error:
        faulty = True
        for fault in error.faults:
            yield Check("config", "fail", fault, error.exit_code)
        try:  # where only credentials are missing, the rest can be looked at all the same
            settings = load(config, secrets=False)
        except ConfigError:
            return
    attributes = len(settings.policy.attributes)
    yield Check("config", "ok", f"{config}: {attributes} attributes mapped, dialect {settings.target.dialect.name}")
    for path in settings.unmatched:
        words = f"[correlation] match: {path} is not mapped, so no account is found by it; add it to [attributes]"
        yield Check("correlation", "warn", words)
    yield from _mapped(settings)
    for webhook in settings.webhooks:
        if any(len(key) < LEAST_KEY for key in webhook.keys):
            words = f"{webhook.shown}: its secret is shorter than {LEAST_KEY} bytes; take: openssl rand -base64 32"
            yield Check("webhooks", "warn", words)
    yield from _tried("schedule", lambda: _clockwork(settings))
    yield from _tried("source", lambda: _source(settings))
    yield from _tried("state", lambda: _state(settings))
    if not faulty:
        yield from _tried("target", lambda: _target(settings, wait))


def _mapped(settings: Settings) -> Iterator[Check]:
    """What the dialect says against the mapping."""
    dialect, mapped = settings.target.dialect, {mapped.path for mapped in settings.policy.attributes}
    for path in sorted(path for path in dialect.required if not any(among(held, {path}) for held in mapped)):
        words = (
            f"{path} is not mapped, and no account is made without it (dialect {dialect.name}); add it to [attributes]"
        )
        yield Check("mapping", "warn", words)
    for path in sorted(path for path in mapped if among(path, dialect.unkept)):
        words = (
            f"{path} is mapped, and the directory does not keep it (dialect {dialect.name}); take it from [attributes]"
        )
        yield Check("mapping", "warn", words)


def _tried(name: str, look: Callable[[], list[Check]]) -> Iterator[Check]:
    try:
        yield from look()
    except ScimsyncError as error:
        for paragraph in str(error).splitlines():
            yield Check(name, "fail", paragraph, error.exit_code)


def _clockwork(settings: Settings) -> list[Check]:
    """How the schedules stand, which alarms are on, and who could not be told."""
    if not settings.schedules and not settings.alarms:
        return []
    with open_store(settings) as store:
        checks = [
            Check("schedule", "ok" if well else "warn", words) for well, words in scheduling.told(settings, store)
        ]
    if not settings.schedules:
        words = "[[alarm]] tells of the runs of [[schedule]], and there is none: nobody will be told of anything"
        checks.append(Check("schedule", "warn", words))
    return checks


#: what would prove a source of some kind; of others a checksum does
_PROOFS = {"rest": '; set [source] total to where the API says how many there are, or complete = "assume"', "scim": ""}


def _source(settings: Settings) -> list[Check]:
    checks = [Check("source", "ok", line) for line in checking.told_by_source(settings)]
    checks += [Check("source", "ok" if kept else "warn", words) for words, kept in checking.told_of_writing(settings)]
    found = checking.try_source(settings)
    if found.delivery:
        checks.append(Check("source", "ok", f"the file: {found.delivery}"))
    words = f"{found.rows:,} records, {found.columns} columns; the mapping fits"
    checks.append(Check("source", "ok", words if found.rows else "nobody today: a quiet day"))
    checks += [_joined(one, found.rows) for one in found.joined]
    if found.bare:
        words = "the mapping of active compares a status with =, so a built-in list says what other words mean; "
        words += "name them: one_of(status, 'active', 'on leave', ['left', 'retired'])"
        checks.append(Check("mapping", "warn", words))
    if settings.source.is_delta:
        words = 'a delivery of changes (mode = "delta"): nobody who is not in it is touched, and who is gone from HR '
        words += "is found by the configuration that reads everybody"
        words += "" if found.proven else "; one that was cut at the end of a line looks whole: set [source] complete"
        checks.append(Check("source", "ok", words))
    elif not found.proven:
        words = "the source cannot prove that it is complete, so people missing from it are not treated as leavers"
        words += _PROOFS.get(settings.source.kind, '; set [source] complete = "checksum"')
        checks.append(Check("source", "warn", words))
    pairs = checking.try_pairs(settings)
    if pairs is not None:
        checks.append(Check("groups", "ok" if pairs or settings.source.is_delta else "warn", f"{pairs:,} memberships"))
    return checks


def _joined(one: JoinedHealth, rows: int) -> Check:
    """What came of a source that is joined to the first."""
    if one.reason:
        words = "could not be read, so what is made of it would be left as it is"
        return Check("source", "warn", f"{one.shown} {words}: {one.reason}")
    words = f"{one.shown}: {one.rows:,} records; {one.found:,} of {rows:,} of ours have one"
    words += f", {one.ambiguous:,} have several different ones" if one.ambiguous else ""
    words += "" if one.proven else "; it cannot prove that it is complete, so whom it lacks keeps what they have"
    return Check("source", "ok" if one.proven and not one.ambiguous else "warn", words)


def _state(settings: Settings) -> list[Check]:
    last, unshown, sizes = checking.try_state(settings)
    words = f"last applied run {last.id} ({last.state.value})" if last else "no run was applied yet"
    checks = [Check("state", "ok", words)]
    checks += [Check("state", "fail", found, StoreError.exit_code) for found in checking.try_continuity(settings)]
    taken = f"{size_text(sizes.store)} in the store, {size_text(sizes.artifacts)} in {sizes.files:,} files"
    checks.append(Check("state", "ok", f"{taken}; scimsync state gc removes what [state] keep does not keep"))
    if last and settings.audit.checkpoints is None:
        words = "no checkpoint is kept elsewhere, so a backup of all of it that is put back is seen only by what the "
        checks.append(Check("state", "ok", f"{words}directory holds (state.behind); [audit] checkpoints keeps one"))
    for path, people in sorted(unshown.items()):
        words = (
            f"{path} was sent and taken, and is never shown, of {people:,}; it is not sent again (attribute.unshown)"
        )
        checks.append(Check("state", "warn", words))
    return checks


def _target(settings: Settings, wait: Wait) -> list[Check]:
    found = wait(checking.describe_target(settings))
    checks = [
        Check("credentials", "ok", _credentials(settings.target)),
        Check("target", "ok", f"{settings.target.api_url} answers; {found.rate:,} requests a minute"),
    ]
    if found.skew_s is not None and abs(found.skew_s) > _SKEW_S:
        words = f"this machine's clock differs by {found.skew_s:+.0f} s; set it with NTP"
        checks.append(Check("clock", "warn", words))
    else:
        checks.append(Check("clock", "ok", f"differs by {round(found.skew_s or 0):+d} s"))
    checks += _read(found)
    checks += _foreseen(settings, found)
    for path in found.missing:
        if path in found.left_out:
            words = f"{path} is mapped, and the pin says that the target does not have it; nothing is written to it"
            checks.append(Check("schema", "warn", words))
        elif settings.target.dialect.knows_schemas:
            words = f"{path} is mapped, but the target's schema does not have it; take it from [attributes]"
            checks.append(Check("schema", "fail", words, TargetError.exit_code))
        else:
            words = f"{path} is mapped, but the target does not list it; it is written all the same: see that it stays"
            checks.append(Check("schema", "warn", words))
    if not found.missing:
        checks.append(Check("schema", "ok", "every mapped attribute is in the target's schema"))
    return [
        *checks,
        *_allowed(settings.target.dialect, found),
        *_announced(found),
        *_guarded(settings.target.dialect, found.guard),
        *_drifted(found),
        *_measured(settings, wait),
        *_assumed(settings.target.dialect),
    ]


def _foreseen(settings: Settings, found: TargetFacts) -> Iterator[Check]:
    """What a whole plan will ask, and how long that takes at the rate that the target grants."""
    if found.listed is None or not found.rate:
        return
    dialect = settings.target.dialect
    costly = any(dialect.is_expensive(mapped.place.root) for mapped in settings.policy.attributes)
    size = dialect.expensive_page_size if costly else dialect.page_size
    pages = -(-found.listed[0] // size)
    last = checking.asked_last(settings)
    number = last or pages
    what = "as the last one did" if last else f"pages of {size:,}"
    took = duration_text(60 * number / found.rate)
    words = f"a plan asks about {number:,} requests, {what}: about {took} at {found.rate:,} a minute"
    if (depth := settings.target.depth) is not Depth.FULL:
        words += f'; fewer where it need not list everybody ([target] depth = "{depth.value}")'
    yield Check("estimate", "ok", words)


def _measured(settings: Settings, wait: Wait) -> Iterator[Check]:
    """What the target shows otherwise than its dialect says, by a few requests that read."""
    dialect = settings.target.dialect.name
    try:
        found = wait(probing.moved(settings))
    except TargetError as error:
        yield Check("measured", "warn", f"the target could not be measured against dialect {dialect}: {error}")
        return
    for difference in found:
        words = f"{difference}; find out how it behaves now with: scimsync probe --config {settings.file.name}"
        yield Check("measured", "warn", words)
    if not found:
        yield Check("measured", "ok", f"nothing moved against dialect {dialect}, as far as a few requests tell")


def _credentials(target: TargetSettings) -> str:
    if target.client_id:
        where = f" by {urlsplit(target.token_url).hostname}" if target.token_url else ""
        return f"a token was given for client {target.client_id}{where}"
    if target.username:
        return f"HTTP Basic lets user {target.username} in"
    return f"the header {target.header} lets us in" if target.header else "a ready-made token is used"


def _read(found: TargetFacts) -> Iterator[Check]:
    """What a run reads, one page of it."""
    if found.listed is None:
        yield Check("accounts", "fail", found.unread, TargetError.exit_code)
        return
    accounts, groups = found.listed
    yield Check("accounts", "ok", f"{accounts:,} are listed; a page was read with the attributes of the mapping")
    if groups is not None:
        yield Check("accounts", "ok", f"{groups:,} groups are listed")


def _allowed(dialect: Dialect, found: TargetFacts) -> Iterator[Check]:
    """What our client may do, in which divisions, and how much."""
    rights = found.rights
    if dialect.rights_url and rights.granted is None:
        yield Check("rights", "warn", f"the target does not say what the client may do ({rights.untold})")
    for lack in found.lacking:
        words = f"permission {lack.permission} is missing"
        if lack.only_in:
            words = f"permission {lack.permission} is granted in {', '.join(lack.only_in)} only"
        words += f", needed by {', '.join(lack.needed_by)}{f' {lack.when}' if lack.when else ''}"
        words += "; add it to a role of the OAuth client (Genesys: 'SCIM Integration'), in every division"
        bearable = lack.bearable or bool(lack.only_in)
        yield Check("rights", "warn" if bearable else "fail", words, 0 if bearable else TargetError.exit_code)
    if rights.granted is not None:
        if not found.lacking:
            yield Check("rights", "ok", "the client has every permission that the configuration needs")
        names = sorted(rights.granted)
        words = f"the client sees {len(names)}: {', '.join(names)}; people of others can be neither seen nor written"
        yield Check("divisions", "ok" if names else "warn", words if names else "no role is granted in any division")
    if dialect.limits_url:
        yield _limited(found)
    if found.rights.learned is not None:
        rate, ago = found.rights.learned
        words = f"{rate:,} requests a minute are kept to: more were refused {duration_text(ago)} ago"
        yield Check("limits", "ok", f"{words}. It is tried again while that is not enough")


def _limited(found: TargetFacts) -> Check:
    """The limits that the target keeps for us, as it says itself."""
    rights, said = found.rights, []
    if rights.announced is not None:
        said.append(f"{rights.announced:,} requests a minute announced with each answer")
    said += [f"{name} {value:,}" for name, value in (rights.limits or {}).items()]
    if rights.limits is None:
        said.append(f"the target does not show its own list ({rights.unlimited})")
    return Check("limits", "warn" if rights.limits is None else "ok", ", ".join(said))


def _announced(found: TargetFacts) -> Iterator[Check]:
    """What the target says it can do."""
    facts = dict(found.config)
    largest = facts.pop("filter.maxResults", "0")
    schemes = facts.pop("authenticationSchemes", "none")
    if facts:
        yield Check("announces", "ok", ", ".join(f"{name} {claim}" for name, claim in facts.items()))
        yield Check("announces", "ok", f"largest page {'not announced' if largest == '0' else largest}")
        yield Check("announces", "ok", f"authentication {schemes}")
    else:
        words = "the target publishes no ServiceProviderConfig; scimsync uses what the dialect says"
        yield Check("announces", "warn", words + _because(found, CONFIG))
    if found.schemas:
        yield Check("announces", "ok", f"{len(found.schemas)} schemas: {', '.join(found.schemas)}")
    else:
        words = "the target publishes no schemas, so drift cannot be seen"
        yield Check("announces", "warn", words + _because(found, SCHEMAS))


def _because(found: TargetFacts, document: str) -> str:
    return f" ({found.untold[document]})" if document in found.untold else ""


def _guarded(dialect: Dialect, guard: Guard) -> Iterator[Check]:
    """What keeps our writes from undoing somebody else's."""
    if guard.compares:
        words = "no version guards writes: each account is read, compared with the plan, written and read back; what "
        words += "somebody else writes in between, the time of about one request, may be undone (target.compares)"
        yield Check("guard", "warn", words)
    elif dialect.concurrency == "auto":
        words = "under the version that the target shows; the plan says so where it shows none (target.compares)"
        yield Check("guard", "ok", words)
    else:
        yield Check("guard", "ok", "under the version that the target shows; nothing is written without one")
    if guard.puts:
        words = "the target takes no PATCH: accounts are written with PUT of all that it shows and our change"
        yield Check("guard", "warn", f"{words}; what it does not show may get lost (target.no-patch)")


def _drifted(found: TargetFacts) -> Iterator[Check]:
    """What drifted, with what to do."""
    marks = {Severity.ERROR: "fail", Severity.WARNING: "warn", Severity.INFO: "ok"}
    for ruling in found.rulings:
        code = TargetError.exit_code if ruling.blocks else 0
        yield Check("drift", marks[ruling.severity], f"{ruling.drift}; {ruling.hint}", code)
    if not found.rulings and found.schemas:
        yield Check("drift", "ok", f"none against {found.baseline}")


def _assumed(dialect: Dialect) -> Iterator[Check]:
    """What the dialect takes for true, and how sure it is."""
    entries = {entry.field: entry for entry in ENTRIES}
    for name, ground in dialect.grounds.items():
        entry, held = entries.get(name), getattr(dialect, name)
        said = f"{entry.name} {_brief(entry.written(held))}" if entry is not None else f"{name} {_brief(held)}"
        text = said.rstrip()
        yield Check("assumes", "ok", f"{text}: {ground.certainty.value} ({ground.source})")


def _brief(held: object) -> str:
    """A value of a dialect in a word; "" for what does not fit in one."""
    if isinstance(held, bool):
        return "yes" if held else "no"
    if isinstance(held, int | str):
        return str(held)
    if isinstance(held, list) and len(held) <= _FEW:
        return ", ".join(map(str, held)) or "none"
    return f"({len(held)})" if isinstance(held, Sized) else ""

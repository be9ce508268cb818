"""List the conflicts that wait for a person, decide them, take a decision back, show decisions as configuration."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from scimsync.bootstrap import now
from scimsync.config import Settings
from scimsync.core import deciding as rules
from scimsync.core.lifecycle import ACTIVE
from scimsync.engine.deciding import today
from scimsync.engine.ports import Observer
from scimsync.engine.state import Artifacts, Decided, Runs
from scimsync.errors import ConfigError, InvalidPath, PlanStale
from scimsync.model.audit import Edit, Kind
from scimsync.model.decisions import Actor, Decision, Decisions, Scope, Wins
from scimsync.model.outcomes import Run
from scimsync.model.plans import Change, Delta, Plan, Verdict
from scimsync.services.auditing import record
from scimsync.services.planning import stored_plan
from scimsync.services.reaching import reached

#: runs among which the latest plan about everybody is looked for
_RUNS = 200


class ConflictsState(Runs, Decided, Artifacts, Protocol):
    """Of the state: plans, and what was decided."""


class Conflict(Struct, frozen=True, kw_only=True):
    """One attribute of one person that waits for a person to decide, or that one has decided."""

    key: str
    #: the login, for people to read
    name: str
    account: str | None
    delta: Delta
    #: the plan that shows it
    plan: str
    #: what answers it; None where nothing does
    decision: Decision | None = None
    #: a decision about other values than there are now
    moved: Decision | None = None

    @property
    def path(self) -> str:
        """The attribute."""
        return self.delta.path


class Listed(Struct, frozen=True, kw_only=True):
    """The conflicts as the latest plans show them."""

    plan: Plan
    conflicts: Sequence[Conflict]
    decisions: Sequence[Decision]
    today: date

    @property
    def open(self) -> Sequence[Conflict]:
        """Those that nobody decided."""
        return [one for one in self.conflicts if one.decision is None]


def listed(settings: Settings, store: ConflictsState, *, keys: Sequence[str] = (), paths: Sequence[str] = ()) -> Listed:
    """The conflicts of the latest plan about everybody, and of those about single people since.

    Args:
        settings: The configuration.
        store: The state.
        keys: Of these people only; of everybody where empty.
        paths: About these attributes only; about all where empty.

    Raises:
        PlanStale: There is no plan about everybody.
        ConfigError: A path is none.
    """
    wanted = {_short(settings, path) for path in paths}
    day, every = today(now(), settings.source.zone), store.decisions()
    runs, of_ours = _latest(store, settings.source.identity)
    plans = [(stored_plan(store, one).plan, one.begun > 0) for one in runs]
    whole = next(plan for plan, _ in plans if plan.id == of_ours)
    held = Decisions.of(every, day)
    found: dict[tuple[str, str], Conflict] = {}
    for plan, applied in plans:  # of people whom a later plan looked at, it has the word
        about = {change.key for change in (*plan.changes, *plan.notices)}
        found = {who: one for who, one in found.items() if who[0] not in about}
        found |= {(one.key, one.path): _answered(one, held) for one in _conflicts(plan, applied=applied)}
    asked = [
        one for _, one in sorted(found.items()) if (not keys or one.key in keys) and (not wanted or one.path in wanted)
    ]
    return Listed(plan=whole, conflicts=asked, decisions=[one for one in every if one.holds(day)], today=day)


def _answered(one: Conflict, held: Decisions) -> Conflict:
    found = held.about(one.key, one.path)
    if found is None:
        return one
    is_fit = one.delta.decided == found.id or rules.fits(found, one.delta.sides)
    return replace(one, decision=found) if is_fit else replace(one, moved=found)


class Inbox:
    """The conflicts as `listed` has them, read again only where plans or decisions are others than before.

    A page that says how many wait must not read a plan of 100,000 changes each time. May be used from several threads.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings, self._lock = settings, threading.Lock()
        self._read: tuple[object, Listed] | None = None

    def listed(self, store: ConflictsState) -> Listed:
        """All conflicts; of the plan that they are of, the head alone.

        Raises:
            PlanStale: There is no plan about everybody.
        """
        with self._lock:
            day = today(now(), self._settings.source.zone)
            runs, _ = _latest(store, self._settings.source.identity)
            mark = (day, [(one.id, one.plan, one.begun > 0) for one in runs], [one.id for one in store.decisions()])
            if self._read is None or self._read[0] != mark:
                found = listed(self._settings, store)
                self._read = (mark, replace(found, plan=replace(found.plan, changes=(), groups=(), notices=())))
            return self._read[1]


def shown(conflicts: Sequence[Conflict]) -> str:
    """A digest of what a person was shown: whom it is about, which attribute, and the three values."""
    told = hashlib.sha256()
    for one in sorted(conflicts, key=lambda each: (each.key, each.path)):
        told.update(f"{one.key}\0{one.path}\0{rules.mark(one.delta.sides, one.path)}\0".encode())
    return told.hexdigest()


def _latest(store: ConflictsState, source: str) -> tuple[Sequence[Run], str]:
    """Of each source of the state the run of its latest plan about everybody, and those about single people since.

    The second is the plan about everybody that is shown: that of the source that asks, or the latest.

    Raises:
        PlanStale: There is no plan about everybody.
    """
    found, whole = list[Run](), dict[str, str]()
    for run in store.runs(_RUNS):
        if run.source in whole:
            continue
        if run.compared or (run.partial and run.plan and not run.undoes):
            found.append(run)
        if run.compared:
            whole |= dict.fromkeys((run.source, *run.takes), run.id)
    if not whole:
        raise PlanStale("there is no plan about everybody whose conflicts could be listed. Make one: scimsync plan")
    return [*reversed(found)], whole.get(source, next(iter(whole.values())))


def _conflicts(plan: Plan, *, applied: bool = False) -> Iterator[Conflict]:
    """What a plan holds for a person, and what it does because a person said so, unless that was done."""
    changes: Sequence[Change] = (*plan.notices, *(c for c in plan.changes if any(d.decided for d in c.deltas)))
    for change in changes:
        for delta in change.deltas:
            is_kept = delta.verdict is Verdict.KEEP
            if delta.verdict is Verdict.CONFLICT or (delta.decided and (is_kept or not applied)):
                yield Conflict(key=change.key, name=change.name, account=change.account, delta=delta, plan=plan.id)


class Said(Struct, frozen=True, kw_only=True):
    """What a person decides."""

    wins: Wins
    scope: Scope = Scope.ONCE
    reason: str = ""
    #: the last day on which it holds; None for ever
    until: date | None = None
    #: the plan in which the person saw the conflict; whatever is the latest where ""
    seen: str = ""


def decide(
    settings: Settings, store: ConflictsState, conflicts: Sequence[Conflict], said: Said, who: Actor
) -> Sequence[Decision]:
    """Decide conflicts. Nothing is written to the target: the next plan obeys.

    Whoever decides at the same time is not overwritten: of two the first counts, and the other is told.

    Args:
        settings: The configuration.
        store: The state.
        conflicts: Those of `listed`. For an attribute of everybody one of each attribute is enough.
        said: What is decided.
        who: Who decides.

    Raises:
        ConfigError: There is nothing to decide, no reason is given for what lasts, or the last day is gone.
        PlanStale: Somebody else decided one of them, or its values are others by now; what stands before it in
            `conflicts` was decided.
    """
    day = today(now(), settings.source.zone)
    if not conflicts:
        raise ConfigError("there is no open conflict of that kind. List them with: scimsync conflicts")
    if said.scope is not Scope.ONCE and not said.reason.strip():
        raise ConfigError("--reason TEXT: say why; a decision that lasts is read long after you made it.")
    if said.until is not None and said.until < day:
        raise ConfigError(f"--until {said.until}: that day is gone; today is {day}.")
    if said.scope is Scope.ONCE and said.until is not None:
        raise ConfigError("--until is about a decision that lasts; one for once ends when it is carried out.")
    _check_seen(settings, store, conflicts, said)
    made, paths = list[Decision](), set[str]()
    for conflict in conflicts:
        if said.scope is Scope.ATTRIBUTE and conflict.path in paths:
            continue
        paths.add(conflict.path)
        made.append(_decide(settings, store, conflict, (said, who, day), made))
    return made


def _check_seen(settings: Settings, store: ConflictsState, conflicts: Sequence[Conflict], said: Said) -> None:
    """Whether the values are still those that the person saw.

    Raises:
        PlanStale: They moved.
    """
    if not said.seen:
        return
    run = store.run(said.seen)
    shown = {(one.key, one.path): one for one in _conflicts(stored_plan(store, run).plan)} if run and run.plan else {}
    current = {(one.key, one.path): one for one in listed(settings, store).conflicts}
    for one in conflicts:
        who = (one.key, one.path)
        here, then = current.get(who), shown.get(who)
        if here is None or then is None or here.delta.sides != then.delta.sides:
            raise PlanStale(
                f"{one.path} of {one.key} has moved since plan {said.seen}: nothing was decided. "
                f"Look again: scimsync conflicts show {one.key} {one.path}"
            )


def _decide(
    settings: Settings,
    store: ConflictsState,
    conflict: Conflict,
    spoken: tuple[Said, Actor, date],
    before: Sequence[Decision],
) -> Decision:
    said, who, day = spoken
    sides, name = conflict.delta.sides, secrets.token_hex(4)
    person = "" if said.scope is Scope.ATTRIBUTE else conflict.key
    if said.wins is Wins.HR and (mapped := settings.policy.by_path.get(conflict.path)) and mapped.place.filled:
        raise ConfigError(
            f"{conflict.path}: what stands there is put there by the directory itself or by another provisioner, and "
            "is never overwritten. Decide that the directory wins, or map it no more."
        )
    at = now()
    if conflict.moved is not None and conflict.moved.key == person:  # it answers nothing any more
        _end(settings, store, conflict.moved, who, "decided again")
    decision = Decision(
        id=name,
        path=conflict.path,
        key=person,
        wins=said.wins,
        sides=rules.mark(sides, name) if said.scope is Scope.ONCE else "",
        actor=who.name,
        proof=who.proof,
        reason=said.reason.strip(),
        at=at,
        until=said.until,
        plan=conflict.plan,
    )
    until = f" until {said.until}" if said.until else ""
    authority = rules.authority_of(said.wins).value
    reason = conflict.delta.reason.name.lower()
    edit = Edit(path=conflict.path, before=sides.current, after=sides.desired, reason=reason, authority=authority)
    told = replace(
        record(settings, Kind.HOLD, action="decided", who=who),
        at=at,
        run=conflict.plan,
        person=person,
        account=(conflict.account or "") if person else "",
        reason=decision.reason,
        rule=f"decision {name}",
        status=who.proof,
        edits=(edit if person else Edit(path=conflict.path, authority=authority),),
        detail=f"{said.wins.value} wins, for this {said.scope.value}{until}".replace("this once", "once"),
    )
    first = store.decide(decision, told, day)
    if first is not None:
        rest = f" Decided before that: {', '.join(one.id for one in before)}." if before else ""
        raise PlanStale(f"{stands(first)} Your decision was not kept, and nothing was overwritten.{rest}")
    return decision


def held(settings: Settings, store: Decided) -> Sequence[Decision]:
    """The decisions that hold today."""
    day = today(now(), settings.source.zone)
    return [one for one in store.decisions() if one.holds(day)]


def stands(one: Decision) -> str:
    """That something is decided, by whom, and how to decide otherwise."""
    about = f"{one.path} of {one.key}" if one.key else f"{one.path} of everybody"
    return (
        f"{about}: {one.actor} decided on {one.at:%Y-%m-%d %H:%M} UTC that {words(one)}. To decide otherwise, take "
        f"that back: scimsync conflicts withdraw {one.id}."
    )


def words(one: Decision) -> str:
    """What was decided, as a clause."""
    side = "HR wins" if one.wins is Wins.HR else "the directory wins"
    scope = {Scope.ONCE: "this once", Scope.PERSON: "for this person", Scope.ATTRIBUTE: "for everybody"}[one.scope]
    return f"{side}, {scope}" + (f", until {one.until}" if one.until else "")


def withdraw(settings: Settings, store: Decided, named: str, who: Actor, reason: str = "") -> Decision:
    """Take a decision back: the next plan asks again. What was written by it stays.

    Raises:
        ConfigError: There is no such decision, or several.
        PlanStale: It ended before.
    """
    found = [one for one in store.decisions(ended=True) if one.id.startswith(named)] if named else []
    if len(found) != 1:
        what = "no decision" if not found else "more than one decision"
        raise ConfigError(f"{named!r} names {what}. List them with: scimsync conflicts decisions")
    (one,) = found
    if not _end(settings, store, one, who, reason):
        ended = next((x for x in store.decisions(ended=True) if x.id == one.id), one)
        raise PlanStale(f"decision {one.id} holds no more: it was ended by {ended.ended_by}. Nothing was changed.")
    return one


def _end(settings: Settings, store: Decided, one: Decision, who: Actor, reason: str) -> bool:
    told = replace(
        record(settings, Kind.HOLD, action="withdrawn", who=who),
        person=one.key,
        reason=reason.strip(),
        rule=f"decision {one.id}",
        status=who.proof,
        edits=(Edit(path=one.path),),
        detail=words(one),
    )
    return store.end_decision(one.id, told.at, who.name, (told,))


def people(conflicts: Sequence[Conflict]) -> tuple[str, ...]:
    """Whom conflicts are about, each once: those to plan for after a decision."""
    return tuple(dict.fromkeys(one.key for one in conflicts))


async def changed(settings: Settings, observer: Observer, conflict: Conflict) -> str:
    """When the directory says that the account was changed last; "" where it does not say.

    Raises:
        TargetError: It cannot be asked.
    """
    if conflict.account is None:
        return ""
    async with reached(settings, observer.say) as target:
        reply = await target.get(conflict.account)
    meta = (reply.body or {}).get("meta")
    return str(meta.get("lastModified") or "") if isinstance(meta, Mapping) else ""


def exported(settings: Settings, decisions: Sequence[Decision]) -> Iterator[str]:
    """The decisions that hold as lines of the configuration: what stands there needs no decision any more.

    There is no line for one person: those decisions are told as comments, and stay in the state.
    """
    day = today(now(), settings.source.zone)
    held = [one for one in decisions if one.holds(day)]
    lasting = [one for one in held if one.scope is Scope.ATTRIBUTE]
    yield "# Decisions about conflicts, as configuration. Put the lines in the place of those of the same path, and"
    yield "# take each decision back afterwards: scimsync conflicts withdraw ID"
    if any(one.path in settings.policy.by_path for one in lasting):
        yield ""
        yield "[attributes]"
    for one in lasting:
        yield from _line(settings, one)
    singles = [one for one in held if one.scope is not Scope.ATTRIBUTE]
    if singles:
        yield ""
        yield "# About single people; the configuration has no line for that, so these stay decisions:"
    for one in singles:
        yield f"# {one.id}: {_plain(one.path)} of {_plain(one.key)}: {words(one)} ({_plain(one.actor)})"


def _line(settings: Settings, one: Decision) -> Iterator[str]:
    mapped = settings.policy.by_path.get(one.path)
    why = f": {_plain(one.reason)}" if one.reason else ""
    yield f"# {one.id}: {words(one)}, said {_plain(one.actor)} on {one.at:%Y-%m-%d}{why}"
    authority = rules.authority_of(one.wins).value
    if mapped is None:
        yield f"# {_plain(one.path)} is not mapped" + (
            f"; it follows [policy] authority = {_quoted(authority)}" if one.path == ACTIVE else ", so nothing is asked"
        )
        return
    if mapped.authority.value == "merge":
        yield f"# today `merge`, which asks less than `ask`: with {authority} other edits are decided so as well"
    values = {"value": mapped.expression, "authority": authority}
    told = ", ".join(f"{name} = {_quoted(value)}" for name, value in values.items())
    yield f"{_quoted(one.path)} = {{ {told} }}"


def _quoted(text: str) -> str:
    """A TOML basic string."""
    escaped: Mapping[int, str] = {34: '\\"', 92: "\\\\"} | {n: f"\\u{n:04x}" for n in (*range(32), 127)}
    return f'"{text.translate(dict(escaped))}"'


def _plain(text: str) -> str:
    """A text on one line of a comment."""
    return "".join(one if one.isprintable() else "?" for one in text)


def _short(settings: Settings, path: str) -> str:
    try:
        return settings.target.dialect.users.resolve(path).short
    except InvalidPath as error:
        raise ConfigError(f"{path}: {error}") from error

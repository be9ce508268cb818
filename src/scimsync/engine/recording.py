"""What the work tells the audit chain: one record for each intent and outcome, and for what people decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypedDict

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from scimsync.core import grouping
from scimsync.engine.ledger import document_of
from scimsync.engine.state import Artifacts, Audit
from scimsync.model.audit import Edit, Kind, Record
from scimsync.model.outcomes import JournalLine, Outcome, Run, RunState
from scimsync.model.plans import Change, Delta, Plan, Verdict
from scimsync.model.policy import Mapped
from scimsync.scim.schema import Value

#: action of a record about a group, whose key is no person of the plan
MEMBERS = "members"
_TAIL = 200  # bytes that hold the last line of a plan file


class BegunState(Audit, Artifacts, Protocol):
    """What the first records of a run ask of the state."""


class Application(Struct, frozen=True, kw_only=True):
    """By whom, when and how a plan is applied."""

    actor: str
    at: datetime
    overrides: Mapping[str, str]
    attributes: Sequence[Mapped]


class _About(TypedDict):
    """What a record says of the run, and of the person or the group."""

    actor: str
    run: str
    plan: str
    target: str
    person: str
    name: str
    account: str
    action: str


class Recorder:
    """Makes the records of one application of one plan.

    Args:
        plan: the plan.
        digest: what closes its file.
        actor: on whose behalf.
    """

    def __init__(self, plan: Plan, digest: str, actor: str) -> None:
        self._plan, self._digest, self._actor = plan, digest, actor
        self._changes = {(c.key, part): c for c in plan.changes for part in (c.part, c.part + 1)}
        self._groups = {group.key: group for group in plan.groups}
        #: what was last sent for one part of one change, and under which version
        self._sent: dict[tuple[str, int], tuple[tuple[Edit, ...], str]] = {}

    def intent(self, line: JournalLine, edits: tuple[Edit, ...], account: str = "") -> Record:
        """What is about to be written, path by path."""
        self._sent[line.key, line.part] = (edits, line.version)
        change = self._changes.get((line.key, line.part))
        return Record(
            kind=Kind.INTENT,
            at=line.at,
            **self._about(line.key, change, account),
            part=line.part,
            attempt=line.attempt,
            method=line.method,
            version_before=line.version,
            edits=edits,
        )

    def outcome(self, outcome: Outcome, part: int, at: datetime) -> Record:
        """What the directory now holds because of us, and how it answered."""
        if outcome.key in self._groups:
            edits: Iterable[Edit] = edits_of_members(outcome.written)
        else:
            edits = self._edits(outcome, part)
        change = self._changes.get((outcome.key, part))
        _, version = self._sent.get((outcome.key, part), ((), change.version if change else ""))
        return Record(
            kind=Kind.OUTCOME,
            at=at,
            **self._about(outcome.key, change, outcome.account or ""),
            part=part,
            edits=tuple(edits),
            version_before=version,
            version_after=outcome.version,
            correlation_id=outcome.correlation_id,
            status=outcome.status.value,
            code=outcome.code,
            detail=_told(outcome),
        )

    def _edits(self, outcome: Outcome, part: int) -> Iterator[Edit]:
        """What was written of a person, with what stood there before."""
        change = self._changes.get((outcome.key, part))
        planned = edits_of(change.deltas) if change else ()
        sent, _ = self._sent.get((outcome.key, part), ((), ""))
        known = {edit.path: edit for edit in (*planned, *sent)}
        for path, value in outcome.written.items():
            yield replace(known.get(path, Edit(path=path)), after=value)

    def _about(self, key: str, change: Change | None, account: str) -> _About:
        """What a record says of the run, and of the person or the group."""
        group = self._groups.get(key)
        name = change.name if change else group.name if group else ""
        return _About(
            actor=self._actor,
            run=self._plan.id,
            plan=self._digest,
            target=self._plan.seal.target,
            person=key,
            name=name,
            account=group.group if group else account or (change.account if change else "") or "",
            action=change.action.value if change else MEMBERS,
        )


def _told(outcome: Outcome) -> str:
    """The detail of an outcome, and where no version guarded the write, how long nobody else's was seen."""
    if outcome.window_s is None:
        return outcome.detail
    window = f"no version guarded this: {outcome.window_s:.3f} s between reading and writing"
    return f"{outcome.detail}; {window}" if outcome.detail else window


def edits_of(deltas: Iterable[Delta]) -> tuple[Edit, ...]:
    """What deltas change, as records tell it."""
    return tuple(
        Edit(
            path=delta.path,
            before=delta.sides.current,
            after=delta.sides.desired,
            reason=delta.reason.name.lower(),
            authority=delta.authority.value,
        )
        for delta in deltas
    )


def edits_of_members(written: Mapping[str, Value]) -> tuple[Edit, ...]:
    """Who joined and left a group, as records tell it: the members that went before, those that came after."""
    return (Edit(path=MEMBERS, before=written.get(grouping.REMOVED), after=written.get(grouping.ADDED)),)


def begun(plan: Plan, run: Run, store: BegunState, given: Application) -> Iterator[Record]:
    """What is recorded when a plan begins to be applied, or is gone on with.

    The configuration where it is another than the last one that took effect; then what was set aside; and for a plan
    with changes that was not begun before, that it was approved, and what it holds back.
    """
    first = run.state in {RunState.PLANNED, RunState.REFUSED}
    common = Record(
        kind=Kind.PLAN_APPROVED,
        at=given.at,
        actor=given.actor,
        run=plan.id,
        plan=digest_of(store.artifact(run.plan)) if run.plan else "",
        target=plan.seal.target,
        configuration=plan.seal.configuration,
    )
    if _configuration(store) != plan.seal.configuration:
        mapped = tuple(Edit(path=m.path, authority=m.authority.value) for m in given.attributes)
        yield replace(common, kind=Kind.CONFIGURATION, action="took effect", edits=mapped)
    for rule, reason in {**(plan.overrides if first else {}), **given.overrides}.items():
        yield replace(common, kind=Kind.OVERRIDE, action="set aside", rule=rule, reason=reason)
    if plan.writes and first:
        counted = ", ".join(f"{action} {number}" for action, number in sorted(plan.tally.actions.items()) if number)
        yield replace(common, action="approved", detail=counted)
        if plan.looks_back:
            yield replace(common, kind=Kind.UNDO, action=run.undoes)
        yield from _holds(plan, common)


def _holds(plan: Plan, common: Record) -> Iterator[Record]:
    held = replace(common, kind=Kind.HOLD, action="held", status="held")
    for finding in plan.findings:
        if finding.holds and finding.subject:
            yield replace(held, person=finding.subject, rule=finding.code, code=finding.code, detail=finding.detail)
    for notice in plan.notices:
        edits = edits_of(d for d in notice.deltas if d.verdict is Verdict.CONFLICT)
        if edits:
            yield replace(
                held,
                person=notice.key,
                name=notice.name,
                account=notice.account or "",
                edits=edits,
                rule="conflict.open",
                code="conflict.open",
            )


def digest_of(plan_file: Path) -> str:
    """The digest that closes a plan file; "" where there is no such file."""
    if not plan_file.is_file():
        return ""
    with plan_file.open("rb") as file:
        file.seek(max(0, plan_file.stat().st_size - _TAIL))
        return msgspec.json.decode(file.read().splitlines()[-1], type=_Closing).sha256


class _Closing(msgspec.Struct):
    sha256: str = ""


def _configuration(store: Audit) -> str:
    """The configuration that took effect last."""
    latest = next(store.entries(kind=Kind.CONFIGURATION.value, newest=1), None)
    return str(document_of(latest).get("configuration", "")) if latest else ""

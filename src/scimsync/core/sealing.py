"""The plan as a file: one JSON object a line for people, git and jq, closed by a digest and a signature.

    {"scimsync_plan": 1, "id": "...", "created": "...", "seal": {...}, "tally": {...}, "signer": "ed25519:...", ...}
                                    "offline" says when its accounts were read, where the directory was not asked;
                                    "authors" who proposed it, "trimmed" the plan that somebody left something out of,
                                    "undoes" the run that it takes back, "restores" to when it brings a person back
    {"finding": {"severity": "error", "code": "record.bad-phone", "subject": "E17", ...}}
    {"change": {"key": "E42", "action": "update", "deltas": [{"path": "title", "before": ..., "after": ...}], ...}}
    {"group": {"group": "...", "add": [["E42", "..."]], "remove": [], ...}}
    {"notice": {...}}      deltas that write nothing: kept edits and conflicts
    {"coming": {"key": "E51", "lifecycle": "joiner", "day": "2026-12-01"}}      who joins, moves or leaves later
    {"lines": 12, "sha256": "...", "signature": "..."}      over all bytes before this line

A plan is applied only as it was sealed: a changed byte, a missing line, another target, another
configuration or a newer base each refuse it. What is signed is the closing line without the signature, so that the
whole file stands behind it; who signed stands in the first line, so that a signature cannot be cut off in silence. A
plan of a version before signatures names nobody there, and is proven by its digest alone.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from scimsync.errors import PlanDamaged, PlanStale, ProtocolError
from scimsync.model.plans import (
    ITSELF,
    Action,
    Change,
    Coming,
    Delta,
    Estimate,
    Finding,
    GroupChange,
    Lifecycle,
    Member,
    Plan,
    Reason,
    Seal,
    Severity,
    Sides,
    Tally,
    Verdict,
)
from scimsync.model.policy import Authority
from scimsync.scim.kept import value_from_json, value_to_json
from scimsync.scim.messages import Operation

FORMAT = 1
_encode = msgspec.json.Encoder().encode
#: what is told of a finding
_TOLD = Finding.__struct_fields__


class Signer(Struct, frozen=True):
    """Who signs a plan: the public key as text, and what makes the signature of some bytes."""

    public: str
    sign: Callable[[bytes], bytes]


class Closing(Struct, frozen=True, kw_only=True):
    """The last line of a plan file."""

    lines: int
    #: over all bytes before it
    sha256: str
    #: base64 of 64 bytes; "" where nobody signed
    signature: str = ""

    @property
    def line(self) -> bytes:
        """The line as it stands in the file, in its one spelling."""
        signed = {"signature": self.signature} if self.signature else {}
        return _encode({"lines": self.lines, "sha256": self.sha256, **signed}) + b"\n"

    @property
    def message(self) -> bytes:
        """What is signed. No other text that the same key signs begins so."""
        return b"scimsync plan\n" + Closing(lines=self.lines, sha256=self.sha256).line


class Opened(Struct, frozen=True, kw_only=True):
    """A plan file that is whole."""

    plan: Plan
    closing: Closing
    #: the public key of who signed, as the file tells it; "" where nobody did
    signer: str = ""


def encode(plan: Plan, signer: Signer | None = None) -> Iterator[bytes]:
    """The lines of a plan file, each with its line end."""
    digest, count = hashlib.sha256(), 0
    for line in _lines(plan, signer.public if signer is not None else ""):
        packed = _encode(line) + b"\n"
        digest.update(packed)
        count += 1
        yield packed
    closing = Closing(lines=count, sha256=digest.hexdigest())
    if signer is not None:
        signature = base64.b64encode(signer.sign(closing.message)).decode()
        closing = Closing(lines=count, sha256=closing.sha256, signature=signature)
    yield closing.line


def _lines(plan: Plan, signer: str) -> Iterator[dict[str, object]]:
    yield {
        "scimsync_plan": FORMAT,
        "id": plan.id,
        "created": plan.created.isoformat(),
        "seal": asdict(plan.seal),
        "tally": asdict(plan.tally),
        "rate": plan.rate,
        "place": plan.place,
        "overrides": plan.overrides,
        "moved": dict(plan.moved),
        **({"expires": plan.expires.isoformat()} if plan.expires is not None else {}),
        **({"parts": dict(plan.parts)} if plan.parts else {}),
        **({"estimate": asdict(plan.estimate)} if plan.estimate is not None else {}),
        **({"signer": signer} if signer else {}),
        **({"offline": plan.offline.isoformat()} if plan.offline else {}),
        **({"as_of": plan.as_of.isoformat()} if plan.as_of else {}),
        **({"undoes": plan.undoes} if plan.undoes else {}),
        **({"restores": plan.restores} if plan.restores else {}),
        **({"authors": list(plan.authors)} if plan.authors else {}),
        **({"trimmed": plan.trimmed} if plan.trimmed else {}),
    }
    for refusal in plan.refusals:
        yield {"refusal": finding_to_json(refusal)}
    for finding in plan.findings:
        yield {"finding": finding_to_json(finding)}
    for change in plan.changes:
        yield {"change": change_to_json(change)}
    for group in plan.groups:
        yield {"group": group_to_json(group)}
    for notice in plan.notices:
        yield {"notice": change_to_json(notice)}
    for one in plan.coming:
        yield {"coming": coming_to_json(one)}


def finding_to_json(finding: Finding) -> dict[str, object]:
    """A finding as plan files and `--json` show it."""
    told = {name: getattr(finding, name) for name in _TOLD} | {"severity": finding.severity.value}
    if finding.accepted is not None:
        told["accepted"] = finding.accepted.isoformat()
    return {name: value for name, value in told.items() if value not in ("", None)}


def change_to_json(change: Change) -> dict[str, object]:
    """A change as plan files and `--json` show it."""
    return {
        "key": change.key,
        "name": change.name,
        "action": change.action.value,
        "lifecycle": change.lifecycle.value,
        "account": change.account,
        "version": change.version,
        "row": change.row,
        "part": change.part,
        "deltas": [_delta_to_json(delta) for delta in change.deltas],
        "operations": [operation.to_json() for operation in change.operations],
        **({"pilot": True} if change.pilot else {}),
    }


def coming_to_json(coming: Coming) -> dict[str, object]:
    """Who joins, moves or leaves later, as plan files and `--json` show it."""
    found: dict[str, object] = {"key": coming.key, "lifecycle": coming.lifecycle.value, "day": coming.day.isoformat()}
    return found if coming.action is None else found | {"action": coming.action.value}


def group_to_json(group: GroupChange) -> dict[str, object]:
    """The change of a group as plan files and `--json` show it: members as pairs of key and account."""
    return {
        "group": group.group,
        "name": group.name,
        "version": group.version,
        "held": group.held,
        "batch": group.batch,
        **({"partial": True} if group.partial else {}),
        **({"cut": group.cut} if group.cut is not None else {}),
        **({"doubted": True} if group.doubted else {}),
        "add": [[member.key, member.account] for member in group.add],
        "remove": [[member.key, member.account] for member in group.remove],
    }


def _delta_to_json(delta: Delta) -> dict[str, object]:
    line: dict[str, object] = {
        "path": delta.path,
        "before": value_to_json(delta.sides.current),
        "after": value_to_json(delta.sides.desired),
        "verdict": delta.verdict.value,
        "reason": delta.reason.name.lower(),
        "authority": delta.authority.value,
    }
    if delta.sides.known:
        line["base"] = value_to_json(delta.sides.base)
    if delta.awaits is not None:
        line["awaits"] = delta.awaits
    if delta.decided:
        line["decided"] = delta.decided
    return line


def decode(lines: Iterable[bytes]) -> Plan:
    """Read a plan file and prove that it is as it was sealed.

    Raises:
        PlanDamaged: Cut, changed, or not a plan; the message says which and where.
    """
    return opened(lines).plan


def opened(lines: Iterable[bytes]) -> Opened:
    """As `decode`, with what closes the file. Whose the signature is, is not looked at (`engine.signatures`).

    Raises:
        PlanDamaged: Cut, changed, or not a plan; the message says which and where.
    """
    digest, count, documents = hashlib.sha256(), 0, []
    closed: bytes | None = None
    for number, raw in enumerate(lines, 1):
        if closed is not None:
            raise PlanDamaged(f"plan: line {number} stands after the seal. Make a new plan.")
        document = _document(raw, number)
        if "sha256" in document and "lines" in document:
            closed = raw
            continue
        digest.update(raw)
        count += 1
        documents.append(document)
    if closed is None:
        raise PlanDamaged("plan: the file ends before its seal; it was cut, or is not a plan. Make a new plan.")
    closing = closing_of(closed)
    if (closing.lines, closing.sha256) != (count, digest.hexdigest()):
        raise PlanDamaged("plan: the file was changed after it was sealed. Make a new plan.")
    try:
        signer = msgspec.convert(documents[0].get("signer", ""), str)
        if bool(signer) != bool(closing.signature):
            raise PlanDamaged("plan: its signature was cut off, or put on by somebody else. Make a new plan.")
        return Opened(plan=plan_of(documents), closing=closing, signer=signer)
    except (LookupError, TypeError, ValueError, ProtocolError) as error:
        raise PlanDamaged(f"plan: it does not have the form of a plan ({error}). Make a new plan.") from error


def closing_of(line: bytes) -> Closing:
    """Read the last line of a plan file.

    Raises:
        PlanDamaged: It is not as it was written.
    """
    try:
        found = msgspec.convert(msgspec.json.decode(line), Closing)
        signature = base64.b64decode(found.signature, validate=True)
        if found.line != line or base64.b64encode(signature).decode() != found.signature:
            raise ValueError("not as it was written")
    except ValueError as error:
        raise PlanDamaged("plan: the file was changed after it was sealed. Make a new plan.") from error
    return found


def _document(raw: bytes, number: int) -> dict[str, object]:
    try:
        return msgspec.json.decode(raw, type=dict[str, object])
    except ValueError as error:  # of msgspec, or of bytes that are no text
        raise PlanDamaged(f"plan: line {number} is not a JSON object. Make a new plan.") from error


def plan_of(documents: list[dict[str, object]]) -> Plan:
    """A plan of the lines of its file, the first of which is its head; of some of them it is so much of the plan.

    Raises:
        PlanStale: It has another format.
        ValueError: A line does not have its form; also LookupError, TypeError.
    """
    head = documents[0]
    if head.get("scimsync_plan") != FORMAT:
        found = head.get("scimsync_plan")
        raise PlanStale(f"plan: it has format {found}, this program reads {FORMAT}. Make a new plan.")
    return Plan(
        id=str(head["id"]),
        created=datetime.fromisoformat(str(head["created"])),
        seal=Seal(**_texts(head["seal"])),
        tally=msgspec.convert(head["tally"], Tally),
        rate=msgspec.convert(head["rate"], int),
        place=str(head["place"]),
        overrides=_texts(head["overrides"]),
        moved=_texts(head.get("moved", {})),
        expires=datetime.fromisoformat(str(head["expires"])) if "expires" in head else None,
        parts=_texts(head.get("parts", {})),
        estimate=msgspec.convert(head["estimate"], Estimate) if "estimate" in head else None,
        offline=datetime.fromisoformat(str(head["offline"])) if "offline" in head else None,
        as_of=date.fromisoformat(str(head["as_of"])) if "as_of" in head else None,
        undoes=str(head.get("undoes", "")),
        restores=str(head.get("restores", "")),
        authors=msgspec.convert(head.get("authors", []), tuple[str, ...]),
        trimmed=str(head.get("trimmed", "")),
        coming=tuple(_coming(d["coming"]) for d in documents if "coming" in d),
        changes=tuple(change_of(d["change"]) for d in documents if "change" in d),
        groups=tuple(group_of(d["group"]) for d in documents if "group" in d),
        notices=tuple(change_of(d["notice"]) for d in documents if "notice" in d),
        findings=tuple(finding_of(d["finding"]) for d in documents if "finding" in d),
        refusals=tuple(finding_of(d["refusal"]) for d in documents if "refusal" in d),
    )


def _texts(found: object) -> dict[str, str]:
    return msgspec.convert(found, dict[str, str])


def finding_of(found: object) -> Finding:
    """Read what `finding_to_json` made."""
    members = {"code": "", "subject": "", "summary": "", **msgspec.convert(found, dict[str, object])}
    return msgspec.convert({**members, "severity": Severity(members["severity"])}, Finding)


def change_of(found: object) -> Change:
    """Read what `change_to_json` made."""
    line = msgspec.convert(found, _ChangeLine)
    return Change(
        key=line.key,
        name=line.name,
        action=Action(line.action),
        lifecycle=Lifecycle(line.lifecycle),
        deltas=tuple(_delta(delta) for delta in line.deltas),
        account=line.account,
        version=line.version,
        operations=tuple(Operation(o.op, o.path, o.value) for o in line.operations),
        row=line.row,
        part=line.part,
        pilot=line.pilot,
    )


def _coming(found: object) -> Coming:
    line = _texts(found)
    action = Action(line["action"]) if "action" in line else None
    return Coming(line["key"], Lifecycle(line["lifecycle"]), date.fromisoformat(line["day"]), action)


def group_of(found: object) -> GroupChange:
    """Read what `group_to_json` made."""
    line = msgspec.convert(found, _GroupLine)
    return GroupChange(
        group=line.group,
        name=line.name,
        version=line.version,
        add=tuple(Member(*member) for member in line.add),
        remove=tuple(Member(*member) for member in line.remove),
        held=line.held,
        batch=line.batch,
        partial=line.partial,
        cut=line.cut,
        doubted=line.doubted,
    )


def _delta(line: _DeltaLine) -> Delta:
    known = line.base is not msgspec.UNSET
    return Delta(
        path=line.path,
        sides=Sides(
            desired=value_from_json(line.after),
            current=value_from_json(line.before),
            base=value_from_json(line.base) if known else None,
            known=known,
        ),
        verdict=Verdict(line.verdict),
        reason=Reason[line.reason.upper()],
        authority=Authority(line.authority),
        awaits=line.awaits,
        decided=line.decided,
    )


class _OperationLine(msgspec.Struct):
    op: str
    path: str | None = None
    value: object = None


class _DeltaLine(msgspec.Struct):
    path: str
    before: object
    after: object
    verdict: str
    reason: str
    authority: str
    base: object = msgspec.UNSET
    awaits: str | None = None
    decided: str = ""


class _GroupLine(msgspec.Struct):
    group: str
    name: str
    version: str
    held: int
    batch: int
    add: list[tuple[str, str | None]]
    remove: list[tuple[str, str | None]]
    partial: bool = False
    cut: int | None = None
    doubted: bool = False


class _ChangeLine(msgspec.Struct):
    key: str
    name: str
    action: str
    lifecycle: str
    account: str | None
    version: str
    row: int | None
    deltas: list[_DeltaLine]
    operations: list[_OperationLine]
    part: int = ITSELF
    pilot: bool = False

"""approve, reject, approvals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from scimsync.cli.finding_text import printable
from scimsync.cli.running import show, show_json
from scimsync.config import load
from scimsync.model.approvals import Approval
from scimsync.services import approving, state
from scimsync.services.acting import this_person
from scimsync.services.approving import Reviewed
from scimsync.showing.words import counted


def approve(config: Path, named: str, reason: str, *, as_json: bool) -> int:
    """The approve command; returns the exit code."""
    settings = load(config, secrets=False)
    with state.open_store(settings) as store:
        told = approving.approve(settings, store, named, this_person(), reason)
    _tell(told, f"Plan {told.plan.id}: approved.", as_json=as_json)
    return 0


def reject(config: Path, named: str, reason: str, *, as_json: bool) -> int:
    """The reject command; returns the exit code."""
    settings = load(config, secrets=False)
    with state.open_store(settings) as store:
        told = approving.reject(settings, store, named, this_person(), reason)
    _tell(told, f"Plan {told.plan.id}: rejected. It is never applied.", as_json=as_json)
    return 0


def approvals(config: Path, named: str, *, as_json: bool) -> int:
    """The approvals command; returns the exit code. It never talks to the target, and needs no credentials."""
    settings = load(config, secrets=False)
    with state.open_store(settings) as store:
        told = [approving.review(settings, store, named)] if named else [*approving.waiting(settings, store)]
    if as_json:
        show_json([_document(one) for one in told])
    elif named:
        show(_lines(told[0]))
    else:
        show([_line(one) for one in told] or ["No plan waits for approvals."])
    return 0


def _tell(told: Reviewed, done: str, *, as_json: bool) -> None:
    if as_json:
        show_json(_document(told))
        return
    show([done])
    if told.standing.rejected is None:
        click.echo(approving.words(told) or f"Carry it out with: scimsync apply {told.plan.id}", err=True)


def _line(one: Reviewed) -> str:
    met = ", ".join(f"{need.rule.name} ({printable(need.why)})" for need, _, missing in one.standing.needs if missing)
    wanted = f"{counted(one.standing.missing, 'approval')} missing"
    return f"{one.plan.id}  {counted(one.plan.writes, 'change')}  {_authors(one)}  {wanted}: {met}"


def _authors(one: Reviewed) -> str:
    return (
        f"proposed by {printable(', then '.join(one.plan.authors))}" if one.plan.authors else "proposed by nobody known"
    )


def _lines(one: Reviewed) -> Iterator[str]:
    yield click.style(f"Plan {one.plan.id}", bold=True) + f"  {counted(one.plan.writes, 'change')}  {_authors(one)}"
    if not one.standing.needs:
        yield "It needs no approval."
    for need, given, missing in one.standing.needs:
        who = f" by {printable(' or '.join(need.rule.by))}" if need.rule.by else ""
        mark = f"{missing} missing" if missing else "given"
        yield f"  {need.rule.name}  {printable(need.why)}: needs {need.rule.needs}{who}, {len(given)} given ({mark})"
    for approval in one.approvals:
        verb, at = "approved" if approval.approves else "rejected", f"{approval.at:%Y-%m-%d %H:%M} UTC"
        why = f"  (does not count: {found})" if (found := _void(approval, one)) else ""
        yield f"  {verb} by {printable(approval.who.text)} at {at}: {printable(approval.reason)}{why}"


def _void(approval: Approval, one: Reviewed) -> str:
    """Why an approval does not count; "" where it does."""
    return next((why for void, why in one.standing.void if void == approval), "")


def _document(one: Reviewed) -> dict[str, object]:
    return {
        "plan": one.plan.id,
        "digest": one.digest,
        "changes": one.plan.writes,
        "authors": list(one.plan.authors),
        "missing": one.standing.missing,
        "rejected": one.standing.rejected is not None,
        "needs": [
            {
                "rule": need.rule.name,
                "why": need.why,
                "needs": need.rule.needs,
                "by": list(need.rule.by),
                "given": len(given),
                "missing": missing,
            }
            for need, given, missing in one.standing.needs
        ],
        "said": [_approval(approval, one) for approval in one.approvals],
    }


def _approval(approval: Approval, one: Reviewed) -> dict[str, object]:
    why = _void(approval, one)
    return {
        "actor": approval.actor,
        "proof": approval.proof,
        "approves": approval.approves,
        "reason": approval.reason,
        "at": approval.at.isoformat(),
        "until": approval.until.isoformat(),
        **({"void": why} if why else {}),
    }

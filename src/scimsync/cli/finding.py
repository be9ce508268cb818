"""findings: list them, accept some until a day, take that back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import click

from scimsync.cli.finding_text import finding_lines, printable
from scimsync.cli.running import show, show_json
from scimsync.config import load
from scimsync.core import accepting as rules
from scimsync.core import sealing
from scimsync.model.outcomes import Acceptance
from scimsync.services import accepting, quarantine, state
from scimsync.services.accepting import Listed
from scimsync.services.quarantine import LeftOut
from scimsync.showing.words import counted


def findings(config: Path, *, everybody: bool, as_json: bool) -> int:
    """The findings command; returns the exit code. It never talks to the target, and needs no credentials."""
    settings = load(config, secrets=False)
    with state.open_store(settings) as store:
        told = accepting.listed(settings, store)
    if as_json:
        show_json(
            {
                "plan": told.plan.id,
                "findings": [
                    sealing.finding_to_json(one) | {"acceptable": rules.is_acceptable(one)} for one in told.findings
                ],
                "accepted": [_document(one) for one in told.acceptances],
            }
        )
    else:
        show(_lines(told, everybody=everybody))
    return 0


def accept(config: Path, key: str, code: str, until: date, reason: str, *, as_json: bool) -> int:
    """The findings accept command; returns the exit code."""
    settings = load(config, secrets=False)
    with state.held(settings) as store:
        made = accepting.accept(settings, store, key, code, until, reason)
    if as_json:
        show_json([_document(one) for one in made])
    else:
        what = counted(len(made), "finding")
        show([f"{what} {code} of {printable(key)}: accepted until {until}. The next plan counts it no more."])
    return 0


def forget(config: Path, key: str, code: str, *, as_json: bool) -> int:
    """The findings forget command; returns the exit code."""
    settings = load(config, secrets=False)
    with state.held(settings) as store:
        gone = accepting.forget(settings, store, key, code)
    if as_json:
        show_json([_document(one) for one in gone])
    else:
        codes = ", ".join(sorted({one.code for one in gone}))
        show([f"{codes} of {printable(key)}: accepted no more. The next plan counts it again."])
    return 0


def left_out(config: Path, users: Sequence[str], *, as_json: bool) -> int:
    """The findings quarantine command; returns the exit code. It never talks to the target."""
    settings = load(config, secrets=False)
    with state.open_store(settings) as store:
        told = quarantine.listed(store, users)
    if as_json:
        show_json([_left(one) for one in told])
    else:
        show(_left_lines(told))
    return 0


def _left_lines(told: Sequence[LeftOut]) -> Iterator[str]:
    if not told:
        yield "Nobody is left out."
    for one in told:
        subject = f"{click.style(printable(one.key), bold=True)}  since {one.since:%Y-%m-%d %H:%M} UTC  {one.code}"
        yield f"{subject}  {printable(one.why)}"
        yield f"      {printable(one.what_to_do)}. Ask {one.ask}."
    if told:
        yield ""
        yield f"Try again: scimsync plan --user {printable(told[0].key)}"


def _left(one: LeftOut) -> dict[str, object]:
    return {
        "key": one.key,
        "code": one.code,
        "since": one.since.isoformat(),
        "plan": one.run,
        "why": one.why,
        "what_to_do": one.what_to_do,
        "ask": one.ask,
    }


def _lines(told: Listed, *, everybody: bool) -> Iterator[str]:
    plan = told.plan
    yield click.style(f"Plan {plan.id}", bold=True) + f"  of {plan.created:%Y-%m-%d %H:%M} UTC"
    if not told.findings:
        yield "No findings."
    yield from finding_lines(told.findings, everybody=everybody, place=plan.place)
    yield from _accepted(told.idle, told.today)


def _accepted(idle: Sequence[Acceptance], today: date) -> Iterator[str]:
    """What was accepted and counts no more."""
    if idle:
        yield ""
        yield click.style("accepted before", bold=True)
    for one in idle:
        why = f"until {one.until}: that day is gone" if one.until < today else "not found any more, or of another kind"
        yield f"  {one.code}  {printable(one.key)}  {why}"


def _document(one: Acceptance) -> dict[str, object]:
    return {
        "key": one.key,
        "code": one.code,
        "until": one.until.isoformat(),
        "reason": one.reason,
        "actor": one.actor,
        "at": one.at.isoformat(),
    }

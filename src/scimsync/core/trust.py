"""May this reading of the source be believed? What it may be used for if not wholly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from scimsync.model.outcomes import Sweep
from scimsync.model.plans import Finding, Severity
from scimsync.model.policy import Limits
from scimsync.model.records import SourceHealth

#: the rules a person may override on the command line
ABSENCE, ROWS, BLANKS = "source.absence", "source.rows-drop", "source.blanks"
RULES = frozenset({ABSENCE, ROWS, BLANKS})
#: a column may grow by this share of blanks from one run to the next
_BLANKS_GROWTH = 0.10


@dataclass(frozen=True, slots=True)
class Trust:
    """What a reading proves."""

    #: the absence of a person means that the person left
    absence: bool
    #: source columns that went blank: the attributes made of them are left alone
    blank_columns: frozenset[str]
    findings: tuple[Finding, ...]
    #: what the next reading is judged by: this one, unless a guard found it worse than the last
    remembered: SourceHealth


def judge(
    health: SourceHealth,
    previous: SourceHealth | None,
    *,
    proven: bool,
    keyless: bool,
    limits: Limits,
    overrides: Iterable[str] = (),
) -> Trust:
    """Judge a reading by its proof and by the last trusted one.

    Args:
        health: Numbers of this reading.
        previous: Numbers of the last reading that was applied; None on a first run.
        proven: The technology proves that nothing is missing.
        keyless: Some record has no key, so it could be anybody's.
        limits: How far the number of rows may fall.
        overrides: Rules that a person set aside for this run.
    """
    given = frozenset(overrides)
    findings: list[Finding] = []
    remembered = health
    if not proven and ABSENCE not in given:
        findings.append(_UNPROVEN)
    if keyless:
        findings.append(_KEYLESS)
    if previous is not None and ROWS not in given:
        lost = previous.rows - health.rows
        if lost > 0 and not limits.source_rows_drop.allows(lost, previous.rows):
            findings.append(_short(previous.rows, health.rows, str(limits.source_rows_drop)))
            remembered = previous
    absence = not findings
    columns = _gone_blank(health, previous) if BLANKS not in given else frozenset()
    findings += [_blank(column) for column in sorted(columns)]
    if columns and previous is not None:
        remembered = previous
    return Trust(absence, columns, tuple(findings), remembered)


def _gone_blank(health: SourceHealth, previous: SourceHealth | None) -> frozenset[str]:
    if previous is None or previous.rows < _FEW:
        return frozenset()
    return frozenset(
        column
        for column, share in health.blanks.items()
        if column in previous.blanks and share - previous.blanks[column] > _BLANKS_GROWTH
    )


#: below so many rows a share of blanks says nothing
_FEW = 20


def incomplete(sweep: Sweep) -> Finding | None:
    """The finding for a reading of the directory with holes."""
    if not sweep.incomplete:
        return None
    return Finding(
        severity=Severity.WARNING,
        code="target.incomplete",
        subject="",
        summary="the directory could not be read whole, so nobody is taken for new",
        detail=sweep.incomplete,
        hint="run again; people who need an account are created by the next complete run",
    )


_UNPROVEN = Finding(
    severity=Severity.WARNING,
    code=ABSENCE,
    subject="",
    summary="the source cannot prove that it is complete, so nobody who is missing is taken for a leaver",
    hint=(
        'a text file cut at the end of a line looks whole: set [source] complete = "checksum" and deliver '
        "FILE.sha256 (made by sha256sum) beside it, or override this rule for one run"
    ),
)
_KEYLESS = Finding(
    severity=Severity.WARNING,
    code="source.keyless",
    subject="",
    summary="a record without key could be anybody's, so nobody who is missing is taken for a leaver",
    hint="fill the key of every record",
)


def _short(before: int, now: int, limit: str) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code=ROWS,
        subject="",
        summary="the source has far fewer records than before, so nobody who is missing is taken for a leaver",
        detail=f"{before} records in the last run, {now} now; [limits] source_rows_drop is {limit}",
        hint="check the export; if it is right, override this rule for one run",
    )


def _blank(column: str) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code=BLANKS,
        subject=column,
        summary="a column of the source went blank, so what is made of it is left alone",
        detail=column,
        hint="check the export; if it is right, override this rule for one run",
    )

"""May this reading of the source be believed? What it may be used for if not wholly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from msgspec import Struct

from scimsync.core import contract, joining
from scimsync.core.contract import Breach
from scimsync.core.lifecycle import ACTIVE
from scimsync.model.contracts import Expect
from scimsync.model.outcomes import Sweep
from scimsync.model.plans import Finding, Plan, Severity
from scimsync.model.policy import Limits
from scimsync.model.records import SourceHealth

#: the rules a person may override on the command line
ABSENCE, ROWS, BLANKS = "source.absence", "source.rows-drop", "source.blanks"
#: the finding about a directory with holes, and the rule that nobody is made while there are some
INCOMPLETE = "target.incomplete"
RULES = frozenset({ABSENCE, ROWS, BLANKS, INCOMPLETE, joining.SHORT}) | contract.RULES
#: the share of blanks may grow by so much from one run to the next
_BLANKS_GROWTH = 0.10


class Trust(Struct, frozen=True):
    """What a reading proves."""

    #: the absence of a person means that the person left
    absence: bool
    #: source columns that went blank
    blank_columns: frozenset[str]
    #: attributes that are left alone: made of such columns, or gone blank whatever the columns say
    frozen: frozenset[str]
    findings: tuple[Finding, ...]
    #: what the next reading is judged by: this one, unless a guard found it worse than the last
    remembered: SourceHealth
    #: the rules that it breaks, so that no value is cleared on its word
    broken: tuple[str, ...] = ()
    #: it is older than the last: who joins by it may have left since
    older: bool = False
    #: it is about everybody
    everybody: bool = True

    @property
    def whole(self) -> bool:
        """Whether it is about everybody and nothing was found, but that absence is never proven here."""
        return self.everybody and all(finding is _UNPROVEN for finding in self.findings)


def judge(  # noqa: PLR0913 - a reading is judged by much
    health: SourceHealth,
    previous: SourceHealth | None,
    *,
    proven: bool,
    keyless: bool,
    limits: Limits,
    overrides: Iterable[str] = (),
    columns_of: Mapping[str, Iterable[str]] = MappingProxyType({}),
    expect: Expect | None = None,
    breaches: Iterable[Breach] = (),
) -> Trust:
    """Judge a reading by its proof and by the last trusted one.

    Args:
        health: Numbers of this reading.
        previous: Numbers of the last reading that was applied; None on a first run.
        proven: The technology proves that nothing is missing.
        keyless: Some record has no key, so it could be anybody's.
        limits: How far the number of rows may fall.
        overrides: Rules that a person set aside for this run.
        columns_of: Path -> the source columns that it is made of; who is told of a column need not hear of the path.
        expect: What was declared.
        breaches: Where the reading breaks what is expected of it besides.
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
    told = [breach for breach in breaches if breach.finding.code not in given]
    broken = {finding.code: None for finding in findings if finding.code == ROWS}
    broken |= {breach.finding.code: None for breach in told}
    findings += [breach.finding for breach in told]
    absence = not findings
    doubted = {breach.column.lower() for breach in told if breach.column}
    older = any(breach.backwards for breach in told)
    access = older or bool(doubted & _lowered(columns_of.get(ACTIVE, ())))
    columns, frozen = frozenset[str](), frozenset[str]()
    if BLANKS not in given:
        declared = contract.too_blank(health.blanks, expect or Expect())
        watched = _lowered((expect or Expect()).blanks)
        grown = frozenset[str]()
        paths = frozenset[str]()
        if previous is not None and previous.rows >= _FEW:
            grown = _gone_blank(health.blanks, previous.blanks)
            paths = frozenset(
                path
                for path in _gone_blank(health.desired, previous.desired)
                if not watched or not _lowered(columns_of.get(path, ["?"])) <= watched
            )
        columns = frozenset(declared) | {column for column in grown if column.lower() not in watched}
        made_of = {path for path, names in columns_of.items() if _lowered(columns) & _lowered(names)}
        frozen = paths | made_of
        findings += [_blank("a column of the source", column, declared.get(column, "")) for column in sorted(columns)]
        findings += [_blank("what the mapping makes", path) for path in sorted(paths - made_of)]
    if broken or frozen | columns:
        remembered = previous or health
    frozen |= {ACTIVE} if access else frozenset()
    return Trust(absence, columns, frozen, tuple(findings), remembered, tuple(broken), older)


def _lowered(names: Iterable[str]) -> set[str]:
    return {name.lower() for name in names}


def _gone_blank(shares: Mapping[str, float], former: Mapping[str, float]) -> frozenset[str]:
    return frozenset(name for name, share in shares.items() if name in former and share - former[name] > _BLANKS_GROWTH)


#: below so many rows a share of blanks says nothing
_FEW = 20


def incomplete(sweep: Sweep, overrides: Iterable[str] = ()) -> Finding | None:
    """The finding for a reading of the directory with holes.

    Args:
        sweep: The reading.
        overrides: Rules that a person set aside for this run.
    """
    if not sweep.incomplete:
        return None
    if INCOMPLETE in overrides:
        summary = (
            "the directory could not be read completely; who seems to have no account is looked up before one is made"
        )
        hint = "who cannot be looked up by every path of [correlation] match is held"
    else:
        summary = "the directory could not be read completely, so no account is created"
        hint = (
            "run again; people who need an account are created by the next complete run. Where there never is one, "
            "override this rule for one run"
        )
    return Finding(
        severity=Severity.WARNING,
        code=INCOMPLETE,
        subject="",
        summary=summary,
        detail=sweep.incomplete,
        hint=hint,
    )


def is_wary(plan: Plan) -> bool:
    """Whether a plan makes accounts though the directory was not read whole, because a person said so."""
    return INCOMPLETE in plan.overrides and any(finding.code == INCOMPLETE for finding in plan.findings)


_UNPROVEN = Finding(
    severity=Severity.WARNING,
    code=ABSENCE,
    subject="",
    summary="the source cannot prove that it is complete, so people missing from it are not treated as leavers",
    hint=(
        'a text file cut at the end of a line looks whole: set [source] complete = "checksum" and deliver '
        "FILE.sha256 (made by sha256sum) beside it, or override this rule for one run"
    ),
)
_KEYLESS = Finding(
    severity=Severity.WARNING,
    code="source.keyless",
    subject="",
    summary="a record has no key and could be anybody, so people missing from the source are not treated as leavers",
    hint="fill the key of every record",
)


def _short(before: int, now: int, limit: str) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code=ROWS,
        subject="",
        summary="the source has far fewer records than before, so people missing from it are not treated as leavers",
        detail=f"{before} records in the last run, {now} now; [limits] source_rows_drop is {limit}",
        hint="check the export; if it is right, override this rule for one run",
    )


def _blank(what: str, name: str, declared: str = "") -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code=BLANKS,
        subject=name,
        summary=f"{what} went blank, so the attributes concerned are not written",
        detail=f"{name}: {declared}" if declared else name,
        hint="check the export; if it is right, override this rule for one run",
    )

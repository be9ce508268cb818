"""Findings as text: equal ones as one line, accepted ones as a number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import click

from scimsync.model.plans import Finding, Severity

#: findings that are shown one by one, in all and of one kind; of so many equal ones there is one line
SHOWN = 12
#: of each code where there are more than that in all, and named in the one line of many
_OF_EACH = 4
_SYMBOLS = {Severity.ERROR: ("!", "red"), Severity.WARNING: ("!", "yellow"), Severity.INFO: ("i", "blue")}


def finding_lines(findings: Sequence[Finding], *, everybody: bool = False, place: str = "row") -> Iterator[str]:
    """Findings, each with where and what to do; the same advice is given once in a row.

    Of many findings some of each code are shown, so that none stands behind those of a hundred people; those that are
    equal but for their subject are one line, and those that were accepted a number.
    """
    if not findings:
        return
    yield ""
    yield click.style("findings", bold=True)
    open_ = [*findings] if everybody else [finding for finding in findings if finding.accepted is None]
    kinds = Counter(finding.kind for finding in open_)
    rolled = set() if everybody else {kind for kind, number in kinds.items() if number >= SHOWN}
    single = [finding for finding in open_ if finding.kind not in rolled]
    told, most = "", len(single) if everybody or len(single) <= SHOWN else _OF_EACH
    total, seen = Counter(finding.code for finding in single), Counter[str]()
    for finding in open_:
        if finding.kind in rolled:
            seen[finding.kind] += 1
            if seen[finding.kind] > 1:
                continue
            yield from _rolled_up([one for one in open_ if one.kind == finding.kind], place)
            told = ""
            continue
        seen[finding.code] += 1
        if seen[finding.code] <= most:
            yield _line(finding, place)
            if finding.hint and finding.hint != told:
                yield f"      {finding.hint}"
            told = finding.hint
        elif seen[finding.code] == total[finding.code]:
            yield _more(total[finding.code] - most, finding.code)
    if len(open_) < len(findings):
        yield _accepted([finding for finding in findings if finding.accepted is not None])


def _line(finding: Finding, place: str) -> str:
    symbol, colour = _SYMBOLS[finding.severity]
    parts = [click.style(f"  {symbol} {finding.code}", fg=colour), _where(finding, place), finding.summary]
    until = f" (accepted until {finding.accepted})" if finding.accepted is not None else ""
    return "  ".join(filter(None, parts)) + (f": {printable(finding.detail)}" if finding.detail else "") + until


def _where(finding: Finding, place: str) -> str:
    return printable(finding.subject) + (f" ({place} {finding.row})" if finding.row else "")


def _rolled_up(equal: Sequence[Finding], place: str) -> Iterator[str]:
    """Many findings of one kind: how many, what, of whom for instance."""
    first = equal[0]
    symbol, colour = _SYMBOLS[first.severity]
    about = f" ({first.path})" if first.path else ""
    named = ", ".join(_where(one, place) for one in equal[:_OF_EACH])
    yield (
        f"{click.style(f'  {symbol} {first.code}', fg=colour)}  {len(equal):,} x {first.summary}{about}: {named}, "
        f"… (--all shows each)"
    )
    if first.hint:
        yield f"      {first.hint if all(one.hint == first.hint for one in equal) else 'what to do differs: --all'}"


def _accepted(accepted: Sequence[Finding]) -> str:
    """That some are known and let be."""
    codes = Counter(finding.code for finding in accepted)
    of = ", ".join(f"{number:,} {code}" for code, number in sorted(codes.items()))
    ends = min(finding.accepted for finding in accepted if finding.accepted is not None)
    return click.style(
        f"    {len(accepted):,} accepted: {of}; the first until {ends} (scimsync findings --all)", dim=True
    )


def _more(number: int, what: str) -> str:
    return click.style(f"    … and {number:,} more {what} (--all shows them)", dim=True)


def printable(text: str) -> str:
    """Text without control characters, which could rewrite the screen."""
    return "".join(ch if ch.isprintable() else f"\\x{ord(ch):02x}" for ch in text)

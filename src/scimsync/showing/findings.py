"""Findings in the report: equal ones together, of many the first at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from msgspec import Struct

from scimsync.model.plans import Finding, Severity

#: from so many on, equal findings are many
MANY = 12
#: of many equal findings so many are shown at once
_NAMED = 4


class Findings(Struct, frozen=True, kw_only=True):
    """All findings of one kind, as the report shows them."""

    severity: str
    tone: str
    code: str
    summary: str
    hint: str
    subjects: tuple[Finding, ...]
    #: until when the first of them is accepted; None where they are not
    accepted: date | None

    @property
    def parts(self) -> tuple[tuple[Finding, ...], ...]:
        """Those that are shown at once, and of many the rest."""
        few = len(self.subjects) if len(self.subjects) < MANY else _NAMED
        return tuple(filter(None, (self.subjects[:few], self.subjects[few:])))


def by_kind(findings: Sequence[Finding]) -> Iterator[Findings]:
    """Findings by kind, in their order."""
    tones = {Severity.ERROR: "failed", Severity.WARNING: "held", Severity.INFO: ""}
    kinds: dict[tuple[Severity, str, str, str, bool], list[Finding]] = {}
    for one in findings:
        kinds.setdefault((one.severity, one.code, one.summary, one.hint, one.accepted is not None), []).append(one)
    for (severity, code, summary, hint, is_accepted), found in kinds.items():
        yield Findings(
            severity=severity.value,
            tone="" if is_accepted else tones[severity],
            code=code,
            summary=summary,
            hint=hint,
            subjects=tuple(found),
            accepted=min(filter(None, (one.accepted for one in found)), default=None),
        )

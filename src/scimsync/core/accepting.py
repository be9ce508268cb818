"""Which findings a person may accept until a day, and what that means for a plan.

Exit code 0 means that nobody waits. A finding that is accepted lets nobody wait, because somebody knows of it and
answered for some time; so only what touches no access may be accepted, and the list is closed: a new code is none of it
until somebody thought about it (docs/decisions/0054-findings-are-accepted-until-a-day.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from msgspec.structs import replace

from scimsync.model.outcomes import Acceptance
from scimsync.model.plans import Finding

#: a value that HR should mend, a name that is to be made, a reference that names nobody
ACCEPTABLE = frozenset(
    {
        "language.unknown",
        "location.unknown",
        "record.bad-date",
        "record.bad-email",
        "record.bad-level",
        "record.bad-phone",
        "record.control-characters",
        "record.duplicate-element",
        "record.failed-formula",
        "record.not-canonical",
        "record.phone-country",
        "record.reserved-element",
        "record.too-long",
        "record.too-many",
        "record.unmappable",
        "reference.cycle",
        "reference.no-account",
        "reference.self",
        "reference.unknown",
        "skill.unknown",
        "undo.held",
    }
)
#: attributes that give access or say whose it is
_ACCESS = frozenset({"active", "userName", "roles", "entitlements", "groups", "division", "invitation"})
#: how a finding about access begins, though it is about a value: then nothing else of that person is accepted
_LEAVING = "leaver."
#: an acceptance is no rule for ever
LONGEST = timedelta(days=366)


def is_acceptable(finding: Finding) -> bool:
    """Whether a person may accept a finding: it is about somebody, and leaves alone nothing that gives access.

    Who is left out whole waits, and it may be the status that cannot be read: that is accepted by nobody.
    """
    on_access = _ACCESS & {*re.split(r"[^A-Za-z]+", finding.path)}
    whole = finding.holds and not finding.path
    return bool(finding.subject) and finding.code in ACCEPTABLE and not on_access and not whole


def lasting(acceptances: Iterable[Acceptance], today: date) -> dict[tuple[str, str], date]:
    """(key, kind) -> the last day, of those that hold today."""
    return {(one.key, one.kind): one.until for one in acceptances if one.until >= today}


def marked(findings: Iterable[Finding], acceptances: Iterable[Acceptance], today: date) -> Iterator[Finding]:
    """The findings, each that is accepted with the last day of it.

    Of somebody who left and keeps access, or may, nothing is accepted: all about them is said until it is over.
    """
    until = lasting(acceptances, today)
    if not until:
        yield from findings
        return
    told = [*findings]
    leavers = {finding.subject for finding in told if finding.code.startswith(_LEAVING)}
    for finding in told:
        day = until.get((finding.subject, finding.kind))
        if day is None or finding.subject in leavers or not is_acceptable(finding):
            yield finding
        else:
            yield replace(finding, accepted=day)

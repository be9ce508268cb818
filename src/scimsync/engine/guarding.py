"""Say before the first write what keeps it from undoing somebody else's, where that is not a version."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from scimsync.engine.ports import Target
from scimsync.model.outcomes import Guard
from scimsync.model.plans import Change, Finding, GroupChange, Severity
from scimsync.workbench.bench import Workbench

#: the window, in words
WINDOW = "the time between reading and writing, that of about one request"


async def look(
    target: Target, bench: Workbench, changes: Sequence[Change], groups: Sequence[GroupChange]
) -> tuple[Sequence[Change], list[Finding]]:
    """What a plan says of the way in which it will be written, and its changes as they are written so.

    Where writes are compared, a version that the listing shows proves nothing: one that stands still would let a write
    pass over what another hand wrote since. So each account is read before it is written.

    Args:
        target: The directory.
        bench: The tables of the run; an account of `accounts` is read where no listed one has a version.
        changes: What is to be written; nothing is asked where that is nothing.
        groups: The same of groups.

    Raises:
        TargetError: The target cannot be asked at all.
    """
    if not changes and not groups:
        return changes, []
    version, account = next(iter(bench.rows("SELECT max(version), min(id) FROM accounts")))
    guard = await target.guard("" if version else str(account or ""))
    plain = [replace(change, version="") for change in changes] if guard.compares else changes
    return plain, [*_told(guard, has_groups=bool(groups))]


def _told(guard: Guard, *, has_groups: bool) -> Iterator[Finding]:
    if guard.compares:
        yield Finding(
            severity=Severity.WARNING,
            code="target.compares",
            subject="",
            summary="no version guards writes here: each account is read, compared with this plan, written, read back",
            detail=f"what somebody else writes in the window is not seen and may be undone ({WINDOW})",
            hint='let nobody else write while this runs; [target] concurrency = "version" writes nothing without one',
        )
    if guard.unguarded:
        yield Finding(
            severity=Severity.WARNING,
            code="target.no-version",
            subject="",
            summary="the target gives no version, so no account that is there already will be written",
            hint='[target] concurrency = "compare" writes without one: read, compare, write, read back',
        )
    if guard.puts:
        others = "; groups cannot be written" if has_groups else ""
        yield Finding(
            severity=Severity.WARNING,
            code="target.no-patch",
            subject="",
            summary="the target takes no PATCH: accounts are written with PUT of all that it shows, and our change",
            detail=f"what it holds and does not show may get lost{others}",
            hint="try one person first: scimsync plan --user KEY, scimsync apply",
        )

"""What applying a plan takes: requests by kind, and time at the rate that the target grants.

Counted is what goes as it should: no lost race, no refusal, nothing sent twice. Kinds bear the names under which
requests are counted when they are sent, so that what was foreseen can be held against what was.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from msgspec import Struct

from scimsync.core import harm
from scimsync.core.harm import Kind
from scimsync.core.writing import split
from scimsync.model.plans import LOGIN, Action, Change, Estimate, GroupChange, Plan
from scimsync.scim.dialect import Dialect
from scimsync.scim.dressing import wants_sight
from scimsync.scim.platform import is_platform
from scimsync.scim.schema import Place

#: seconds for which the list of inactive accounts is good enough to look up a value
_LIST_GOOD_S = 60.0
#: requests that need not be spread over the minute
_BURST = 5


class Habits(Struct, frozen=True, kw_only=True):
    """How a target is written, and what is known of it when a plan is made."""

    dialect: Dialect
    #: writes are compared: read before, and read back
    compares: bool = False
    #: who is written without having been read may be somebody else: each account is read before
    doubted: bool = False
    #: paths by which somebody is looked for before an account is made
    match: tuple[Place, ...] = ()
    #: inactive accounts, among which a new person is looked for too, where a filter does not show them
    inactive: int = 0
    #: attributes beside SCIM are managed, so that an account is read in two places
    beside: bool = False
    #: one request gets the token
    fetches_token: bool = False
    #: requests a minute; 0 where that is not known
    rate: int = 0
    #: seconds that one request took lately, and how many go at a time
    latency_s: float = 0.0
    workers: int = 8


def estimate(plan: Plan, habits: Habits) -> Estimate:
    """Foresee what applying a plan takes."""
    counted: Counter[str] = Counter()
    proven: set[Kind] = set()
    for change in plan.changes:
        counted += _of_change(change, habits, proven)
    for group in plan.groups:
        counted += _of_group(group, habits)
    if counted:
        counted["describe"] += habits.dialect.concurrency != "version"
        counted["token"] += habits.fetches_token
        counted += _inactive(plan, habits, _seconds(counted, habits))
    return Estimate(requests=dict(sorted((+counted).items())), seconds=_seconds(counted, habits))


def _seconds(counted: Mapping[str, int], habits: Habits) -> float:
    """How long requests take: as the limit lets them go, or as fast as they are answered."""
    number = sum(counted.values()) - counted.get("token", 0)
    paced = 60.0 * max(0, number - _BURST) / habits.rate if habits.rate else 0.0
    return max(paced + habits.latency_s * bool(number), number * habits.latency_s / max(1, habits.workers))


def _of_change(change: Change, habits: Habits, proven: set[Kind]) -> Counter[str]:
    if change.action is Action.DELETE:
        return Counter(get=1, delete=1)
    counted: Counter[str] = Counter()
    if change.action is Action.CREATE:
        counted += _of_creation(change, habits)
    elif change.action is Action.RESTORE:
        counted += Counter(restore=1, get=1, patch=bool(change.operations))
    elif change.is_sent:
        counted += _of_write(change, habits, proven)
    if change.deferred:
        counted += Counter(patch=1, get=2 * habits.compares + habits.doubted)
    if habits.beside:
        counted["person"] += counted["get"]
    return counted


def _of_creation(change: Change, habits: Habits) -> Counter[str]:
    parts = [part for part in split(change.operations) if part and is_platform(part[0].path)]
    counted = Counter(find=len(_asked(change, habits)), create=1)
    return counted + Counter(get=1 + len(parts), platform=len(parts)) if parts else counted


def _asked(change: Change, habits: Habits) -> list[str]:
    """The attributes by which somebody is looked for before the account of a joiner is made."""
    wanted = {delta.path for delta in change.deltas if delta.sides.desired}
    asked = [place.root for place in habits.match if place.is_filter and place.short in wanted]
    if habits.dialect.unique_logins:
        asked = [root for root in asked if root != LOGIN]
    elif LOGIN in wanted:
        asked.append(LOGIN)
    return list(dict.fromkeys(asked))


def _of_write(change: Change, habits: Habits, proven: set[Kind]) -> Counter[str]:
    dialect = habits.dialect
    parts = split(change.operations, most=dialect.operations_per_patch, size=dialect.request_bytes) or [()]
    beside = sum(1 for part in parts if part and is_platform(part[0].path))
    patches = len(parts) - beside
    kinds = frozenset() if dialect.keeps_others else harm.kinds(change.operations) - proven
    proven |= kinds
    looks = bool(not change.version or beside or habits.doubted or kinds)
    whole = wants_sight(change.operations, dialect) or not dialect.patches
    reads = patches if habits.compares else (max(0, patches - looks) if whole else 0)
    return Counter(patch=patches, get=looks + reads + beside, platform=beside)


def _of_group(group: GroupChange, habits: Habits) -> Counter[str]:
    looks = group.requests if habits.compares or group.partial or group.doubted else 0
    if not group.held and not habits.dialect.knows_schemas:
        looks += 1  # one that shows no members is asked for them by name
    return Counter(group_get=2 + looks, group_patch=group.requests)


def _inactive(plan: Plan, habits: Habits, seconds: float) -> Counter[str]:
    """The pages of the list of inactive people, in which joiners are looked for; it is read anew each minute."""
    joiners = [change for change in plan.changes if change.action is Action.CREATE]
    roots = {root for change in joiners for root in _asked(change, habits)}
    if not roots or not habits.dialect.lists_active_only:
        return Counter()
    times = max(1, math.ceil(seconds * len(joiners) / max(1, len(plan.changes)) / _LIST_GOOD_S))
    dialect = habits.dialect
    sizes = (dialect.expensive_page_size if dialect.is_expensive(root) else dialect.page_size for root in roots)
    return Counter(find=times * sum(_pages(habits.inactive, size) for size in sizes))


def _pages(number: int, size: int) -> int:
    """The pages of a listing; where the last is as long as the first, one more proves that it is the last."""
    last = number % size or size
    return max(1, math.ceil(number / size) + (number > 0 and last >= min(number, size)))

"""Whether the directory, as a plan would make it, keeps the rules of the configuration; if not, because of whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from scimsync.core import exchanging, ruling
from scimsync.core.lifecycle import ACTIVE
from scimsync.core.planner import SENT
from scimsync.engine.plan_request import PlanRequest
from scimsync.errors import ConfigError
from scimsync.model.contracts import Rule
from scimsync.model.plans import MAKING, Action, Change, Finding, Verdict
from scimsync.workbench.bench import Workbench
from scimsync.workbench.ruling import KEY, Failing, Moved, Result, texts

#: kinds of change that are looked at as a cause
_MOST_KINDS = 30
#: findings about a path of which the directory does not show all: what a rule saw there would be wrong
_HIDING = frozenset(
    {"platform.unread", "plan.offline-unread", "attribute.unkept", "attribute.left-out", "attribute.unshown"}
)


class Ruled(Struct, frozen=True):
    """What the rules say about a plan."""

    findings: tuple[Finding, ...] = ()
    #: what forbids the plan
    refusals: tuple[Finding, ...] = ()


def rule(
    bench: Workbench, request: PlanRequest, changes: Sequence[Change], found: Iterable[Finding], *, complete: bool
) -> Ruled:
    """Ask every rule of the directory as it will be, and whether columns of the source changed places.

    Args:
        bench: The tables of the run.
        request: What shall be planned, with the rules.
        changes: What the plan really does: without what is held or left out.
        found: What is told already; it says which paths nobody could read.
        complete: The directory was read whole.
    """
    ruled = _rule(bench, request, changes, found, complete=complete)
    return replace(ruled, refusals=(*exchanging.exchanged(changes, request.overrides), *ruled.refusals))


def _rule(
    bench: Workbench, request: PlanRequest, changes: Sequence[Change], found: Iterable[Finding], *, complete: bool
) -> Ruled:
    rules = request.contract.rules
    if not rules:
        return Ruled()
    if request.only:
        return Ruled((ruling.unchecked(rules, "this plan is for some people only", partial=True),))
    if not complete:
        return Ruled((ruling.unchecked(rules, "the directory could not be read whole"),))
    hidden = {one.subject or one.detail.split(":")[0] for one in found if one.code in _HIDING}
    moved = list(_moved(changes, [mapped.path for mapped in request.policy.attributes]))
    result = Result(bench, request.policy.attributes, moved)
    blind = [one for one in rules if result.uses(one, hidden)]
    told = [ruling.unchecked(blind, f"not all can be read of {', '.join(sorted(hidden))}")] if blind else []
    rules = tuple(one for one in rules if one not in blind)
    failed: list[tuple[Rule, Finding]] = []
    for one in rules:
        reason = request.overrides.get(one.code)
        try:
            failing = result.failing(one)
            if failing is not None:
                failed.append((one, _told(result, one, failing, moved, reason)))
        except ConfigError as error:
            failed.append((one, ruling.unanswered(one, str(error), reason)))
    against = {id(finding) for one, finding in failed if one.refuses and one.code not in request.overrides}
    return Ruled(
        findings=(*told, *(finding for _, finding in failed if id(finding) not in against)),
        refusals=tuple(finding for _, finding in failed if id(finding) in against),
    )


def _moved(changes: Iterable[Change], paths: Sequence[str]) -> Iterable[Moved]:
    """What is done to each account, the parts of one person together."""
    numbers = {path: number for number, path in enumerate(paths)}
    found: dict[str, Moved] = {}
    for change in changes:
        one = found.setdefault(change.key, Moved(change.key, change.account, {}))
        if change.action is not Action.UPDATE:
            one.kinds[None] = change.word
        one.made |= change.action in MAKING
        one.gone |= change.action is Action.DELETE
        for delta in change.deltas:
            if delta.verdict not in SENT:
                continue
            value = delta.sides.desired if delta.verdict is Verdict.WRITE else delta.awaits or delta.sides.desired
            if delta.path == ACTIVE:
                one.active = "true" if value is True else "false"
            if delta.path in numbers:
                number = numbers[delta.path]
                one.values |= texts({number: delta.sides.desired if delta.path in _OWN else value})
                one.kinds[number] = change.word if change.action is not Action.UPDATE else f"update of {delta.path}"
    return found.values()


#: paths that wait for another person, and are no reference to them
_OWN = frozenset({"userName"})


def _told(result: Result, one: Rule, failing: Failing, moved: Sequence[Moved], reason: str | None) -> Finding:
    """The finding about a rule that fails, with the changes without which it would hold."""
    with result.without(""):
        before = result.failing(one) is not None
    people = _by_kind(moved)
    causes: dict[str, Sequence[str]] = {}
    for kind in [*people][:_MOST_KINDS]:
        with result.without(kind):
            holds = result.failing(one) is None
        if holds:
            causes[kind] = people[kind]
    if not causes and not before:  # several kinds, each of them enough
        causes = dict(people)
    named = {kind: _named(result, one, failing, keys) for kind, keys in causes.items()}
    shown = [*failing.columns], [*failing.rows]
    return ruling.failed(
        one, *shown, failing.number, {kind: keys for kind, keys in named.items() if keys}, before=before, reason=reason
    )


def _named(result: Result, one: Rule, failing: Failing, keys: Sequence[str]) -> Sequence[str]:
    lowered = [name.lower() for name in failing.columns]
    if one.sql and KEY in lowered:
        about = {str(row[lowered.index(KEY)]) for row in failing.rows}
        return [key for key in keys if key in about] or list(keys)
    return result.concerned(one, failing, keys)


def _by_kind(moved: Iterable[Moved]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in moved:
        for kind in dict.fromkeys(one.kinds.values()):
            found.setdefault(kind, []).append(one.key)
    return found

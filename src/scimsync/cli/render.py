"""A plan and its outcome as text and as JSON. Renders what it is given; computes nothing about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import click
from msgspec.structs import replace

from scimsync.cli import foresight
from scimsync.cli.coming import coming_document, coming_lines, mark_lines
from scimsync.cli.finding_text import finding_lines, printable
from scimsync.cli.rolling import MANY, rolled_up
from scimsync.core import absent, grouping, leaving, sealing, unshown, waiting
from scimsync.model.outcomes import Outcome, Run, Status
from scimsync.model.plans import BESIDES, LOGIN, MAKING, Action, Change, Delta, Plan, Reason, Tally, Verdict
from scimsync.model.reports import Report
from scimsync.scim.kept import value_to_json
from scimsync.scim.schema import Entry, Value
from scimsync.showing.words import RARE, SYMBOLS, counted

#: people shown of each action where nobody asks for all
SHOWN = MANY
_TITLES = {
    Action.DISABLE: "leavers: access is taken away",
    Action.RESTORE: "joiners: deleted accounts are brought back",
    Action.CREATE: "joiners: accounts are created",
    Action.ENABLE: "rehires: accounts are enabled again",
    Action.UPDATE: "movers: accounts are updated",
    Action.DELETE: "people who left long ago: accounts are deleted",
}
_BESIDES = "leavers: what else HR says about them, after their access is gone"
_BECAUSE = {Reason.PARKED: " (parked, to make room)", Reason.ENDED: f" ({Reason.ENDED.value})"}


def plan_lines(
    plan: Plan, *, everybody: bool = False, only: Sequence[str] = (), kept: Mapping[str, str] | None = None
) -> Iterator[str]:
    """A plan for people: leavers who keep access, summary, people by action, conflicts, findings, estimate.

    `only` was looked at; `kept` is what is known by now about leavers, where that is more than the plan says.
    """
    yield from kept_lines(leaving.by_plan(plan) if kept is None else kept)
    yield from _head(plan)
    for title, chosen in _sections(plan):
        if chosen:
            yield ""
            yield click.style(title, bold=True)
            if len(chosen) > SHOWN:
                yield from (f"    {printable(line)}" for line in rolled_up(chosen, value_text))
            yield from _shortened(chosen, change_lines, everybody=everybody)
    yield from _groups(plan, everybody=everybody)
    yield from _notices(plan, everybody=everybody)
    yield from coming_lines(plan, everybody=everybody)
    yield from finding_lines(plan.findings, everybody=everybody, place=plan.place)
    yield ""
    yield from _foot(plan)
    if only:
        yield f"Looked at {printable(', '.join(only))} only; everybody else is left as is."


def kept_lines(kept: Mapping[str, str]) -> Iterator[str]:
    """Leavers who keep access: the first line of whatever is told."""
    if kept:
        yield click.style(printable(leaving.sentence(kept)), fg="red", bold=True)


def _sections(plan: Plan) -> Iterator[tuple[str, list[Change]]]:
    for action, title in _TITLES.items():
        yield title, [c for c in plan.changes if c.action is action and c.part != BESIDES]
    yield _BESIDES, [c for c in plan.changes if c.part == BESIDES]


def _head(plan: Plan) -> Iterator[str]:
    tally = plan.tally
    yield click.style(f"Plan {plan.id}", bold=True) + f"  for {plan.seal.target}"
    yield from mark_lines(plan)
    if plan.offline is not None:
        yield f"  made offline, from accounts as they were read at {plan.offline:%Y-%m-%d %H:%M} UTC; never applied"
    yield (
        f"  {tally.records:,} records   {tally.accounts:,} accounts   {tally.linked:,} linked   "
        f"{tally.unmanaged:,} accounts that HR does not know stay untouched"
    )
    marks = [
        click.style(f"{SYMBOLS[a][0]} {tally.actions.get(a.value, 0):,} {a.value}", fg=SYMBOLS[a][1])
        for a in SYMBOLS
        if a not in RARE or tally.actions.get(a.value)
    ]
    more = [
        f"{counted(number, word)} {what}"
        for number, word, what in (
            (tally.conflicts, "conflict", "held"),
            (tally.kept, "directory edit", "kept"),
            (tally.overwritten, "directory edit", "overwritten"),
            (tally.deferred, "reference", "deferred"),
            (tally.held, "person", "left out"),
            (tally.values, "value", "left out"),
            (tally.accepted, "finding", "accepted"),
            (tally.groups, "group", f"changed (+ {tally.members_added:,}, - {tally.members_removed:,} members)"),
        )
        if number
    ]
    yield "  " + "   ".join([*marks, *more])
    if tally.compared:
        yield f"  {tally.match_rate:.1%} of {tally.compared:,} compared attributes are equal already"
    if tally.licences:
        yield f"  Licences: {licences_text(tally.licences)}"


def licences_text(licences: Mapping[str, int]) -> str:
    """What a plan costs, in half a line; more licences first.

    Examples:
        >>> licences_text({"CX 1": -3, "CX 2": 12})
        '+12 CX 2, -3 CX 1 (inferred from roles)'
    """
    ordered = sorted(licences.items(), key=lambda one: (one[1] < 0, one[0]))
    return ", ".join(f"{number:+,} {printable(name)}" for name, number in ordered) + " (inferred from roles)"


def _groups(plan: Plan, *, everybody: bool) -> Iterator[str]:
    """Who joins and who leaves which group."""
    if not plan.groups:
        return
    yield ""
    yield click.style("groups: members join and leave", bold=True)
    shown = plan.groups if everybody else plan.groups[:SHOWN]
    for group in shown:
        marks = [f"+ {len(group.add):,}"] * bool(group.add) + [f"- {len(group.remove):,}"] * bool(group.remove)
        yield (
            f"  {click.style('~', fg='yellow', bold=True)} {click.style(printable(group.name), bold=True)}  "
            f"{' '.join(marks)} of {counted(group.held, 'member')}"
        )
        for mark, members, colour in (("+", group.add, "green"), ("-", group.remove, "red")):
            listed = members if everybody else members[:SHOWN]
            words = [printable(m.key or str(m.account)) for m in listed]
            if len(members) > len(listed):
                words.append(f"… and {len(members) - len(listed):,} more")
            if words:
                yield f"      {click.style(mark, fg=colour)} {', '.join(words)}"
    yield from _more(len(plan.groups) - len(shown))


def _foot(plan: Plan) -> Iterator[str]:
    if plan.changes or plan.groups:
        yield f"{counted(len(plan.changes) + len(plan.groups), 'change')}, {foresight.cost_text(plan)}."
        yield from [_STAYS] * plan.looks_back
    elif plan.looks_back:
        yield "No changes: nothing is left to take back."
    elif words := _left(plan.tally):
        rest = "whoever else was delivered" if absent.is_told(plan) else "everything else"
        rest = "what could be read of the rest" if waiting.is_partial(plan) else rest
        yield f"No changes: {rest} is what HR says ({', '.join(words)})."
    elif waiting.is_partial(plan):
        yield "No changes, but the directory could not be read whole: see the findings."
    elif grouping.differs(plan.findings):
        yield "No changes, but some groups are not as HR says: see the findings."
    elif waiting.differs(plan):
        yield "No changes, but something waits: see the findings."
    elif any(finding.code == unshown.CODE for finding in plan.findings):
        yield "No changes: what the directory shows is what HR says; some values it never shows: see the findings."
    else:
        rest = "whoever was delivered" if absent.is_told(plan) else "the directory"
        yield f"No changes: {rest} is what HR says."
    for rule, reason in plan.overrides.items():
        yield f"Rule {rule} is set aside: {reason}"
    for refusal in plan.refusals:
        yield (
            click.style(f"Refused by {refusal.rule}: ", fg="red", bold=True) + f"{refusal.summary} ({refusal.detail})."
        )
        yield f"  {refusal.hint}"


#: what becomes of it by night
_STAYS = (
    "HR may still say otherwise. Later runs leave alone what this takes back, and name it (undo.held), until HR says "
    'something else, or you let HR win: --override undo.held --reason "..."'
)


def _left(tally: Tally) -> list[str]:
    """What is not as HR says, or not known to be, though nothing is to be written."""
    numbers = (
        (tally.leavers_kept, "leaver", "not disabled"),
        (tally.held, "person", "left out"),
        (tally.values, "value", "left out"),
        (tally.conflicts, "conflict", "held"),
        (tally.kept, "directory edit", "kept"),
        (tally.accepted, "finding", "accepted"),
    )
    return [f"{counted(number, word)} {what}" for number, word, what in numbers if number]


def change_lines(change: Change) -> Iterator[str]:
    """One person: the symbol, key and login, then one line for each attribute."""
    symbol, colour = SYMBOLS[change.action]
    yield f"  {click.style(symbol, fg=colour, bold=True)} {_person(change)}"
    width = max((len(d.path) for d in change.deltas), default=0)
    for delta in change.deltas:
        if delta.verdict in {Verdict.WRITE, Verdict.AWAIT, Verdict.DEFER}:
            yield f"      {delta.path:<{width}}  {delta_text(delta, new=change.action in MAKING)}"


def _person(change: Change) -> str:
    return f"{click.style(printable(change.key), bold=True)}  {printable(change.name)}"


def delta_text(delta: Delta, *, new: bool = False) -> str:
    """What becomes of one attribute, in half a line."""
    before, after = delta.sides.current, delta.sides.desired
    waits = delta.verdict in {Verdict.AWAIT, Verdict.DEFER}
    later = "; in the second pass" if delta.verdict is Verdict.DEFER else ""
    if waits and delta.path != LOGIN:
        return f"(the account of {printable(str(delta.awaits))}, once it exists{later})"
    if isinstance(before, tuple) or isinstance(after, tuple):
        change = _list_text(before, after)
    elif new:
        change = value_text(after)
    else:
        change = f"{value_text(before)} -> {value_text(after)}"
    if waits:
        return f"{change} (once {printable(str(delta.awaits))} has given it up{later})"
    return change + _BECAUSE.get(delta.reason, "")


def value_text(value: Value) -> str:
    """A value as people write it; (none) where there is none."""
    if value is None:
        return "(none)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(_entry_text(entry) for entry in value)
    return f'"{printable(value)}"' if isinstance(value, str) else f"{value:g}"


def _entry_text(entry: Entry) -> str:
    parts = [value_text(value) for name, value in sorted(entry, key=lambda p: p[0] != "name") if value is not None]
    return " ".join(parts)


def _list_text(before: Value, after: Value) -> str:
    old = set(before) if isinstance(before, tuple) else set()
    new = set(after) if isinstance(after, tuple) else set()
    added = [click.style(f"+ {_entry_text(e)}", fg="green") for e in sorted(new - old, key=repr)]
    removed = [click.style(f"- {_entry_text(e)}", fg="red") for e in sorted(old - new, key=repr)]
    return ", ".join([*added, *removed])


def _notices(plan: Plan, *, everybody: bool) -> Iterator[str]:
    """What somebody edited in the directory, by what becomes of it."""
    edited = {Reason.TARGET_MOVED, Reason.BOTH_MOVED}
    for people, verdict, title in (
        (plan.notices, Verdict.CONFLICT, "conflicts: held until a person decides"),
        (plan.notices, Verdict.KEEP, "edits in the directory: kept"),
        (plan.changes, Verdict.WRITE, "edits in the directory: overwritten, because HR wins there"),
    ):
        chosen = [
            replace(person, deltas=deltas)
            for person in people
            if (deltas := tuple(d for d in person.deltas if d.verdict is verdict and _is_notable(d, edited)))
        ]
        if chosen:
            yield ""
            yield click.style(title, bold=True)
            yield from _shortened(chosen, _notice_lines, everybody=everybody)


def _is_notable(delta: Delta, edited: set[Reason]) -> bool:
    return delta.verdict is not Verdict.WRITE or delta.reason in edited


def _notice_lines(notice: Change) -> Iterator[str]:
    yield f"  {click.style('?', fg='magenta', bold=True)} {_person(notice)}"
    for delta in notice.deltas:
        sides = delta.sides
        if delta.reason in {Reason.SINCE, Reason.LATER}:
            words = f"before {value_text(sides.desired)}, the run left {value_text(sides.base)}"
            yield f"      {delta.path}: {words}, now {value_text(sides.current)} ({delta.reason.value})"
            continue
        agreed = value_text(sides.base) if sides.known else "(first run)"
        yield (
            f"      {delta.path}: HR {value_text(sides.desired)}, directory {value_text(sides.current)}, "
            f"last agreed {agreed}"
        )


def _shortened(
    changes: Sequence[Change], lines: Callable[[Change], Iterator[str]], *, everybody: bool
) -> Iterator[str]:
    shown = changes if everybody else changes[:SHOWN]
    for change in shown:
        yield from lines(change)
    yield from _more(len(changes) - len(shown))


def _more(number: int, what: str = "") -> Iterator[str]:
    if number > 0:
        yield click.style(f"    … and {number:,} more{what and f' {what}'} (--all shows them)", dim=True)


def plan_document(plan: Plan) -> dict[str, object]:
    """A plan as one JSON document."""
    return {
        "id": plan.id,
        "created": plan.created.isoformat(),
        "target": plan.seal.target,
        **({"offline": plan.offline.isoformat()} if plan.offline else {}),
        **({"undoes": plan.undoes} if plan.undoes else {}),
        **({"restores": plan.restores} if plan.restores else {}),
        "actions": plan.tally.actions,
        "tally": {
            name: getattr(plan.tally, name)
            for name in (
                "records",
                "accounts",
                "linked",
                "absent",
                "unmanaged",
                "conflicts",
                "kept",
                "overwritten",
                "deferred",
                "held",
                "values",
                "leavers_kept",
                "accepted",
                "changes",
                "groups",
                "members_added",
                "members_removed",
                "licences",
                "match_rate",
            )
        },
        "requests": plan.requests,
        "estimate": foresight.estimate_document(plan),
        "rate_per_minute": plan.rate,
        "changes": [sealing.change_to_json(c) for c in plan.changes],
        "groups": [sealing.group_to_json(g) for g in plan.groups],
        "notices": [sealing.change_to_json(c) for c in plan.notices],
        "findings": [sealing.finding_to_json(f) for f in plan.findings],
        "refusals": [sealing.finding_to_json(f) for f in plan.refusals],
        "overrides": plan.overrides,
        **coming_document(plan),
    }


# --- outcomes -------------------------------------------------------------------------------------

_STATUS_WORDS = {
    Status.DONE: "done",
    Status.ALREADY: "were so already",
    Status.HELD: "held for a person",
    Status.FAILED: "refused by the directory",
    Status.DEFERRED: "deferred",
    Status.OPEN: "not begun",
}


def report_lines(report: Report, *, everybody: bool = False) -> Iterator[str]:
    """What came of a run: leavers who keep access, the count, then everything that is not simply done."""
    yield from kept_lines(report.kept)
    counted = report.statuses
    words = [f"{counted[s.value]:,} {word}" for s, word in _STATUS_WORDS.items() if counted.get(s.value)]
    yield click.style(f"Run {report.run}: ", bold=True) + (", ".join(words) or "nothing to do") + "."
    yield from outcome_lines((o for parts in report.outcomes.values() for o in parts), everybody=everybody)
    yield from _window(o for parts in report.outcomes.values() for o in parts)
    if report.stopped:
        yield click.style(f"Ended early: {report.stopped}.", fg="yellow")
    if report.left:
        yield f"Continue with: scimsync apply {report.run}"


def _window(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """What no version guarded."""
    windows = [outcome.window_s for outcome in outcomes if outcome.window_s is not None]
    if windows:
        told = "were compared and not guarded by a version: at most"
        yield f"{len(windows):,} {told} {max(windows):.2f} s between reading and writing."


def outcome_lines(outcomes: Iterable[Outcome], *, everybody: bool = False) -> Iterator[str]:
    """The outcomes that are more than simply done, one line each; the worst first."""
    told = [*outcomes]
    summed = unshown.unkept(told)
    for one in summed:
        yield click.style("  !", fg="red") + f" {unshown.MISMATCH}  {one}"
    noted = [o for o in told if (o.code or o.overwritten or o.races) and not unshown.is_summed(o, summed)]
    noted.sort(key=lambda o: (o.code != leaving.KEPT, not o.code))
    shown = noted if everybody else noted[:SHOWN]
    for outcome in shown:
        words = [printable(outcome.detail)]
        if outcome.races:
            words.append(f"lost {outcome.races} version race{'s' if outcome.races > 1 else ''}, planned again")
        if outcome.overwritten:
            words.append(f"overwrote a directory edit of {', '.join(outcome.overwritten)}")
        if outcome.correlation_id:
            words.append(f"correlation id {outcome.correlation_id}")
        fine = outcome.status in {Status.DONE, Status.ALREADY}
        mark = click.style("  i" if fine else "  !", fg="blue" if fine else "red")
        yield f"{mark} {printable(outcome.key)}  {outcome.code or outcome.status.value}  " + "; ".join(
            w for w in words if w
        )
    if len(shown) < len(noted):
        yield click.style(f"    … and {len(noted) - len(shown):,} more (scimsync runs RUN --all)", dim=True)


def report_document(report: Report) -> dict[str, object]:
    """What came of a run as one JSON document."""
    return {
        "run": report.run,
        "statuses": report.statuses,
        "clean": report.clean,
        "stopped": report.stopped,
        "left": list(report.left),
        "kept": dict(report.kept),
        "unkept": [
            {"path": one.path, "missed": one.missed, "tried": one.tried}
            for one in unshown.unkept(outcome for parts in report.outcomes.values() for outcome in parts)
        ],
        "outcomes": [outcome_document(o) for parts in report.outcomes.values() for o in parts],
    }


def outcome_document(outcome: Outcome) -> dict[str, object]:
    """One outcome as JSON."""
    return {
        "key": outcome.key,
        "status": outcome.status.value,
        "part": outcome.part,
        "account": outcome.account,
        "version": outcome.version,
        "written": {path: value_to_json(value) for path, value in outcome.written.items()},
        "code": outcome.code,
        "detail": outcome.detail,
        "races": outcome.races,
        "overwritten": list(outcome.overwritten),
        "deferred": list(outcome.deferred),
        "correlation_id": outcome.correlation_id,
        "window_s": outcome.window_s,
        "unmet": list(outcome.unmet),
    }


def run_line(run: Run) -> str:
    """One run in a list."""
    counted = ", ".join(f"{n:,} {word}" for word, n in (run.statuses or _actions(run.tally)).items() if n)
    back = (
        f"  (undo of {run.undoes})" if run.undoes and " " not in run.undoes else f"  ({run.undoes})" * bool(run.undoes)
    )
    return f"{run.id}  {run.state.value:<11}  {run.created:%Y-%m-%d %H:%M} UTC  {counted or 'no changes'}{back}"


def _actions(tally: Mapping[str, int]) -> dict[str, int]:
    return {action.value: tally[action.value] for action in Action if tally.get(action.value)}


def run_document(run: Run) -> dict[str, object]:
    """One run as JSON."""
    return {
        "id": run.id,
        "state": run.state.value,
        "created": run.created.isoformat(),
        "finished": run.finished.isoformat() if run.finished else None,
        "target": run.target,
        "source": run.source,
        **({"undoes": run.undoes} if run.undoes else {}),
        "tally": dict(run.tally),
        "statuses": dict(run.statuses),
        "spent": foresight.reality_document(run),
        "plan": run.plan,
        "base": run.base,
    }

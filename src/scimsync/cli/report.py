"""A plan, or a run with what came of it, as one HTML file that needs nothing else and loads nothing.

Template and script stand in `templates/`; what it shares with the console stands in `showing`. Every value is escaped
(autoescape); control and direction-changing characters are shown as codes, so that no name can rewrite the page or
hide in it.
"""

from __future__ import annotations

import base64
import getpass
import hashlib
import socket
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from importlib.resources import files

from markupsafe import Markup
from msgspec import Struct
from msgspec.structs import replace

from scimsync.cli.render import licences_text
from scimsync.core import leaving
from scimsync.model.outcomes import JournalLine, Outcome, Run, Status
from scimsync.model.plans import BESIDES, ITSELF, Action, Change, Delta, Plan, Reason, Verdict
from scimsync.services.unmanaged import Unmanaged
from scimsync.showing import figures
from scimsync.showing.charts import chart, latency_title, rate_title
from scimsync.showing.figures import Course, Grouping
from scimsync.showing.findings import by_kind
from scimsync.showing.values import duration, environment, look
from scimsync.showing.words import RARE, SYMBOLS, counted

#: the order and the headings of the changes: what takes access away comes first
_SECTIONS = {
    Action.DISABLE: ("Leavers", "access is taken away"),
    Action.RESTORE: ("Joiners", "deleted accounts are brought back"),
    Action.CREATE: ("Joiners", "accounts are created"),
    Action.ENABLE: ("Rehires", "accounts are enabled again"),
    Action.UPDATE: ("Movers", "accounts are updated"),
    Action.DELETE: ("People who left long ago", "accounts are deleted"),
}
_WORDS = {
    Status.DONE: "done",
    Status.ALREADY: "was so already",
    Status.HELD: "held",
    Status.FAILED: "failed",
    Status.DEFERRED: "deferred",
    Status.OPEN: "not done",
}
_BESIDES = "what else HR says about them, after their access is gone"
#: accounts that HR does not know and that are named; a file has them all
_STRANGERS = 500
_EDITED = {Reason.TARGET_MOVED, Reason.BOTH_MOVED}


class Story(Struct, frozen=True, kw_only=True):
    """Everything that a report tells."""

    plan: Plan
    grouping: Grouping
    #: None for a plan of which no run is told
    run: Run | None = None
    journal: Sequence[JournalLine] = ()
    #: the accounts that HR does not know, where they are kept of this plan
    unmanaged: Unmanaged | None = None
    #: when the report is written; the page says nothing about it where None
    when: datetime | None = None


def page(story: Story) -> str:
    """The whole file, as HTML 5 text."""
    css, js = look(), _resource("report.js")
    plan, run = story.plan, story.run
    course = figures.course(story.journal)
    outcomes = figures.outcomes(story.journal)
    begun = run is not None and bool(story.journal)
    return (
        environment("scimsync.cli")
        .get_template("report.html.j2")
        .render(
            policy=_policy(css, js),
            css=Markup(css),  # noqa: S704 - a file of the package
            js=Markup(js),  # noqa: S704
            title=f"{'Run' if begun else 'Plan'} {plan.id}",
            state=run.state.value if run else "",
            lead=_lead(plan, outcomes, course),
            kept=_kept(plan, outcomes, begun=begun),
            plan=plan,
            run=run if begun else None,
            tiles=list(_tiles(plan)),
            actions=figures.by_action(plan),
            ended=_ended(plan, outcomes) if begun else (),
            groups=figures.by_group(plan, story.grouping) if story.grouping.path else (),
            group_name=story.grouping.path.rpartition(":")[2],
            group_of=figures.group_of(plan, story.grouping) if story.grouping.path else {},
            course=course,
            rate=chart(course.rate(), rate_title) if course else None,
            latency=chart(course.histogram(), latency_title, every=True) if course else None,
            foreseen=list(_foreseen(plan, course)),
            estimate=_estimate(plan),
            choices=_choices(plan, begun=begun),
            sections=list(_sections(plan)),
            outcomes=outcomes,
            words={status.value: word for status, word in _WORDS.items()},
            edits=list(_edits(plan)),
            findings=list(by_kind(plan.findings)),
            unmanaged=story.unmanaged,
            strangers=story.unmanaged.accounts[:_STRANGERS] if story.unmanaged else (),
            facts=list(_facts(plan, run)),
            who=f"{getpass.getuser()} on {socket.gethostname()}",
            version=version("scimsync"),
            when=story.when,
        )
    )


def _resource(name: str) -> str:
    return (files("scimsync.cli") / "templates" / name).read_text(encoding="utf-8")


def _policy(css: str, js: str) -> str:
    """A Content-Security-Policy under which nothing but this style and this script comes alive."""
    style, script = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (css, js))
    rules = ("default-src 'none'", f"style-src 'sha256-{style}'", f"script-src 'sha256-{script}'")
    return "; ".join((*rules, "base-uri 'none'", "form-action 'none'"))


# --- parts of the page ----------------------------------------------------------------------------


def _kept(plan: Plan, outcomes: Mapping[tuple[str, int], Outcome], *, begun: bool) -> str:
    """Leavers who keep access, in one sentence; "" where nobody does."""
    kept = leaving.by_run(plan, outcomes) if begun else leaving.by_plan(plan)
    return leaving.sentence(kept) if kept else ""


def _lead(plan: Plan, outcomes: Mapping[tuple[str, int], Outcome], course: Course | None) -> str:
    """The report in one or two sentences."""
    number = counted(plan.writes, "change")
    if not plan.writes:
        return "No changes."
    if course is None:
        return f"{number} planned: {counted(plan.requests, 'request')}. Nothing is written yet."
    done = sum(o.status in {Status.DONE, Status.ALREADY} for o in outcomes.values())
    if done == plan.writes:
        return f"All {number} done in {duration(course.seconds)}." if done > 1 else "The one change is done."
    left = plan.writes - done
    needs = "1 needs" if left == 1 else f"{left:,} need"
    return f"{done:,} of {number} done in {duration(course.seconds)}; {needs} a look."


class _Tile(Struct, frozen=True):
    label: str
    number: float
    tone: str = ""
    text: str = ""

    @property
    def shown(self) -> str:
        return self.text or f"{self.number:,}"


def _tiles(plan: Plan) -> Iterator[_Tile]:
    tally = plan.tally
    for action in _SECTIONS:
        if action not in RARE or tally.actions.get(action.value):
            yield _Tile(action.value.capitalize(), tally.actions.get(action.value, 0), action.value)
    yield _Tile("Conflicts held", tally.conflicts, "warn")
    yield _Tile("Left out", tally.held, "warn")
    yield _Tile("Values left out", tally.values, "warn")
    if tally.accepted:
        yield _Tile("Accepted", tally.accepted)
    yield _Tile("Edits kept", tally.kept)
    yield _Tile("Edits overwritten", tally.overwritten, "warn")
    yield _Tile("Records", tally.records)
    yield _Tile("Equal already", tally.match_rate, text=f"{tally.match_rate:.1%}")


def _ended(plan: Plan, outcomes: Mapping[tuple[str, int], Outcome]) -> tuple[_Counted, ...]:
    keys = [*((change.key, change.part) for change in plan.changes), *((group.key, ITSELF) for group in plan.groups)]
    words = [_WORDS[outcomes[key].status if key in outcomes else Status.OPEN] for key in keys]
    return tuple(
        _Counted(word, words.count(word), tone)
        for word, tone in zip(_WORDS.values(), ("create", "create", *["disable"] * 4), strict=True)
        if word in words
    )


class _Tone(Struct, frozen=True):
    value: str


class _Counted(Struct, frozen=True):
    label: str
    number: int
    tone: str

    @property
    def parts(self) -> tuple[tuple[_Tone, int], ...]:
        return ((_Tone(self.tone), self.number),)


class _Foreseen(Struct, frozen=True):
    label: str
    share: float
    shown: str
    tone: str


def _foreseen(plan: Plan, course: Course | None) -> Iterator[_Foreseen]:
    """Requests and duration: what the plan said, and what the journal says."""
    seconds = 60 * plan.requests / plan.rate if plan.rate else 0.0
    pairs = (
        ("Requests", plan.requests, course.requests if course else None, lambda n: f"{n:,}"),
        ("Duration", seconds, course.seconds if course else None, duration),
    )
    for label, planned, real, words in pairs:
        top = max(planned, real or 0) or 1
        yield _Foreseen(f"{label}, planned", 100 * planned / top, words(planned), "plan")
        if real is not None:
            yield _Foreseen(f"{label}, in fact", 100 * real / top, words(real), "real")


def _estimate(plan: Plan) -> str:
    if not plan.rate:
        return "The plan knew no rate, so it foresaw no duration."
    return (
        f"The plan reckons with {plan.rate:,} requests a minute, all that the target allows. "
        "A run can be slower: each answer takes its time, and lost races and refusals cost requests."
    )


def _choices(plan: Plan, *, begun: bool) -> list[tuple[str, str]]:
    there = {change.action for change in plan.changes}
    found = [(action.value, title) for action, (title, _) in _SECTIONS.items() if action in there]
    looks = plan.findings or plan.notices or begun
    groups = [("group", "Groups")] if plan.groups else []
    return [("all", "All"), *found, *groups, *([("look", "Needs a look")] if looks else [])]


class _Section(Struct, frozen=True, kw_only=True):
    action: str
    symbol: str
    title: str
    about: str
    changes: tuple[Change, ...]


def _sections(plan: Plan) -> Iterator[_Section]:
    for action, (title, about) in _SECTIONS.items():
        of_action = [change for change in plan.changes if change.action is action]
        for heading, words, wanted in ((title, about, False), ("Leavers besides", _BESIDES, True)):
            chosen = tuple(change for change in of_action if (change.part == BESIDES) is wanted)
            if chosen:
                number = f"{len(chosen):,}, {words}"
                yield _Section(
                    action=action.value, symbol=SYMBOLS[action][0], title=heading, about=number, changes=chosen
                )


class _Edits(Struct, frozen=True):
    title: str
    people: tuple[Change, ...]


def _edits(plan: Plan) -> Iterator[_Edits]:
    for people, verdict, title in (
        (plan.notices, Verdict.CONFLICT, "Conflicts: held until a person decides"),
        (plan.changes, Verdict.WRITE, "Overwritten, because HR wins there"),
        (plan.notices, Verdict.KEEP, "Kept"),
    ):
        chosen = tuple(
            replace(person, deltas=deltas)
            for person in people
            if (deltas := tuple(d for d in person.deltas if d.verdict is verdict and _notable(d)))
        )
        if chosen:
            yield _Edits(title, chosen)


def _notable(delta: Delta) -> bool:
    return delta.verdict is not Verdict.WRITE or delta.reason in _EDITED


def _facts(plan: Plan, run: Run | None) -> Iterator[tuple[str, str]]:
    tally = plan.tally
    yield "Target", plan.seal.target
    yield "Planned", f"{plan.created:%Y-%m-%d %H:%M:%S} UTC"
    if plan.looks_back:
        yield "Takes back", f"run {plan.undoes}" if plan.undoes else f"what came after {plan.restores}"
    if plan.as_of is not None:
        yield "Made as of", f"{plan.as_of}; it cannot be applied"
    if run is not None and run.finished is not None:
        yield "Finished", f"{run.finished:%Y-%m-%d %H:%M:%S} UTC"
    yield (
        "Compared",
        (
            f"{tally.records:,} records with {tally.accounts:,} accounts: {tally.linked:,} linked; "
            f"{tally.unmanaged:,} that HR does not know stay untouched; "
            f"{tally.equal:,} of {tally.compared:,} attributes equal already"
        ),
    )
    yield "References deferred", f"{tally.deferred:,}"
    if tally.groups:
        members = f"{tally.members_added:,} members join, {tally.members_removed:,} leave"
        yield "Groups changed", f"{tally.groups:,}: {members}"
    if tally.licences:
        yield "Licences", licences_text(tally.licences)
    yield "Allowed rate", f"{plan.rate:,} requests a minute"
    yield "Seal: configuration", plan.seal.configuration
    yield "Seal: source", plan.seal.source
    yield "Seal: base", plan.seal.base or "none, a first run"
    if run is not None and run.base:
        yield "Base left", run.base

"""The story of a person in words: how it stands with them, why, and what would have to change; what was written.

Nothing is decided here. The plan decided; this reads what it decided, and says it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from scimsync.core.lifecycle import ACTIVE
from scimsync.core.verdicts import Mine, Ruled, cause_of
from scimsync.model.outcomes import JournalLine, Status, Step
from scimsync.model.plans import MAKING, Action, Coming, Lifecycle, Verdict
from scimsync.model.policy import Leavers, Policy
from scimsync.model.stories import Becomes, Cause, Deed, Standing, Traces
from scimsync.model.wording import some_of

_GOOD = frozenset({Status.DONE.value, Status.ALREADY.value})


class Told(Struct, frozen=True, kw_only=True):
    """How it stands with one person, in words."""

    standing: Standing
    action: str = ""
    told: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = ()
    advice: str = ""


# --- one person -----------------------------------------------------------------------------------


def person(
    traces: Traces,
    mine: Mine,
    policy: Policy,
    ruled: Mapping[str, Ruled],
    *,
    place: str = "row",
    done: Sequence[Deed] = (),
) -> Told:
    """How it stands with one person.

    Args:
        traces: what the tables say.
        mine: what the plan says.
        policy: the policy that it was made under.
        ruled: what becomes of each attribute.
        place: what a place in the source is called.
        done: what was written of the person, the latest first.
    """
    told = _standing(traces, mine, policy, ruled)
    tried, cause = last_try(done)
    told = replace(told, told=(*told.told, *filter(None, [tried])), causes=(*told.causes, *filter(None, [cause])))
    values = tuple(cause_of(one) for one in mine.findings if one.holds and one.path)
    others = tuple(cause_of(one) for one in mine.findings if not one.holds)
    causes = tuple(dict.fromkeys((*told.causes, *values, *others)))
    advice = told.advice or next((cause.advice for cause in causes if cause.advice), "")
    coming = (_coming(one) for one in mine.coming if not traces.early)
    sentences = (_of_record(traces, place), _of_account(traces, asked=mine.asked), *told.told, *coming)
    return Told(standing=told.standing, action=told.action, told=sentences, causes=causes, advice=advice)


def _coming(one: Coming) -> str:
    if one.action is None:
        return f"By HR this person {_COMING[one.lifecycle]} on {one.day}."
    return f"Where nothing changes, a plan {_DUE[one.action]} from {one.day} on."


_DUE = {Action.DISABLE: "takes the access away", Action.DELETE: "deletes the account"}
_COMING = {Lifecycle.JOINER: "joins", Lifecycle.MOVER: "moves", Lifecycle.LEAVER: "leaves"}


def _of_record(traces: Traces, place: str) -> str:
    if traces.early:
        return f"HR has no record with this key that holds today; the next one holds from {traces.early} on."
    if traces.absent:
        return "This delivery of changes has no record with this key, so HR's last word about this person stands."
    if not traces.rows:
        return "HR has no record with this key."
    if len(traces.rows) == 1:
        return f"HR has this person on {place} {traces.rows[0]}."
    listed = ", ".join(map(str, traces.rows))
    return f"HR has {len(traces.rows)} records with this key, on {place}s {listed}."


def _of_account(traces: Traces, *, asked: bool) -> str:
    if traces.account is None:
        return "No account is known to be theirs."
    named = f"{traces.account} ({traces.login})" if traces.login else traces.account
    if traces.gone:
        return f"Their account was {named}; the directory does not have it any more."
    states = {True: "active", False: "inactive", None: "and the directory does not show whether it is active"}
    when = "" if asked else " when the directory was read last"
    return f"Their account is {named}, {states[traces.active]}{when}."


def _standing(traces: Traces, mine: Mine, policy: Policy, ruled: Mapping[str, Ruled]) -> Told:
    if mine.changes:
        return _changing(mine)
    if mine.holds:
        why = tuple(cause_of(one) for one in mine.holds)
        return Told(standing=Standing.HELD, told=(f"This person is left out: {why[0].why}.",), causes=why)
    if traces.absent:
        return Told(
            standing=Standing.AS_AGREED,
            told=("Nothing is decided about this person.",),
            advice="ask with the configuration that reads everybody, or wait for its next run",
        )
    if not traces.rows and not mine.notices:
        return _absent(traces, mine, policy)
    if traces.paired or mine.notices:
        return _with_account(mine, ruled)
    if traces.desired.get(ACTIVE) is False:
        return Told(
            standing=Standing.NO_ACCOUNT,
            told=("HR says that this person is not active, and nobody who is not active is given an account.",),
            advice="set the status to active in HR, and the next plan creates the account",
        )
    return _stopped("This person should have an account and gets none in this plan.", mine)


def _stopped(sentence: str, mine: Mine) -> Told:
    """That something is not done which should be, by what was found about the run."""
    why = tuple(cause_of(one) for one in mine.wide if one.code.startswith(("target.", "source.")))
    advice = "" if why else "see what a plan for everybody says: scimsync plan"
    return Told(standing=Standing.HELD, told=(sentence,), causes=why or tuple(map(cause_of, mine.wide)), advice=advice)


def _changing(mine: Mine) -> Told:
    change = mine.changes[0]
    paths = [d.path for one in mine.changes for d in one.deltas if d.verdict in _SENT]
    listed = f": {', '.join(paths)}" if paths and change.action not in MAKING else ""
    sentence = f"A plan made now would {_ACTIONS[change.action]}{listed} ({change.lifecycle.value})."
    if mine.refusals:
        why = tuple(map(cause_of, mine.refusals))
        refused = f"It is refused by {mine.refusals[0].rule}: {why[0].why}."
        return Told(standing=Standing.REFUSED, action=change.word, told=(sentence, refused), causes=why)
    advice = "carry it out: scimsync sync, or scimsync plan and scimsync apply"
    return Told(standing=Standing.CHANGES, action=change.word, told=(sentence,), advice=advice)


_SENT = frozenset({Verdict.WRITE, Verdict.AWAIT, Verdict.DEFER})
_ACTIONS = {
    Action.CREATE: "create the account",
    Action.UPDATE: "update the account",
    Action.DISABLE: "take the access away",
    Action.ENABLE: "enable the account again",
    Action.DELETE: "delete the account",
    Action.RESTORE: "bring the deleted account back",
}


def _absent(traces: Traces, mine: Mine, policy: Policy) -> Told:
    back = "if this person is still there, put the record back into HR"
    if traces.early:
        standing = Standing.HELD if traces.account else Standing.NO_ACCOUNT
        advice = f"see what is due on that day: scimsync plan --as-of {traces.early} --user {mine.key}"
        return Told(standing=standing, told=("Nothing is done about this person before that day.",), advice=advice)
    if traces.account is None:
        return Told(standing=Standing.LEFT, told=("Nothing is known of this person any more.",), advice=back)
    if traces.gone:
        return Told(standing=Standing.LEFT, told=("This person left, and nothing is left to take away.",), advice=back)
    if traces.active is False or (traces.active is None and traces.base.get(ACTIVE) is False):
        return Told(standing=Standing.LEFT, told=("This person left, and has no access any more.",), advice=back)
    if policy.leavers is Leavers.KEEP:
        return Told(
            standing=Standing.LEFT,
            told=("This person left, and keeps the account by [policy] leavers.",),
            advice='to take the access away: [policy] leavers = "disable"',
        )
    return _stopped("This person is gone from HR, and the access is not taken away in this plan.", mine)


def _with_account(mine: Mine, ruled: Mapping[str, Ruled]) -> Told:
    if mine.notices:
        paths = ", ".join(delta.path for notice in mine.notices for delta in notice.deltas)
        told = (f"The sides differ, and by authority nothing is written: {paths}.",)
        return Told(standing=Standing.EDITED, told=told, advice="see each of these attributes")
    if left := {path: one for path, one in ruled.items() if one.becomes is Becomes.LEFT_ALONE}:
        told = (f"The account is what HR says, but for what is left alone: {', '.join(left)}.",)
        causes = tuple(dict.fromkeys(cause for one in left.values() for cause in one.causes))
        return Told(standing=Standing.SAME, told=told, causes=causes)
    return Told(standing=Standing.SAME, told=("The account is what HR says; nothing is to be written.",))


# --- what was done --------------------------------------------------------------------------------


def deeds(lines: Iterable[JournalLine]) -> tuple[Deed, ...]:
    """What was written of one person by all runs, the latest first: each outcome with the intent before it."""
    intents: dict[tuple[str, int], JournalLine] = {}
    found: list[Deed] = []
    for line in lines:
        part = (line.run, line.part)
        if line.step is Step.INTENT:
            intents[part] = line
            continue
        sent = intents.pop(part, None)
        if line.outcome is not None:
            found.append(_deed(line, sent))
    left = [_deed(line, line) for line in intents.values()]
    return tuple(sorted([*found, *left], key=lambda deed: deed.at, reverse=True))


def _deed(line: JournalLine, sent: JournalLine | None) -> Deed:
    outcome = line.outcome
    return Deed(
        run=line.run,
        at=line.at,
        part=line.part,
        method=sent.method if sent else "",
        if_match=sent.version if sent else "",
        tries=sent.attempt if sent else 0,
        status=outcome.status.value if outcome else Status.OPEN.value,
        code=outcome.code if outcome else "",
        answer=outcome.detail if outcome else "",
        correlation_id=outcome.correlation_id if outcome else "",
        version=outcome.version if outcome else "",
        written=outcome.written if outcome else {},
        overwritten=outcome.overwritten if outcome else (),
    )


def last_try(found: Sequence[Deed]) -> tuple[str, Cause | None]:
    """The last write of a person in words, "" where there was none; with a cause, where it did not do all it should."""
    if not found:
        return "", None
    deed = found[0]
    words = f" ({deed.answer})" if deed.answer else ""
    cause = Cause(code=deed.code, why=f"run {deed.run} ended {deed.status}{words}", advice=f"scimsync runs {deed.run}")
    if deed.status in _GOOD:
        told = f"Last written by run {deed.run}: {some_of(deed.written) or 'nothing'}."
        return told, cause if deed.code else None
    return f"The last try, in run {deed.run}, ended {deed.status}: {deed.code or 'no code'}{words}.", cause

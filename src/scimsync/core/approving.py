"""Which approvals a plan needs, and which of those that were given count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

import msgspec
from msgspec import Struct

from scimsync.model.approvals import SETTLED, Approval, ApprovalRule, Made
from scimsync.model.decisions import Actor, spelled
from scimsync.model.plans import MAKING, Action, GroupChange, Plan

#: the actions that a rule may count
KINDS = tuple(action.value for action in Action if action is not Action.RESTORE)


class Need(Struct, frozen=True):
    """A rule that a plan meets, and why."""

    rule: ApprovalRule
    why: str


class Standing(Struct, frozen=True, kw_only=True):
    """How a plan stands with those who must approve it."""

    #: each rule that it meets, with who approved by it, and how many more it takes
    needs: Sequence[tuple[Need, Sequence[Approval], int]] = ()
    #: who rejected it; None where nobody did
    rejected: Approval | None = None
    #: approvals that do not count, each with why
    void: Sequence[tuple[Approval, str]] = ()

    @property
    def missing(self) -> int:
        """How many more approvals it takes, at least."""
        return max((missing for _, _, missing in self.needs), default=0)

    @property
    def waits(self) -> bool:
        """Whether it may not be applied yet, or ever."""
        return self.rejected is not None or self.missing > 0


class Doing(Struct, frozen=True):
    """What rules look at in a plan, so that a plan of which the numbers are known need not be read again."""

    #: action -> how many accounts; a deleted account that comes back counts as one that is made
    actions: Mapping[str, int]
    groups: Sequence[GroupChange]
    overrides: Collection[str]

    @classmethod
    def of(cls, plan: Plan) -> Doing:
        """That of a plan that is read whole."""
        return cls.counted(Counter(change.action.value for change in plan.changes), plan.groups, plan.overrides)

    @classmethod
    def counted(cls, numbers: Mapping[str, int], groups: Sequence[GroupChange], overrides: Collection[str]) -> Doing:
        """That of a plan whose changes were counted by action."""
        made = {action.value for action in MAKING}
        actions = {action: number for action, number in numbers.items() if action not in made}
        if both := sum(numbers.get(action, 0) for action in made):
            actions[Action.CREATE.value] = both
        return cls(actions, groups, overrides)

    @property
    def writes(self) -> bool:
        """Whether it changes anything."""
        return bool(self.groups) or any(self.actions.values())


def message(approval: Approval) -> bytes:
    """What the signature of an approval is over. No other text that the same key signs begins so."""
    said = [approval.run, approval.digest, approval.actor, approval.proof, approval.approves, approval.reason]
    said += [approval.at.isoformat(), approval.until.isoformat()]
    return b"scimsync approval\n" + msgspec.json.encode(said)


def document(rule: ApprovalRule) -> dict[str, object]:
    """A rule as the state remembers it."""
    found: dict[str, object] = {
        "more_than": dict(sorted(rule.more_than.items())),
        "groups": list(rule.groups),
        "override": rule.override,
        "every": rule.every,
        "needs": rule.needs,
        "by": list(rule.by),
        "valid_s": int(rule.valid.total_seconds()),
    }
    # what later versions brought, as far as it is used: a plan of an earlier one stays good where it is not
    return found | ({"settled_s": int(rule.settled.total_seconds())} if rule.settled != SETTLED else {})


def rule_of(name: str, kept: Mapping[str, object]) -> ApprovalRule:
    """A rule as the state remembers it, read."""
    found = msgspec.convert(kept, _Kept)
    return ApprovalRule(
        name=name,
        more_than=found.more_than,
        groups=found.groups,
        override=found.override,
        every=found.every,
        needs=found.needs,
        by=found.by,
        valid=timedelta(seconds=found.valid_s),
        settled=timedelta(seconds=found.settled_s),
    )


class _Kept(msgspec.Struct):
    more_than: dict[str, int] = {}
    groups: tuple[str, ...] = ()
    override: bool = False
    every: bool = False
    needs: int = 1
    by: tuple[str, ...] = ()
    valid_s: int = 86400
    settled_s: int = int(SETTLED.total_seconds())


def needs(
    doing: Doing, rules: Iterable[ApprovalRule], remembered: Iterable[ApprovalRule], done: Mapping[str, int]
) -> Iterator[Need]:
    """The rules that a plan meets.

    Args:
        doing: What the plan does.
        rules: Those of the configuration.
        remembered: Those that the last plan that was applied was held to. One that is not in the configuration any
            more, or not as it was, is met by any plan that writes: nobody takes it away alone.
        done: Action -> how many accounts runs of the last day changed that nobody approved.
    """
    if not doing.writes:
        return
    known = {rule.name: rule for rule in rules}
    for rule in known.values():
        if why := _met(rule, doing, done):
            yield Need(rule, why)
    for rule in remembered:
        if known.get(rule.name) != rule:
            yield Need(rule, f"the configuration has {'another' if rule.name in known else 'no'} such rule by now")


def _met(rule: ApprovalRule, doing: Doing, done: Mapping[str, int]) -> str:
    """Why a plan meets a rule; "" where it does not."""
    for kind, allowed in rule.more_than.items():
        number, before = doing.actions.get(kind, 0), done.get(kind, 0)
        if number and number + before > allowed:
            earlier = f" with {before} of the last day" if before else ""
            return f"{kind} {number}{earlier}, more than {allowed}"
    for group in doing.groups:
        if any(_is_named(group.name, group.group, one) for one in rule.groups):
            return f"the members of {group.name} change"
    if rule.override and doing.overrides:
        return f"it sets aside {', '.join(sorted(doing.overrides))}"
    return "every plan that writes" if rule.every else ""


def _is_named(name: str, identity: str, pattern: str) -> bool:
    return identity == pattern or fnmatchcase(name.casefold(), pattern.casefold())


def judge(  # noqa: PLR0913 - each is a fact of its own
    plan: Plan,
    digest: str,
    wanted: Sequence[Need],
    given: Sequence[Approval],
    *,
    proven: Mapping[int, str],
    now: datetime,
    made: Sequence[Made] = (),
) -> Standing:
    """How a plan stands.

    Args:
        plan: The plan.
        digest: The digest that closes it.
        wanted: The rules that it meets.
        given: What people said about it, in their order.
        proven: Index of an approval -> why its signature or its record does not prove it; missing where both do.
        now: When that is asked.
        made: Who made whom a user of the console.
    """
    authors = [Actor.read(text) for text in plan.authors]
    rejected = next((one for one in given if not one.approves), None)
    void, good = list[tuple[Approval, str]](), list[Approval]()
    for index, one in enumerate(given):
        if not one.approves:
            continue
        if why := _void(one, plan, digest, authors, good, now) or proven.get(index, ""):
            void.append((one, why))
        else:
            good.append(one)
    told = []
    for need in wanted:
        mine = list[Approval]()
        for one in good:
            others = [*authors, *(other.who for other in mine)]
            if why := next(filter(None, (kin(one.who, other, made, one.at, need.rule) for other in others)), ""):
                void += [] if (one, why) in void else [(one, why)]
            elif may(need.rule, one.who) and now <= one.at + need.rule.valid:
                mine.append(one)
        told.append((need, tuple(mine), max(0, need.rule.needs - len(mine))))
    return Standing(needs=tuple(told), rejected=rejected, void=tuple(void))


def _void(
    one: Approval, plan: Plan, digest: str, authors: Sequence[Actor], before: Sequence[Approval], now: datetime
) -> str:
    """Why an approval does not count; "" where it may."""
    if (one.run, one.digest) != (plan.id, digest):
        return "it is about another plan"
    if not authors:
        return "nobody knows who proposed the plan"
    if any(one.who.is_same(author) for author in authors):
        return "who proposed a plan does not approve it"
    if any(one.who.is_same(other.who) for other in before):
        return "the same person approved before"
    return "it expired" if now > one.until else ""


def kin(one: Actor, other: Actor, made: Sequence[Made], at: datetime, rule: ApprovalRule) -> str:
    """Why two names may be one person who made users of the console to come in as; "" where nothing says so.

    Whoever made a user, or gave one another password, can come in as that user: so the two are one, and all are one
    whom one of them made, until the user has been there for a while.

    Examples:
        >>> from datetime import UTC
        >>> noon, rule = datetime(2026, 11, 28, 12, tzinfo=UTC), ApprovalRule(name="x")
        >>> ada, bo, cy, dee = (Actor(name, "password") for name in ("ada", "bo", "cy", "dee"))
        >>> made = [Made(user=bo, maker=ada, at=noon), Made(user=cy, maker=bo, at=noon)]
        >>> kin(cy, ada, made, noon, rule)
        'cy was made a user or given a role or password by bo on 2026-11-28: until 2026-12-05 they count as one person'
        >>> kin(cy, ada, made, noon + timedelta(days=8), rule), kin(dee, ada, made, noon, rule)
        ('', '')
    """
    held = [link for link in made if at - rule.settled < link.at <= at]
    reached, new = [one], [one]
    ways: list[Made] = []
    while new:
        here = new.pop()
        for link in held:
            for near, far in ((link.user, link.maker), (link.maker, link.user)):
                if near.is_same(here) and not any(far.is_same(known) for known in reached):
                    reached.append(far)
                    new.append(far)
                    ways.append(link)
    if len(reached) == 1 or not any(other.is_same(known) for known in reached[1:]):
        return ""
    first = ways[0]
    until = max(link.at for link in ways) + rule.settled
    return (
        f"{first.user.shown} was made a user or given a role or password by {first.maker.shown} on "
        f"{first.at:%Y-%m-%d}: until {until:%Y-%m-%d} they count as one person"
    )


def may(rule: ApprovalRule, who: Actor) -> bool:
    """Whether a rule takes the approval of a person.

    A name without `@` is that of a user of the operating system, on whatever host, or all of a name elsewhere. Whom a
    provider signed in is meant by what it knows them by for ever: what they are called there may be given to others.

    Examples:
        >>> rule = ApprovalRule(name="x", by=("Maria", "ben@example.com"))
        >>> may(rule, Actor("maria@laptop")), may(rule, Actor("maria@evil.example", "oidc"))
        (True, False)
        >>> may(rule, Actor("BEN@example.com", "password"))
        True
        >>> may(rule, Actor("ben@example.com <https://id.example#00u2>", "oidc"))
        False
        >>> may(ApprovalRule(name="x", by=("https://id.example#00u2",)), Actor("Ben <https://id.example#00u2>", "oidc"))
        True
    """
    if not rule.by:
        return True
    if who.subject:
        return any(who.subject in {one, Actor(one).subject} for one in rule.by)
    names = {who.person} | ({who.local} if who.proof == "os" else set())
    return any(spelled(one) in names for one in rule.by)


def words(plan: str, standing: Standing) -> str:
    """Why a plan waits, and what to do; "" where it does not."""
    if standing.rejected is not None:
        one = standing.rejected
        return f"plan {plan} was rejected by {one.actor} ({one.reason}). Nothing is sent. Make a new plan."
    lines = []
    for need, given, missing in standing.needs:
        if missing:
            who = f" by {' or '.join(need.rule.by)}" if need.rule.by else ""
            had = f", {len(given)} given" if given else ""
            lines.append(f"{need.rule.name} ({need.why}) needs {need.rule.needs}{who}{had}")
    if not lines:
        return ""
    void = [f"that of {one.actor} does not count: {why}" for one, why in standing.void]
    told = "; ".join([*lines, *void])
    number = "an approval" if standing.missing == 1 else f"{standing.missing} approvals"
    return (
        f"plan {plan} waits for {number}: {told}. Nothing was sent. Somebody who did not propose it: "
        f'scimsync approve {plan} --reason "..."; then: scimsync apply {plan}'
    )


def unsealed(plan: Plan, wanted: Sequence[ApprovalRule], overrides: Iterable[str]) -> list[str]:
    """The rules that are set aside now and not in the plan, where that needs an approval: nobody approved them."""
    if not any(rule.override for rule in wanted):
        return []
    return sorted({*overrides} - {*plan.overrides})

"""Plan one person whose account is at hand: the rules of a whole directory, without its tables.

`decide` needs the two sides alone. `conclude` looks for what the directory would refuse, for which it may have to be
asked in between which names exist there (`validation.name_kinds`). A law holds that both together come to what a
plan of a whole directory comes to for that person (tests/laws/test_one_person.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from scimsync.core import findings as told
from scimsync.core import identity, leaving, logins, planner, protecting, returning, validation
from scimsync.core.desired import Desired, is_main
from scimsync.core.lifecycle import ACTIVE, active_of
from scimsync.model.accounts import Missing, Pair, Unresolved
from scimsync.model.plans import LOGIN, Action, Change, Finding, Tally
from scimsync.model.policy import BadValue, Leavers, Policy
from scimsync.scim.dialect import Dialect
from scimsync.scim.forms import truth
from scimsync.scim.grammar import lookup
from scimsync.scim.schema import Kind, Value


class Seen(Struct, frozen=True, kw_only=True):
    """The account of one person as the directory shows it now, and what was agreed before."""

    #: what HR calls the person
    key: str
    account: str
    version: str
    resource: Mapping[str, object]
    #: path -> value on which both sides agreed; paths on which they never did are missing
    base: Mapping[str, Value] = field(default_factory=dict)
    #: paths whose reference names nobody with an account
    unresolved: frozenset[str] = frozenset()
    #: path beside SCIM -> why it is neither read nor written
    unread: Mapping[str, str] = field(default_factory=dict)

    @property
    def login(self) -> str:
        """The login of the account; "" where it shows none."""
        return str(self.resource.get(LOGIN) or "")


class Decided(Struct, frozen=True, kw_only=True):
    """What became of one person, before the directory is asked about names."""

    desired: Desired
    seen: Seen
    #: None where a bad value leaves the person out
    pair: Pair | None
    planned: planner.Planned
    findings: tuple[Finding, ...]

    @property
    def changes(self) -> tuple[Change, ...]:
        """What would be written."""
        return tuple(filter(None, (self.planned.change, self.planned.besides)))


class Concluded(Struct, frozen=True, kw_only=True):
    """One person's part of a plan."""

    changes: tuple[Change, ...]
    notices: tuple[Change, ...]
    findings: tuple[Finding, ...]
    tally: Tally
    #: path -> value on which both sides agree now
    agreed: Mapping[str, Value]


def decide(desired: Desired, seen: Seen, policy: Policy) -> Decided:
    """Compare what HR wants of one person with the account.

    Args:
        desired: The values of the record.
        seen: The account.
        policy: Mapping, authorities, what becomes of bad values.
    """
    whole = policy.on_bad_value is BadValue.PERSON
    grave = whole or bool(desired.bad.keys() & {ACTIVE, LOGIN})
    is_out = bool(desired.bad) and grave and not (desired.leaves and ACTIVE not in desired.bad)
    findings = [
        fault.finding(seen.key, path, path="" if is_out else path) for path, fault in sorted(desired.bad.items())
    ]
    findings += [told.of_unshown(path, why) for path, why in seen.unread.items()]
    if is_out:
        planned = planner.Planned()
        return Decided(desired=desired, seen=seen, pair=None, planned=planned, findings=tuple(findings))
    pair = Pair(
        key=seen.key,
        name=seen.login,
        row=None,
        account=seen.account,
        version=seen.version,
        desired=desired.values,
        current={ACTIVE: truth(lookup(seen.resource, ACTIVE))}
        | {mapped.path: mapped.place.read(seen.resource) for mapped in policy.attributes},
        base={path: seen.base[path] for path in policy.by_path if path in seen.base},
        unresolved=seen.unresolved,
        left_out=_left_out(desired, policy, grave=grave) | seen.unread.keys(),
    )
    planned = planner.plan_pair(pair, policy)
    return Decided(desired=desired, seen=seen, pair=pair, planned=planned, findings=(*findings, *planned.findings))


def _left_out(desired: Desired, policy: Policy, *, grave: bool) -> frozenset[str]:
    """The paths that are left alone: of a leaver with bad values all but the access, else the bad ones."""
    if not desired.bad:
        return frozenset()
    if grave:
        return frozenset(policy.by_path) - {ACTIVE}
    parts = {m.path for m in policy.attributes for path in desired.bad if is_main(policy.by_path[path], m)}
    return frozenset(desired.bad) | parts


def conclude(decided: Decided, policy: Policy, dialect: Dialect, known: validation.Known) -> Concluded:
    """Leave out what the directory would refuse, and say what is to be said.

    Args:
        decided: What `decide` gave.
        policy: The same policy.
        dialect: What the provider takes.
        known: The names that exist in the directory, of the kinds that the changes write, and what reads phone numbers.
    """
    attributes = [*policy.attributes, active_of(policy, dialect.users)]
    seen, pair = decided.seen, decided.pair
    whole = policy.on_bad_value is BadValue.PERSON
    validated = validation.validate(
        decided.changes,
        attributes,
        dialect.users,
        dialect,
        known,
        marks=frozenset(place.short for place in policy.match),
        whole=whole,
    )
    holders = {logins.folded(seen.login): frozenset({seen.account})}
    handed = logins.hand_over(validated.changes, holders, attributes, policy.exchange)
    found = [*decided.findings, *validated.findings, *handed.findings]
    notices = tuple(filter(None, (decided.planned.notice,)))
    found += _kept(decided, policy, handed.changes, found, notices)
    if pair is not None:
        change = decided.planned.change
        strange = {(path, seen.key): None for path in seen.unresolved} if change is not None else {}
        nobody = [(path, str(pair.desired.get(path) or "")) for path in sorted(seen.unresolved)]
        found += told.of_unresolved(
            [Unresolved(path, Missing.NOWHERE, seen.key, named) for path, named in nobody], strange
        )
        others = filter(None, [identity.other_person(pair, change)]) if change is not None else ()
        found += identity.named([*others])
        found += _circles(decided, policy, found)
        found += _stripped(decided, policy, dialect, handed.changes)
    changes, _ = planner.lined_up(handed.changes)
    findings = tuple(told.in_order(found))
    agreed, equal = _agreed(decided, policy)
    numbers = {"records": 1, "accounts": 1, "linked": int(pair is not None), "unmanaged": 0}
    numbers |= {"compared": len(policy.attributes) if pair is not None else 0, "equal": equal}
    return Concluded(
        changes=changes,
        notices=notices,
        findings=findings,
        tally=planner.tally(numbers, changes, notices, findings),
        agreed=agreed,
    )


def _kept(
    decided: Decided, policy: Policy, changes: tuple[Change, ...], found: list[Finding], notices: tuple[Change, ...]
) -> Iterator[Finding]:
    """A finding where HR says that the person left, and the account stays active against policy."""
    seen = decided.seen
    if policy.leavers is Leavers.KEEP or not decided.desired.leaves:
        return
    current = policy.by_path[ACTIVE].place.read(seen.resource)
    is_active = current if current is not None else seen.base.get(ACTIVE) is not False
    taken = any(change.action is Action.DISABLE for change in changes)
    if is_active and not taken and not protecting.is_protected(seen.key, seen.login, policy):
        yield leaving.finding(seen.key, leaving.reasons(found, notices).get(seen.key, leaving.UNREAD))


def _stripped(decided: Decided, policy: Policy, dialect: Dialect, changes: tuple[Change, ...]) -> Iterator[Finding]:
    """A finding where a person comes back to an account that lost what the mapping does not give back."""
    if any(change.action is Action.ENABLE for change in changes):
        for place in returning.bare(returning.unmapped(policy, dialect), decided.seen.resource):
            yield returning.finding(decided.seen.key, place, None)


def _circles(decided: Decided, policy: Policy, found: list[Finding]) -> Iterator[Finding]:
    """A finding where HR makes a person refer to themselves, and that is not told as a bad value."""
    key = decided.seen.key
    if not any(finding.code == "reference.self" for finding in found):
        own = [
            (mapped.path, (key,))
            for mapped in policy.attributes
            if mapped.place.kind is Kind.REFERENCE and decided.desired.values[mapped.path] == key
        ]
        yield from told.of_circles(own, ())


def _agreed(decided: Decided, policy: Policy) -> tuple[dict[str, Value], int]:
    """What both sides hold alike, by path, and on how many attributes nothing is to be done."""
    pair = decided.pair
    if pair is None:
        return {}, 0
    left = pair.unresolved | pair.left_out
    if pair.current[ACTIVE] is False and pair.desired.get(ACTIVE) is not True:
        left |= {m.path for m in policy.attributes if m.place.dropped}
    same = {m.path for m in policy.attributes if m.place.same(pair.desired[m.path], pair.current[m.path])} - left
    return {path: pair.desired[path] for path in same} | dict(decided.planned.settled), len(same | left)


def all_or_nothing(concluded: Concluded) -> Concluded:
    """A call as a whole: with a reference to nobody or an open conflict nothing is written; access is taken away."""
    if not concluded.tally.conflicts and not any(finding.code in _WAITING for finding in concluded.findings):
        return concluded
    kept = tuple(change for change in concluded.changes if change.action is Action.DISABLE)
    numbers = {
        n: getattr(concluded.tally, n) for n in ("records", "accounts", "linked", "unmanaged", "compared", "equal")
    }
    tally = planner.tally(numbers, kept, concluded.notices, concluded.findings)
    return replace(concluded, changes=kept, tally=tally)


#: findings that hold nobody in a plan of a directory, and that make a call for one person wait
_WAITING = frozenset({"reference.unknown", "reference.no-account"})

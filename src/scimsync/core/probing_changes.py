"""What became of a change: from what was sent to an account of ours, and how it reads afterwards, to entries. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from scimsync.core.probing_bodies import CLOSED, Trial, Way, words_of
from scimsync.model.probing import Found, Heard
from scimsync.scim.generic import GENERIC
from scimsync.scim.grammar import lookup
from scimsync.scim.schema import Value

#: what becomes of a path, and the entry that lists it
LISTED: Mapping[str, str] = {
    "immutable": "accounts.immutable",
    "hidden": "accounts.hidden",
    "unkept": "accounts.unkept",
    "normalised": "accounts.normalised",
}
#: what else may become of it
KEPT, REFUSED = "kept", "refused"


def way_entries(way: Way, evidence: str) -> tuple[Found, ...]:
    """The entries that follow from the way in which a change was taken."""
    made = [Found(entry="patch.served", value=way.patches, evidence=evidence)]
    if way.patches:
        made.append(Found(entry="patch.op_case", value="title" if way.capital else "lower", evidence=evidence))
        made.append(Found(entry="patch.paths", value="none" if way.pathless else "explicit", evidence=evidence))
    return tuple(made)


def keeps_others(asked: Heard, kept: Trial, before: Value, after: Mapping[str, object]) -> Found:
    """Whether a write to one element of a list left another alone."""
    held = kept.held(after)
    told = f"{asked.question.shown} of one element of {kept.attribute} -> {asked.outcome}, the other"
    value = held == before
    return Found(entry="patch.keeps_others", value=value, evidence=f"{told} {'stayed' if value else 'did not stay'}")


class Fate(Struct):
    """What is known of one path: the value before, after a first write, and after a second."""

    trial: Trial
    before: Value = None
    #: the write of the first value, and what was shown then
    setting: Heard | None = None
    first: Value = None
    #: the write of the second value, and what was shown then
    moving: Heard | None = None
    second: Value = None
    #: whether a filter finds the account by a value that it does not show
    found: bool = False
    #: what was shown after a creation with the first value
    created: Value = None

    @property
    def is_set(self) -> bool:
        """Whether the first value arrived, in whatever form."""
        return self.first is not None and _arrived(self.trial, self.first, 0)

    @property
    def is_moved(self) -> bool:
        """Whether the second value arrived, in whatever form."""
        same = self.second == self.first != self.trial.values[1]
        return self.second is not None and not same and _arrived(self.trial, self.second, 1)

    @property
    def word(self) -> str:
        """What became of it: `kept`, `normalised`, `immutable`, `hidden`, `unkept`, `refused`; "" for not tried."""
        setting, moving = self.setting, self.moving
        if setting is None:
            return ""
        if not self.is_set:
            if self.created is not None:
                return "immutable"
            if setting.ok and self.first is None:
                return "hidden" if self.found else "unkept"
            return "unkept" if setting.ok else REFUSED
        if moving is not None and not self.is_moved:
            # where only values of a list may stand, the second one may be none of them
            told = self.trial.path not in CLOSED or "mutability" in str(moving.resource.get("scimType", "")).lower()
            return ("immutable" if told else KEPT) if 0 < moving.status < 500 else ""
        exact = self.first == self.trial.values[0] and (moving is None or self.second == self.trial.values[1])
        return KEPT if exact else "normalised"

    def take_created(self, held: Value) -> None:
        """Note what an account shows that was made with the first value; a default is none."""
        self.created = held if held != self.before and _arrived(self.trial, held, 0) else None

    @property
    def evidence(self) -> str:
        """What was asked, and what came, without the values."""
        if self.setting is None:
            return f"{self.trial.path} was not tried"
        shown = "shown" if self.first == self.trial.values[0] else "not shown" if not self.is_set else "shown otherwise"
        told = f"{self.setting.question.method} {self.trial.path} -> {self.setting.outcome}, {shown}"
        if self.moving is not None and not self.is_moved:
            told += f"; another value -> {self.moving.outcome}, the old one is shown"
        if self.found:
            told += ", a filter finds it"
        if self.created is not None:
            told += ", shown after a creation with it"
        return told


def _arrived(trial: Trial, held: Value, number: int) -> bool:
    """Whether a value is the one that was sent, in whatever form: other capitals, more or fewer signs."""
    sent = trial.values[number]
    if GENERIC.users.resolve(trial.path).alike(held, sent):
        return True
    left, right = ("".join(sign for sign in str(text).casefold() if sign.isalnum()) for text in (held, sent))
    return bool(left and right) and (left in right or right in left)


def unnamed(refused: Heard, fates: Sequence[Fate]) -> list[Fate]:
    """The paths that a refusal does not name; none where there was but one."""
    words = words_of(refused)
    return [fate for fate in fates if fate.trial.word.lower() not in words] if len(fates) > 1 else []


def attribute_entries(judged: Sequence[tuple[str, str, str]]) -> tuple[Found, ...]:
    """The entries that list paths, from what became of each (path, word, evidence) that was tried."""
    good = f"{sum(word == KEPT for _, word, _ in judged)} of {len(judged)} paths are kept as sent"
    made = []
    for word, entry in LISTED.items() if judged else ():
        listed = [(path, told) for path, became, told in judged if became == word]
        evidence = "; ".join(told for _, told in listed) or good
        made.append(Found(entry=entry, value=sorted(path for path, _ in listed), evidence=evidence))
    return tuple(made)


# --- members --------------------------------------------------------------------------------------


def members(group: Mapping[str, object], known: Mapping[str, str]) -> list[str]:
    """The ids of the members that a group shows.

    Args:
        group: The group.
        known: The id of whom a member may name in another way: some show logins.
    """
    found = lookup(group, "members")
    shown = [str(lookup(one, "value")) for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
    return [known.get(value.casefold(), value) for value in shown]


def members_shown(asked: Heard, shown: Sequence[str], identity: str, *, elsewhere: bool) -> Found | str:
    """What a group shows of its members, after one was added; `elsewhere` where the account names the group."""
    told = f"{asked.question.shown} adding a member -> {asked.outcome}"
    if identity in shown:
        return Found(
            entry="groups.members", value="shown", evidence=f"{told}, shown (whether there is a cap, one does not tell)"
        )
    if not asked.ok:
        return f"no member was taken: {told}"
    if elsewhere:
        return Found(entry="groups.members", value="hidden", evidence=f"{told}, the account names the group alone")
    return Found(entry="groups.members", value="hidden", evidence=f"{told}, not shown")


def added_twice(asked: Heard, shown: Sequence[str], identity: str) -> Found:
    """What becomes of a member that is added again."""
    count = shown.count(identity)
    value = "doubled" if count > 1 else "ignored" if asked.ok else "refused"
    told = f"{asked.question.shown} adding a member again -> {asked.outcome}, shown {count} times"
    return Found(entry="groups.add_twice", value=value, evidence=told)


def removed(shown: Sequence[str], identity: str, others: Sequence[str]) -> bool | None:
    """Whether a removal took away this member and nobody else; None where it took away others too."""
    if identity in shown:
        return False
    return True if all(other in shown for other in others) else None

"""The experiments on members: a throw-away group, and one in it, with our account as the only member."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scimsync.core import probing_bodies
from scimsync.core.probing_bodies import PREFIX, Way
from scimsync.core.probing_changes import added_twice, members, members_shown, removed
from scimsync.engine.laboratory import Laboratory, Specimen
from scimsync.model.probing import GROUPS, USERS, Findings, Found, Heard
from scimsync.scim.grammar import lookup
from scimsync.scim.messages import Operation

_ALL = ("groups.members", "groups.add_twice", "groups.remove", "groups.nested")


@dataclass
class Grouping:
    """What a provider does with a group of ours.

    Args:
        lab: Asks, and looks after what is made.
        findings: Take what is found.
        way: How accounts are changed.
        draw: Gives a text that nobody guesses.
    """

    lab: Laboratory
    findings: Findings
    way: Way
    draw: Callable[[], str]

    async def all(self, mine: Specimen) -> None:
        """Make a group, try members, and remove it."""
        if self.findings.value("groups.served") is False:
            return
        group = await self._make()
        if group is None:
            return
        added = await self._add(group, mine.identity)
        elsewhere = await self._names(mine, group)
        if group.identity and not members(group.seen.resource) and added.ok:
            await self._ask_for_members(group)
        found = members_shown(added, group.seen, mine.identity, elsewhere=elsewhere)
        if isinstance(found, Found):
            self.findings.take(found)
        else:
            self.findings.lack(found, *_ALL)
        if mine.identity in members(group.seen.resource):
            again = await self._add(group, mine.identity)
            self.findings.take(added_twice(again, group.seen, mine.identity))
            inner = await self._nest(group)
            await self._remove(group, mine.identity, [inner.identity] if inner else [])
            if inner:
                await self.lab.remove(inner)
        self.findings.lack("a group does not show the member that was added", *_ALL)
        await self.lab.remove(group)

    async def _make(self, suffix: str = "") -> Specimen | None:
        name = f"{PREFIX}{self.draw()}{suffix}"
        heard, made = await self.lab.make(GROUPS, name, probing_bodies.group(name))
        if made is None:
            self.findings.lack(f"no group could be made: {heard.evidence}", *_ALL)
        return made

    async def _patch(self, group: Specimen, operation: Operation) -> Heard:
        heard = await self.lab.write(group, "PATCH", probing_bodies.patch(self.way, [operation]))
        await self.lab.see(group)
        return heard

    async def _add(self, group: Specimen, identity: str, kind: str = "") -> Heard:
        member = {"value": identity} | ({"type": kind} if kind else {})
        return await self._patch(group, Operation("add", "members", [member]))

    async def _ask_for_members(self, group: Specimen) -> None:
        """Members may be shown to whoever asks for them alone."""
        heard = await self.lab.get(GROUPS, group.identity, patient=False, attributes="displayName,members")
        if heard.ok and members(heard.resource):
            group.seen = heard

    async def _names(self, mine: Specimen, group: Specimen) -> bool:
        """Whether the account says that it is in the group."""
        heard = await self.lab.get(USERS, mine.identity)
        found = lookup(heard.resource, "groups")
        return isinstance(found, list) and any(
            isinstance(one, dict) and str(lookup(one, "value")) == group.identity for one in found
        )

    async def _nest(self, group: Specimen) -> Specimen | None:
        """Whether a group may be a member; the one that is, stays for now."""
        inner = await self._make("-inner")
        if inner is None:
            return None
        heard = await self._add(group, inner.identity, "Group")
        nested = inner.identity in members(group.seen.resource)
        told = f"{heard.question.shown} adding a group -> {heard.outcome}, {'' if nested else 'not '}shown"
        self.findings.take(Found(entry="groups.nested", value=nested, evidence=told))
        if nested:
            return inner
        await self.lab.remove(inner)
        return None

    async def _remove(self, group: Specimen, identity: str, others: Sequence[str]) -> None:
        """In which form a member is removed, and nobody else with it."""
        entry, told = "groups.remove", []
        forms = {
            "filter": Operation("remove", f'members[value eq "{identity}"]'),
            "value": Operation("remove", "members", [{"value": identity}]),
        }
        for word, operation in forms.items():
            for missing in {identity, *others} - set(members(group.seen.resource)):
                await self._add(group, missing)
            heard = await self._patch(group, operation)
            gone = removed(group.seen, identity, others)
            form = 'members[value eq "..."]' if word == "filter" else "path members and a value"
            became = {True: "gone", False: "still a member", None: "gone, and others with it"}[gone]
            told.append(f"{heard.question.shown} removing {form} -> {heard.outcome}, {became}")
            if gone is None:
                self.findings.remarks.append(f"a removal of one member by {form} removes others too")
            if gone:
                alone = "" if others else " (of a group with no other member)"
                self.findings.take(Found(entry=entry, value=word, evidence="; ".join(told) + alone))
                return
        self.findings.remarks.append("no form was found in which a member can be removed")
        self.findings.lack("; ".join(told), entry)

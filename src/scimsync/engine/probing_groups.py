"""The experiments on members: a throw-away group, and one in it, with our account as the only member."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from scimsync.core import probing_bodies
from scimsync.core.probing_bodies import PREFIX, Way
from scimsync.core.probing_changes import added_twice, members, members_shown, removed
from scimsync.engine.laboratory import Laboratory, Specimen
from scimsync.model.probing import GROUPS, USERS, Findings, Found, Heard
from scimsync.scim.grammar import lookup
from scimsync.scim.messages import Operation

#: what only a probe that writes finds out, of groups
TRIED = ("groups.members", "groups.add_twice", "groups.remove", "groups.nested")


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
    #: members are named by their address too
    named: bool = False
    #: name in small letters -> id of what the probe made
    known: dict[str, str] = field(default_factory=dict)

    async def all(self, mine: Specimen) -> None:
        """Make a group, try members, and remove it."""
        if self.findings.value("groups.served") is False:
            return
        self.known |= {name.casefold(): mine.identity for name in mine.names}
        group = await self._make(mine)
        if group is None:
            return
        added = await self._add(group, mine)
        if not added.ok and not self.named:
            self.named = True
            added = await self._add(group, mine)
        elsewhere = await self._names(mine, group)
        if group.identity and not self._members(group) and added.ok:
            await self._ask_for_members(group)
        found = members_shown(added, self._members(group), mine.identity, elsewhere=elsewhere)
        if isinstance(found, Found):
            self.findings.take(found)
        else:
            self.findings.lack(found, *TRIED)
        if mine.identity in self._members(group):
            again = await self._add(group, mine)
            self.findings.take(added_twice(again, self._members(group), mine.identity))
            inner = await self._nest(group, mine)
            await self._remove(group, mine, [inner] if inner else [])
            if inner:
                await self.lab.remove(inner)
        self.findings.lack("a group does not show the member that was added", *TRIED)
        await self.lab.remove(group)

    async def _make(self, mine: Specimen) -> Specimen | None:
        name = f"{PREFIX}{self.draw()}"
        heard, made = await self.lab.make(GROUPS, name, probing_bodies.group(name))
        for self.named in (False, True) if made is None and heard.status == 400 else ():
            if made is None:  # some take no group without members, or no member without its address
                member = probing_bodies.member(mine.seen, named=self.named)
                heard, made = await self.lab.make(GROUPS, name, probing_bodies.group(name, [member]))
        if made is None:
            self.findings.lack(f"no group could be made: {heard.evidence}", *TRIED)
        return made

    async def _patch(self, group: Specimen, operation: Operation) -> Heard:
        heard = await self.lab.write(group, "PATCH", probing_bodies.patch(self.way, [operation]))
        await self.lab.see(group)
        return heard

    def _members(self, group: Specimen) -> list[str]:
        return members(group.seen.resource, self.known)

    async def _add(self, group: Specimen, one: Specimen, kind: str = "") -> Heard:
        member = probing_bodies.member(one.seen, kind, named=self.named)
        return await self._patch(group, Operation("add", "members", [member]))

    async def _ask_for_members(self, group: Specimen) -> None:
        """Members may be shown to whoever asks for them alone."""
        heard = await self.lab.get(GROUPS, group.identity, patient=False, attributes="displayName,members")
        if heard.ok and members(heard.resource, self.known):
            group.seen = heard

    async def _names(self, mine: Specimen, group: Specimen) -> bool:
        """Whether the account says that it is in the group."""
        heard = await self.lab.get(USERS, mine.identity)
        found = lookup(heard.resource, "groups")
        return isinstance(found, list) and any(
            isinstance(one, dict) and str(lookup(one, "value")) == group.identity for one in found
        )

    async def _nest(self, group: Specimen, mine: Specimen) -> Specimen | None:
        """Whether a group may be a member; the one that is, stays for now."""
        inner = await self._make(mine)
        if inner is None:
            return None
        if (await self.lab.get(USERS, inner.identity)).status != 404:  # or that person would become a member
            self.findings.lack("a group has the id of an account, which might be added in its place", "groups.nested")
            await self.lab.remove(inner)
            return None
        self.known |= {name.casefold(): inner.identity for name in inner.names}
        heard = await self._add(group, inner, "Group")
        nested = inner.identity in self._members(group)
        told = f"{heard.question.shown} adding a group -> {heard.outcome}, {'' if nested else 'not '}shown"
        self.findings.take(Found(entry="groups.nested", value=nested, evidence=told))
        if nested:
            return inner
        await self.lab.remove(inner)
        return None

    async def _remove(self, group: Specimen, mine: Specimen, others: Sequence[Specimen]) -> None:
        """In which form a member is removed, and nobody else with it."""
        entry, identity, told = "groups.remove", mine.identity, []
        left = [probing_bodies.member(one.seen, named=self.named) for one in others]
        forms = {
            "filter": ('members[value eq "..."]', Operation("remove", f'members[value eq "{identity}"]')),
            "value": ("path members and a value", Operation("remove", "members", [{"value": identity}])),
            "list": ("all members anew", Operation("replace", "members", left)),
        }
        for word, (form, operation) in forms.items():
            for one in [mine, *others]:
                if one.identity not in self._members(group):
                    await self._add(group, one)
            heard = await self._patch(group, operation)
            gone = removed(self._members(group), identity, [one.identity for one in others])
            became = {True: "gone", False: "still a member", None: "gone, and others with it"}[gone]
            told.append(f"{heard.question.shown} removing by {form} -> {heard.outcome}, {became}")
            if gone is None:
                self.findings.remarks.append(f"a removal of one member by {form} removes others too")
            if gone:
                alone = "" if others else " (of a group with no other member)"
                self.findings.take(Found(entry=entry, value=word, evidence="; ".join(told) + alone))
                return
        self.findings.remarks.append("no form was found in which a member can be removed")
        self.findings.lack("; ".join(told), entry)

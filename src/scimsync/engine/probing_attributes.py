"""The experiments on attributes: what becomes of each that a mapping usually has."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from scimsync.core import probing, probing_bodies
from scimsync.core.probing_bodies import ACTIVE, PUT, login_of, values_of_others
from scimsync.core.probing_changes import Fate, attribute_entries, keeps_others, unnamed
from scimsync.engine.laboratory import Specimen
from scimsync.engine.probing_writing import Writing
from scimsync.model.probing import USERS, Found, Heard
from scimsync.scim.grammar import lookup
from scimsync.scim.messages import Operation

#: operations that one PATCH is tried with, most first
_OPERATIONS = (100, 50, 20, 10, 5, 2)


@dataclass
class Attributes:
    """What a provider does with the attributes of an account of ours.

    Args:
        writing: How it is changed.
    """

    writing: Writing
    fates: list[Fate] = field(default_factory=list)
    #: what became of `userName`, and the evidence
    _login: tuple[str, str] | None = None

    async def all(self, mine: Specimen) -> None:
        """Every experiment that leaves it as an account."""
        await self.attributes(mine)
        await self.operations(mine)
        await self.names(mine)
        await self.phones(mine)

    async def attributes(self, mine: Specimen) -> None:
        """What becomes of each attribute that a mapping usually has."""
        if self.writing.way is None:
            await self.writing.reading.again(mine.identity, mine.seen.resource)
            return
        self.fates = [Fate(trial, before=trial.held(mine.seen.resource)) for trial in self.writing.trials]
        await self._set(mine)
        await self._filters(mine)
        await self._shift(mine)
        if self.writing.lab.lag_s:
            await self.writing.lab.clock.sleep(self.writing.lab.lag_s)
        for fate in self.fates:
            if fate.word == "unkept":
                fate.found = await self._is_found(mine, fate)
        await self.writing.reading.again(mine.identity, mine.seen.resource)

    async def _set(self, mine: Specimen) -> None:
        """Write first values: all at once, then each of those that did not arrive."""
        heard = await self.writing.change(mine, [fate.trial.setting(fate.trial.values[0]) for fate in self.fates])
        for fate in self.fates:
            fate.setting, fate.first = heard, fate.trial.held(mine.seen.resource)
        await self._set_by_put(mine)
        for fate in self.fates:
            await self._set_one(mine, fate)
            others = values_of_others(fate.trial, self.writing.reading.full.listed)
            if not fate.is_set and others:
                fate.trial = replace(fate.trial, values=(others[0], others[-1]))
                await self._set_one(mine, fate)

    async def _set_by_put(self, mine: Specimen) -> None:
        """Where PATCH is not made for some paths, see whether PUT takes them: then it is the way."""
        patched = self.writing.way
        for fate in self.fates if patched is not None and patched.patches else ():
            await self._set_one(mine, fate)
        unmade = [fate for fate in self.fates if not fate.is_set and fate.setting and fate.setting.status in {405, 501}]
        for fate in unmade if patched is not None and patched.patches else ():
            put = await self.writing.change(mine, [fate.trial.setting(fate.trial.values[0])], way=PUT)
            if put.ok and fate.trial.held(mine.seen.resource) == fate.trial.values[0]:
                told = f"PATCH of {fate.trial.path} -> {fate.setting and fate.setting.outcome}, PUT -> {put.outcome}"
                self.writing.findings.take(Found(entry="patch.served", value=False, evidence=f"{told} and shown"))
                self.writing.way = PUT
                return

    async def _set_one(self, mine: Specimen, fate: Fate) -> None:
        if not fate.is_set:
            fate.setting = await self.writing.change(mine, [fate.trial.setting(fate.trial.values[0])])
            fate.first = fate.trial.held(mine.seen.resource)

    async def _shift(self, mine: Specimen) -> None:
        """Write second values in the same way."""
        moved = [fate for fate in self.fates if fate.is_set]
        filtered = self.writing.findings.value("patch.value_filters") is not False
        moves = [fate.trial.moving(fate.trial.values[1], filtered=filtered) for fate in moved]
        if not moves:
            return
        heard = await self.writing.change(mine, moves)
        for fate in moved:
            fate.moving, fate.second = heard, fate.trial.held(mine.seen.resource)
        for fate in moved:
            await self._shift_one(mine, fate, filtered=filtered)
            others = [
                one for one in values_of_others(fate.trial, self.writing.reading.full.listed) if one != fate.first
            ]
            if not fate.is_moved and others:
                fate.trial = replace(fate.trial, values=(fate.trial.values[0], others[0]))
                await self._shift_one(mine, fate, filtered=filtered)

    async def _shift_one(self, mine: Specimen, fate: Fate, *, filtered: bool) -> None:
        if not fate.is_moved:
            fate.moving = await self.writing.change(mine, [fate.trial.moving(fate.trial.values[1], filtered=filtered)])
            fate.second = fate.trial.held(mine.seen.resource)

    async def _filters(self, mine: Specimen) -> None:
        """Whether a path may select an element of a list, and whether the others of the list stay."""
        lists = [fate for fate in self.fates if fate.trial.attribute and fate.is_set]
        way = self.writing.way
        if way is None or not way.patches or not lists:
            why = "no list is kept" if way is not None and way.patches else "no PATCH is served"
            self.writing.findings.lack(why, "patch.value_filters", "patch.keeps_others")
            return
        pairs = [[fate for fate in lists if fate.trial.attribute == name] for name in ("phoneNumbers", "emails")]
        chosen = next((pair for pair in pairs if len(pair) > 1), [lists[0]])
        trial, rest = chosen[0].trial, chosen[1:]
        others = [fate.trial.held(mine.seen.resource) for fate in rest]
        heard = await self.writing.change(mine, [trial.moving(trial.values[1], filtered=True)])
        shown = trial.held(mine.seen.resource)
        taken = shown is not None and shown != chosen[0].first
        told = f"{heard.question.shown} of {trial.path} -> {heard.outcome}, {'shown' if taken else 'not shown'}"
        self.writing.findings.take(Found(entry="patch.value_filters", value=taken, evidence=told))
        if taken and rest:
            self.writing.findings.take(keeps_others(heard, rest[0].trial, others[0], mine.seen.resource))
        self.writing.findings.lack("no list keeps two elements", "patch.keeps_others")
        if not taken or rest:  # as it was, whatever became of it
            back = [fate.trial.setting(fate.trial.values[0]).value for fate in chosen]
            whole = [element for listed in back if isinstance(listed, list) for element in listed]
            await self.writing.change(mine, [Operation("replace", trial.attribute, whole)])
        else:
            await self.writing.change(mine, [trial.moving(trial.values[0], filtered=True)])
        for fate in chosen:
            fate.first = fate.trial.held(mine.seen.resource)

    async def _is_found(self, mine: Specimen, fate: Fate) -> bool:
        """Whether a filter finds the account by a value that it does not show."""
        trial = fate.trial
        path = trial.long if not trial.attribute else f"{trial.attribute}.value"
        nobody = await self.writing.lab.get(
            USERS, filter=f"{path} eq {json.dumps(self.writing.reading.nobody)}", patient=False
        )
        if not nobody.ok or nobody.listed:
            return False
        heard = await self.writing.lab.get(USERS, filter=f"{path} eq {json.dumps(trial.values[0])}", patient=False)
        return probing.filter_heeded(nobody, heard, mine.identity) is True

    async def made_with(self) -> None:
        """What arrives at a creation alone: an account more for what no change brought."""
        await self._made_with([fate for fate in self.fates if fate.word in {"refused", "unkept"}])
        self.tell()

    async def _made_with(self, fates: Sequence[Fate]) -> None:
        """Make an account with the values of some paths; where that is refused, without those that spoil it."""
        if not fates:
            return
        heard, mine = await self._account_with(fates)
        if mine is not None:
            for fate in fates:
                fate.take_created(fate.trial.held(mine.seen.resource))
            await self.writing.lab.remove(mine)
        elif 400 <= heard.status < 500 and (rest := unnamed(heard, fates)):
            half = len(rest) if len(rest) < len(fates) else len(fates) // 2
            await self._made_with(rest[:half])
            await self._made_with(rest[half:])

    async def _account_with(self, fates: Sequence[Fate]) -> tuple[Heard, Specimen | None]:
        paths = {*self.writing.needed, *(fate.trial.path for fate in fates)}
        own = {fate.trial.path: fate.trial for fate in fates}
        given = [own.get(trial.path, trial) for trial in self.writing.trials if trial.path in paths]
        login = login_of(self.writing.draw())
        return await self.writing.lab.make(
            USERS, login, probing_bodies.account(login, given, active=ACTIVE in self.writing.needed)
        )

    def tell(self) -> None:
        """The entries that list paths, from what became of each."""
        judged = [(fate.trial.path, fate.word, fate.evidence) for fate in self.fates if fate.word]
        judged += [("userName", *self._login)] if self._login else []
        self.writing.findings.attributes = {path: word for path, word, _ in judged}
        self.writing.findings.take(*attribute_entries(judged))

    async def operations(self, mine: Specimen) -> None:
        """How many operations one PATCH takes."""
        entry = "patch.operations"
        kept = [fate.trial for fate in self.fates if fate.word == "kept" and not fate.trial.attribute]
        if self.writing.way is None or not self.writing.way.patches or len(kept) < 2:
            self.writing.findings.lack("no two paths can be changed by PATCH", entry)
            return
        refused = ""
        for count in _OPERATIONS:
            values = [self.writing.other(mine, trial) for trial in kept]
            moves = [trial.setting(value) for trial, value in zip(kept, values, strict=True)]
            last = itertools.islice(itertools.cycle(moves), count)
            heard = await self.writing.change(mine, list(last))
            done = moves[: min(count, len(moves))]
            held = [trial.held(mine.seen.resource) for trial in kept[: len(done)]]
            if held == values[: len(done)]:
                told = f"{heard.question.shown} with {count} operations -> {heard.outcome}, all of them shown{refused}"
                self.writing.findings.take(Found(entry=entry, value=count, evidence=told))
                return
            refused = f"; with more {heard.outcome}"
        self.writing.findings.take(
            Found(entry=entry, value=1, evidence=f"PATCH /Users/{{id}} with 2 operations{refused}")
        )

    async def names(self, mine: Specimen) -> None:
        """Whether a login may change, is rewritten, and must be an e-mail address."""
        entry = "accounts.login_is_email"
        if self.writing.way is None:
            self.writing.findings.lack("no change is taken", entry)
            return
        capital = login_of(self.writing.draw()).replace("scimsync-probe", "Scimsync-Probe")
        self.writing.lab.rename(mine, capital)
        heard = await self.writing.change(mine, [Operation("replace", "userName", capital)])
        held = lookup(mine.seen.resource, "userName")
        if str(held).casefold() != capital.casefold():
            told = f"{heard.question.shown} of userName -> {heard.outcome}, the old one is shown"
            self._login = ("immutable", told)
            self.writing.findings.lack(told, entry)
            return
        told = f"{heard.question.shown} of userName with capitals -> {heard.outcome}, shown"
        self._login = ("kept", told) if held == capital else ("normalised", f"{told} without")
        bare = f"scimsync-probe-{self.writing.draw()}"
        self.writing.lab.rename(mine, bare)
        heard = await self.writing.change(mine, [Operation("replace", "userName", bare)])
        taken = str(lookup(mine.seen.resource, "userName")).casefold() == bare.casefold()
        told = f"{heard.question.shown} of userName that is no address -> {heard.outcome}"
        if taken or 400 <= heard.status < 500:
            self.writing.findings.take(Found(entry=entry, value=not taken, evidence=told))
        self.writing.findings.lack(told, entry)

    async def phones(self, mine: Specimen) -> None:
        """Whether a phone number must be E.164."""
        entry, path = "accounts.phones_are_e164", 'phoneNumbers[type eq "work"].value'
        fate = next((one for one in self.fates if one.trial.path == path), None)
        if fate is None or fate.word not in {"kept", "normalised"}:
            self.writing.findings.lack("no phone number is kept", entry)
            return
        filtered = self.writing.findings.value("patch.value_filters") is not False
        national = "(317) 555-0146"
        heard = await self.writing.change(mine, [fate.trial.moving(national, filtered=filtered)])
        held = fate.trial.held(mine.seen.resource)
        strict = held != national
        told = f"{heard.question.shown} of a number as people dial it -> {heard.outcome}"
        told += ", rewritten" if strict and heard.ok else ""
        if heard.ok or 400 <= heard.status < 500:
            self.writing.findings.take(Found(entry=entry, value=strict, evidence=told))

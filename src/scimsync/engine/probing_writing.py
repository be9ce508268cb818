"""The experiments that write, in their order: one throw-away account, and what becomes of it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from scimsync.core import probing, probing_bodies
from scimsync.core.probing import UNSERVED
from scimsync.core.probing_bodies import (
    ACTIVE,
    PUT,
    WAYS,
    Trial,
    Way,
    login_of,
    meta_header,
    values_of_others,
    version_header,
    wanted,
)
from scimsync.core.probing_changes import Fate, attribute_entries, keeps_others, unnamed, way_entries
from scimsync.engine.laboratory import Laboratory, Specimen
from scimsync.engine.probing_reading import Reading
from scimsync.model.probing import USERS, Findings, Found, Heard
from scimsync.scim.forms import truth
from scimsync.scim.grammar import lookup
from scimsync.scim.messages import Operation

#: seconds between looks for a new account; all together how long a search may lag
_LAGS = (0, 1, 2, 4, 8, 16, 32)
#: operations that one PATCH is tried with, most first
_OPERATIONS = (100, 50, 20, 10, 5, 2)
#: pages that are looked through for an account, from the end
_LOOKED_THROUGH = 3
_ALL = (
    "patch.served", "patch.op_case", "patch.paths", "patch.value_filters", "patch.keeps_others", "patch.operations",
    "create.answers", "create.required", "create.unique_logins", "versions.concurrency", "accounts.disabled",
    "accounts.deleted", "accounts.immutable", "accounts.hidden", "accounts.unkept", "accounts.normalised",
    "accounts.search_lag", "accounts.login_is_email", "accounts.phones_are_e164", "service.media_type",
)  # fmt: skip


@dataclass
class Writing:
    """What a provider does with an account of ours.

    Args:
        lab: Asks, and looks after what is made.
        findings: Take what is found.
        reading: What reading told.
        draw: Gives a text that nobody guesses.
    """

    lab: Laboratory
    findings: Findings
    reading: Reading
    draw: Callable[[], str]
    way: Way | None = None
    fates: list[Fate] = field(default_factory=list)
    _trials: tuple[Trial, ...] = ()
    #: what became of `userName`, and the evidence
    _login: tuple[str, str] | None = None

    async def all(self) -> Specimen | None:
        """Make an account, and find out all but how it ends; None where none can be made."""
        token = self.draw()
        self._trials = probing_bodies.trials(token)
        mine = await self.create(login_of(token))
        if mine is None:
            self.findings.lack("no account could be made", *_ALL)
            return None
        await self.find(mine)
        await self.find_way(mine)
        await self.guard(mine)
        await self.attributes(mine)
        await self.operations(mine)
        await self.twice(mine)
        await self.names(mine)
        await self.phones(mine)
        return mine

    # --- making it ---------------------------------------------------------------------------------

    async def create(self, login: str) -> Specimen | None:
        """Make the smallest account that is taken."""
        refused: list[Heard] = []
        waiting, tried = probing_bodies.bodies(), set[tuple[str, ...]]()
        while waiting:
            paths = waiting.pop(0)
            if paths in tried:
                continue
            tried.add(paths)
            body = self._body(login, paths)
            heard, mine = await self.lab.make(USERS, login, body)
            if heard.status == 415 and not refused:
                self.lab.provider.move("", "application/json")
                heard, mine = await self.lab.make(USERS, login, body)
                self.findings.take(_media("application/json", "application/scim+json -> 415"))
            if mine is not None:
                self._made(heard, mine, paths, refused)
                return mine
            if heard.status in {401, 403, *UNSERVED}:
                self.findings.remarks.append(f"no account may be made: {heard.evidence}")
                return None
            if not 400 <= heard.status < 500:
                self.findings.remarks.append(f"what a creation made is not found: {heard.evidence}")
                return None
            refused.append(heard)
            if more := wanted(heard, paths):
                waiting.insert(0, (*paths, *more))
        self.findings.remarks.append(f"no account could be made: {refused[-1].evidence}")
        return None

    def _body(self, login: str, paths: Sequence[str]) -> dict[str, object]:
        given = [trial for trial in self._trials if trial.path in paths]
        return probing_bodies.account(login, given, active=ACTIVE in paths)

    @property
    def _needed(self) -> list[str]:
        """What an account is not made without."""
        found = self.findings.value("create.required")
        return [str(path) for path in found] if isinstance(found, list) else []

    def _made(self, heard: Heard, mine: Specimen, paths: Sequence[str], refused: Sequence[Heard]) -> None:
        self.findings.take(probing.answers_creation(heard), probing.required(paths, heard, refused))
        if "service.media_type" not in self.findings.found:
            self.findings.take(_media("application/scim+json", heard.evidence))
        self.findings.take(probing.booleans(mine.seen))
        self.findings.take(probing.versions_shown(mine.seen))

    async def find(self, mine: Specimen) -> None:
        """How long a search lags behind a creation, and the filters that could not be told before."""
        entry, waited = "accounts.search_lag", 0
        if self.reading.heeded.get("userName") is False:
            self.findings.lack("no filter on userName is heeded", entry)
            return
        asked = f"userName eq {json.dumps(mine.names[-1])}"
        for wait in _LAGS:
            if wait:
                await self.lab.clock.sleep(wait)
            waited += wait
            heard = await self.lab.get(USERS, filter=asked)
            if mine.identity in heard.ids:
                lags = [float(waited), 4.0 * waited] if waited else []
                when = f"found after {waited} s" if waited else "found at once"
                told = f"{heard.question.shown} of a new account -> {when}"
                self.findings.take(Found(entry=entry, value=lags, evidence=told))
                self.lab.lag_s = float(waited)
                break
        else:
            self.findings.lack(f"a new account was not found by its login within {waited} s", entry)

    # --- changing it -------------------------------------------------------------------------------

    async def change(
        self, mine: Specimen, operations: Sequence[Operation], *, way: Way | None = None, match: str | None = None
    ) -> Heard:
        """Change it, and read it."""
        way = way or self.way or WAYS[0]
        if way.patches:
            body: object = probing_bodies.patch(way, operations)
        else:
            body = probing_bodies.put(mine.seen, operations)
        heard = await self.lab.write(mine, "PATCH" if way.patches else "PUT", body, match=match)
        await self.lab.see(mine)
        return heard

    async def find_way(self, mine: Specimen) -> None:
        """How a change is taken: which form of PATCH, or PUT."""
        told: list[str] = []
        unserved = served = False
        for way in (*WAYS, PUT):
            for trial in self._plain if not (way.patches and unserved) else ():
                value = self._other(mine, trial)
                heard = await self.change(mine, [trial.setting(value)], way=way)
                if trial.held(mine.seen.resource) == value:
                    self.way = way
                    before = f" ({'; '.join(dict.fromkeys(told))})" if told else ""
                    self.findings.take(*way_entries(way, f"{way.words} -> {heard.outcome} and shown{before}"))
                    self.findings.lack("no PATCH is served", "patch.op_case", "patch.paths")
                    return
                told.append(f"{way.words} -> {heard.outcome}{' and not shown' if heard.ok else ''}")
                served = served or heard.status not in UNSERVED
            unserved = not served
        self.findings.remarks.append("no change of an account was taken, neither by PATCH nor by PUT")
        self.findings.lack("; ".join(dict.fromkeys(told)), "patch.served", "patch.op_case", "patch.paths")

    @property
    def _plain(self) -> list[Trial]:
        """Paths that any change is tried with."""
        return [trial for trial in self._trials if trial.path in {"displayName", "name.givenName", "title"}]

    def _other(self, mine: Specimen, trial: Trial) -> str:
        """The one of two values that an account does not show."""
        first, second = trial.values
        return second if trial.held(mine.seen.resource) == first else first

    async def guard(self, mine: Specimen) -> None:
        """Whether a version that is out of date is refused, and the right one taken."""
        shown = self.findings.value("versions.shown")
        if shown == "none":
            self.findings.take(probing.guarded(shown="none", stale=(), own=()))
            return
        if self.way is None:
            return
        before = mine.seen
        for trial in [*self._plain, *self._plain]:  # one of them is kept, or there would be no way
            seen, held = mine.seen, trial.held(mine.seen.resource)
            heard = await self._move(mine, trial)
            if trial.held(mine.seen.resource) != held and version_header(mine.seen) == version_header(seen):
                told = f"{heard.question.shown} -> {heard.outcome}, changed under the version that it had"
                self.findings.take(Found(entry="versions.concurrency", value="compare", evidence=told))
                return
        stale, own = await self._under(mine, before), await self._under(mine)
        self.findings.take(probing.guarded(shown=str(shown), stale=stale, own=own))

    async def _under(self, mine: Specimen, seen: Heard | None = None) -> list[Heard]:
        """Changes under the version of a reading, in each form of it; of the last reading up to one that is taken."""
        made: list[Heard] = []
        for form in (version_header, meta_header):
            taken = seen is None and any(heard.ok for heard in made)
            if (text := form(seen or mine.seen)) and not taken:
                made.append(await self._move(mine, self._plain[0], match=text))
        return made

    async def _move(self, mine: Specimen, trial: Trial, match: str | None = None) -> Heard:
        return await self.change(mine, [trial.setting(self._other(mine, trial))], match=match)

    # --- its attributes ----------------------------------------------------------------------------

    async def attributes(self, mine: Specimen) -> None:
        """What becomes of each attribute that a mapping usually has."""
        if self.way is None:
            await self.reading.again(mine.identity, mine.seen.resource)
            return
        self.fates = [Fate(trial, before=trial.held(mine.seen.resource)) for trial in self._trials]
        await self._set(mine)
        await self._filters(mine)
        await self._shift(mine)
        if self.lab.lag_s:
            await self.lab.clock.sleep(self.lab.lag_s)
        for fate in self.fates:
            if fate.word == "unkept":
                fate.found = await self._is_found(mine, fate)
        await self.reading.again(mine.identity, mine.seen.resource)

    async def _set(self, mine: Specimen) -> None:
        """Write first values: all at once, then each of those that did not arrive."""
        heard = await self.change(mine, [fate.trial.setting(fate.trial.values[0]) for fate in self.fates])
        for fate in self.fates:
            fate.setting, fate.first = heard, fate.trial.held(mine.seen.resource)
        await self._set_by_put(mine)
        for fate in self.fates:
            await self._set_one(mine, fate)
            others = values_of_others(fate.trial, self.reading.full.listed)
            if not fate.is_set and others:
                fate.trial = replace(fate.trial, values=(others[0], others[-1]))
                await self._set_one(mine, fate)

    async def _set_by_put(self, mine: Specimen) -> None:
        """Where PATCH is not made for some paths, see whether PUT takes them: then it is the way."""
        patched = self.way
        for fate in self.fates if patched is not None and patched.patches else ():
            await self._set_one(mine, fate)
        unmade = [fate for fate in self.fates if not fate.is_set and fate.setting and fate.setting.status in {405, 501}]
        for fate in unmade if patched is not None and patched.patches else ():
            put = await self.change(mine, [fate.trial.setting(fate.trial.values[0])], way=PUT)
            if put.ok and fate.trial.held(mine.seen.resource) == fate.trial.values[0]:
                told = f"PATCH of {fate.trial.path} -> {fate.setting and fate.setting.outcome}, PUT -> {put.outcome}"
                self.findings.take(Found(entry="patch.served", value=False, evidence=f"{told} and shown"))
                self.way = PUT
                return

    async def _set_one(self, mine: Specimen, fate: Fate) -> None:
        if not fate.is_set:
            fate.setting = await self.change(mine, [fate.trial.setting(fate.trial.values[0])])
            fate.first = fate.trial.held(mine.seen.resource)

    async def _shift(self, mine: Specimen) -> None:
        """Write second values in the same way."""
        moved = [fate for fate in self.fates if fate.is_set]
        filtered = self.findings.value("patch.value_filters") is not False
        moves = [fate.trial.moving(fate.trial.values[1], filtered=filtered) for fate in moved]
        if not moves:
            return
        heard = await self.change(mine, moves)
        for fate in moved:
            fate.moving, fate.second = heard, fate.trial.held(mine.seen.resource)
        for fate in moved:
            await self._shift_one(mine, fate, filtered=filtered)
            others = [one for one in values_of_others(fate.trial, self.reading.full.listed) if one != fate.first]
            if not fate.is_moved and others:
                fate.trial = replace(fate.trial, values=(fate.trial.values[0], others[0]))
                await self._shift_one(mine, fate, filtered=filtered)

    async def _shift_one(self, mine: Specimen, fate: Fate, *, filtered: bool) -> None:
        if not fate.is_moved:
            fate.moving = await self.change(mine, [fate.trial.moving(fate.trial.values[1], filtered=filtered)])
            fate.second = fate.trial.held(mine.seen.resource)

    async def _filters(self, mine: Specimen) -> None:
        """Whether a path may select an element of a list, and whether the others of the list stay."""
        lists = [fate for fate in self.fates if fate.trial.attribute and fate.is_set]
        way = self.way
        if way is None or not way.patches or not lists:
            why = "no list is kept" if way is not None and way.patches else "no PATCH is served"
            self.findings.lack(why, "patch.value_filters", "patch.keeps_others")
            return
        pairs = [[fate for fate in lists if fate.trial.attribute == name] for name in ("phoneNumbers", "emails")]
        chosen = next((pair for pair in pairs if len(pair) > 1), [lists[0]])
        trial, rest = chosen[0].trial, chosen[1:]
        others = [fate.trial.held(mine.seen.resource) for fate in rest]
        heard = await self.change(mine, [trial.moving(trial.values[1], filtered=True)])
        shown = trial.held(mine.seen.resource)
        taken = shown is not None and shown != chosen[0].first
        told = f"{heard.question.shown} of {trial.path} -> {heard.outcome}, {'shown' if taken else 'not shown'}"
        self.findings.take(Found(entry="patch.value_filters", value=taken, evidence=told))
        if taken and rest:
            self.findings.take(keeps_others(heard, rest[0].trial, others[0], mine.seen.resource))
        self.findings.lack("no list keeps two elements", "patch.keeps_others")
        if not taken or rest:  # as it was, whatever became of it
            back = [fate.trial.setting(fate.trial.values[0]).value for fate in chosen]
            whole = [element for listed in back if isinstance(listed, list) for element in listed]
            await self.change(mine, [Operation("replace", trial.attribute, whole)])
        else:
            await self.change(mine, [trial.moving(trial.values[0], filtered=True)])
        for fate in chosen:
            fate.first = fate.trial.held(mine.seen.resource)

    async def _is_found(self, mine: Specimen, fate: Fate) -> bool:
        """Whether a filter finds the account by a value that it does not show."""
        trial = fate.trial
        path = trial.long if not trial.attribute else f"{trial.attribute}.value"
        nobody = await self.lab.get(USERS, filter=f"{path} eq {json.dumps(self.reading.nobody)}", patient=False)
        if not nobody.ok or nobody.listed:
            return False
        heard = await self.lab.get(USERS, filter=f"{path} eq {json.dumps(trial.values[0])}", patient=False)
        return probing.filter_heeded(nobody, heard, mine.identity) is True

    async def made_with(self) -> None:
        """What arrives at a creation alone: an account more for what no change brought."""
        await self._made_with([fate for fate in self.fates if fate.word in {"refused", "unkept"}])
        self.tell_attributes()

    async def _made_with(self, fates: Sequence[Fate]) -> None:
        """Make an account with the values of some paths; where that is refused, without those that spoil it."""
        if not fates:
            return
        heard, mine = await self._account_with(fates)
        if mine is not None:
            for fate in fates:
                fate.take_created(fate.trial.held(mine.seen.resource))
            await self.lab.remove(mine)
        elif 400 <= heard.status < 500 and (rest := unnamed(heard, fates)):
            half = len(rest) if len(rest) < len(fates) else len(fates) // 2
            await self._made_with(rest[:half])
            await self._made_with(rest[half:])

    async def _account_with(self, fates: Sequence[Fate]) -> tuple[Heard, Specimen | None]:
        paths = {*self._needed, *(fate.trial.path for fate in fates)}
        own = {fate.trial.path: fate.trial for fate in fates}
        given = [own.get(trial.path, trial) for trial in self._trials if trial.path in paths]
        login = login_of(self.draw())
        return await self.lab.make(USERS, login, probing_bodies.account(login, given, active=ACTIVE in self._needed))

    def tell_attributes(self) -> None:
        """The entries that list paths, from what became of each."""
        judged = [(fate.trial.path, fate.word, fate.evidence) for fate in self.fates if fate.word]
        judged += [("userName", *self._login)] if self._login else []
        self.findings.attributes = {path: word for path, word, _ in judged}
        self.findings.take(*attribute_entries(judged))

    # --- what else ---------------------------------------------------------------------------------

    async def operations(self, mine: Specimen) -> None:
        """How many operations one PATCH takes."""
        entry = "patch.operations"
        kept = [fate.trial for fate in self.fates if fate.word == "kept" and not fate.trial.attribute]
        if self.way is None or not self.way.patches or len(kept) < 2:
            self.findings.lack("no two paths can be changed by PATCH", entry)
            return
        refused = ""
        for count in _OPERATIONS:
            values = [self._other(mine, trial) for trial in kept]
            moves = [trial.setting(value) for trial, value in zip(kept, values, strict=True)]
            last = itertools.islice(itertools.cycle(moves), count)
            heard = await self.change(mine, list(last))
            done = moves[: min(count, len(moves))]
            held = [trial.held(mine.seen.resource) for trial in kept[: len(done)]]
            if held == values[: len(done)]:
                told = f"{heard.question.shown} with {count} operations -> {heard.outcome}, all of them shown{refused}"
                self.findings.take(Found(entry=entry, value=count, evidence=told))
                return
            refused = f"; with more {heard.outcome}"
        self.findings.take(Found(entry=entry, value=1, evidence=f"PATCH /Users/{{id}} with 2 operations{refused}"))

    async def twice(self, mine: Specimen) -> None:
        """Whether a second account of the same login is refused; one that is made is removed at once."""
        login = mine.names[-1]
        heard, double = await self.lab.make(USERS, login, self._body(login, self._needed))
        found = probing.unique_logins(heard, doubled=double is not None)
        self.findings.take(found) if isinstance(found, Found) else self.findings.lack(found, "create.unique_logins")
        if double is not None:
            await self.lab.remove(double)

    async def names(self, mine: Specimen) -> None:
        """Whether a login may change, is rewritten, and must be an e-mail address."""
        entry = "accounts.login_is_email"
        if self.way is None:
            self.findings.lack("no change is taken", entry)
            return
        capital = login_of(self.draw()).replace("scimsync-probe", "Scimsync-Probe")
        self.lab.rename(mine, capital)
        heard = await self.change(mine, [Operation("replace", "userName", capital)])
        held = lookup(mine.seen.resource, "userName")
        if str(held).casefold() != capital.casefold():
            told = f"{heard.question.shown} of userName -> {heard.outcome}, the old one is shown"
            self._login = ("immutable", told)
            self.findings.lack(told, entry)
            return
        told = f"{heard.question.shown} of userName with capitals -> {heard.outcome}, shown"
        self._login = ("kept", told) if held == capital else ("normalised", f"{told} without")
        bare = f"scimsync-probe-{self.draw()}"
        self.lab.rename(mine, bare)
        heard = await self.change(mine, [Operation("replace", "userName", bare)])
        taken = str(lookup(mine.seen.resource, "userName")).casefold() == bare.casefold()
        told = f"{heard.question.shown} of userName that is no address -> {heard.outcome}"
        if taken or 400 <= heard.status < 500:
            self.findings.take(Found(entry=entry, value=not taken, evidence=told))
        self.findings.lack(told, entry)

    async def phones(self, mine: Specimen) -> None:
        """Whether a phone number must be E.164."""
        entry, path = "accounts.phones_are_e164", 'phoneNumbers[type eq "work"].value'
        fate = next((one for one in self.fates if one.trial.path == path), None)
        if fate is None or fate.word not in {"kept", "normalised"}:
            self.findings.lack("no phone number is kept", entry)
            return
        filtered = self.findings.value("patch.value_filters") is not False
        national = "(317) 555-0146"
        heard = await self.change(mine, [fate.trial.moving(national, filtered=filtered)])
        held = fate.trial.held(mine.seen.resource)
        strict = held != national
        told = f"{heard.question.shown} of a number as people dial it -> {heard.outcome}"
        told += ", rewritten" if strict and heard.ok else ""
        if heard.ok or 400 <= heard.status < 500:
            self.findings.take(Found(entry=entry, value=strict, evidence=told))

    # --- its end -----------------------------------------------------------------------------------

    async def disable(self, mine: Specimen) -> None:
        """What becomes of it when it is made inactive."""
        entry = "accounts.disabled"
        if self.way is None:
            self.findings.lack("no change is taken", entry)
            return
        before, listed = await self._listed(mine)
        false: object = "False" if self.findings.value("accounts.booleans") == "text" else False
        heard = await self.change(mine, [Operation("replace", "active", false)])
        after = await self.lab.get(USERS, mine.identity)
        inactive = after.ok and truth(lookup(after.resource, "active")) is not True
        total, still = await self._listed(mine) if inactive else (0, None)
        found = probing.disabled(after, asked=heard, listed=still if listed else None)
        await self.change(mine, [Operation("replace", "active", "True" if isinstance(false, str) else True)])
        if inactive and (
            still is None or not listed
        ):  # too many to be looked through: their number tells, if it comes back
            again, _ = await self._listed(mine)
            if again == before > 0 and total in {before, before - 1}:
                found = probing.disabled(after, asked=heard, listed=total == before)
        if isinstance(found, Found):
            self.findings.take(found)
        else:
            self.findings.lack(found, entry)
            if after.ok and heard.ok and not inactive:
                self.findings.remarks.append(f"an account does not become inactive: {found}")
        if after.status in {404, 410} and not (await self.lab.see(mine)).ok:
            self.lab.left.append(f"{mine.what}: it is not found since it was made inactive, and did not come back")

    async def _listed(self, mine: Specimen) -> tuple[int, bool | None]:
        """How many accounts are listed, and whether ours is; None where there are too many to look through."""
        if self.lab.lag_s:
            await self.lab.clock.sleep(self.lab.lag_s)
        found = self.findings.value("paging.largest", 100)
        size = min(found if isinstance(found, int) else 100, 100)
        start = 0 if self.findings.value("paging.first_index") == 0 else 1
        first = await self.lab.page(USERS, count=size, **self.reading.narrow)
        if not first.ok or mine.identity in first.ids:
            return first.total, True if first.ok else None
        at = first.total + start - size
        for _ in range(_LOOKED_THROUGH):
            if at <= start - size:
                return first.total, False
            page = await self.lab.page(USERS, startIndex=max(at, start), count=size, **self.reading.narrow)
            if mine.identity in page.ids:
                return first.total, True
            at -= size
        return first.total, None

    async def end(self, mine: Specimen) -> None:
        """What becomes of it when it is deleted."""
        heard, after = await self.lab.remove(mine)
        found = probing.deleted(heard, after)
        if isinstance(found, Found):
            self.findings.take(found)
        else:
            self.findings.lack(found, "accounts.deleted")
        if after is None or after.status not in {404, 410}:
            false: object = "False" if self.findings.value("accounts.booleans") == "text" else False
            if after is not None and after.ok and truth(lookup(after.resource, "active")) is not False and self.way:
                await self.change(mine, [Operation("replace", "active", false)])


def _media(value: str, evidence: str) -> Found:
    return Found(entry="service.media_type", value=value, evidence=evidence)

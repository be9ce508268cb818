"""The first experiments that write: one throw-away account, how it is made, found and changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
    version_header,
    wanted,
)
from scimsync.core.probing_changes import way_entries
from scimsync.engine.laboratory import Laboratory, Specimen
from scimsync.engine.probing_reading import Reading
from scimsync.model.probing import USERS, Findings, Found, Heard
from scimsync.scim.grammar import lookup
from scimsync.scim.messages import Operation

#: seconds between looks for a new account; all together how long a search may lag
_LAGS = (0, 1, 2, 4, 8, 16, 32)
#: operations that one PATCH is tried with, most first
_OPERATIONS = (100, 50, 20, 10, 5, 2)
#: pages that are looked through for an account, from the end
_LOOKED_THROUGH = 3
#: what only a probe that writes finds out
TRIED = (
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
    trials: tuple[Trial, ...] = ()

    async def all(self) -> Specimen | None:
        """Make an account, and find out how it is changed; None where none can be made."""
        token = self.draw()
        self.trials = probing_bodies.trials(token)
        mine = await self.create(login_of(token))
        if mine is None:
            self.findings.lack("no account could be made", *TRIED)
            return None
        await self.find(mine)
        await self.find_way(mine)
        await self.guard(mine)
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
            body = self.body(login, paths)
            heard, mine = await self.lab.make(USERS, login, body)
            if heard.status == 415 and not refused:
                self.lab.provider.move("", "application/json")
                heard, mine = await self.lab.make(USERS, login, body)
                self.findings.take(_media("application/json", "application/scim+json -> 415"))
            if mine is not None:
                self._made(heard, mine, paths, refused)
                return mine
            if heard.status in {401, 403, *UNSERVED}:
                todo = "; give the token the right to make accounts" if heard.status in {401, 403} else ""
                self.findings.remarks.append(f"no account may be made: {heard.evidence}{todo}")
                return None
            if not 400 <= heard.status < 500:
                self.findings.remarks.append(f"what a creation made is not found: {heard.evidence}")
                return None
            refused.append(heard)
            if more := wanted(heard, paths):
                waiting.insert(0, (*paths, *more))
        self.findings.remarks.append(f"no account could be made: {refused[-1].evidence}")
        return None

    def body(self, login: str, paths: Sequence[str]) -> dict[str, object]:
        """The body of a new account with values on some paths."""
        given = [trial for trial in self.trials if trial.path in paths]
        return probing_bodies.account(login, given, active=ACTIVE in paths)

    @property
    def needed(self) -> list[str]:
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
                value = self.other(mine, trial)
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
        return [trial for trial in self.trials if trial.path in {"displayName", "name.givenName", "title"}]

    def activity(self, *, active: bool) -> Operation:
        """What makes an account active or inactive, in the form in which booleans travel."""
        text = self.findings.value("accounts.booleans") == "text"
        return Operation("replace", ACTIVE, str(active) if text else active)

    def other(self, mine: Specimen, trial: Trial) -> str:
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
        return await self.change(mine, [trial.setting(self.other(mine, trial))], match=match)

    async def twice(self, mine: Specimen) -> None:
        """Whether a second account of the same login is refused; one that is made is removed at once."""
        login = str(lookup(mine.seen.resource, "userName"))
        heard, double = await self.lab.make(USERS, login, self.body(login, self.needed))
        found = probing.unique_logins(heard, doubled=double is not None)
        self.findings.settle("create.unique_logins", found)
        if double is not None:
            await self.lab.remove(double)


def _media(value: str, evidence: str) -> Found:
    return Found(entry="service.media_type", value=value, evidence=evidence)

"""Says of one world whether anybody was hurt: from the history of the directory, our journal and the audit chain.

The numbers are those of the fourteen invariants of `reliability.md` §5; `I0` is the access of people. A breach is a
sentence that begins with its number. I14 (the same again) is played by the caller.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.disk import Commit
from tests.chaos.groups import TEAM, members
from tests.chaos.provider import SECRET, Arrival, Effect, Json
from tests.chaos.world import DEPARTMENT, MANAGER, POLICY, SEED, SKILLS, World

from scimsync.core.reviving import UNSEEN
from scimsync.engine import checkpoints
from scimsync.errors import StoreDamaged
from scimsync.model.audit import Kind, Record
from scimsync.model.outcomes import JournalLine, Outcome, Status, Step
from scimsync.model.plans import Action
from scimsync.scim.schema import Value

#: what one process may ask at most, and how long it may live: 4 h, and the rest of a wait that was begun
MOST_REQUESTS, MOST_SECONDS = 200, 5 * 3600.0
_PLACES = {mapped.path: mapped.place for mapped in POLICY.attributes}
_FINAL = {Status.DONE, Status.ALREADY, Status.HELD, Status.FAILED}
#: outcomes that say that nobody knows
_UNKNOWN = frozenset({"write.unknown", "target.not-now", "run.unfinished", "target.no-version"})


@dataclass(slots=True)
class Intent:
    """One durable intent."""

    at: float
    who: int
    line: JournalLine
    record: Record
    used: bool = False


@dataclass(slots=True)
class Write:
    """One effect of ours with the intent that it rests on."""

    effect: Effect
    arrival: Arrival
    intent: Intent

    @property
    def part(self) -> tuple[str, str, int]:
        """Which part of which change of which run it was."""
        line = self.intent.line
        return line.run, line.key, line.part


def judge(world: World) -> list[str]:
    """All breaches of one world that was played to its end."""
    return [*world.breaches, *_Judge(world).breaches()]


def _read(body: Json, path: str) -> Value:
    return _PLACES[path].read(body) if body else None


def _moved(effect: Effect) -> list[str]:
    """The managed paths that an effect changed."""
    return [
        path for path, place in _PLACES.items() if not place.same(_read(effect.before, path), _read(effect.after, path))
    ]


def _names(value: Value) -> set[str]:
    return {str(dict(entry)["name"]) for entry in value} if isinstance(value, tuple) else set()


class _Judge:
    def __init__(self, world: World) -> None:
        self.world, self.provider = world, world.provider
        self.commits: list[Commit] = world.disk.commits
        self.intents: list[Intent] = []
        self.outcomes: list[tuple[float, int, JournalLine, Outcome]] = []
        for commit in self.commits:
            records = iter(r for r in commit.records if r.kind in {Kind.INTENT, Kind.OUTCOME})
            for line in commit.lines:
                record = next(records)
                if line.step is Step.INTENT:
                    self.intents.append(Intent(commit.at, commit.who, line, record))
                elif line.outcome is not None:
                    self.outcomes.append((commit.at, commit.who, line, line.outcome))
        self.writes: list[Write] = []

    def breaches(self) -> Iterator[str]:
        """All of them."""
        yield from self._journalled()
        for check in (
            self._settled, self._honest, self._no_lost_update, self._no_double, self._planned, self._access,
            self._deleted, self._ladder, self._within_limits, self._taken_back,
            self._grouped,
            self._converged, self._bounded, self._told, self._secret, self._one_at_a_time, self._intact,
        ):  # fmt: skip
            yield from check()

    # --- I4 -------------------------------------------------------------------------------------------

    def _journalled(self) -> Iterator[str]:
        """Every write that reached the directory has a durable intent, older than its first byte; each effect its own."""
        effects = {effect.request: effect for effect in self.provider.history if effect.who >= 0}
        for arrival in self.provider.arrivals:
            found = [i for i in self.intents if self._fits(i, arrival)]
            if not found:
                yield f"I4 {arrival.method} {arrival.account or _login(arrival)} left without a durable intent"
                continue
            effect = effects.get(arrival.number)
            if effect is None:
                continue
            fresh = [i for i in found if not i.used]
            if not fresh:
                yield f"I2 {arrival.method} {arrival.account or _login(arrival)} was carried out twice on one intent"
                continue
            fresh[-1].used = True
            self.writes.append(Write(effect, arrival, fresh[-1]))

    @staticmethod
    def _fits(intent: Intent, arrival: Arrival) -> bool:
        if intent.who != arrival.who or intent.at > arrival.left or intent.line.method != arrival.method:
            return False
        if arrival.method == "POST":
            return intent.record.person == arrival.body.get("externalId")
        return intent.record.account == arrival.account and arrival.match in {"", intent.line.version}

    def _settled(self) -> Iterator[str]:
        """At rest no intent is without an outcome, and no part has two."""
        last = {(line.run, line.key, line.part): at for at, _, line, _ in self.outcomes}
        for intent in self.intents:
            part = (intent.line.run, intent.line.key, intent.line.part)
            if last.get(part, -1.0) < intent.at and self.world.quiet:
                yield f"I4 the intent of {part} has no outcome"
        final: set[tuple[str, str, int]] = set()
        for _, _, line, outcome in self.outcomes:
            part = (line.run, line.key, line.part)
            if outcome.status in _FINAL and part in final:
                yield f"I4 {part} has two outcomes"
            if outcome.status in _FINAL:
                final.add(part)

    # --- I5 -------------------------------------------------------------------------------------------

    def _honest(self) -> Iterator[str]:
        """Never failed for an effect that is there, never done for one that is not."""
        for at, _, line, outcome in self.outcomes:
            part = (line.run, line.key, line.part)
            ours = [w for w in self.writes if w.part == part and w.effect.at <= at]
            moved = {path for w in ours if w.effect.method != "DELETE" for path in _moved(w.effect)}
            silent = moved - set(outcome.written) - set(outcome.unmet)
            if outcome.status in _FINAL and outcome.code not in _UNKNOWN and silent:
                if outcome.code in {"account.gone", "account.protected", "correlation.taken", "correlation.ambiguous"}:
                    continue
                if any(self._edited_since(w, path, at) for w in ours for path in silent):
                    continue
                if outcome.code == "account.restored" and any(self._seems_revived(w, at) for w in ours):
                    continue
                yield f"I5 {part} ended {outcome.status.value} ({outcome.code}) and {sorted(silent)} was written"
            if outcome.status in {Status.DONE, Status.ALREADY} and outcome.account:
                began = self.world.processes[self._began(line.run)].began
                for path, value in outcome.written.items():
                    if path in _PLACES and not self._held(outcome.account, path, value, began, at):
                        yield f"I5 {part} ended {outcome.status.value}: {path}={value!r} never stood there"

    def _began(self, run: str) -> int:
        return next((p.number for p in self.world.processes if run in p.plans), 0)

    def _edited_since(self, write: Write, path: str, at: float) -> bool:
        return any(
            effect.account == write.effect.account and write.effect.at <= effect.at <= at and effect.who < 0
            and path in _moved(effect)
            for effect in self.provider.history
        )  # fmt: skip

    def _seems_revived(self, write: Write, at: float) -> bool:
        """Whether a new account cannot be told from one that came back: another hand wrote it, and nobody shows us who was deleted."""
        run, key, _ = write.part
        plan = self.world.intended[run].plan if run in self.world.intended else None
        made = next(
            (w for w in self.writes if w.effect.method == "POST" and w.effect.account == write.effect.account), None
        )
        return (
            plan is not None and any(finding.code == UNSEEN for finding in plan.findings)
            and made is not None and made.part[:2] == (run, key)
            and any(
                e.account == write.effect.account and e.who < 0 and made.effect.at <= e.at <= at
                for e in self.provider.history
            )
        )  # fmt: skip

    def _held(self, account: str, path: str, value: Value, since: float, until: float) -> bool:
        """Whether an account held a value at some moment."""
        place, latest = _PLACES[path], None
        for effect in self.provider.history:
            if effect.account != account or effect.at > until:
                continue
            if effect.at < since:
                latest = effect
                continue
            if path == SKILLS and _names(value) <= _names(_read(effect.after, path)):
                return True
            if place.same(_read(effect.after, path), value):
                return True
        held = _read(latest.after, path) if latest else None
        return place.same(held, value) or (path == SKILLS and _names(value) <= _names(held))

    # --- I1, I2, I3 -----------------------------------------------------------------------------------

    def _no_lost_update(self) -> Iterator[str]:  # noqa: C901 - a list
        """Nothing is written over what we have not seen, and what is others' stays."""
        for write in self.writes:
            effect, arrival = write.effect, write.arrival
            if arrival.method != "PATCH":
                continue
            if not arrival.match:
                yield f"I1 {effect.account} was written under no version"
            elif arrival.match != effect.before["meta"]["version"]:
                yield f"I1 {effect.account} was written under another version"
            seen = self.provider.views.get((effect.account, str(effect.before["meta"]["version"])), {})
            if not any(at <= arrival.left for at in seen.values()):
                yield f"I1 {effect.account} was written as nobody of us had seen it"
            department = _read(effect.before, DEPARTMENT)
            if str(department).startswith("Foreign") and _read(effect.after, DEPARTMENT) != department:
                yield f"I1 the department that another hand gave {effect.account} was overwritten"
            lost = _names(_read(effect.before, SKILLS)) - _names(_read(effect.after, SKILLS))
            if taken := sorted(name for name in lost if name.startswith(("Foreign", "Theirs"))):
                yield f"I1 {taken} were taken from {effect.account}"
            for name in ("nickName",):
                if effect.before.get(name) != effect.after.get(name):
                    yield f"I1 {name} of {effect.account} was overwritten"
            if effect.before.get("phoneNumbers") != effect.after.get("phoneNumbers"):
                yield f"I1 the telephone of {effect.account} was overwritten"

    def _no_double(self) -> Iterator[str]:
        """At most one account of ours for each person; no write that changes nothing."""
        made: dict[str, str] = {}
        for write in self.writes:
            key = write.intent.line.key
            if write.effect.method == "POST":
                if key in made and not self._was_deleted(made[key], write.effect.at):
                    yield f"I2 {key} was made twice: {made[key]} and {write.effect.account}"
                made[key] = write.effect.account
            elif not _moved(write.effect) and _bare(write.effect.before) == _bare(write.effect.after):
                yield f"I8 {write.effect.account} was written and nothing changed"

    def _was_deleted(self, account: str, before: float) -> bool:
        return any(e.account == account and e.method == "DELETE" and e.at <= before for e in self.provider.history)

    def _planned(self) -> Iterator[str]:  # noqa: C901 - a list
        """What was written was planned, for that person."""
        for write in self.writes:
            effect, (run, key, part) = write.effect, write.part
            if run not in self.world.intended:
                yield f"I3 {run} was never planned"
            if run not in self.world.intended or effect.method == "DELETE":
                continue
            plan = self.world.intended[run].plan
            changes = [c for c in plan.changes if c.key == key and part in {c.part, c.part + 1}]
            deltas = {delta.path: delta for change in changes for delta in change.deltas}
            if strange := [path for path in _moved(effect) if path not in deltas]:
                yield f"I3 {strange} of {key} was written and not planned"
            edits = {edit.path: edit for edit in write.intent.record.edits}
            for path in _moved(effect):
                if path not in edits:
                    yield f"I3 {path} of {key} was written and not intended"
                    continue
                exact = path not in {SKILLS, "enterprise:manager", "userName"}
                if path == "active" and self._seems_revived(write, effect.at):
                    continue
                if exact and not _PLACES[path].same(_read(effect.after, path), deltas[path].sides.desired):
                    yield f"I3 {path} of {key} became {_read(effect.after, path)!r}"
            for change in changes:
                if change.account is not None and effect.account != change.account:
                    yield f"I3 {effect.account} was written for {key}, whose account is {change.account}"
            marks = {_read(effect.before, "externalId"), _read(effect.before, "enterprise:employeeNumber")} - {
                None,
                key,
            }
            if known := marks & set(self.world.company.skills):
                yield f"I3 the account of {sorted(map(str, known))} was written for {key}"

    # --- I0 -------------------------------------------------------------------------------------------

    def _access(self) -> Iterator[str]:
        """Nobody is disabled who did not leave, and nobody enabled or made who did."""
        yield from self._first()
        for write in self.writes:
            run, key, _ = write.part
            if run not in self.world.intended or self.world.intended[run].plan.undoes:
                continue
            person = self.world.intended[run].hr.get(key)
            works = person is not None and person["active"] is True
            before, after = write.effect.before.get("active"), write.effect.after.get("active")
            if before and not after and works and not self._seems_revived(write, write.effect.at):
                yield f"I0 {key} was disabled and had not left"
            if not before and after and not works:
                yield f"I0 {key} was given access and had left"

    def _deleted(self) -> Iterator[str]:
        """An account is deleted whose person left, on its day, as it was seen, and once: inactive."""
        after, jumps = self.world.policy.leavers_after, self._has("clock jumps")
        for write in self.writes:
            effect, (run, key, _) = write.effect, write.part
            if effect.method != "DELETE" or run not in self.world.intended:
                continue
            plan, hr = self.world.intended[run].plan, self.world.intended[run].hr
            if not any(
                c.key == key and c.action is Action.DELETE and c.account == effect.account for c in plan.changes
            ):
                yield f"I3 {effect.account} was deleted for {key} and that was not planned"
            if write.arrival.match != effect.before["meta"]["version"]:
                yield f"I1 {effect.account} was deleted under another version"
            if effect.before.get("active") is not False:
                yield f"I0 {effect.account} was deleted and had access"
            if key in hr and hr[key]["active"] is not False:
                yield f"I0 {effect.account} was deleted and {key} had not left"
            if known := {_read(effect.before, "externalId")} - {None, key}:
                yield f"I3 the account of {known} was deleted for {key}"
            since = max(
                e.at for e in self.provider.history
                if e.account == effect.account and e.before.get("active") is not False and e.method != "DELETE"
            )  # fmt: skip
            if not jumps and effect.at - since < after.total_seconds() * 23 / 24:
                yield f"I0 {effect.account} was deleted {effect.at - since:.0f} s after the access was taken"

    def _has(self, kind: str) -> bool:
        return any(f.kind == kind and self.world.weather.injected.get(f.number) for f in self.world.faults)

    def _ladder(self) -> Iterator[str]:  # noqa: C901 - a list
        """Nobody loses access for being missing before enough readings said so, and nobody waits untold."""
        needed, apart = self.world.policy.leavers_readings, self.world.policy.leavers_apart
        if needed < 2 or self._has("clock jumps"):
            return
        for write in self.writes:
            run, key, _ = write.part
            taken = write.effect.before.get("active") and write.effect.after.get("active") is False
            if not taken or run not in self.world.intended or key in self.world.intended[run].hr:
                continue
            if self.world.intended[run].plan.undoes:
                continue
            if not any(c.key == key and c.action is Action.DISABLE for c in self.world.intended[run].plan.changes):
                continue  # an account that was brought back by a creation
            counted, last = 0, None
            for reading in self.world.readings:
                if key in reading.keys and reading.plan:
                    counted, last = 0, None
                elif (
                    key not in reading.keys
                    and reading.proven
                    and (last is None or reading.at - last >= apart - apart / 24)
                ):
                    counted, last = counted + 1, reading.at
                if run in reading.plan:
                    break
            if counted < needed:
                yield f"I0 {key} was missing in {counted} of {needed} readings and lost the access"

    def _taken_back(self) -> Iterator[str]:
        """What is taken back is what the run did, as it was before; nobody's later word is lost by it."""
        runs = {write.effect.request: write.part[0] for write in self.writes}
        for write in self.writes:
            run, key, _ = write.part
            plan = self.world.intended[run].plan if run in self.world.intended else None
            if plan is None or not plan.undoes or plan.undoes not in self.world.intended:
                continue
            made = any(
                w.effect.method == "POST" and w.effect.account == write.effect.account and w.part[:2] == (plan.undoes, key)
                for w in self.writes
            )  # fmt: skip
            for path in [path for path in _moved(write.effect) if path not in {SKILLS, "userName"}]:
                before = self._movers(write.effect, path)
                if not before:
                    yield f"I3 {path} of {key} was taken back and nobody had written it"
                    continue
                by = runs.get(before[-1].request, "another hand") if before[-1].who >= 0 else "another hand"
                if by == "another hand" and self._looked_done(plan.undoes, key, path, before[-1]):
                    continue
                if by not in {plan.undoes, run}:
                    yield f"I1 {path} of {key} was taken back, and {by} had written it since"
                    continue
                first = next((e for e in before if runs.get(e.request) == plan.undoes), None)
                was = False if made else _read(first.before, path) if first else None
                if first is not None and not _PLACES[path].same(_read(write.effect.after, path), was):
                    yield f"I3 {path} of {key} was taken back to {_read(write.effect.after, path)!r}, and was {was!r}"
            yield from self._again(write, plan.undoes)

    def _looked_done(self, run: str, key: str, path: str, other: Effect) -> bool:
        """Whether another hand wrote what a write of ours wanted whose answer was lost: from inside nobody can tell."""
        return any(
            line.run == run and line.key == key and outcome.status is Status.DONE and path in outcome.written
            and _PLACES[path].same(outcome.written[path], _read(other.after, path))
            for _, _, line, outcome in self.outcomes
        )  # fmt: skip

    def _movers(self, effect: Effect, path: str) -> list[Effect]:
        """What changed a path of an account before an effect, in order."""
        history = self.provider.history
        earlier = history[: history.index(effect)]
        return [e for e in earlier if e.account == effect.account and path in _moved(e)]

    def _again(self, back: Write, undone: str) -> Iterator[str]:
        """No run does again what was taken back, while HR says the same."""
        run, key, part = back.part
        good = {
            path for _, _, line, outcome in self.outcomes for path in outcome.written
            if (line.run, line.key, line.part) == (run, key, part) and outcome.status in {Status.DONE, Status.ALREADY}
        }  # fmt: skip
        order = [*self.world.intended]
        for path in [p for p in _moved(back.effect) if p in good and p not in {SKILLS, "userName", MANAGER}]:
            later = [
                w for w in self.writes
                if w.effect.method != "DELETE" and w.effect.at > back.effect.at and w.effect.account == back.effect.account and path in _moved(w.effect)
                and w.part[0] in self.world.intended and w.part[0] != run
            ]  # fmt: skip
            plan = self.world.intended[later[0].part[0]].plan if later else None
            if plan is None or plan.undoes or plan.overrides or order.index(plan.id) < order.index(run):
                continue
            said = [
                self.world.intended[name].hr.get(key, {}).get(path)
                for name in order[order.index(undone) : order.index(plan.id) + 1]
            ]
            if all(one == said[0] for one in said):
                yield f"I3 {path} of {key} was taken back, and {plan.id} did it again"

    def _grouped(self) -> Iterator[str]:
        """Nobody joins or leaves a group unplanned, nobody of others' leaves, and in the end it is as HR says."""
        groups = [i for i in self.intents if i.line.key.startswith("group:")]
        left: dict[int, Intent] = {}
        for arrival in self.provider.group_arrivals:
            fits = [
                i for i in groups
                if i.line.key == f"group:{arrival.account}" and i.who == arrival.who and i.at <= arrival.left
                and i.line.version == arrival.match
            ]  # fmt: skip
            if not fits:
                yield f"I4 PATCH {arrival.account} left without a durable intent"
            else:
                left[arrival.number] = fits[-1]
        for effect in self.provider.group_history:
            intent = left.get(effect.request) if effect.who >= 0 else None
            if intent is None or intent.line.run not in self.world.intended:
                continue
            plan = self.world.intended[intent.line.run].plan
            change = next((one for one in plan.groups if one.group == effect.account), None)
            add = {m.account or self._made_for(m.key) for m in change.add} if change else set()
            remove = {m.account for m in change.remove} if change else set()
            before, after = members(effect.before), members(effect.after)
            if strange := (after - before) - add:
                yield f"I3 {sorted(strange)} were put into {effect.account} unplanned"
            if strange := (before - after) - remove:
                yield f"I3 {sorted(strange)} were taken out of {effect.account} unplanned"
            if any(
                self.provider.users.get(one, {}).get("userName") == "stranger@example.com" for one in before - after
            ):
                yield f"I1 a stranger was taken out of {effect.account}"
        yield from self._in_teams()

    def _made_for(self, key: str) -> str:
        """Their account: the one that we wrote last, else the one that another hand had made and we found."""
        found = [w.effect.account for w in self.writes if w.part[1] == key]
        found = found or [o.account for _, _, line, o in self.outcomes if line.key == key and o.account]
        return found[-1] if found else ""

    def _in_teams(self) -> Iterator[str]:
        world = self.world
        if world.policy.groups is None or not world.quiet:
            return
        linked = {link.key: link.account for link in world.disk.links()}
        for group, body in self.provider.groups.items():
            named = {
                linked[k] for k, p in world.company.people.items() if p.get(TEAM) == body["displayName"] and k in linked
            }
            held = members(body)
            if lacking := (named & self.provider.users.keys()) - held:
                yield f"I7 {group} lacks {sorted(lacking)}"
            for account in sorted(held - named):
                history = [e for e in self.provider.group_history if e.account == group]
                by = [e.who for e in history if account in members(e.after) - members(e.before)]
                if by and by[-1] >= 0:
                    yield f"I7 {account} is in {group}, where we put it, and HR does not name it"

    def _within_limits(self) -> Iterator[str]:
        """Many small runs do not pass what one large may not."""
        most, window = self.world.policy.limits.disable.count, self.world.policy.limits.leavers_window.total_seconds()
        if most is None or self._has("clock jumps"):
            return
        taken = [
            w for w in self.writes
            if w.part[0] in self.world.intended and not self.world.intended[w.part[0]].plan.overrides
            and w.effect.before.get("active") and w.effect.after.get("active") is False
            and any(c.key == w.part[1] and c.action is Action.DISABLE for c in self.world.intended[w.part[0]].plan.changes)
        ]  # fmt: skip
        for write in taken:
            near = [w for w in taken if 0 <= write.effect.at - w.effect.at < window * 23 / 24]
            if len(near) > most:
                yield f"I0 {len(near)} people lost access within the window, and the limit is {most}"
                return

    def _first(self) -> Iterator[str]:
        """Before anything else is begun, access is taken from everybody who shall lose it."""
        for run, intended in self.world.intended.items():
            leavers = {c.key for c in intended.plan.changes if c.action is Action.DISABLE}
            if not leavers:
                continue
            begun = [i for i in self.intents if i.line.run == run]
            settled = {line.key: at for at, _, line, _ in reversed(self.outcomes) if line.run == run and line.part == 1}
            for intent in begun:
                late = [k for k in leavers if settled.get(k, 1e18) > intent.at]
                if intent.line.key not in leavers and late:
                    yield f"I0 {late} wait in {run} while {intent.line.key} is written"
                    break

    # --- I7 -------------------------------------------------------------------------------------------

    def _converged(self) -> Iterator[str]:
        """When the fire stops, everybody comes to be as HR says, and then nothing is written any more."""
        world = self.world
        if not world.quiet:
            last = world.processes[-1]
            plan = world.intended[last.plans[-1]].plan if last.plans else None
            left = [(c.key, c.action.value, [d.path for d in c.deltas]) for c in plan.changes] if plan else []
            held = sorted({f"{o.key} {o.code}: {o.detail}" for _, who, _, o in self.outcomes if who == last.number})
            yield f"I7 no end after {world.calm_runs} runs: {last.ended}; {left}; {held}"
            return
        linked = {link.key: link.account for link in world.disk.links()}
        for key, person in world.company.people.items():
            held = [body for body in self.provider.users.values() if body.get("externalId") == key]
            active = [body for body in held if body.get("active")]
            if not person["active"]:
                if active or self.provider.users.get(linked.get(key, ""), {}).get("active"):
                    yield f"I0 {key} left and has access"
                continue
            if len(held) != 1:
                yield f"I2 {key} has {len(held)} accounts"
                continue
            yield from self._equal(key, person, held[0], linked)
        for key in world.company.gone:
            account = self.provider.users.get(linked.get(key, ""), {})
            if account.get("active"):
                yield f"I0 {key} is gone and has access"

    def _equal(self, key: str, person: dict[str, Any], body: Json, linked: dict[str, str]) -> Iterator[str]:
        for path in ("userName", "displayName", "active", "title", "enterprise:employeeNumber"):
            if not _PLACES[path].same(_read(body, path), person[path]):
                yield f"I7 {path} of {key} is {_read(body, path)!r}, HR says {person[path]!r}"
        boss = person["enterprise:manager"]
        there = boss is not None and linked.get(boss) in self.provider.users
        if there and _read(body, "enterprise:manager") != linked[boss]:
            yield f"I7 the manager of {key} is {_read(body, 'enterprise:manager')!r} and not {linked[boss]}"
        wanted = {str(one["name"]) for one in person[SKILLS]}
        if not wanted <= _names(_read(body, SKILLS)):
            yield f"I7 {key} lacks the skills {sorted(wanted - _names(_read(body, SKILLS)))}"

    # --- the rest -------------------------------------------------------------------------------------

    def _bounded(self) -> Iterator[str]:
        for process in self.world.processes:
            asked = self.provider.requests.get(process.number, 0)
            if asked > MOST_REQUESTS:
                yield f"I10 process {process.number} sent {asked} requests"
            if process.seconds > MOST_SECONDS:
                yield f"I10 process {process.number} lived {process.seconds:.0f} s"

    def _told(self) -> Iterator[str]:
        """Whoever wants to hear of it has a message of each outcome that wrote, once."""
        seen: set[str] = set()
        for commit in self.commits:
            wrote = [
                line for line in commit.lines
                if line.outcome is not None and line.outcome.status is Status.DONE and line.outcome.written
            ]  # fmt: skip
            told = {message.person for message in commit.messages}
            for line in wrote:
                if line.key not in told and not line.key.startswith("group:"):
                    yield f"I11 nobody hears of {line.key} in {line.run}"
            for message in commit.messages:
                if message.id in seen:
                    yield f"I11 two messages are called {message.id}"
                seen.add(message.id)

    def _secret(self) -> Iterator[str]:
        """No secret anywhere; no name of a person in what is said."""
        said = [text for process in self.world.processes for text in (*process.heard.said, process.ended)]
        for text in said:
            if SECRET in text or "canary-token" in text:
                yield f"I12 a secret was said: {text[:80]}"
            if "Canary Person" in text:
                yield f"I12 a name was said: {text[:80]}"
        for commit in self.commits:
            for message in commit.messages:
                if "Canary Person" in repr(message):
                    yield "I12 a name is in a message"
        for file in Path(self.world.folder).rglob("*"):
            if file.is_file() and (SECRET.encode() in (raw := file.read_bytes()) or b"canary-token" in raw):
                yield f"I12 a secret is in {file.name}"
        if any(b"Canary Person" in entry.body or SECRET.encode() in entry.body for entry in self.world.disk.entries()):
            yield "I12 a name is in the audit chain in clear"

    def _one_at_a_time(self) -> Iterator[str]:
        """Whoever lost the lease writes no line, and sends nothing."""
        terms = self.world.disk.terms

        def holder(at: float) -> int | None:
            return next((who for since, who in reversed(terms) if since <= at), None)

        for commit in self.commits:
            if commit.lines and holder(commit.at) != commit.who:
                yield f"I13 process {commit.who} wrote its journal without the lease"
        for arrival in self.provider.arrivals:
            if holder(arrival.left) != arrival.who:
                yield f"I13 process {arrival.who} sent a {arrival.method} without the lease"

    def _intact(self) -> Iterator[str]:
        disk: Any = self.world.disk
        try:
            checkpoints.verify_store(disk, checkpoints.public_of(SEED))
        except StoreDamaged as error:
            yield f"I6 {error}"


def _bare(body: Json) -> Json:
    return {name: held for name, held in body.items() if name != "meta"}


def _login(arrival: Arrival) -> str:
    return str(arrival.body.get("userName")) if isinstance(arrival.body, dict) else ""

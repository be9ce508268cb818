"""Nobody is hurt: laws that hold on every day, whatever HR and the directory do to each other.

`SCIMSYNC_DAYS_SEED=4711 pytest tests/laws` plays other days; a failure names seed, world and day, and
`SCIMSYNC_DAYS_WORLD=123` plays that world alone.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.laws.days import ENTERPRISE, LEFT, WIDE, Day, Organisation, Row, SmallWorld, bare, carried, world_of
from tests.soak import WHOLE, examples

from scimsync.core import leaving, waiting
from scimsync.model.outcomes import Status
from scimsync.model.plans import Severity
from scimsync.model.policy import Limit, Limits
from scimsync.workbench.statuses import SPACE

#: worlds in one organisation, days, organisations: 20,000 days of a world in a soak, times its length; 2,000 in CI
WORLDS, DAYS, ORGANISATIONS = 200, 25 if WHOLE else 10, examples(4, 1)
SEED = int(os.environ.get("SCIMSYNC_DAYS_SEED", "1"))
ALONE = os.environ.get("SCIMSYNC_DAYS_WORLD", "")
ENDED = {word.strip().casefold() for word in LEFT}


def words(row: Row) -> str:
    return (row["status"] or "").strip().casefold()


def keys_of(day: Day) -> dict[str, set[str]]:
    """account -> the keys for whom it was written."""
    found: dict[str, set[str]] = defaultdict(set)
    for change in day.plan.changes:
        if change.account:
            found[change.account].add(change.key)
    for key, outcomes in day.report.outcomes.items() if day.report else ():
        for outcome in outcomes:
            if outcome.account and not key.startswith("group:"):
                found[outcome.account].add(key)
    return found


def told(day: Day) -> Counter[tuple[str, str]]:
    """(code, subject) of everything that the plan and the run say of somebody."""
    found = Counter((f.code, f.subject) for f in day.plan.findings)
    found.update((leaving.KEPT, key) for key in leaving.by_plan(day.plan))
    for key, outcomes in day.report.outcomes.items() if day.report else ():
        found.update((outcome.code, key) for outcome in outcomes if outcome.code)
    return found


# --- the laws: each gives (world, what is broken) ---------------------------------------------------------


def nobody_gets_an_account_with_another_persons_key(org: Organisation, day: Day) -> Iterator[tuple[int, str]]:
    keys = keys_of(day)
    known = {row["id"].strip() for world in org.worlds.values() for row in world.rows if row["id"]} | set(day.links)
    for account, before, _ in day.patched:
        number = world_of(str(before["userName"])) or 0
        for key in keys[account]:
            marks = carried(before)
            if not marks or key in marks:
                continue
            if day.links.get(key) != account or (marks & known) - {key}:
                yield number, f"{account} carries {sorted(marks)} and was written for {key}"
        if len(keys[account]) > 1:
            yield number, f"{account} was written for {sorted(keys[account])}"


def nobody_is_made_twice(org: Organisation, day: Day) -> Iterator[tuple[int, str]]:
    carriers: dict[str, list[str]] = defaultdict(list)
    for account, user in day.after.items():
        if user.get("externalId"):
            carriers[str(user["externalId"])].append(account)
    for account in day.created:
        for key in carried(day.after.get(account, {})):
            if len(carriers[key]) > 1:
                yield world_of(key) or 0, f"{key} has {len(carriers[key])} accounts, one of them new"


def every_leaver_is_disabled_or_told(org: Organisation, day: Day) -> Iterator[tuple[int, str]]:
    said = told(day)
    for world in org.worlds.values():
        seen = Counter(row["id"].strip() for row in world.rows if row["id"])
        leavers = [row["id"].strip() for row in world.rows if row["id"] and words(row) in ENDED]
        leavers = [key for key in leavers if seen[key] == 1]
        leavers += [key for key in day.linked.get(world.number, ()) if not seen[key]]
        for key in leavers:
            account = day.links.get(key) or day.known.get(key, "")
            if not is_left_active(day, key, account):
                continue
            if not any(said[code, key] for code in ("leaver.kept", "leaver.unproven", "account.protected")):
                yield world.number, f"the leaver {key} keeps {account} and nobody says so"


def is_left_active(day: Day, key: str, account: str) -> bool:
    before, after = day.before.get(account), day.after.get(account)
    owners = day.owners.get(account, set()) - {key}
    return bool(before and after and not owners and before.get("active") and after.get("active"))


def no_protected_person_is_written(org: Organisation, day: Day) -> Iterator[tuple[int, str]]:
    for account, before in day.before.items():
        if str(before["userName"]).lower() in day.protected and bare(before) != bare(day.after.get(account, {})):
            yield world_of(str(before["userName"])) or 0, f"the protected {account} was written"


def nobody_joins_or_leaves_a_group_unasked(org: Organisation, day: Day) -> Iterator[tuple[int, str]]:
    keys: dict[str, set[str]] = defaultdict(set)
    for key, account in [*day.links.items(), *org.links().items()]:
        keys[account].add(key)
    for group, members in day.groups_after.items():
        before = day.groups_before.get(group, set())
        name = str(org.directory.groups[group]["displayName"])
        world = org.worlds[world_of(name) or 0]
        named = {key for key, _ in world.pairs}
        for account in members - before:
            if not keys[account] & named:
                yield world.number, f"{account} joined {name} and HR names nobody of it"
        for account in before - members:
            if any((key, other) in world.pairs for key in keys[account] for other in (name, name.title())):
                yield world.number, f"{account} left {name}, where HR names it"


def what_nobody_speaks_of_is_as_hr_says(org: Organisation, day: Day) -> Iterator[tuple[int, str]]:
    loud = {world_of(f.subject) for f in day.plan.findings if f.severity is not Severity.INFO}
    loud |= {world_of(change.key) for change in day.plan.notices}
    rows = [(number, row) for number, world in org.worlds.items() for row in world.rows]
    loud |= {rows[f.row - 1][0] for f in day.plan.findings if f.row and f.severity is not Severity.INFO}
    if any(f.severity is not Severity.INFO and not f.subject and f.holds for f in day.plan.findings):
        return
    for key, outcomes in day.report.outcomes.items() if day.report else ():
        if any(o.status not in {Status.DONE, Status.ALREADY} for o in outcomes):
            name = key if not key.startswith("group:") else str(org.directory.groups[key[6:]]["displayName"])
            loud.add(world_of(name))
    if day.report is None or day.report.left or day.report.stopped:
        return
    links = org.links()
    for number, world in org.worlds.items():
        if number not in loud:
            yield from ((number, words) for words in differences(world, day, links))


def differences(world: SmallWorld, day: Day, links: Mapping[str, str]) -> Iterator[str]:
    for row in world.rows:
        key = (row["id"] or "").strip()
        held = day.holding.get(key, [])
        if words(row) in ENDED:
            linked = day.after.get(links.get(key, ""), {})
            if any(user.get("active") for user in [*held, linked]):
                yield f"{key} left and is active, and nobody speaks of it"
        elif words(row) != "active":
            yield f"{key} has the status {row['status']!r}, and nobody speaks of it"
        elif len(held) != 1:
            yield f"{key} has {len(held)} accounts, and nobody speaks of it"
        else:
            yield from (f"{key}: {path} is {have!r} and not {want!r}" for path, want, have in unequal(row, held[0]))
    there = {(row["id"] or "").strip() for row in world.rows}
    for key, account in links.items():
        if world_of(key) == world.number and key not in there and day.after.get(account, {}).get("active"):
            yield f"{key} is gone and active, and nobody speaks of it"


def seen(text: str | None) -> str | None:
    """What there is to be seen of a text."""
    return (text or "").strip(SPACE) or None


def unequal(row: Row, user: dict[str, Any]) -> Iterator[tuple[str, object, object]]:
    phones = {p["type"]: p["value"] for p in user.get("phoneNumbers", [])}
    wanted = {
        "userName": (row["email"].strip().lower(), str(user["userName"]).lower()),
        "displayName": (seen(row["name"]), user.get("displayName")),
        "active": (True, user.get("active")),
        "title": (seen(row["title"]), user.get("title")),
        "employeeNumber": (row["id"].strip(), user[ENTERPRISE].get("employeeNumber")),
        "department": (seen(row["department"]), user[ENTERPRISE].get("department")),
        "phone": (seen(row["phone"]), phones.get("work")),
    }
    return ((path, want, have) for path, (want, have) in wanted.items() if want != have)


def nothing_passes_its_limit(org: Organisation, day: Day) -> Iterator[tuple[int, str]]:
    """By what the directory saw, not by what the plan says of itself."""
    done: Counter[str] = Counter()
    for account, after in day.after.items():
        before = day.before.get(account)
        done["create"] += before is None and account in day.created
        done["disable"] += bool(before and before.get("active") and not after.get("active"))
        done["enable"] += bool(before and before.get("active") is False and after.get("active"))
        for path in ("title", "displayName", "phoneNumbers") if before and account not in day.created else ():
            done[f"clear {path}"] += bool(before.get(path) and not after.get(path))
    for what, number in done.items():
        limit: Limit | None = getattr(day.limits, what.partition(" ")[0], None)
        if limit is not None and not limit.allows(number, len(day.links)):
            yield 0, f"{what} {number}, allowed {limit} of {len(day.links)}"
    for group, members in day.groups_before.items():
        lost = len(members - day.groups_after.get(group, set()))
        if len(members) >= 10 and not day.limits.group_loss.allows(lost, len(members)):
            yield 0, f"{group} lost {lost} of {len(members)}"


def ends_with_0_only_where_nobody_waits(org: Organisation, day: Day) -> Iterator[tuple[int, str]]:
    if not waits(day):
        links = org.links()
        for number, world in org.worlds.items():
            yield from ((number, f"exit 0, and {what}") for what in differences(world, day, links))


def waits(day: Day) -> bool:
    """Whether `sync` would end with another code than 0."""
    return day.report is None or not day.report.clean or waiting.waits(day.plan)


LAWS = (
    nobody_gets_an_account_with_another_persons_key,
    nobody_is_made_twice,
    every_leaver_is_disabled_or_told,
    no_protected_person_is_written,
    nobody_joins_or_leaves_a_group_unasked,
    what_nobody_speaks_of_is_as_hr_says,
    nothing_passes_its_limit,
    ends_with_0_only_where_nobody_waits,
)


def broken(org: Organisation, day: Day) -> list[str]:
    return [
        f"seed {org.seed} world {world} day {org.day}: {law.__name__}: {what}"
        for law in LAWS
        for world, what in law(org, day)
    ]


@pytest.mark.parametrize("number", range(ORGANISATIONS))
def test_nobody_is_hurt_on_any_day(number: int, tmp_path: Path) -> None:
    first = 100 + number * WORLDS
    worlds = range(first, first + WORLDS)
    if ALONE:
        worlds = range(int(ALONE), int(ALONE) + 1)
    org = Organisation(tmp_path / "artifacts", SEED, worlds)
    found = broken(org, org.run())
    for _ in range(DAYS - 1):
        org.night()
        found += broken(org, org.run())
    assert not found, "\n".join(found[:40])


@pytest.mark.parametrize("number", range(examples(6, 1)))
def test_nobody_is_hurt_in_a_small_organisation_with_limits(number: int, tmp_path: Path) -> None:
    tight = replace(Limits(), create=Limit(share=0.5, floor=3), update=Limit(share=1.0), disable=Limit(count=2))
    org = Organisation(tmp_path / "artifacts", SEED + 1000 + number, range(200, 203), limits=WIDE)
    found = broken(org, org.run())
    org.limits = tight
    for _ in range(12):
        org.night()
        found += broken(org, org.run())
    assert not found, "\n".join(found[:40])

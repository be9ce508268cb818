"""Planning many people without network, beside one decoding of the same pages."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from benchmarks import world
from benchmarks.harness import BenchmarkError, Report, Row, Size, Spent, measured, part, tell
from scimsync.scim.genesys import GENESYS_USER
from scimsync.scim.schema import CORE_USER, ENTERPRISE_USER
from scimsync.simulator.people import Person, account_id, people

USUAL = 100_000
SHARE = 0.01
#: what Genesys serves a page where an expensive attribute is asked for
PAGE = 25
NOTES = (
    "scimsync: `plan` through the composition root: read and map HR (SQLite), decode pages, spool, correlate, compare "
    "13 attributes, decide, seal, write plan and agreed state. 1 % changed, with a base of an earlier run, 512 MB for "
    "DuckDB. A target in the process hands over the pages, so that no network is measured; start and imports are "
    "left out.",
    "decoding: msgspec.json.decode of the same pages into Python objects, collector on, in a process of its own.",
    "peak memory is that of the whole process.",
)


def measure(size: Size) -> Report:
    """Play the rounds."""
    with tempfile.TemporaryDirectory(prefix="scimsync-bench-") as made:
        folder = Path(made)
        place = world.home(folder, "home", world.NOWHERE)
        part("plan", "pages", folder, size.people)
        part("plan", "agree", folder)
        pairs: list[tuple[Spent, Spent]] = []
        who = world.chosen(size.people, SHARE, 0)
        world.promote(folder, who, "Team Lead")
        for turn in range(size.pairs):
            sides = [lambda: part("plan", "decode", folder), lambda: part("plan", "plan", folder)]
            found = [side() for side in (reversed(sides) if turn % 2 else sides)]
            decoded, planned = reversed(found) if turn % 2 else found
            if planned.out != str(len(who)):
                raise BenchmarkError(f"{planned.out} changes were planned for {len(who)} changed people in {place}")
            pairs.append((planned, decoded))
    million = size.people / 1e6
    return Report(
        name="plan",
        size=size,
        notes=NOTES,
        rows=[
            Row(work="plan / decoding: CPU", values=[p.cpu / d.cpu for p, d in pairs], bar="<= 36"),
            Row(work="plan / decoding: wall", values=[p.wall / d.wall for p, d in pairs], bar="<= 36"),
            Row(work="plan: peak memory", values=[p.memory / 1e9 for p, _ in pairs], unit="GB", bar="<= 1.0"),
            Row(work="plan: CPU a million people", values=[p.cpu / million for p, _ in pairs], unit="s"),
            Row(work="plan: CPU", values=[p.cpu for p, _ in pairs], unit="s"),
            Row(work="plan: wall", values=[p.wall for p, _ in pairs], unit="s"),
            Row(work="decoding: CPU", values=[d.cpu for _, d in pairs], unit="s"),
        ],
    )


# --- the parts, each a process ------------------------------------------------------------------


def write_pages(folder: Path, count: int) -> None:
    """The directory as the pages of its two sweeps, one page a line, and the HR database of the same people."""
    world.furnish(folder, count)
    encode = msgspec.json.Encoder().encode
    everybody = list(enumerate(people(world.SEED, count)))
    with (folder / "pages.ndjson").open("wb") as file:
        for active in (True, False):
            listed = [(index, member) for index, member in everybody if member.active is active]
            for start in range(0, len(listed), PAGE):
                page = [resource(member, index) for index, member in listed[start : start + PAGE]]
                head = {"totalResults": len(listed), "startIndex": start + 1, "itemsPerPage": len(page)}
                file.write(encode({**head, "Resources": page}) + b"\n")


def resource(member: Person, index: int) -> dict[str, object]:
    """An account as the simulator answers a list request that asks for the sample's attributes."""
    base = "https://api.mypurecloud.com/api/v2/scim/v2/Users/"
    identity = account_id(world.SEED, index)
    phones = [{"type": "work", "value": member.phone}]
    phones += [{"type": "mobile", "value": member.mobile}] if member.mobile else []
    enterprise: dict[str, object] = {
        "division": member.division,
        "department": member.department,
        "employeeNumber": member.employee_id,
        "dateHire": member.hire_date,
    }
    if member.manager_id is not None:
        leader = account_id(world.SEED, int(member.manager_id[1:]))
        enterprise["manager"] = {"value": leader, "$ref": base + leader}
    skills = [{"name": name, "proficiency": level} for name, level in member.skills]
    return {
        "schemas": [CORE_USER, ENTERPRISE_USER, GENESYS_USER],
        "id": identity,
        "active": member.active,
        "userName": member.email,
        "meta": {
            "resourceType": "User",
            "lastModified": "2026-01-01T00:00:00.000Z",
            "location": base + identity,
            "version": "1",
        },
        "displayName": member.display_name,
        "title": member.title,
        "externalId": member.employee_id,
        "phoneNumbers": phones,
        ENTERPRISE_USER: enterprise,
        **({GENESYS_USER: {"routingSkills": skills}} if skills else {}),
    }


def read_pages(folder: Path) -> Iterator[bytes]:
    """The pages as they would travel."""
    with (folder / "pages.ndjson").open("rb") as file:
        yield from file


def _decode(folder: Path) -> tuple[Spent, int]:
    def work() -> int:
        return sum(len(msgspec.json.decode(page)["Resources"]) for page in read_pages(folder))

    return measured(work)


def _plan(folder: Path, *, apply: bool) -> tuple[Spent, int]:
    from benchmarks import inside  # noqa: PLC0415 - heavy, and the parent of all parts stays small
    from scimsync.bootstrap import open_store  # noqa: PLC0415

    settings = inside.settings_in(folder / "home")
    target = inside.PageTarget(lambda: read_pages(folder))
    with open_store(settings) as store:
        spent, made = measured(lambda: asyncio.run(inside.make_plan(settings, store, target)))
        if apply:
            asyncio.run(inside.apply_plan(settings, store, target, made))
        return spent, len(made.changes)


def main(arguments: Sequence[str]) -> None:
    """One part."""
    what, folder = arguments[0], Path(arguments[1])
    if what == "pages":
        spent, result = measured(lambda: write_pages(folder, int(arguments[2])))
    elif what == "decode":
        spent, result = _decode(folder)
    else:
        spent, result = _plan(folder, apply=what == "agree")
    tell(spent, result)


if __name__ == "__main__":
    main(sys.argv[1:])

"""Planning many people without network, beside one decoding of the same pages."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks import world
from benchmarks.harness import BenchmarkError, Report, Row, Size, Spent, measured, part, scimsync, tell
from scimsync.scim.genesys import GENESYS_USER
from scimsync.scim.schema import CORE_USER, ENTERPRISE_USER
from scimsync.simulator.people import Person, account_id, people

USUAL = 100_000
#: what Genesys serves a page where an expensive attribute is asked for
PAGE = 25
#: shares of people whom HR gives another title; the directory gives half as many another one by hand
SHARES = {"1": 0.01, "10": 0.1}
#: what a line of the mapping may become: another title for one in a hundred, or for everybody
FEW = "CASE WHEN employee_id LIKE '%07' THEN upper(job_title) ELSE job_title END"
ALL = "upper(job_title)"
NOTES = (
    "plan: the whole way through the use case: read and map HR (SQLite), take pages apart, decode, correlate, compare "
    "13 attributes, validate, decide, seal, write plan, agreed state and mirror; phones that were read are remembered. "
    "A target in the process hands over the bytes of pages of 25, so that no network is measured; start and imports "
    "are left out. 512 MB for DuckDB. Each run begins with the state that the run before the change left.",
    "full: nothing is remembered of the directory, so every account is decoded; 1 % of the people have another title.",
    "incremental: it was read before; HR changed 1 % (10 %) of the people, other hands changed half as many accounts.",
    "orjson: orjson.loads of the same pages, the objects of each dropped at once, in a process of its own.",
    "quiet: nothing changed on either side; bytes of all files of the state that are new or larger.",
    "offline: the command from its first instruction to its last, after one line of the mapping changed; always of "
    "at most 100,000 people.",
    "peak memory is that of the whole process.",
)


def measure(size: Size) -> Report:
    """Play the rounds."""
    with tempfile.TemporaryDirectory(prefix="scimsync-bench-") as made:
        folder = Path(made)
        small = _world(folder / "small", max(min(size.people, 1000), min(size.people // 10, 100_000)))
        large = _world(folder / "large", size.people)
        pairs: dict[str, list[tuple[Spent, Spent]]] = {"full": [], **{f"incremental {s}": [] for s in SHARES}}
        grown: list[float] = []
        for turn in range(size.pairs):
            for what, found in pairs.items():
                found.append(_pair(large, what, turn))
            here, there = pairs["full"][-1][0].cpu / large.people, _pair(small, "full", turn)[0].cpu / small.people
            grown.append(here / there)
        quiet = part("plan", "quiet", large.fresh())
        some = large if size.people <= USUAL else small
        offline = [_offline(some, FEW), _offline(some, ALL)]
    full = pairs["full"]
    rows = [
        Row(work="full / orjson: CPU", values=[p.cpu / o.cpu for p, o in full], bar="<= 5.0"),
        Row(work="full / orjson: wall", values=[p.wall / o.wall for p, o in full], bar="<= 3.0"),
    ]
    for share, bar in (("1", "<= 1.2"), ("10", "<= 1.7")):
        found = pairs[f"incremental {share}"]
        work = f"incremental, {share} % changed / orjson"
        rows += [
            Row(work=f"{work}: wall", values=[p.wall / o.wall for p, o in found], bar=bar),
            Row(work=f"{work}: CPU", values=[p.cpu / o.cpu for p, o in found]),
        ]
    million = size.people / 1e6
    rows += [
        Row(work=f"full: CPU a person, of this size / of {small.people:,}", values=grown, bar="<= 1.2"),
        Row(work="full: peak memory", values=[p.memory / 1e9 for p, _ in full], unit="GB", bar="<= 1.0"),
        Row(
            work="incremental, 1 %: peak memory", values=[p.memory / 1e9 for p, _ in pairs["incremental 1"]], unit="GB"
        ),
        Row(work="quiet: written to the state", values=[float(quiet.out) / 1e6], unit="MB", bar="<= 1", always=True),
        Row(work="plan --offline, the line changes 1 %: wall", values=[offline[0].wall], unit="s", bar="<= 3"),
        Row(work="plan --offline, it changes everybody: wall", values=[offline[1].wall], unit="s"),
        Row(work="full: CPU a million people", values=[p.cpu / million for p, _ in full], unit="s"),
        Row(
            work="incremental, 1 %: CPU a million",
            values=[p.cpu / million for p, _ in pairs["incremental 1"]],
            unit="s",
        ),
        Row(work="orjson: CPU a million", values=[o.cpu / million for _, o in full], unit="s"),
    ]
    return Report(name="plan", size=size, notes=NOTES, rows=rows)


@dataclass(frozen=True)
class _World:
    """Some people on both sides, and the state that a first run of them left."""

    folder: Path
    people: int

    def fresh(self) -> Path:
        """The folder, with the state as the first run left it."""
        home = self.folder / "home"
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(self.folder / "agreed", home)
        for name in ("hr.db", "pages.ndjson"):
            _take(self.folder / f"first-{name}", self.folder / name)
        return self.folder


def _world(folder: Path, count: int) -> _World:
    folder.mkdir()
    world.home(folder, "home", world.NOWHERE)
    part("plan", "pages", folder, count)
    part("plan", "agree", folder)
    (folder / "home").rename(folder / "agreed")
    for name in ("hr.db", "pages.ndjson"):
        (folder / name).rename(folder / f"first-{name}")
    return _World(folder, count)


def _take(held: Path, wanted: Path) -> None:
    wanted.unlink(missing_ok=True)
    shutil.copyfile(held, wanted)


def _pair(place: _World, what: str, turn: int) -> tuple[Spent, Spent]:
    """One plan, beside one reading of the same pages."""
    folder = place.fresh()
    share = SHARES.get(what.rpartition(" ")[2], 0.01)
    who = world.chosen(place.people, share, turn)
    world.promote(folder, who, "Team Lead")
    edited = 0
    if what == "full":
        for kept in (folder / "home" / "artifacts").glob("mirror-*"):
            kept.unlink()
    else:
        edited = int(part("plan", "edit", folder, share / 2).out)
    sides = [lambda: part("plan", "decode", folder), lambda: part("plan", "plan", folder)]
    found = [side() for side in (reversed(sides) if turn % 2 else sides)]
    decoded, planned = reversed(found) if turn % 2 else found
    if not len(who) <= int(planned.out) <= len(who) + edited:
        raise BenchmarkError(f"{planned.out} changes were planned, {len(who)} people changed and {edited} were edited")
    return planned, decoded


def _offline(place: _World, value: str) -> Spent:
    """`plan --offline` after one line of the mapping changed."""
    folder = place.fresh()
    path = folder / "home" / "scimsync.toml"
    text = path.read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("title"))
    path.write_text(text.replace(line, f'title = "{value}"'), encoding="utf-8")
    return scimsync("plan", "--offline", folder=folder / "home")


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
    import orjson  # noqa: PLC0415 - of this side alone

    def work() -> int:
        return sum(len(orjson.loads(page)["Resources"]) for page in read_pages(folder))

    return measured(work)


def _edit(folder: Path, share: float) -> int:
    """Other hands give some accounts another title, each in a new version."""
    step, number, edited = round(1 / share), 0, 0
    held, path = folder / "first-pages.ndjson", folder / "pages.ndjson"
    with held.open("rb") as read, path.open("wb") as write:
        for line in read:
            page = msgspec.json.decode(line)
            for account in page["Resources"]:
                number += 1
                if number % step == 1:
                    account["title"], account["meta"]["version"] = "By hand", "2"
                    edited += 1
            write.write(msgspec.json.encode(page) + b"\n")
    return edited


def _written(folder: Path) -> tuple[Spent, int]:
    """What a plan of which nothing came wrote: the bytes of all files that are new, or larger than they were."""
    state = folder / "home"
    before = {path: path.stat() for path in state.rglob("*") if path.is_file()}
    spent, _ = _plan(folder, apply=False)
    after = {path: path.stat() for path in state.rglob("*") if path.is_file()}
    changed = [(p, s) for p, s in after.items() if p not in before or s.st_mtime_ns != before[p].st_mtime_ns]
    return spent, sum(
        s.st_size - (before[p].st_size if p in before and s.st_ino == before[p].st_ino else 0) for p, s in changed
    )


def _plan(folder: Path, *, apply: bool) -> tuple[Spent, int]:
    from benchmarks import inside  # noqa: PLC0415 - heavy, and the parent of all parts stays small
    from scimsync.bootstrap import open_store  # noqa: PLC0415

    settings = inside.settings_in(folder / "home")
    target = inside.PageTarget(lambda: read_pages(folder))
    target.name = settings.target.address
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
    elif what == "edit":
        spent, result = measured(lambda: _edit(folder, float(arguments[2])))
    elif what == "quiet":
        spent, result = _written(folder)
    else:
        spent, result = _plan(folder, apply=what == "agree")
    tell(spent, result)


if __name__ == "__main__":
    main(sys.argv[1:])

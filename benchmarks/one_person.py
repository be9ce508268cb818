"""One person at a time: `GenesysScimSyncer.sync_user_attributes`, beside a bare loop of one GET and one PATCH."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Sequence

from benchmarks import world
from benchmarks.harness import BenchmarkError, Report, Row, Size, Spent, measured, part, served, tell
from scimsync.simulator.people import account_id, people

#: one call for each
USUAL = 1_000
NOTES = (
    "scimsync: one `GenesysScimSyncer` without a state, one call after the other from one thread; each sets title and "
    "department. Its rules, comparison, validation and checks are inside; start and imports are left out.",
    "bare: one httpx2 client that is kept, one GET and one PATCH of the same two values for each person, and in the "
    "unchanged pass the GET alone; nothing is compared or checked. Both log in within the measured work.",
    "first pass: every account changes. Unchanged pass: the same calls again.",
    "calls: requests that the simulator counted, without those for the token and the schema, for each person.",
    "The simulator is another process; its CPU is in none of the figures, but it shares the cores.",
)


def measure(size: Size) -> Report:
    """Play the rounds, each with titles of its own, the two in turns."""
    rounds: list[dict[str, tuple[Spent, dict[str, float]]]] = []
    with served("--users", str(size.people + size.people // 20 + 20), "--seed", str(world.SEED), "--option",
                "rate_limit=0") as announced:  # fmt: skip
        for turn in range(size.pairs):
            found: dict[str, tuple[Spent, dict[str, float]]] = {}
            for what in ("bare", "ours") if turn % 2 else ("ours", "bare"):
                for again in ("first", "unchanged"):
                    before = _counted(announced)
                    spent = part("one_person", what, again, size.people, f"Title {turn} {what}", json.dumps(announced))
                    after = _counted(announced)
                    if spent.out != str(size.people):
                        raise BenchmarkError(f"{what}: {spent.out} of {size.people} calls went well")
                    found[f"{what} {again}"] = spent, {name: after[name] - before[name] for name in after}
            rounds.append(found)
    return _report(size, rounds)


def _report(size: Size, rounds: Sequence[dict[str, tuple[Spent, dict[str, float]]]]) -> Report:
    number = size.people

    def ratios(again: str, of: str) -> list[float]:
        return [getattr(r[f"ours {again}"][0], of) / getattr(r[f"bare {again}"][0], of) for r in rounds]

    def calls(again: str) -> list[float]:
        counts = [r[f"ours {again}"][1] for r in rounds]
        return [(c["get"] + c["patch"]) / number for c in counts]

    return Report(
        name="one_person",
        size=size,
        notes=NOTES,
        rows=[
            Row(work="first pass / bare GET and PATCH: wall", values=ratios("first", "wall"), bar="<= 3"),
            Row(work="unchanged pass / bare GET: wall", values=ratios("unchanged", "wall"), bar="<= 3"),
            Row(work="first pass / bare GET and PATCH: CPU", values=ratios("first", "cpu")),
            Row(work="unchanged pass / bare GET: CPU", values=ratios("unchanged", "cpu")),
            Row(work="calls a person, first pass", values=calls("first"), unit="", bar="<= 2", always=True),
            Row(work="calls a person, unchanged pass", values=calls("unchanged"), unit="", bar="<= 1", always=True),
            Row(work="tokens", values=[r["ours first"][1]["token"] for r in rounds], unit="", bar="<= 1", always=True),
            Row(work="people a second, first pass", values=[number / r["ours first"][0].wall for r in rounds],
                unit="/s"),
            Row(work="people a second, unchanged pass",
                values=[number / r["ours unchanged"][0].wall for r in rounds], unit="/s"),
        ],
    )  # fmt: skip


def _counted(announced: dict[str, str]) -> dict[str, float]:
    """What the simulator was asked so far."""
    with urllib.request.urlopen(f"{announced['api_url']}/_simulator/stats") as answer:
        stats = json.load(answer)
    return {name: float(stats.get(name, 0)) for name in ("get", "patch", "token")}


# --- the parts, each a process ------------------------------------------------------------------


def _ids(number: int) -> list[str]:
    active = (p for p in people(world.SEED, number + number // 20 + 20) if p.active)
    return [account_id(world.SEED, int(p.employee_id[1:])) for p, _ in zip(active, range(number), strict=False)]


def _bare(again: str, ids: Sequence[str], title: str, announced: dict[str, str]) -> int:
    import httpx2  # noqa: PLC0415 - heavy, and the parent of all parts stays small

    department = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department"
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [
            {"op": "replace", "path": "title", "value": title},
            {"op": "replace", "path": department, "value": f"{title} department"},
        ],
    }
    done = 0
    with httpx2.Client(base_url=announced["api_url"], trust_env=False) as client:
        grant = client.post(
            announced["login_url"] + "/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=(announced["client_id"], announced["client_secret"]),
        )
        client.headers["Authorization"] = f"Bearer {grant.raise_for_status().json()['access_token']}"
        for account in ids:
            path = f"/api/v2/scim/v2/Users/{account}"
            held = client.get(path).raise_for_status()
            held.json()
            if again == "first":
                headers = {"If-Match": held.headers["ETag"]}
                client.patch(path, json=body, headers=headers).raise_for_status().json()
            done += 1
    return done


def _ours(ids: Sequence[str], title: str, announced: dict[str, str]) -> int:
    from scimsync import GenesysScimSyncer  # noqa: PLC0415

    wanted = {"title": title, "enterprise:department": f"{title} department"}
    with GenesysScimSyncer(
        announced["client_id"],
        announced["client_secret"],
        api_url=announced["api_url"],
        login_url=announced["login_url"],
        requests_per_minute=0,
    ) as syncer:
        return sum(syncer.sync_user_attributes(account, wanted)["title"] == title for account in ids)


def main(arguments: Sequence[str]) -> None:
    """One part."""
    what, again, number, title = arguments[0], arguments[1], int(arguments[2]), arguments[3]
    announced: dict[str, str] = json.loads(arguments[4])
    ids = _ids(number)
    if what == "bare":
        import httpx2  # noqa: F401, PLC0415 - imports are left out

        tell(*measured(lambda: _bare(again, ids, title, announced)))
    else:
        from scimsync import bootstrap, library  # noqa: F401, PLC0415

        bootstrap.warm_up()
        tell(*measured(lambda: _ours(ids, title, announced)))


if __name__ == "__main__":
    main(sys.argv[1:])

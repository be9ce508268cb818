"""`kill -9` at random moments: every write the simulator saw has its audit record, and the chain is whole."""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.acceptance.test_crash import busy, wait_for_effects
from tests.runs import House
from tests.soak import examples

from scimsync import bootstrap
from scimsync.engine import checkpoints, ledger
from scimsync.services import auditing


def audited(home: House, kind: str) -> Counter[str]:
    """How many records of a kind there are about each person, and each account by its person."""
    found: Counter[str] = Counter()
    with bootstrap.open_store(home.settings()) as store:
        for entry in store.entries(kind=kind):
            clear = json.loads(ledger.reveal(entry, store.key(entry.person)) or b"{}")
            found[clear["person"]] += 1
            if clear.get("account"):
                found[clear["account"]] += 1
            if clear.get("name"):
                found[clear["name"].lower()] += 1
    return found


def whole(home: House) -> None:
    settings = home.settings()
    with bootstrap.open_store(settings) as store:
        checkpoints.verify_store(store, auditing.audit_public(settings))


def seen(home: House) -> set[str]:
    """Every account that a write of ours changed or made: its id, or the login of one that we made."""
    made = {entry["id"] for entry in home.history() if entry["method"] == "POST"}
    users = home.simulator.directory.users
    return {str(users[i].resource["userName"]).lower() if i in made else i for i in home.effects()}


@pytest.mark.parametrize(("when", "seed"), [("after", 11), ("before", 12)][: examples(2, 1)])
def test_after_each_death_every_write_has_its_intent_and_in_the_end_its_outcome(
    tmp_path: Path, when: str, seed: int
) -> None:
    draw = random.Random(seed)
    with busy(tmp_path, when) as home:
        deaths = 0
        for number in (0, 15, 45, 80, 110, 130):
            process = home.start("apply", "--yes")
            with process:
                wait_for_effects(home, number + draw.randint(1, 6), process)
                time.sleep(draw.random() * 0.05)
                process.kill()
            deaths += process.returncode == -signal.SIGKILL
            whole(home)
            intents = audited(home, "intent")
            assert {account for account in seen(home) if not intents[account]} == set()
        assert deaths >= 5
        home.fault()
        said = home.command("apply", "--yes")
        assert said.code == 0, said.out + said.err
        outcomes = audited(home, "outcome")
        assert {account for account in seen(home) if not outcomes[account]} == set()
        assert len(seen(home)) == 150
        assert home.command("audit", "verify").code == 0

"""A conflict is decided, a plan is trimmed and approved, on a SCIM server that nobody here wrote."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.conformance.test_real_servers import NATURAL, Life, person
from tests.providers import needs_providers, start
from tests.runs import Quiet

from scimsync import bootstrap
from scimsync.config import load
from scimsync.errors import PlanWaits
from scimsync.model.decisions import Actor, Wins
from scimsync.services import applying, approving, deciding, planning, trimming
from scimsync.services.deciding import Said
from scimsync.services.planning import Choices
from scimsync.services.trimming import Chosen

pytestmark = needs_providers
ADA, BEN = Actor("ada@example.com", "oidc"), Actor("ben@example.com", "oidc")


def test_a_morning_of_decisions(tmp_path: Path) -> None:
    with start("scim2-server") as server:
        life = Life(tmp_path, server, NATURAL)
        file = tmp_path / "scimsync.toml"
        text = file.read_text(encoding="utf-8")
        asking = '\ntitle = { value = "title", authority = "ask" }\n'
        changed = text.replace('\ntitle = "title"\n', asking).replace('\n"title" = "title"\n', asking)
        assert changed != text
        life.firm.hr(person(1), person(2), person(3))
        file.write_text(changed + '\n[[approval]]\nname = "all"\nevery = true\n', encoding="utf-8")
        settings = load(file)
        with bootstrap.open_store(settings) as store:

            def plan(*keys: str) -> str:
                return asyncio.run(planning.plan(settings, store, Quiet(), Choices(only=keys))).id

            def apply(named: str) -> None:
                with store.lease("test"):
                    found = planning.find_plan(store, named)
                    asyncio.run(applying.apply(settings, store, Quiet(), found, Choices()))

            whole = plan()
            made = trimming.leave_out(settings, store, whole, Chosen(users=["e3"]), ADA, "later").id
            with pytest.raises(PlanWaits):
                apply(made)
            approving.approve(settings, store, made, BEN, "seen")
            apply(made)
            assert sorted(server.held()) == ["p1@x.org", "p2@x.org"]
            account = server.held()["p1@x.org"]
            account["title"] = "Chief"
            assert server.ask("PUT", f"/Users/{account['id']}", account).status_code == 200
            life.firm.hr(person(1, title="Lead"), person(2))
            plan()
            (conflict,) = deciding.listed(settings, store).open
            assert (conflict.delta.sides.desired, conflict.delta.sides.current) == ("Lead", "Chief")
            deciding.decide(settings, store, [conflict], Said(wins=Wins.HR), ADA)
            again = plan("e1")
            approving.approve(settings, store, again, BEN, "agreed")
            apply(again)
            assert server.held()["p1@x.org"]["title"] == "Lead"
            assert store.decisions() == []

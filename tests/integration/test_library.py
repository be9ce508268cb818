"""The library front: one person, and whole directories, from Python, against the simulator."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.runs import ENTERPRISE, GENESYS, House, house
from tests.servers import heard

import scimsync
from scimsync import AsyncGenesysScimSyncer, ConflictResolution, GenesysScimSyncer, Syncer, build_delta_matrix
from scimsync.adapters.clock_system import SystemClock
from scimsync.adapters.store_sql import SqlStore
from scimsync.errors import ConfigError, PlanRefused, TargetDenied, TargetError, UndeliveredEvents, UnsignedWebhook
from scimsync.model.outcomes import RunState

WORK_MAIL = 'emails[type eq "work"].value'
WORK_PHONE = 'phoneNumbers[type eq "work"].value'
SKILLS = "genesys:routingSkills"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as found:
        yield found


def syncer(home: House, state: Path | None = None) -> GenesysScimSyncer:
    simulator = home.simulator
    return GenesysScimSyncer(
        simulator.client_id,
        simulator.client_secret,
        api_url=simulator.api_url,
        login_url=simulator.login_url,
        state=state,
    )


def test_one_call_writes_every_kind_of_value_in_one_patch_and_returns_the_account(home: House) -> None:
    who, boss = home.active(2)
    known = home.account(who)["id"]
    home.reset()
    account = syncer(home).sync_user_attributes(
        known,
        {
            "title": "Team Lead",
            "enterprise:department": "Field Service",
            "enterprise:manager": home.account(boss)["id"],
            WORK_MAIL: "lead@example.com",
            WORK_PHONE: "+1 (317) 555-0199",
            SKILLS: [{"name": "Billing", "proficiency": 4.5}, {"name": "Warranty"}],
        },
    )
    assert account["id"] == known
    assert account["title"] == "Team Lead"
    assert account[ENTERPRISE]["manager"]["value"] == home.account(boss)["id"]  # type: ignore[index]
    phones = {p["type"]: p["value"] for p in account["phoneNumbers"]}  # type: ignore[attr-defined]
    assert phones["work"] == "+13175550199"
    skills = {s["name"]: s.get("proficiency") for s in account[GENESYS]["routingSkills"]}  # type: ignore[index]
    assert skills["Billing"] == 4.5
    assert home.stats()["patch"] == 1


def test_a_second_call_with_the_same_values_writes_nothing(home: House) -> None:
    known = home.account(home.active(1)[0])["id"]
    ours = syncer(home)
    wanted = {"title": "Team Lead", SKILLS: [{"name": "Billing", "proficiency": 2.0}]}
    ours.sync_user_attributes(known, wanted)
    home.reset()
    ours.sync_user_attributes(known, wanted)
    assert home.writes() == 0


def test_none_clears_and_what_is_not_named_stays(home: House) -> None:
    who = home.active(1)[0]
    before = home.account(who)
    account = syncer(home).sync_user_attributes(before["id"], {"title": None})
    assert "title" not in account
    assert account["displayName"] == before["displayName"]
    assert account.get("phoneNumbers") == before.get("phoneNumbers")


def test_an_inactive_person_is_disabled_and_enabled_again(home: House) -> None:
    known = home.account(home.active(1)[0])["id"]
    ours = syncer(home)
    assert ours.sync_user_attributes(known, {"active": False})["active"] is False
    assert ours.sync_user_attributes(known, {"active": True})["active"] is True


def test_cloud_wins_leaves_what_the_directory_holds(home: House) -> None:
    who = home.active(1)[0]
    account = syncer(home).sync_user_attributes(
        home.account(who)["id"], {"title": "From HR"}, ConflictResolution.CLOUD_WINS
    )
    assert account["title"] == who.title
    assert home.history() == []


def test_merge_adds_to_a_list_and_takes_nothing_from_others(home: House) -> None:
    who = next(p for p in home.active(40) if p.skills)
    fresh = next(s for s in ("Billing", "Warranty", "Returns") if s not in {name for name, _ in who.skills})
    syncer(home).sync_user_attributes(
        home.account(who)["id"], {SKILLS: [{"name": fresh, "proficiency": 1.0}]}, ConflictResolution.MERGE
    )
    assert home.skills(who) == {fresh, *(name for name, _ in who.skills)}


def test_merge_that_cannot_choose_says_so(home: House) -> None:
    who = home.active(1)[0]
    with pytest.raises(PlanRefused, match=r"title.*LOCAL_WINS"):
        syncer(home).sync_user_attributes(home.account(who)["id"], {"title": "Other"}, ConflictResolution.MERGE)
    assert home.account(who)["title"] == who.title


def test_with_a_state_folder_an_edit_by_hand_is_told_from_a_change_of_hr(home: House) -> None:
    who = home.active(1)[0]
    known, state = home.account(who)["id"], home.folder / "library"
    syncer(home, state).sync_user_attributes(known, {"title": "One"})
    home.edit(who, "title", "By hand")
    account = syncer(home, state).sync_user_attributes(known, {"title": "One"}, ConflictResolution.MERGE)
    assert account["title"] == "By hand"
    assert state.stat().st_mode & 0o077 == 0


def test_what_was_agreed_outlasts_calls_for_other_paths_and_people(home: House, tmp_path: Path) -> None:
    who, other = home.active(2)
    known = home.account(who)["id"]
    ours = syncer(home, tmp_path / "kept")
    ours.sync_user_attributes(known, {"title": "Lead"})
    ours.sync_user_attributes(home.account(other)["id"], {"enterprise:department": "Field"})
    ours.sync_user_attributes(known, {"enterprise:department": "Field"})
    home.edit(who, "title", "Chief")
    account = ours.sync_user_attributes(known, {"title": "Lead"}, ConflictResolution.MERGE)
    assert account["title"] == "Chief"


def test_an_edit_between_reading_and_writing_is_met_by_planning_again(home: House) -> None:
    who = home.active(1)[0]
    home.fault({"on": "patch", "kind": "foreign_edit", "path": "displayName", "value": "Edited", "times": 1})
    account = syncer(home).sync_user_attributes(home.account(who)["id"], {"title": "Lead"})
    assert (account["title"], account["displayName"]) == ("Lead", "Edited")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"titel": "x"}, "did you mean title"),
        ({"groups": [{"value": "g"}]}, "cannot be mapped"),
        ({"active": "yes"}, "true or false"),
        ({"active": None}, "true or false"),
        ({SKILLS: [{"nam": "x"}]}, "name, proficiency"),
        ({SKILLS: ["Billing"]}, "list of objects"),
        ({"title": 7}, "a text"),
        ({"title": "a", "urn:ietf:params:scim:schemas:core:2.0:User:title": "b"}, "twice"),
        ({}, "at least one path"),
    ],
)
def test_data_that_cannot_be_written_is_refused_before_a_request_leaves(
    home: House, data: dict[str, object], words: str
) -> None:
    known = home.account(home.active(1)[0])["id"]
    home.reset()
    with pytest.raises(ConfigError, match=words):
        syncer(home).sync_user_attributes(known, data)
    assert not home.stats()["get"]


def test_all_faults_are_told_at_once(home: House) -> None:
    with pytest.raises(ConfigError) as raised:
        syncer(home).sync_user_attributes("x", {"titel": "x", "active": "yes"})
    assert len(raised.value.faults) == 2


def test_a_phone_that_cannot_be_read_and_a_manager_who_is_not_there_are_told(home: House) -> None:
    known = home.account(home.active(1)[0])["id"]
    with pytest.raises(PlanRefused, match=r"record\.bad-phone"):
        syncer(home).sync_user_attributes(known, {WORK_PHONE: "ask at reception"})
    nobody = "00000000-0000-4000-8000-000000000000"
    with pytest.raises(PlanRefused, match=r"reference\.unknown"):
        syncer(home).sync_user_attributes(known, {"enterprise:manager": nobody})
    assert home.history() == []


def test_an_account_that_is_not_there_is_never_made(home: House) -> None:
    with pytest.raises(TargetError, match="there is no account"):
        syncer(home).sync_user_attributes("00000000-0000-4000-8000-000000000000", {"title": "x"})
    assert home.history() == []


def test_a_refusal_of_the_directory_is_told_with_its_words(home: House) -> None:
    known = home.account(home.active(1)[0])["id"]
    home.fault({"on": "patch", "status": 403, "times": 0})
    with pytest.raises(PlanRefused, match=r"target\.refused"):
        syncer(home).sync_user_attributes(known, {"title": "x"})


def test_regions_and_domains_are_known_and_nothing_else_is_asked_for_a_secret() -> None:
    for organisation in ("us-east-1", "mypurecloud.com"):
        assert GenesysScimSyncer("id", "secret", organisation)
    with pytest.raises(ConfigError, match="us-east-1"):
        GenesysScimSyncer("id", "secret", "evil.example/")


def test_the_syncer_works_where_an_event_loop_runs_already(home: House) -> None:
    known = home.account(home.active(1)[0])["id"]

    async def notebook() -> dict[str, object]:
        return syncer(home).sync_user_attributes(known, {"title": "Lead"})

    assert asyncio.run(notebook())["title"] == "Lead"


def test_threads_share_one_token_and_every_person_is_written_once(home: House) -> None:
    known = [home.account(who)["id"] for who in home.active(20)]
    home.reset()
    with syncer(home) as ours, ThreadPoolExecutor(8) as threads:
        held = list(threads.map(lambda account: ours.sync_user_attributes(account, {"title": "Lead"}), known))
    assert [account["id"] for account in held] == known
    stats = home.stats()
    assert (stats["token"], stats["get"], stats["patch"]) == (1, 20, 20)


def test_two_calls_for_one_person_at_once_do_not_race(home: House) -> None:
    known = home.account(home.active(1)[0])["id"]
    home.reset()
    with syncer(home) as ours, ThreadPoolExecutor(4) as threads:
        calls = [threads.submit(ours.synchronise, known, {"title": f"Title {n}"}) for n in range(4)]
        done = [call.result() for call in calls]
    assert [one.outcome.races for one in done if one.outcome] == [0, 0, 0, 0]
    assert home.stats()["patch"] == 4


def test_a_syncer_that_was_closed_can_be_used_again(home: House) -> None:
    known = home.account(home.active(1)[0])["id"]
    ours = syncer(home)
    ours.sync_user_attributes(known, {"title": "One"})
    ours.close()
    assert ours.sync_user_attributes(known, {"title": "Two"})["title"] == "Two"
    ours.close()
    ours.close()


def test_the_async_twin_does_the_same_side_by_side_with_one_token(home: House) -> None:
    known = [home.account(who)["id"] for who in home.active(5)]
    home.reset()

    async def work() -> list[dict[str, object]]:
        simulator = home.simulator
        async with AsyncGenesysScimSyncer(
            simulator.client_id,
            simulator.client_secret,
            api_url=simulator.api_url,
            login_url=simulator.login_url,
        ) as ours:
            return await asyncio.gather(*(ours.sync_user_attributes(each, {"title": "Lead"}) for each in known))

    assert [account["title"] for account in asyncio.run(work())] == ["Lead"] * 5
    assert home.stats()["token"] == 1


def test_a_new_manager_costs_one_look_and_the_one_who_is_there_none(home: House) -> None:
    who, boss = home.active(2)
    known, other = home.account(who)["id"], home.account(boss)["id"]
    with syncer(home) as ours:
        ours.sync_user_attributes(known, {"enterprise:manager": other})
        home.reset()
        ours.sync_user_attributes(known, {"enterprise:manager": other})
    assert home.stats()["get"] == 1


def test_what_was_agreed_is_remembered_by_the_object_too(home: House) -> None:
    who = home.active(1)[0]
    known = home.account(who)["id"]
    with syncer(home) as ours:
        ours.sync_user_attributes(known, {"title": "One"})
        home.edit(who, "title", "By hand")
        account = ours.sync_user_attributes(known, {"title": "One"}, ConflictResolution.MERGE)
    assert account["title"] == "By hand"


def test_a_state_keeps_a_journal_and_a_chain_of_every_call_that_wrote(home: House) -> None:
    known, state = home.account(home.active(1)[0])["id"], home.folder / "library"
    with syncer(home, state) as ours:
        ours.sync_user_attributes(known, {"title": "One"})
        ours.sync_user_attributes(known, {"title": "One"})
        ours.sync_user_attributes(known, {"title": "Two"})
    with contextlib.closing(SqlStore(f"sqlite:///{state / 'state.db'}", state / "artifacts", SystemClock())) as store:
        runs = store.runs()
        assert [run.state for run in runs] == [RunState.DONE, RunState.DONE]
        kinds = [entry.kind for run in runs for entry in store.entries(run=run.id)]
        assert kinds.count("outcome") == 2
        assert len(store.checkpoints()) == 2


@pytest.mark.parametrize("kept", [False, True], ids=["without a state", "with a state"])
def test_what_hr_drops_goes_and_what_others_added_stays_whether_or_not_the_first_call_wrote(
    home: House, *, kept: bool
) -> None:
    who = home.active(1)[0]
    known = home.account(who)["id"]
    with syncer(home, home.folder / "library" if kept else None) as ours:

        def skills(*names: str, how: ConflictResolution = ConflictResolution.MERGE) -> set[str]:
            wanted = [{"name": name, "proficiency": 2.0} for name in names]
            ours.sync_user_attributes(known, {SKILLS: wanted}, how)
            return home.skills(who)

        assert skills("Billing", "Warranty", how=ConflictResolution.LOCAL_WINS) == {"Billing", "Warranty"}
    with syncer(home, home.folder / "another" if kept else None) as ours:
        assert skills("Billing", "Warranty") == {"Billing", "Warranty"}  # nothing is written, and it is agreed on
        assert skills("Billing") == {"Billing"}
        home.edit(who, f"{GENESYS}:routingSkills", [{"name": "Refunds", "proficiency": 1.0}], op="add")
        assert skills("Billing") == {"Billing", "Refunds"}
        assert skills("Warranty") == {"Warranty", "Refunds"}
        ours.sync_user_attributes(known, {"title": who.title}, ConflictResolution.MERGE)
        assert ours.sync_user_attributes(known, {"title": "New"}, ConflictResolution.MERGE)["title"] == "New"


def test_a_write_whose_call_was_given_up_is_known_by_the_next_call(home: House) -> None:
    who, simulator = home.active(1)[0], home.simulator
    known = home.account(who)["id"]

    async def work() -> dict[str, object]:
        async with AsyncGenesysScimSyncer(
            simulator.client_id,
            simulator.client_secret,
            api_url=simulator.api_url,
            login_url=simulator.login_url,
        ) as ours:
            await ours.sync_user_attributes(known, {"title": "One"})
            home.fault({"on": "patch", "kind": "hang", "seconds": 600, "when": "after", "times": 1})
            call = asyncio.create_task(ours.sync_user_attributes(known, {"title": "Two"}))
            while (await asyncio.to_thread(home.account, who))["title"] != "Two":
                assert not call.done()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            return await ours.sync_user_attributes(known, {"title": "Three"}, ConflictResolution.MERGE)

    assert asyncio.run(work())["title"] == "Three"


@pytest.mark.parametrize(
    ("data", "how"),
    [
        (
            {"title": "Lead", "enterprise:manager": "00000000-0000-4000-8000-000000000000"},
            ConflictResolution.LOCAL_WINS,
        ),
        ({"enterprise:department": "Field", "title": "Other"}, ConflictResolution.MERGE),
        ({"title": "Lead", WORK_PHONE: "ask at reception"}, ConflictResolution.LOCAL_WINS),
    ],
    ids=["a manager who is not there", "a conflict", "a bad value"],
)
def test_a_call_that_is_refused_before_it_is_sent_writes_nothing(
    home: House, data: dict[str, object], how: ConflictResolution
) -> None:
    who = next(person for person in home.active(40) if person.title and person.department)
    known = home.account(who)["id"]
    with syncer(home) as ours, pytest.raises(PlanRefused):
        ours.sync_user_attributes(known, data, how)
    assert home.history() == []
    with syncer(home) as ours, pytest.raises(PlanRefused):
        ours.sync_user_attributes(known, {**data, "active": False}, how)
    left = how is ConflictResolution.LOCAL_WINS  # where merging cannot choose, that is so of `active` too
    assert (home.account(who)["active"], home.account(who)["title"]) == (not left, who.title)


def test_a_login_that_is_taken_is_told_with_what_was_written_all_the_same(home: House) -> None:
    who, other = home.active(2)
    known = home.account(who)["id"]
    with syncer(home) as ours, pytest.raises(PlanRefused, match="written all the same: title"):
        ours.sync_user_attributes(known, {"title": "Lead", "userName": other.email})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"api_url": "http://127.0.0.1:9"}, "belong together"),
        ({"login_url": "http://127.0.0.1:9"}, "belong together"),
        ({"api_url": "http://scim.example.com", "login_url": "http://scim.example.com"}, "must be https"),
        ({"api_url": "nonsense", "login_url": "nonsense"}, "is not an address"),
        ({"webhook_url": "ftp://hr.example.com"}, "webhook_url is not an address"),
        ({"webhook_url": "http://hr.example.com/hook"}, "must be https"),
        ({"requests_per_minute": -5}, "whole number"),
        ({"requests_per_minute": "many"}, "whole number"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused_before_a_secret_leaves(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        GenesysScimSyncer("id", "secret", "us-east-1", **given)


@pytest.mark.parametrize("account", ["", "  ", None, 5])
def test_an_id_that_is_none_is_an_error_of_the_caller(home: House, account: Any) -> None:
    with syncer(home) as ours, pytest.raises(ConfigError, match="user_id"):
        ours.sync_user_attributes(account, {"title": "Lead"})


@pytest.mark.parametrize("account", ["x\ny", "../Groups", "x" * 2000])
def test_an_id_that_cannot_be_is_never_sent_and_is_not_worth_another_try(home: House, account: str) -> None:
    home.reset()
    with syncer(home) as ours, pytest.raises(TargetDenied, match="not the id of an account"):
        ours.sync_user_attributes(account, {"title": "Lead"})
    assert not home.stats()["get"]


@pytest.mark.parametrize("kept", [False, True], ids=["without a state", "with a state"])
def test_one_async_object_serves_one_event_loop_after_another(home: House, *, kept: bool) -> None:
    known = [home.account(who)["id"] for who in home.active(4)]
    simulator = home.simulator

    async def work(ours: AsyncGenesysScimSyncer, title: str) -> set[object]:
        async with ours:
            done = await asyncio.gather(*(ours.sync_user_attributes(each, {"title": title}) for each in known))
        return {account["title"] for account in done}

    ours = AsyncGenesysScimSyncer(
        simulator.client_id,
        simulator.client_secret,
        api_url=simulator.api_url,
        login_url=simulator.login_url,
        state=home.folder / "library" if kept else None,
    )
    assert asyncio.run(work(ours, "One")) == {"One"}
    assert asyncio.run(work(ours, "Two")) == {"Two"}


FORKED = """
import os, signal, sys
from scimsync import GenesysScimSyncer
client, secret, url, login, state, account = sys.argv[1:]
syncer = GenesysScimSyncer(client, secret, api_url=url, login_url=login, state=state or None)
syncer.sync_user_attributes(account, {"title": "Parent"})
child = os.fork()
if not child:
    signal.alarm(60)
    syncer.sync_user_attributes(account, {"title": "Child"})
    syncer.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
syncer.sync_user_attributes(account, {"title": "Parent again"})
syncer.close()
"""


@pytest.mark.parametrize("kept", [False, True], ids=["without a state", "with a state"])
def test_an_object_goes_on_in_a_process_that_was_forked(home: House, *, kept: bool) -> None:
    who, simulator = home.active(1)[0], home.simulator
    state = str(home.folder / "library") if kept else ""
    given = [simulator.client_id, simulator.client_secret, simulator.api_url, simulator.login_url, state]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED, *given, home.account(who)["id"]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    titles = [entry["operations"][0]["value"] for entry in home.history()]
    assert titles == ["Parent", "Child", "Parent again"]


def test_closing_waits_for_calls_that_are_at_work(home: House) -> None:
    known = [home.account(who)["id"] for who in home.active(10)]
    ours = syncer(home)
    with ThreadPoolExecutor(10) as threads:
        calls = [threads.submit(ours.sync_user_attributes, each, {"title": "Lead"}) for each in known]
        calls[0].result()
        ours.close()
        assert {call.result()["title"] for call in calls} == {"Lead"}
    ours.close()


def test_a_state_of_another_organisation_is_refused_before_anything_is_written(home: House, tmp_path: Path) -> None:
    state = home.folder / "library"
    with syncer(home, state) as ours:
        ours.sync_user_attributes(home.account(home.active(1)[0])["id"], {"title": "One"})
    with house(tmp_path / "another") as other:
        known = other.account(other.active(1)[0])["id"]
        with syncer(other, state) as ours, pytest.raises(ConfigError, match="says nothing about another"):
            ours.sync_user_attributes(known, {"title": "Two"})
        assert other.history() == []


KILLED = """
import sys
from scimsync import GenesysScimSyncer
client, secret, url, login, state, account = sys.argv[1:]
syncer = GenesysScimSyncer(client, secret, api_url=url, login_url=login, state=state)
syncer.sync_user_attributes(account, {"title": "One"})
"""


def test_a_call_whose_process_was_killed_is_settled_by_the_next_one_and_is_no_foreign_edit(home: House) -> None:
    who = home.active(1)[0]
    known, state = home.account(who)["id"], home.folder / "library"
    home.fault({"on": "patch", "kind": "hang", "seconds": 600, "when": "after", "times": 1})
    simulator = home.simulator
    given = [simulator.client_id, simulator.client_secret, simulator.api_url, simulator.login_url, str(state), known]
    with subprocess.Popen([sys.executable, "-c", KILLED, *given]) as process:
        while home.account(who)["title"] != "One":
            assert process.poll() is None
        process.kill()
    with syncer(home, state) as ours:
        assert ours.sync_user_attributes(known, {"title": "One"})["title"] == "One"
        home.edit(who, "title", "By hand")
        # what the killed call wrote was agreed on, so this is an edit by hand
        assert ours.sync_user_attributes(known, {"title": "One"}, ConflictResolution.MERGE)["title"] == "By hand"


def test_a_whole_directory_is_planned_and_applied_from_python(home: House) -> None:
    who = home.active(1)[0]
    Syncer(home.file).blocking.sync()
    home.set(who, job_title="From HR")
    made, report = Syncer(home.file).blocking.sync()
    assert [change.key for change in made.changes] == [who.employee_id]
    assert report.clean
    assert home.account(who)["title"] == "From HR"

    async def again() -> int:
        return len((await Syncer(home.file).plan(who.employee_id)).changes)

    assert asyncio.run(again()) == 0


def test_a_resolution_that_is_none_is_named_before_any_request() -> None:
    syncer = GenesysScimSyncer("id", "secret", "us-east-1")
    wrong: Any = "local_wins"
    with pytest.raises(ConfigError, match=r"'local_wins' is none of ConflictResolution\.LOCAL_WINS"):
        syncer.sync_user_attributes("account", {"title": "Lead"}, wrong)
    with pytest.raises(ConfigError, match="resolution"):
        build_delta_matrix({"title": "Lead"}, {}, resolution=wrong)


def test_the_public_door_opens_to_the_names_it_lists_and_is_cheap() -> None:
    for name in dir(scimsync):
        assert getattr(scimsync, name)
    with pytest.raises(AttributeError, match="nonsense"):
        scimsync.nonsense  # noqa: B018
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, scimsync; print(len([m for m in sys.modules if m.startswith('scimsync')]))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.strip() == "1"


def test_the_script_of_the_manual_runs_and_prints_the_account(home: House) -> None:
    script = ROOT / "examples/one_person.py"
    known = home.account(home.active(1)[0])["id"]
    environ = {
        "GENESYS_CLIENT_ID": home.simulator.client_id,
        "GENESYS_CLIENT_SECRET": home.simulator.client_secret,
        "SCIMSYNC_API_URL": home.simulator.api_url,
        "SCIMSYNC_LOGIN_URL": home.simulator.login_url,
    }
    said = subprocess.run(
        [sys.executable, str(script), known],
        env={**os.environ, **environ},
        check=False,
        capture_output=True,
        text=True,
    )
    assert said.returncode == 0, said.stderr
    assert '"title": "Team Lead"' in said.stdout
    code = [line for line in script.read_text().splitlines() if line.strip() and not line.startswith(("#", '"""'))]
    assert len(code) <= 20


def test_the_example_of_the_tutorial_runs_to_its_end_and_its_receiver_is_told(home: House) -> None:
    known = home.account(home.active(1)[0])["id"]
    with heard() as (url, bodies):
        environ = {
            "GENESYS_CLIENT_ID": home.simulator.client_id,
            "GENESYS_CLIENT_SECRET": home.simulator.client_secret,
            "SCIMSYNC_API_URL": home.simulator.api_url,
            "SCIMSYNC_LOGIN_URL": home.simulator.login_url,
            "HR_WEBHOOK_URL": url,
        }
        said = subprocess.run(
            [sys.executable, str(ROOT / "examples/tutorial.py"), known],
            env={**os.environ, **environ},
            check=False,
            capture_output=True,
            text=True,
        )
    assert said.returncode == 0, said.stderr
    assert said.stderr.count("UnsignedWebhook") == 1
    assert "'displayName': 'Jane Doe'" in said.stdout
    assert len(home.history()) == 1
    assert [signed for signed, _ in bodies] == [False]


def test_a_schema_that_drifted_where_the_call_writes_ends_it_before_anything_is_written(home: House) -> None:
    known = home.account(home.active(1)[0])["id"]
    ours = GenesysScimSyncer(
        home.simulator.client_id,
        home.simulator.client_secret,
        baseline_schema={"title": "string", WORK_MAIL: "string", "active": "boolean"},
        api_url=home.simulator.api_url,
        login_url=home.simulator.login_url,
    )
    core = "urn:ietf:params:scim:schemas:core:2.0:User"
    home.fault(
        {"on": "any", "kind": "schema_drift", "value": [{"do": "retype", "path": f"{core}:title", "to": "boolean"}]}
    )
    with pytest.raises(TargetError, match="title"):
        ours.sync_user_attributes(known, {"title": "Lead"})
    assert home.history() == []
    assert ours.sync_user_attributes(known, {WORK_MAIL: "lead@example.com"})["id"] == known


def test_a_baseline_that_names_nothing_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match=r"groups\.nothing"):
        GenesysScimSyncer("id", "secret", "us-east-1", "", {"groups[].nothing": "string"})
    assert GenesysScimSyncer("id", "secret", "us-east-1", "", {"groups[].value": "string"})


def test_the_schema_is_compared_by_the_first_call_only(home: House) -> None:
    known = home.account(home.active(1)[0])["id"]
    ours = syncer(home)
    ours.sync_user_attributes(known, {"title": "One"})
    home.reset()
    ours.sync_user_attributes(known, {"title": "Two"})
    stats = home.stats()
    assert (stats["patch"], stats["requests"] - stats["token"]) == (1, 2)  # read, write


def test_a_webhook_is_told_and_signed_where_a_secret_is_given(home: House) -> None:
    known = home.account(home.active(1)[0])["id"]
    with heard() as (url, bodies):
        ours = GenesysScimSyncer(
            home.simulator.client_id,
            home.simulator.client_secret,
            webhook_url=url,
            webhook_secret="whsec_c2VjcmV0IG9mIHRoZSB3ZWJob29r",
            api_url=home.simulator.api_url,
            login_url=home.simulator.login_url,
        )
        ours.sync_user_attributes(known, {"title": "Lead"})
        ours.close()
    assert {signed for signed, _ in bodies} == {True}
    assert "urn:ietf:params:scim:event:prov:patch:notice" in {json.loads(body)["type"] for _, body in bodies}


def test_a_webhook_without_a_secret_is_told_unsigned_and_a_warning_says_so_once(home: House) -> None:
    known = home.account(home.active(1)[0])["id"]
    with heard() as (url, bodies):
        with pytest.warns(UnsignedWebhook, match="webhook_secret") as said:
            ours = GenesysScimSyncer(
                home.simulator.client_id,
                home.simulator.client_secret,
                webhook_url=url,
                api_url=home.simulator.api_url,
                login_url=home.simulator.login_url,
            )
        ours.sync_user_attributes(known, {"title": "Lead"})
        ours.sync_user_attributes(known, {"title": "Chief"})
        ours.close()
    assert [warning.filename for warning in said] == [__file__]
    assert [signed for signed, _ in bodies] == [False, False]


def test_a_webhook_that_is_down_is_none_of_the_call(home: House) -> None:
    known = home.account(home.active(1)[0])["id"]
    with heard() as (url, _):
        pass  # nobody listens there any more
    ours = GenesysScimSyncer(
        home.simulator.client_id,
        home.simulator.client_secret,
        webhook_url=url,
        webhook_secret="a secret",
        api_url=home.simulator.api_url,
        login_url=home.simulator.login_url,
    )
    assert ours.sync_user_attributes(known, {"title": "Lead"})["title"] == "Lead"
    with pytest.warns(UndeliveredEvents, match="are lost: 1"):
        ours.close()


def test_the_parts_alone_find_what_a_run_would() -> None:
    loops = scimsync.find_cycles({"A": ["B"], "B": ["A"], "top": ["left", "right"], "left": ["end"], "right": ["end"]})
    assert [set(loop) for loop in loops] == [{"A", "B"}]
    [finding] = scimsync.validate_operations([{"op": "replace", "path": "titel", "value": "x"}])
    assert "did you mean title" in finding.detail

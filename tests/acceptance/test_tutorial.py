"""What a public tutorial on syncing Genesys Cloud users over SCIM promises, kept: seventeen promises, in our words.

    1   one login serves all calls; it is renewed early, and once where it dies in the middle
    2   the schema is held against a baseline before anything is written
    3   the account is fetched, and only the account that was named
    4   a delta matrix: what differs, path by path, with both sides
    5   local wins
    6   cloud wins
    7   merge, lists of objects too
    8   paths are validated before anything is sent
    9   operations are counted and measured against limits
    10  circular dependencies are found
    11  one atomic PATCH, with schemas and the version it rests on
    12  a version race is planned again from the fresh state, a bounded number of times
    13  429 is waited out as Retry-After says, a bounded number of times
    14  HR is told by webhook, which never makes a success a failure
    15  latency and match rate are measured
    16  an audit trail with before and after
    17  all of it behind one class, `GenesysScimSyncer`

Each is tested where a script would break: no promise here is the plain case alone, which
tests/integration/test_library.py plays. The tutorial's own example runs there too (examples/tutorial.py).
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
import json
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from tests.hurry import hurry
from tests.runs import ENTERPRISE, GENESYS, House, house
from tests.servers import heard

import scimsync
from scimsync import (
    ConflictResolution,
    GenesysScimSyncer,
    Syncer,
    UndeliveredEvents,
    UnsignedWebhook,
    build_delta_matrix,
    check_schema_drift,
    find_cycles,
    patch_operations,
    validate_operations,
)
from scimsync.adapters.clock_system import SystemClock
from scimsync.adapters.store_sql import SqlStore
from scimsync.engine import ledger
from scimsync.errors import ConfigError, PlanRefused, SchemaDrifted, TargetDenied, TargetError
from scimsync.model.outcomes import Status
from scimsync.scim.generic import GENERIC

WORK_MAIL = 'emails[type eq "work"].value'
SKILLS = "genesys:routingSkills"
LOCAL, CLOUD, MERGE = ConflictResolution.LOCAL_WINS, ConflictResolution.CLOUD_WINS, ConflictResolution.MERGE


@pytest.fixture
def home(tmp_path: Any) -> Iterator[House]:
    with house(tmp_path) as found:
        yield found


def syncer(home: House, **more: Any) -> GenesysScimSyncer:
    simulator = home.simulator
    return GenesysScimSyncer(
        simulator.client_id, simulator.client_secret, api_url=simulator.api_url, login_url=simulator.login_url, **more
    )


def anybody(home: House) -> str:
    return str(home.account(home.active(1)[0])["id"])


def requests(home: House, method: str) -> list[dict[str, Any]]:
    return [each for each in home.call("history/requests") if each["method"] == method]


# 1. the token


def test_a_client_whose_tokens_live_five_minutes_logs_in_once_and_not_for_every_call(home: House) -> None:
    home.option(expires_in=300)
    known = anybody(home)
    with syncer(home) as ours:
        for title in ("One", "Two", "Three"):
            ours.sync_user_attributes(known, {"title": title})
    assert home.stats()["token"] == 1


def test_a_token_that_dies_between_reading_and_writing_is_renewed_once(home: House) -> None:
    known = anybody(home)
    with syncer(home) as ours:
        ours.sync_user_attributes(known, {"title": "One"})
        home.reset()
        home.fault({"on": "get", "kind": "revoke", "times": 1})
        assert ours.sync_user_attributes(known, {"title": "Two"})["title"] == "Two"
    assert (home.stats()["token"], len(home.history())) == (1, 2)


def test_a_token_that_dies_while_a_429_is_waited_out_is_not_sent_again(home: House) -> None:
    """The script built its headers once, before the loop: after the wait it sent the dead token, again and again."""
    known = anybody(home)
    with syncer(home) as ours:
        ours.sync_user_attributes(known, {"title": "One"})
        home.fault({"on": "patch", "status": 429, "headers": {"Retry-After": "2"}, "times": 1})
        dies = threading.Timer(0.5, home.call, ("tokens/revoke", {}))
        dies.start()
        assert ours.sync_user_attributes(known, {"title": "Two"})["title"] == "Two"
        dies.join()
    assert [each["status"] for each in requests(home, "PATCH")] == [200, 429, 401, 200]


def test_a_wrong_secret_is_asked_about_once_and_shown_nowhere(home: House) -> None:
    simulator = home.simulator
    with GenesysScimSyncer(
        simulator.client_id, "wrong-canary", api_url=simulator.api_url, login_url=simulator.login_url
    ) as ours:
        for _ in range(3):
            with pytest.raises(TargetDenied, match="client_secret") as raised:
                ours.sync_user_attributes("x", {"title": "One"})
            assert "wrong-canary" not in str(raised.value)
    assert home.stats()["token"] == 1


# 2. the baseline of the schema


def test_the_baseline_of_the_tutorial_has_not_drifted_though_schemas_are_trees(home: House) -> None:
    """Flat paths with filters and `groups[].value` never met a key of a published schema: no sync ever ran."""
    baseline = {"displayName": "string", WORK_MAIL: "string", "active": "boolean", "groups[].value": "string"}
    with syncer(home, baseline_schema=baseline) as ours:
        assert ours.sync_user_attributes(anybody(home), {WORK_MAIL: "a@example.com"})["id"]


def test_a_drift_that_nothing_writes_to_stops_nothing_and_one_that_is_written_to_stops_before_the_write(
    home: House,
) -> None:
    core = "urn:ietf:params:scim:schemas:core:2.0:User"
    home.call("drift", {"steps": [{"do": "read_only", "path": f"{core}:title"}]})
    known = anybody(home)
    with syncer(home, baseline_schema={"title": "string", "displayName": "string"}) as ours:
        ours.sync_user_attributes(known, {"displayName": "Ada Roe"})
        with pytest.raises(SchemaDrifted, match="title: mutability readWrite -> readOnly"):
            ours.sync_user_attributes(known, {"title": "Lead"})
        home.call("drift", {"steps": []})
        assert len(home.history()) == 1


def test_a_read_only_attribute_that_was_read_only_then_is_no_drift_and_a_list_that_became_one_value_is() -> None:
    def published(**phones: object) -> dict[str, object]:
        listed = [
            {"name": "id", "type": "string", "mutability": "readOnly"},
            {"name": "phoneNumbers", "type": "complex", "multiValued": True, **phones},
        ]
        return {"Resources": [{"id": "urn:ietf:params:scim:schemas:core:2.0:User", "attributes": listed}]}

    assert check_schema_drift(published(), published()) == ()
    [drift] = check_schema_drift(published(), published(multiValued=False))
    assert str(drift) == "phoneNumbers: multi-valued true -> false"


# 3. fetching


def test_only_what_a_call_is_about_is_asked_for(home: House) -> None:
    known = anybody(home)
    with syncer(home) as ours:
        ours.sync_user_attributes(known, {"title": "One"})
        home.reset()
        ours.sync_user_attributes(known, {"title": "One"})
    stats = home.stats()
    assert (stats["requests"], stats["get"], stats["list"]) == (1, 1, 0)


@pytest.mark.parametrize("evil", ["../Groups/x", "x?filter=y", "x#y", "..", "a/b", "%2e%2e", "x\r\nHost: evil"])
def test_an_id_cannot_lead_to_another_resource(home: House, evil: str) -> None:
    with syncer(home) as ours, pytest.raises(TargetError):
        ours.sync_user_attributes(evil, {"title": "Lead"})
    assert home.history() == []
    assert not home.stats()["group_get"]


def test_an_inactive_account_is_fetched_though_no_listing_shows_it(home: House) -> None:
    known = anybody(home)
    with syncer(home) as ours:
        ours.sync_user_attributes(known, {"active": False})
        assert ours.sync_user_attributes(known, {"title": "Gone"})["active"] is False


# 4. the delta matrix


def test_nested_attributes_are_compared_where_they_stand_so_that_a_second_look_finds_nothing() -> None:
    """A flat key (`emails[type eq "work"].value`) never met a nested value: everybody was rewritten each night."""
    account = {
        "title": "Lead",
        "emails": [{"type": "other", "value": "x@example.com"}, {"type": "work", "value": "Ada@Example.com"}],
        "phoneNumbers": [{"type": "work", "value": "tel:+1-317-555-0100"}],
        ENTERPRISE: {"department": "Field", "manager": {"value": "b1"}, "dateHire": "2026-01-02"},
        GENESYS: {"routingSkills": [{"name": "billing", "proficiency": 3}, {"name": "Returns", "proficiency": 1.0}]},
    }
    wanted = {
        "title": "Lead",
        WORK_MAIL: "ada@example.com",
        'phoneNumbers[type eq "work"].value': "+13175550100",
        "enterprise:department": "Field",
        "enterprise:manager": "b1",
        "enterprise:dateHire": "2026-01-02T00:00:00Z",
        SKILLS: [{"name": "Returns", "proficiency": 1}, {"name": "billing", "proficiency": 3.0}],
    }
    assert build_delta_matrix(wanted, account) == ()
    [delta] = build_delta_matrix({**wanted, "enterprise:department": None}, account)
    assert (delta.path, delta.sides.current, delta.sides.desired) == ("enterprise:department", "Field", None)


def test_nothing_to_do_is_no_request(home: House) -> None:
    who = home.active(1)[0]
    with syncer(home) as ours:
        for how in ConflictResolution:
            ours.sync_user_attributes(
                home.account(who)["id"], {"title": who.title, "displayName": home.account(who)["displayName"]}, how
            )
    assert home.writes() == 0


# 5 to 7. who wins


def test_each_resolution_decides_about_what_the_directory_moved_and_none_about_what_hr_alone_moved() -> None:
    base = {"title": "Clerk"}
    for how, expected in ((LOCAL, "write"), (CLOUD, "keep"), (MERGE, "keep")):
        [edited] = build_delta_matrix({"title": "Clerk"}, {"title": "Boss"}, base, resolution=how)
        assert edited.verdict.value == expected
        [moved] = build_delta_matrix({"title": "Lead"}, {"title": "Clerk"}, base, resolution=how)
        assert moved.verdict.value == "write"


def test_cloud_wins_is_about_each_attribute_alone(home: House) -> None:
    known = anybody(home)
    with syncer(home) as ours:
        ours.sync_user_attributes(known, {"title": "One", "enterprise:department": "A"})
        home.edit(known, "title", "By hand")
        account = ours.sync_user_attributes(known, {"title": "Two", "enterprise:department": "B"}, CLOUD)
    assert account["title"] == "By hand"
    assert account[ENTERPRISE]["department"] == "B"  # type: ignore[index]


def test_local_wins_over_an_edit_by_hand_and_takes_what_hr_cleared(home: House) -> None:
    known = anybody(home)
    with syncer(home) as ours:
        ours.sync_user_attributes(known, {"title": "One"})
        home.edit(known, "title", "By hand")
        assert ours.sync_user_attributes(known, {"title": "One"}, LOCAL)["title"] == "One"
        home.edit(known, "title", "By hand")
        assert "title" not in ours.sync_user_attributes(known, {"title": None}, LOCAL)


def test_lists_of_objects_merge_by_their_key_in_an_order_that_does_not_change() -> None:
    """`set()` of objects crashed, and of texts gave another order in each process."""
    skills = [{"name": name, "proficiency": level} for name, level in (("A", 1.0), ("B", 2.0), ("C", 3.0))]
    a, b, c = skills
    louder = {"name": "B", "proficiency": 5.0}
    written = {
        json.dumps(patch_operations(build_delta_matrix({SKILLS: [*ours]}, {GENESYS: {"routingSkills": [*theirs]}},
                   {SKILLS: [a]}, resolution=MERGE))[0].to_json(), sort_keys=True)
        for ours in itertools.permutations([a, louder]) for theirs in itertools.permutations([a, c])
    }  # fmt: skip
    assert len(written) == 1
    [delta] = build_delta_matrix({SKILLS: [louder]}, {GENESYS: {"routingSkills": [a, b, c]}}, {SKILLS: [a, b]}, resolution=MERGE)  # fmt: skip
    names = {dict(entry)["name"]: dict(entry)["proficiency"] for entry in delta.sides.desired or ()}  # type: ignore[union-attr, arg-type]
    assert names["B"] == 5.0


def test_merge_loses_nobodys_entry_that_another_put_there_between_two_calls(home: House) -> None:
    who = home.active(1)[0]
    known = home.account(who)["id"]
    with syncer(home) as ours:
        ours.sync_user_attributes(known, {SKILLS: [{"name": "Billing", "proficiency": 1.0}]}, LOCAL)
        home.edit(known, f"{GENESYS}:routingSkills", [{"name": "Warranty", "proficiency": 2.0}], op="add")
        ours.sync_user_attributes(known, {SKILLS: [{"name": "Refunds", "proficiency": 3.0}]}, MERGE)
    assert home.skills(who) == {"Warranty", "Refunds"}


# 8 and 9. paths and limits


@pytest.mark.parametrize(
    "path", [WORK_MAIL, 'emails[type eq "work"]', 'genesys:externalIds[authority eq "hr"]', "enterprise:manager.value"]
)
def test_a_path_that_scim_allows_is_none_to_refuse(path: str) -> None:
    assert validate_operations([{"op": "remove", "path": path}]) == ()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("groups[].value", "did you mean groups.value"),
        ("groups", "membership is changed on the group"),
        ("meta.version", "the directory keeps it"),
        ("userNam", "did you mean userName"),
        ("emails[type eq", "emails"),
        ('emails[type eq "other"].value', "mirrors the login"),
        ("", "PATCH"),
    ],
)
def test_a_path_that_cannot_be_written_is_told_before_anything_is_sent(path: str, words: str) -> None:
    [finding] = validate_operations([{"op": "replace", "path": path, "value": "x"}])
    assert words in finding.detail


def test_limits_are_those_of_the_provider_and_all_of_them_are_told_at_once() -> None:
    """50 operations and 255 characters stand in no source of Genesys: they hold where nothing is known."""
    many = [{"op": "replace", "path": "title", "value": "x" * 300}] * 51
    assert {f.code for f in validate_operations(many, dialect=GENERIC)} == {"operation.too-large", "record.too-long"}
    assert validate_operations(many) == ()
    huge = [{"op": "replace", "path": "title", "value": "x" * 600_000}]
    assert [f.code for f in validate_operations(huge)] == ["operation.too-large"]


# 10. circles


def test_a_diamond_is_no_circle_and_a_circle_is_found_at_any_depth() -> None:
    diamond = {"top": ["left", "right"], "left": ["end"], "right": ["end"]}
    assert find_cycles(diamond) == ()
    depth = 20_000
    chain = {n: [n + 1] for n in range(depth)}
    assert find_cycles(chain) == ()
    [loop] = find_cycles({**chain, depth: [0]})
    assert len(loop) == depth + 1
    assert find_cycles({"me": ["me"], **diamond}) == (("me",),)


# 11. one atomic PATCH


def test_everything_of_one_person_goes_out_in_one_patch_under_the_version_that_was_read(home: House) -> None:
    """The simulator refuses a body without `schemas`, as the RFC has it; tests/integration/test_simulator.py."""
    known = anybody(home)
    with syncer(home) as ours:
        before: Any = ours.sync_user_attributes(known, {"title": "One"})
        home.edit(known, "displayName", "By hand")  # the version moves, and nobody told us
        ours.sync_user_attributes(known, {"title": "Lead", "enterprise:department": "X", WORK_MAIL: "a@example.com"})
    first, second = (each["if_match"] for each in requests(home, "PATCH"))
    assert (first, second) == (f'"{int(before["meta"]["version"]) - 1}"', f'"{int(before["meta"]["version"]) + 1}"')
    assert [len(entry["operations"]) for entry in home.history()] == [1, 3]


def test_what_arrived_only_in_part_is_told_and_not_called_done(home: House) -> None:
    known = anybody(home)
    home.fault({"on": "patch", "kind": "partial_apply", "areas": ["skills"], "status": 200, "times": 0})
    with syncer(home) as ours:
        done = ours.synchronise(known, {"title": "Lead", SKILLS: [{"name": "Billing", "proficiency": 4.5}]})
    assert done.outcome is not None
    assert (done.outcome.status, done.outcome.code) == (Status.HELD, "write.mismatch")
    assert set(done.outcome.written) == {"title"}


# 12. races


@pytest.mark.parametrize("answer", ["400_invalid_vers", "409_scim", "409_general_conflict", "412"])
def test_a_race_is_met_by_planning_again_whatever_its_answer_and_overwrites_nobody(home: House, answer: str) -> None:
    who = home.active(1)[0]
    known = home.account(who)["id"]
    home.option(version_conflict=answer)
    with syncer(home) as ours:
        ours.sync_user_attributes(known, {"title": "One", "enterprise:department": "A"})
        home.fault({"on": "patch", "kind": "foreign_edit", "path": "title", "value": "Edited", "times": 1})
        done = ours.synchronise(known, {"title": "Two", "enterprise:department": "B"}, CLOUD)
    assert done.outcome is not None
    assert done.outcome.races == 1
    assert (home.account(who)["title"], home.account(who)[ENTERPRISE]["department"]) == ("Edited", "B")


def test_races_without_end_are_given_up_and_nothing_is_half_done(home: House) -> None:
    who = home.active(1)[0]
    home.option(no_op_moves_version=True)
    home.fault({"on": "patch", "kind": "foreign_edit", "path": "displayName", "value": "Edited", "times": 0})
    with syncer(home) as ours, pytest.raises(PlanRefused, match=r"write\.races"):
        ours.sync_user_attributes(home.account(who)["id"], {"title": "Lead"})
    assert home.account(who)["title"] == who.title
    assert 2 <= home.stats()["patch"] <= 5


def test_who_left_between_reading_and_writing_is_not_brought_back(home: House) -> None:
    who = home.active(1)[0]
    known = home.account(who)["id"]
    home.fault({"on": "patch", "kind": "foreign_edit", "path": "active", "value": False, "times": 1})
    with syncer(home) as ours:
        assert ours.sync_user_attributes(known, {"title": "Lead"})["active"] is False


# 13. throttling


def test_retry_after_is_waited_for_and_a_flood_of_429_ends(home: House) -> None:
    known = anybody(home)
    with hurry() as clock, syncer(home) as ours:
        ours.sync_user_attributes(known, {"title": "One"})
        home.fault({"on": "patch", "status": 429, "headers": {"Retry-After": "0"}, "times": 0})
        home.reset()
        with pytest.raises((PlanRefused, TargetError)):
            ours.sync_user_attributes(known, {"title": "Two"})
        assert home.stats()["patch"] <= 5
        assert 0 < clock.skipped < 60
        home.fault()
        assert ours.sync_user_attributes(known, {"title": "Two"})["title"] == "Two"


@pytest.mark.parametrize("after", ["1.5", "soon", "-1", "", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_a_retry_after_that_is_no_whole_number_ends_no_call(home: House, after: str) -> None:
    home.fault({"on": "patch", "status": 429, "headers": {"Retry-After": after}, "times": 1})
    with hurry(), syncer(home) as ours:
        assert ours.sync_user_attributes(anybody(home), {"title": "Two"})["title"] == "Two"


# 14. the webhook


@pytest.mark.parametrize("status", [500, 302, 410])
def test_a_receiver_that_refuses_makes_no_success_a_failure_and_is_told_once(home: House, status: int) -> None:
    state = home.folder / "library"
    with heard(status) as (url, bodies):
        ours = syncer(home, state=state, webhook_url=url, webhook_secret="a secret")
        done = ours.synchronise(anybody(home), {"title": "Lead"})
        assert done.outcome is not None
        assert done.outcome.status is Status.DONE
        ours.close()
    told = {(json.loads(body)["jti"], json.loads(body)["type"]) for _, body in bodies}
    assert {*Counter(kind for _, kind in told).values()} == {1}
    assert [told["status"] for told in audit(home) if told["kind"] == "outcome"] == ["done"]


def test_a_receiver_that_is_down_while_the_write_fails_hides_no_failure(home: House) -> None:
    home.fault({"on": "patch", "status": 403, "times": 0})
    with heard() as (url, _):
        pass  # nobody listens there any more
    ours = syncer(home, webhook_url=url, webhook_secret="a secret")
    with pytest.raises(PlanRefused, match=r"target\.refused"):
        ours.sync_user_attributes(anybody(home), {"title": "Lead"})
    with pytest.warns(UndeliveredEvents):
        ours.close()


def test_an_unsigned_event_holds_no_values_and_a_call_without_a_change_tells_nobody(home: House) -> None:
    who = home.active(1)[0]
    with heard() as (url, bodies):
        with pytest.warns(UnsignedWebhook):
            ours = syncer(home, webhook_url=url)
        ours.sync_user_attributes(home.account(who)["id"], {"title": who.title})
        ours.sync_user_attributes(home.account(who)["id"], {"title": "Canary title"})
        ours.close()
    [(signed, body)] = bodies
    assert not signed
    assert b"Canary title" not in body


# 15. measures


def test_the_match_rate_is_of_what_is_equal_and_latency_of_every_request(home: House) -> None:
    """Operations ÷ attributes was the rate of what does *not* match."""
    who = home.active(1)[0]
    with syncer(home) as ours:
        done = ours.synchronise(
            home.account(who)["id"], {"title": "Lead", "displayName": home.account(who)["displayName"]}
        )
        assert (done.plan.tally.equal, done.plan.tally.compared, done.plan.tally.match_rate) == (1, 2, 0.5)
        done = ours.synchronise(
            home.account(who)["id"], {"title": "Lead", "displayName": home.account(who)["displayName"]}
        )
        assert done.plan.tally.match_rate == 1.0
    Syncer(home.file).blocking.sync()
    said = home.command("metrics")
    assert "scimsync_match_ratio " in said.out
    assert 'scimsync_request_seconds_count{call="patch",outcome="ok"}' in said.out


# 16. the audit trail


def audit(home: House) -> list[dict[str, Any]]:
    """The chain of the library's state in clear."""
    state = home.folder / "library"
    with contextlib.closing(SqlStore(f"sqlite:///{state / 'state.db'}", state / "artifacts", SystemClock())) as store:
        return [
            {
                **ledger.document_of(entry),
                **json.loads((ledger.reveal(entry, store.key(entry.person)) if entry.person else None) or b"{}"),
            }
            for entry in store.entries()
        ]


def test_each_write_is_told_with_before_and_after_and_one_that_failed_as_failed(home: House) -> None:
    who = home.active(1)[0]
    known = home.account(who)["id"]
    with syncer(home, state=home.folder / "library") as ours:
        ours.sync_user_attributes(known, {"title": "Lead"})
        home.fault({"on": "patch", "status": 403, "times": 1})
        with pytest.raises(PlanRefused):
            ours.sync_user_attributes(known, {"title": "Chief"})
    told = audit(home)
    intents = [each for each in told if each["kind"] == "intent"]
    outcomes = [each for each in told if each["kind"] == "outcome"]
    assert [each["values"]["title"] for each in intents] == [
        {"before": who.title, "after": "Lead"},
        {"before": "Lead", "after": "Chief"},
    ]
    assert [each["status"] for each in outcomes] == ["done", "failed"]
    assert all(each["correlation_id"] for each in outcomes)
    database = (home.folder / "library" / "state.db").read_bytes()
    assert not [mark for mark in (home.simulator.client_secret.encode(), b"Bearer") if mark in database]


# 17. one class


def test_the_call_of_the_tutorial_fits_the_class_by_place_and_by_name() -> None:
    made = inspect.signature(GenesysScimSyncer)
    assert [*made.parameters][:5] == ["client_id", "client_secret", "org_domain", "webhook_url", "baseline_schema"]
    called = inspect.signature(GenesysScimSyncer.sync_user_attributes)
    assert [*called.parameters] == ["self", "user_id", "local_hr_data", "resolution"]
    assert called.parameters["resolution"].default is LOCAL
    assert [word.value for word in scimsync.ConflictResolution] == ["local_wins", "cloud_wins", "merge"]


def test_a_hostile_organisation_is_never_sent_the_secret() -> None:
    """`https://{org_domain}.mypurecloud.com` went wherever the text led; more in tests/unit/test_addresses.py."""
    for organisation in ("evil.example/", "evil.example#", "user@evil.example", "evil.example?x="):
        with pytest.raises(ConfigError, match="does not exist"):
            GenesysScimSyncer("id", "secret", organisation)

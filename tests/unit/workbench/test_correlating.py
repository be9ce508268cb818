"""Which account belongs to which record: by links, by marks, and never by one mark against another."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.factories import mapped, place
from tests.meeting import Meeting
from tests.soak import examples

from scimsync.model.policy import Rekey
from scimsync.workbench import staying

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
MAPPING = [
    mapped("userName", "lower(login)"),
    mapped("displayName", "name"),
    mapped("active", "CASE state WHEN 'in' THEN true WHEN 'out' THEN false END"),
    mapped("externalId", "id"),
    mapped("enterprise:employeeNumber", "number"),
    mapped('phoneNumbers[type eq "work"].value', "phone"),
]
MATCH = ("externalId", "enterprise:employeeNumber", "userName")
Records = list[dict[str, Any]]


def record(key: str, who: str, *, active: bool | None = True, **more: Any) -> dict[str, Any]:
    state = {True: "in", False: "out", None: ""}[active]
    return {"id": key, "login": f"{who}@x", "name": who, "state": state, "number": key, "phone": None, **more}


def account(id_: str, name: str, number: str | None = None, **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"id": id_, "userName": f"{name}@x", "displayName": name, "active": True}
    if number is not None:
        body |= {"externalId": number, ENTERPRISE: {"employeeNumber": number}}
    return body | {"meta": {"version": "7"}} | more


@pytest.fixture
def meet(tmp_path: Path) -> Iterator[Callable[..., Meeting]]:
    made: list[Meeting] = []

    def start(*args: Any, **more: Any) -> Meeting:
        made.append(Meeting(tmp_path, *args, **{"mapping": MAPPING, "match": MATCH, **more}))
        return made[-1]

    yield start
    for meeting in made:
        meeting.bench.close()


def details(found: Meeting) -> dict[str, tuple[str, str]]:
    return {finding.subject: (finding.code, finding.detail) for finding in found.findings}


# --- one hit, and what stands before it -----------------------------------------------------------


def test_a_login_is_no_ground_to_take_the_account_that_carries_another_number(meet: Any) -> None:
    found = meet([record("2050", "jo")], [account("a", "jo", "2001")])
    assert (found.pairing, found.joiners) == ({}, [])
    assert details(found) == {"2050": ("correlation.taken", "on userName; the account carries externalId 2001")}
    assert 'scimsync link 2050 a --reason "..."' in found.findings[0].hint


def test_an_account_without_numbers_is_found_by_its_login(meet: Any) -> None:
    assert meet([record("1", "jo")], [account("a", "jo")]).pairing == {"1": "a"}


def test_of_two_accounts_only_the_one_that_is_nobody_elses_counts(meet: Any) -> None:
    found = meet([record("1", "jo", number="7")], [account("a", "x", None, **{ENTERPRISE: {"employeeNumber": "7"}}),
                 account("b", "y", None, externalId="9", **{ENTERPRISE: {"employeeNumber": "7"}})])  # fmt: skip
    assert found.pairing == {"1": "a"}


def test_an_account_that_carries_the_keys_of_two_people_is_nobodys(meet: Any) -> None:
    both = account("a", "ada", None, externalId="1", **{ENTERPRISE: {"employeeNumber": "2"}})
    found = meet([record("1", "ada"), record("2", "bo")], [both])
    assert (found.pairing, found.joiners) == ({}, [])
    assert details(found) == {
        "1": ("correlation.contested", "on externalId; the account carries the key 2"),
        "2": ("correlation.taken", "on enterprise:employeeNumber; the account carries externalId 1"),
    }


def test_an_inactive_record_that_finds_the_open_account_of_nobody_is_told(meet: Any) -> None:
    found = meet([record("2050", "jo", active=False)], [account("a", "jo", "2001")])
    assert [code for code, _ in details(found).values()] == ["correlation.taken"]
    assert meet([record("2050", "jo", active=False)], [account("a", "jo", "2001", active=False)]).findings == []


def test_namesakes_with_logins_of_their_own_are_two_people(meet: Any) -> None:
    rows = [record("1", "jo", name="Jo Ek"), record("2", "jo2", name="Jo Ek")]
    found = meet(rows, [account("a", "jo", "1", displayName="Jo Ek")], links=[("1", "a")])
    assert (found.pairing, found.joiners, found.findings) == ({"1": "a"}, ["2"], [])


# --- leavers -----------------------------------------------------------------------------------------


def test_whoever_gets_the_login_of_a_leaver_does_not_keep_the_leaver_in(meet: Any) -> None:
    found = meet([record("1009", "j.smith", name="John")], [account("a", "j.smith", "1001")], links=[("1001", "a")])
    assert (found.pairing, found.joiners, found.leavers) == ({}, [], ["1001"])
    assert details(found) == {"1009": ("correlation.taken", "on userName; the account of 1001")}
    assert "scimsync link 1009 a --from 1001" in found.findings[0].hint


@pytest.mark.parametrize("bad", [{"active": None}, {}])
def test_a_record_with_another_key_that_is_the_same_person_holds_the_disable(meet: Any, bad: dict[str, Any]) -> None:
    found = meet([record("N", "jo", **bad)], [account("a", "jo", "O")], links=[("O", "a")])
    assert (found.pairing, found.joiners, found.leavers) == ({}, [], [])
    assert details(found)["O"] == ("correlation.contested", "also N, by login, name")


def test_a_bad_record_with_the_login_of_a_leaver_does_not_keep_the_leaver_in(meet: Any) -> None:
    found = meet([record("N", "jo", name="Al", active=None)], [account("a", "jo", "O")], links=[("O", "a")])
    assert found.leavers == ["O"]


def test_a_mark_that_only_repeats_the_login_is_none(meet: Any) -> None:
    found = meet([record("N", "jo", name="jo@x")], [account("a", "jo", "O", displayName="jo@x")], links=[("O", "a")])
    assert found.leavers == ["O"]


def test_an_inactive_record_waits_while_an_active_one_is_the_same_person(meet: Any) -> None:
    rows = [record("C-701", "ina", active=False), record("799", "ina")]
    found = meet(rows, [account("a", "ina", "C-701")], links=[("C-701", "a")])
    assert (found.pairing, list(found.pairs), found.joiners, found.leavers) == ({}, [], [], [])
    assert details(found) == {
        "799": ("correlation.contested", "also C-701, by login, name"),
        "C-701": ("correlation.contested", "also 799, by login, name"),
    }
    assert all("scimsync link 799 a --from C-701" in finding.hint for finding in found.findings)


def test_an_inactive_record_is_carried_out_where_an_active_one_has_the_login_alone(meet: Any) -> None:
    rows = [record("C-701", "ina", active=False), record("799", "ina", name="Ira")]
    found = meet(rows, [account("a", "ina", "C-701")], links=[("C-701", "a")])
    assert (found.pairing, list(found.pairs), found.joiners) == ({"C-701": "a"}, ["C-701"], [])
    assert details(found) == {"799": ("correlation.taken", "on userName; the account of C-701")}


def test_nobody_is_disabled_for_a_renumbering_where_the_directory_was_not_read_whole(meet: Any) -> None:
    found = meet([record("N", "jo")], [account("a", "jo", "O")], links=[("O", "a")], complete=False)
    assert (found.pairing, found.leavers) == ({}, [])


# --- keys that move -----------------------------------------------------------------------------------


def rekeyed(meet: Any, **more: Any) -> Meeting:
    rows = [record("N", "jo", phone="+13175550100", **more)]
    held = account("a", "jo", "O", phoneNumbers=[{"type": "work", "value": "+13175550100"}])
    meeting: Meeting = meet(rows, [held], links=[("O", "a")], rekey=Rekey.FOLLOW)
    return meeting


def test_an_account_follows_its_person_where_three_marks_agree(meet: Any) -> None:
    found = rekeyed(meet)
    assert (found.pairing, found.leavers, found.correlation.moved()) == ({"N": "a"}, [], {"N": "O"})
    assert details(found) == {"N": ("correlation.rekeyed", "from O, by login, name, phone")}
    assert not any(finding.holds for finding in found.findings)


def test_an_account_does_not_follow_by_two_marks(meet: Any) -> None:
    found = rekeyed(meet, name="Other")
    assert (found.pairing, found.leavers, found.correlation.moved()) == ({}, [], {})
    assert details(found)["N"][0] == "correlation.contested"


def test_an_account_that_carries_a_third_persons_number_follows_nobody(meet: Any) -> None:
    held = account("a", "jo", "X", phoneNumbers=[{"type": "work", "value": "+1"}])
    found = meet([record("N", "jo", phone="+1")], [held], links=[("O", "a")], rekey=Rekey.FOLLOW)
    assert (found.pairing, found.correlation.moved()) == ({}, {})


def test_twins_who_both_claim_an_account_do_not_get_it(meet: Any) -> None:
    held = account("a", "jo", "O", phoneNumbers=[{"type": "work", "value": "+1"}])
    rows = [record("N", "jo", phone="+1"), record("M", "jo", phone="+1")]
    found = meet(rows, [held], links=[("O", "a")], rekey=Rekey.FOLLOW)
    assert (found.pairing, found.joiners, found.leavers) == ({}, [], [])
    assert {code for code, _ in details(found).values()} == {"correlation.contested"}


def test_an_account_follows_from_a_closed_record_to_an_open_one(meet: Any) -> None:
    rows = [record("C", "jo", active=False), record("N", "jo", phone="+1")]
    held = account("a", "jo", "C", phoneNumbers=[{"type": "work", "value": "+1"}])
    found = meet(rows, [held], links=[("C", "a")], rekey=Rekey.FOLLOW)
    assert (found.pairing, found.correlation.moved()) == ({"N": "a"}, {"N": "C"})


def test_what_was_agreed_goes_with_the_account_to_its_new_key(meet: Any) -> None:
    first = meet([record("O", "jo", phone="+1")], [account("a", "jo", "O")], links=[("O", "a")])
    base = first.based(("O", 'phoneNumbers[type eq "work"].value', "+1"))
    found = meet([record("N", "jo", phone="+1")], [account("a", "jo", "O")], links=[("N", "a")], base=base)
    assert found.pairs["N"].base["externalId"] == "O"


def test_what_was_agreed_about_one_account_says_nothing_about_another(meet: Any) -> None:
    base = meet([record("1", "jo")], [account("a", "jo", "1")], links=[("1", "a")]).based()
    found = meet([record("1", "jo")], [account("b", "other", "9")], links=[("1", "b")], base=base)
    assert found.pairs["1"].base == {}


def test_exchanged_keys_leave_both_people_as_they_are(meet: Any) -> None:
    rows = [record("6001", "bo"), record("6002", "rosa")]
    accounts = [account("r", "rosa", "6001"), account("b", "bo", "6002")]
    found = meet(rows, accounts, links=[("6001", "r"), ("6002", "b")])
    assert (found.pairing, found.joiners, found.leavers) == ({}, [], [])
    assert details(found)["6001"] == ("correlation.taken", "on login, name; the account of 6002")
    assert found.correlation.renumbered() == (2, 2), "so that a plan is refused where they are many"


def test_people_who_exchange_logins_alone_stay_who_they_are(meet: Any) -> None:
    rows = [record("1", "bo", name="Rosa"), record("2", "rosa", name="Bo")]
    accounts = [account("r", "rosa", "1", displayName="Rosa"), account("b", "bo", "2", displayName="Bo")]
    assert meet(rows, accounts, links=[("1", "r"), ("2", "b")]).pairing == {"1": "r", "2": "b"}


def test_namesakes_who_exchange_logins_stay_who_they_are(meet: Any) -> None:
    rows = [record("1", "j2", name="Jo"), record("2", "j1", name="Jo")]
    accounts = [account("r", "j1", "1", displayName="Jo"), account("b", "j2", "2", displayName="Jo")]
    assert meet(rows, accounts, links=[("1", "r"), ("2", "b")]).pairing == {"1": "r", "2": "b"}


def test_a_link_counts_more_than_what_the_account_carries(meet: Any) -> None:
    assert meet([record("2050", "jo")], [account("a", "jo", "2001")], links=[("2050", "a")]).pairing == {"2050": "a"}


def test_who_was_parted_is_never_found_for_each_other_again(meet: Any) -> None:
    found = meet([record("1", "jo")], [account("a", "jo", "1")], parted=[("1", "a")])
    assert (found.pairing, found.joiners) == ({}, [])
    assert details(found) == {"1": ("correlation.taken", "on externalId")}


# --- laws ------------------------------------------------------------------------------------------------

KEYS, NAMES = ["1", "2", "3", "4"], ["ann", "bo", "cy"]
drawn_records = st.lists(
    st.builds(
        record,
        st.sampled_from(KEYS),
        st.sampled_from(NAMES),
        login=st.sampled_from(["ann@x", "bo@x", "cy@x"]),
        active=st.sampled_from([True, True, False, None]),
        number=st.sampled_from([*KEYS, None]),
        phone=st.sampled_from(["+1", "+2", None]),
    ),
    max_size=4,
    unique_by=lambda row: row["id"],
)
drawn_accounts = st.lists(
    st.builds(
        account,
        st.sampled_from(["a", "b", "c", "d"]),
        st.sampled_from(NAMES),
        st.sampled_from([*KEYS, None]),
        userName=st.sampled_from(["ann@x", "bo@x", "cy@x"]),
        active=st.booleans(),
        phoneNumbers=st.sampled_from([[], [{"type": "work", "value": "+1"}]]),
    ),
    max_size=4,
    unique_by=lambda body: body["id"],
)
drawn_links = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(["a", "b", "c", "d"]), max_size=4).map(
    lambda links: {key: held for held, key in {held: key for key, held in links.items()}.items()}
)


def carried(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "externalId": body.get("externalId"),
        "enterprise:employeeNumber": body.get(ENTERPRISE, {}).get("employeeNumber"),
        "userName": body["userName"],
    }


def wanted(row: dict[str, Any]) -> dict[str, Any]:
    return {"externalId": row["id"], "enterprise:employeeNumber": row["number"], "userName": row["login"]}


def agreeing(row: dict[str, Any], body: dict[str, Any]) -> int:
    phones = [phone["value"] for phone in body["phoneNumbers"]]
    ours, theirs = wanted(row), carried(body)
    numbers = [ours[path] == theirs[path] for path in MATCH[:2] if theirs[path] is not None]
    return sum([row["login"] == body["userName"], row["name"] == body["displayName"], row["phone"] in phones, *numbers])


@pytest.mark.parametrize("twice", [False, True])
def test_a_record_that_waits_is_a_claimant_like_any_other(meet: Any, twice: bool) -> None:
    waiting = (
        [record("2001", "anna", active=None)]
        if not twice
        else [record("2001", "anna"), record("2001", "anna", name="Anne")]
    )
    found = meet([*waiting, record("2050", "bert", login="anna@x")], [account("a", "anna")])
    assert found.pairing == {}
    assert details(found)["2050"] == (
        "correlation.contested", "on userName; the record of 2001 fits it too, and waits"
    )  # fmt: skip


def test_a_record_that_waits_and_has_an_account_claims_no_other(meet: Any) -> None:
    records = [record("2001", "anna", active=None), record("2050", "bert", login="anna@x")]
    found = meet(records, [account("a", "anna"), account("b", "ann", "2001")], links=[("2001", "b")])
    assert found.pairing == {"2050": "a"}


# --- who left, and may still be there -------------------------------------------------------------


def still_active(found: Meeting) -> dict[str, str]:
    stays = staying.by_status(found.bench, found.attributes, [place(path) for path in MATCH])
    return {one.key: one.account for one in stays}


def test_a_leaver_whose_account_does_not_show_whether_it_is_active_may_be_there(meet: Any) -> None:
    hidden = {name: value for name, value in account("a", "anna", "1001").items() if name != "active"}
    gone = [record("1001", "anna", active=False)] * 2
    assert still_active(meet(gone, [hidden], links=[("1001", "a")])) == {"1001": "a"}


@pytest.mark.parametrize(
    ("owner", "more", "stays"),
    [
        ({}, {}, {"1001": "a"}),
        ({}, {"parted": [("1001", "a")]}, {}),
        ({"number": "7007"}, {}, {}),
    ],
)
def test_a_leaver_stays_in_no_account_that_is_somebody_elses(
    meet: Any, owner: dict[str, str], more: dict[str, Any], stays: dict[str, str]
) -> None:
    gone = [record("1001", "anna", active=False)] * 2
    assert still_active(meet(gone, [account("a", "anna", **owner)], **more)) == stays


@settings(max_examples=examples(40, 15), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(drawn_records, drawn_accounts, drawn_links, st.sampled_from(Rekey))
def test_no_world_gives_anybody_the_account_of_another(
    rows: Records, accounts: Records, links: dict[str, str], rekey: Rekey
) -> None:
    if not rows:
        return
    with tempfile.TemporaryDirectory() as folder:
        found = Meeting(Path(folder), rows, accounts, links=list(links.items()), mapping=MAPPING, match=MATCH,
                        rekey=rekey)  # fmt: skip
        records, bodies = {row["id"]: row for row in rows}, {body["id"]: body for body in accounts}
        owners = {held: key for key, held in links.items()}
        told = {finding.subject for finding in found.findings if finding.holds}
        leavers, pairing, moved = set(found.leavers), found.pairing, found.correlation.moved()
        found.bench.close()

    assert len(set(pairing.values())) == len(pairing), "an account has one owner"
    for key, held in pairing.items():
        if links.get(key) == held:
            continue
        row, body = records[key], bodies[held]
        if held in owners or key in moved:  # from its link, or from an inactive record that it was just found for
            assert rekey is Rekey.FOLLOW, "no link moves in silence"
            assert moved[key] == owners.get(held, moved[key])
            assert agreeing(row, body) >= 3
            continue
        ours, theirs = wanted(row), carried(body)
        path = next(path for path in MATCH if ours[path] is not None and ours[path] == theirs[path])
        for before in MATCH[: MATCH.index(path)]:
            assert theirs[before] in {None, ours[before]}, "no pairing against a mark that counts more"
    for key, held in links.items():
        if key in records or held not in bodies or not bodies[held]["active"] or held in pairing.values():
            continue
        protected = any(
            row["state"] != "out" and agreeing(row, bodies[held]) >= 2 and pairing.get(row["id"]) is None
            for row in rows
        )
        assert key in leavers or (protected and key in told), "who is gone leaves, or waits and is told"

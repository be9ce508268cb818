"""The Platform API of the simulator: people in every state, rights, limits, licences (genesys-scim.md §13, §16)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest

from scimsync.scim.messages import PATCH_OP
from scimsync.scim.schema import ENTERPRISE_USER
from scimsync.simulator.people import account_id
from scimsync.simulator.server import Running, Settings, running

SCIM = "/api/v2/scim/v2"
ADA = account_id(7, 5)


class Client:
    def __init__(self, sim: Running) -> None:
        self.http = httpx2.Client(trust_env=False, base_url=sim.api_url, timeout=10)
        login = (sim.client_id, sim.client_secret)
        token = self.http.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=login)
        self.http.headers["Authorization"] = f"Bearer {token.json()['access_token']}"

    def get(self, path: str, **params: Any) -> httpx2.Response:
        return self.http.get(f"/api/v2{path}", params=params)

    def patch(self, id_: str = ADA, **body: Any) -> httpx2.Response:
        return self.http.patch(f"/api/v2/users/{id_}", json=body)

    def delete(self, id_: str = ADA) -> None:
        assert self.http.delete(f"{SCIM}/Users/{id_}").status_code == 204

    def scim(self, id_: str = ADA) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get(f"{SCIM}/Users/{id_}").json()
        return found

    def options(self, **changes: Any) -> None:
        answer = self.http.post("/_simulator/options", json=changes)
        assert answer.status_code == 200, answer.text


@pytest.fixture
def client() -> Iterator[Client]:
    with running(Settings(users=60, seed=7, options={"rate_limit": 0})) as sim:
        found = Client(sim)
        with closing(found.http):
            yield found


def code(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


# -- people ----------------------------------------------------------------------------------------


def test_people_are_listed_in_every_state(client: Client) -> None:
    first = client.get("/users").json()
    assert (first["pageSize"], first["pageNumber"], len(first["entities"])) == (25, 1, 25)
    assert {person["state"] for person in first["entities"]} == {"active"}
    client.delete()
    totals = {state: client.get("/users", state=state).json()["total"] for state in ("active", "inactive", "any")}
    assert totals["any"] == 60 == totals["active"] + totals["inactive"] + 1
    gone = client.get("/users", state="deleted", pageSize=100).json()
    assert (gone["total"], gone["pageCount"]) == (1, 1)
    assert (gone["entities"][0]["id"], gone["entities"][0]["state"]) == (ADA, "deleted")
    assert client.get("/users", state="any", pageSize=50, pageNumber=2).json()["entities"][-1]["version"] == 1
    assert client.get("/users", state="gone").status_code == 400
    assert client.get("/users", pageSize=501).status_code == 400


def test_a_person_is_the_one_that_scim_shows(client: Client) -> None:
    over_scim = client.scim()
    shown = client.get(f"/users/{ADA}", expand="employerInfo,skills,authorization,groups").json()
    assert shown["email"] == shown["username"] == over_scim["userName"]
    assert (shown["name"], shown["title"]) == (over_scim["displayName"], over_scim["title"])
    assert shown["version"] == int(over_scim["meta"]["version"])
    assert shown["employerInfo"]["employeeId"] == over_scim[ENTERPRISE_USER]["employeeNumber"]
    assert shown["division"]["name"] == over_scim[ENTERPRISE_USER]["division"]
    assert shown["manager"]["id"] == over_scim[ENTERPRISE_USER]["manager"]["value"]
    assert [role["name"] for role in shown["authorization"]["roles"]] == [r["value"] for r in over_scim["roles"]]
    assert [group["id"] for group in shown["groups"]] == [group["value"] for group in over_scim["groups"]]
    assert "skills" not in client.get(f"/users/{ADA}").json()


def test_people_are_found_by_a_list_of_ids(client: Client) -> None:
    found = client.get("/users", id=[ADA, account_id(7, 6), account_id(9, 6)]).json()
    assert [person["id"] for person in found["entities"]] == [ADA, account_id(7, 6)]


def test_one_person_is_read_by_id_in_the_state_that_is_asked_for(client: Client) -> None:
    assert client.get(f"/users/{ADA}").json()["state"] == "active"
    assert code(client.get(f"/users/{ADA}", state="inactive")) == (404, "not.found")
    client.delete()
    assert code(client.get(f"/users/{ADA}")) == (404, "not.found")
    assert client.get(f"/users/{ADA}", state="any").json()["state"] == "deleted"
    assert client.get(f"/users/{ADA}", state="deleted").json()["id"] == ADA
    assert code(client.get(f"/users/{account_id(9, 6)}", state="any")) == (404, "not.found")


def test_a_deleted_person_comes_back_by_id_without_roles(client: Client) -> None:
    before = client.scim()
    client.delete()
    version = client.get(f"/users/{ADA}", state="deleted").json()["version"]
    back = client.patch(state="active", version=version).json()
    assert (back["id"], back["state"], back["division"]["name"]) == (ADA, "active", "Home")
    after = client.scim()
    assert (after["title"], after["active"]) == (before["title"], True)
    assert "roles" not in after
    assert "groups" not in after
    assert client.get("/users", state="deleted").json()["total"] == 0


def test_a_person_whose_address_somebody_else_has_by_now_does_not_come_back(client: Client) -> None:
    login = client.scim()["userName"]
    client.options(post_on_deleted="new_id")
    client.delete()
    again = client.http.post(f"{SCIM}/Users", json={"userName": login, "displayName": "New One"})
    assert again.json()["id"] != ADA
    version = client.get(f"/users/{ADA}", state="deleted").json()["version"]
    assert code(client.patch(state="active", version=version)) == (409, "general.conflict")


def test_a_state_is_changed_alone_and_under_its_version(client: Client) -> None:
    assert code(client.patch(state="inactive", version=1, title="Chief")) == (400, "bad.request")
    assert code(client.patch(state="inactive", version=7)) == (409, "general.conflict")
    assert code(client.patch(state="inactive")) == (400, "bad.request")
    assert code(client.patch(state="asleep", version=1)) == (400, "bad.request")
    assert client.patch(state="inactive", version=1).json()["state"] == "inactive"
    assert client.scim()["active"] is False
    assert client.patch(state="deleted", version=2).json()["state"] == "deleted"
    assert code(client.patch(title="Chief", version=3)) == (404, "not.found")


def test_what_is_changed_here_shows_over_scim(client: Client) -> None:
    boss = account_id(7, 9)
    changed = client.patch(version=1, title="Chief", department="Sales", manager=boss)
    assert (changed.json()["title"], changed.json()["version"]) == ("Chief", 2)
    assert client.scim()[ENTERPRISE_USER]["manager"]["value"] == boss
    assert code(client.patch(version=2, manager=account_id(9, 6))) == (400, "bad.request")


def test_a_deleted_person_shows_late_where_searches_lag(client: Client) -> None:
    client.options(search_lag_ms=60_000)
    client.delete()
    assert client.get("/users", state="deleted").json()["total"] == 0
    assert client.get(f"/users/{ADA}", state="any").json()["state"] == "deleted"


def test_inactive_people_beyond_the_wall_are_not_listed(client: Client) -> None:
    for number in range(20, 26):
        assert client.patch(account_id(7, number), state="inactive", version=1).status_code == 200
    total = client.get("/users", state="inactive").json()["total"]
    client.options(inactive_wall=4)
    assert code(client.get("/users", state="inactive")) == (400, "bad.request")
    assert client.get("/users", state="inactive", pageSize=2, pageNumber=2).json()["total"] == total
    assert code(client.get("/users", state="inactive", pageSize=2, pageNumber=3)) == (400, "bad.request")
    scim = {"filter": "active eq false"}
    assert client.get("/scim/v2/Users", count=4, **scim).json()["itemsPerPage"] == 4
    assert client.get("/scim/v2/Users", count=0, **scim).json()["totalResults"] == total
    assert code(client.get("/scim/v2/Users", startIndex=5, count=1, **scim)) == (400, "bad.request")
    assert client.get("/scim/v2/Users").json()["itemsPerPage"] == 25
    client.options(inactive_wall=0)
    assert len(client.get("/users", state="inactive").json()["entities"]) == total


# -- custom attributes -------------------------------------------------------------------------------


def test_custom_attributes_are_a_record_for_each_person_and_schema(client: Client) -> None:
    listed = client.get("/users/customattributes/schemas").json()
    schema = listed["entities"][0]
    assert (listed["total"], schema["name"]) == (1, "Employment")
    assert client.get(f"/users/customattributes/schemas/{schema['id']}").json() == schema
    path = f"/users/{ADA}/customattributes"
    assert code(client.get(f"{path}/{schema['id']}")) == (404, "not.found")
    body = {"schemaId": schema["id"], "schemaVersion": 1, "attributes": {"costCenter": "C-7", "badge": 12}}
    made = client.http.put(f"/api/v2{path}", json=body).json()
    assert (made["userId"], made["attributes"]) == (ADA, {"costCenter": "C-7", "badge": 12})
    amend = {"schemaId": schema["id"], "attributes": {"remote": True, "badge": None}}
    assert client.http.patch(f"/api/v2{path}", json=amend).json()["attributes"] == {"costCenter": "C-7", "remote": True}
    replaced = client.http.put(f"/api/v2{path}", json={**body, "attributes": {"badge": 1}}).json()
    assert replaced["attributes"] == client.get(f"{path}/{schema['id']}").json()["attributes"] == {"badge": 1}
    assert client.get(f"{path}/bulk", schemaIds=[schema["id"]]).json() == [replaced]
    assert client.http.delete(f"/api/v2{path}/{schema['id']}").status_code == 204
    assert client.get(f"{path}/bulk", schemaIds=[schema["id"]]).json() == []
    client.delete()
    assert code(client.http.put(f"/api/v2{path}", json=body)) == (404, "not.found")


def test_custom_attributes_fit_their_schema_and_move_no_version(client: Client) -> None:
    answer = client.http.post("/_simulator/custom", json={"name": "Employment", "attributes": {"level": "integer"}})
    schema = answer.json()["schemas"][0]
    assert schema["version"] == 2
    path = f"/api/v2/users/{ADA}/customattributes"
    for wrong in ({"level": "high"}, {"level": True}, {"costCenter": "C-7"}, "level"):
        assert code(client.http.put(path, json={"schemaId": schema["id"], "attributes": wrong})) == (400, "bad.request")
    stale = {"schemaId": schema["id"], "schemaVersion": 1, "attributes": {"level": 3}}
    assert code(client.http.put(path, json=stale)) == (400, "bad.request")
    assert code(client.http.put(path, json={**stale, "schemaId": ADA})) == (404, "not.found")
    assert client.http.put(path, json={**stale, "schemaVersion": 2}).status_code == 200
    assert client.get(f"/users/{ADA}").json()["version"] == 1
    client.options(permissions="directory:user:view")
    assert client.get(f"/users/{ADA}/customattributes/{schema['id']}").status_code == 200
    assert code(client.http.put(path, json={**stale, "schemaVersion": 2})) == (403, "missing.any.permissions")
    assert client.http.post("/_simulator/custom", json={"name": "Odd", "attributes": {"a": "b"}}).status_code == 400


def test_custom_attributes_are_in_a_snapshot(tmp_path: Path) -> None:
    with running(Settings(users=20, seed=7, snapshots=tmp_path, options={"rate_limit": 0})) as sim:
        client = Client(sim)
        with closing(client.http):
            schema = client.get("/users/customattributes/schemas").json()["entities"][0]["id"]
            path = f"/api/v2/users/{ADA}/customattributes"
            held = client.http.put(path, json={"schemaId": schema, "attributes": {"badge": 7}}).json()
            assert client.http.post("/_simulator/snapshot", json={"name": "monday"}).status_code == 200
            client.http.delete(f"{path}/{schema}")
            assert client.http.post("/_simulator/restore", json={"name": "monday"}).status_code == 200
            assert client.http.get(f"{path}/{schema}").json() == held


# -- rights ----------------------------------------------------------------------------------------


def test_people_need_permissions_that_scim_does_not_ask_for(client: Client) -> None:
    client.options(permissions="No View")
    assert code(client.get("/users")) == (403, "missing.any.permissions")
    assert code(client.get(f"/users/{ADA}")) == (403, "missing.any.permissions")
    assert client.http.get(f"{SCIM}/Users/{ADA}").status_code == 200
    client.options(permissions="directory:user:view")
    assert client.get("/users").status_code == 200
    assert code(client.patch(state="inactive", version=1)) == (403, "missing.any.permissions")
    client.options(permissions="directory:user:edit")
    assert client.patch(state="inactive", version=1).status_code == 200
    assert code(client.patch(state="deleted", version=2)) == (403, "missing.any.permissions")


def test_a_client_may_always_ask_what_it_may_do(client: Client) -> None:
    client.options(permissions="directory:user:add, directory:user:edit,routing:skill:assign")
    told = client.get("/authorization/subjects/me", includeFullRoles="true").json()
    role = told["grants"][0]["role"]
    assert role["policies"] == [
        {"domain": "directory", "entityName": "user", "actions": ["add", "edit"]},
        {"domain": "routing", "entityName": "skill", "actions": ["assign"]},
    ]
    assert {grant["division"]["name"] for grant in told["grants"]} == {"Home", "North", "Remote", "South", "West"}
    client.options(permissions="Read Only")
    plain = client.get("/authorization/subjects/me").json()["grants"][0]["role"]
    assert plain["name"] == "Read Only"
    assert "policies" not in plain


def test_people_of_other_divisions_are_not_there(client: Client) -> None:
    mine = client.scim()[ENTERPRISE_USER]["division"]
    client.options(divisions=mine)
    listed = client.get("/authorization/divisions").json()["entities"]
    assert [division["name"] for division in listed] == [mine]
    assert len(client.get("/authorization/subjects/me").json()["grants"]) == 1
    people = client.get("/users", state="any", pageSize=100).json()
    assert {person["division"]["name"] for person in people["entities"]} == {mine}
    listing = client.get("/scim/v2/Users", count=0).json()["totalResults"]
    assert 0 < listing <= people["total"] < 60
    client.options(divisions="Nowhere, Elsewhere")
    assert client.get(f"/scim/v2/Users/{ADA}").status_code == 404
    assert client.get(f"/users/{ADA}", state="any").status_code == 404
    patch = {"schemas": [PATCH_OP], "Operations": [{"op": "replace", "path": "title", "value": "Chief"}]}
    assert client.http.patch(f"{SCIM}/Users/{ADA}", json=patch).status_code == 404
    assert client.http.post("/_simulator/options", json={"divisions": " , "}).status_code == 400


# -- limits and licences -----------------------------------------------------------------------------


def test_the_limits_can_be_read(client: Client) -> None:
    client.options(rate_limit=600, permissions="Read Only")
    namespace = "/organizations/limits/namespaces/scim"
    rate = {"key": "client.credentials.token.rate.per.minute", "namespace": "scim"}
    assert rate | {"value": 600} in client.get(namespace).json()["entities"]
    assert rate | {"value": 300} in client.get(f"{namespace}/defaults").json()["entities"]
    assert client.get("/organizations/limits/namespaces/platform.api").status_code == 200
    assert code(client.get("/organizations/limits/namespaces/nothing")) == (404, "not.found")


def test_licences_follow_from_roles(client: Client) -> None:
    roles = {role["name"]: role["id"] for role in client.get("/authorization/roles").json()["entities"]}
    infer = "/api/v2/license/infer"
    asked = client.http.post(infer, json=[roles["Agent"], roles["employee"]])
    assert asked.json() == ["collaborate", "engage1"]
    assert client.http.post(infer, json=[]).json() == []
    assert code(client.http.post(infer, json=["nobody"])) == (400, "bad.request")
    assert code(client.http.post(infer, json={"roles": []})) == (400, "bad.request")


# -- beside SCIM -----------------------------------------------------------------------------------


def named(client: Client, path: str, name: str) -> str:
    """The id of a location or work team."""
    found: str = next(one["id"] for one in client.get(path).json()["entities"] if one["name"] == name)
    return found


def shown(client: Client, expand: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/users/{ADA}", expand=expand).json()
    return found


def test_employer_and_locations_are_written_under_the_version_and_move_it(client: Client) -> None:
    before = shown(client, "employerInfo")
    dublin = named(client, "/locations", "Dublin")
    body = {"employerInfo": {**before["employerInfo"], "employeeType": "Full-time"}, "locations": [{"id": dublin}]}
    assert code(client.patch(**body, version=before["version"] + 1)) == (409, "general.conflict")
    assert client.patch(**body, version=before["version"]).status_code == 200
    after = shown(client, "employerInfo,locations")
    assert after["version"] == before["version"] + 1
    assert after["employerInfo"] == {**before["employerInfo"], "employeeType": "Full-time"}
    assert after["locations"][0]["locationDefinition"] == {"id": dublin, "name": "Dublin"}
    assert client.scim()["meta"]["version"] == str(after["version"])
    assert code(client.patch(locations=[{"id": "nowhere"}], version=after["version"])) == (400, "bad.request")


def test_a_listing_may_leave_out_what_expand_asks_for(client: Client) -> None:
    listed = client.get("/users", expand="employerInfo,customAttributes").json()["entities"]
    assert all("employerInfo" in one and one["customAttributes"] == [] for one in listed)
    client.options(expand_listed="never")
    listed = client.get("/users", expand="employerInfo,customAttributes").json()["entities"]
    assert not any("employerInfo" in one or "customAttributes" in one for one in listed)
    assert "employerInfo" in shown(client, "employerInfo")


def test_locations_and_work_teams_are_listed(client: Client) -> None:
    first = client.get("/teams", pageSize=2).json()
    assert len(first["entities"]) == 2
    after = first["nextUri"].partition("after=")[2]
    assert [len(client.get("/teams", pageSize=2, after=after).json()[key]) for key in ("entities",)] == [1]
    client.options(permissions="No Teams")
    assert code(client.get("/teams"))[0] == 403
    client.options(permissions="Read Only")
    assert client.get("/locations").json()["total"] == 4


def test_a_person_is_in_one_work_team(client: Client) -> None:
    claims, billing = named(client, "/teams", "Claims"), named(client, "/teams", "Billing")
    http = client.http
    added = http.post(f"/api/v2/teams/{claims}/members", json={"memberIds": [ADA]}).json()
    assert (added["entities"], added["failures"]) == ([{"id": ADA}], [])
    assert shown(client, "team")["team"] == {"id": claims, "name": "Claims"}
    assert http.post(f"/api/v2/teams/{billing}/members", json={"memberIds": [ADA]}).json()["failures"][0]["id"] == ADA
    assert http.delete(f"/api/v2/teams/{claims}/members", params={"id": ADA}).status_code == 204
    assert "team" not in shown(client, "team")
    assert code(http.post("/api/v2/teams/none/members", json={"memberIds": [ADA]})) == (404, "not.found")
    client.options(permissions="No Teams")
    assert code(http.post(f"/api/v2/teams/{claims}/members", json={"memberIds": [ADA]}))[0] == 403


def test_an_invitation_is_sent_once(client: Client) -> None:
    assert "dateWelcomeSent" not in shown(client, "dateWelcomeSent")
    for force in ("false", "false", "true"):
        assert client.http.post(f"/api/v2/users/{ADA}/invite", params={"force": force}).status_code == 204
    assert "dateWelcomeSent" in shown(client, "dateWelcomeSent")
    client.options(permissions="Read Only")
    assert code(client.http.post(f"/api/v2/users/{ADA}/invite"))[0] == 403

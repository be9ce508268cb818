"""The simulator on a real socket, held against genesys-scim.md."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx2
import pytest

from scimsync.scim.genesys import GENESYS_USER
from scimsync.scim.messages import ERROR, PATCH_OP
from scimsync.scim.schema import ENTERPRISE_USER
from scimsync.simulator.people import account_id, people, person
from scimsync.simulator.server import Running, Settings, running

ROOT = "/api/v2/scim/v2"
CHEAP = {"excludedAttributes": f"externalId,roles,{GENESYS_USER},{ENTERPRISE_USER}:manager,{ENTERPRISE_USER}:division"}


class Client:
    """A client with a token, and short words for what tests do."""

    def __init__(self, sim: Running) -> None:
        self.sim = sim
        self.http = httpx2.Client(trust_env=False, base_url=sim.api_url, timeout=5)
        self.login()

    def login(self) -> None:
        self.http.headers["Authorization"] = f"Bearer {self.grant().json()['access_token']}"

    def grant(self, **form: str) -> httpx2.Response:
        return self.http.post(
            f"{self.sim.login_url}/oauth/token",
            data={"grant_type": "client_credentials"} | form,
            auth=(self.sim.client_id, self.sim.client_secret),
        )

    def get(self, path: str = "/Users", **params: Any) -> httpx2.Response:
        return self.http.get(ROOT + path, params=params)

    def patch(
        self, id_: str, *operations: dict[str, Any], version: object = None, path: str = "/Users"
    ) -> httpx2.Response:
        headers = {} if version is None else {"If-Match": f'"{version}"'}
        body = {"schemas": [PATCH_OP], "Operations": list(operations)}
        return self.http.patch(f"{ROOT}{path}/{id_}", json=body, headers=headers)

    def set(self, id_: str, path: str, value: Any, version: object = None) -> httpx2.Response:
        return self.patch(id_, {"op": "replace", "path": path, "value": value}, version=version)

    def post(self, **body: Any) -> httpx2.Response:
        return self.http.post(ROOT + "/Users", json={"displayName": "New One"} | body)

    def steer(self, what: str, body: Any = None) -> Any:
        answer = (
            self.http.get(f"/_simulator/{what}") if body is None else self.http.post(f"/_simulator/{what}", json=body)
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def stats(self) -> dict[str, int]:
        found: dict[str, int] = self.steer("stats")
        return found


@pytest.fixture
def client() -> Iterator[Client]:
    with running(Settings(users=120, seed=7)) as sim:
        found = Client(sim)
        with closing(found.http):
            yield found


@pytest.fixture
def ada() -> str:
    """The id of somebody in the middle."""
    return account_id(7, 5)


# -- people -----------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_people() -> None:
    assert list(people(3, 20)) == list(people(3, 20))
    assert list(people(3, 20))[17] == person(3, 17)
    assert person(4, 17) != person(3, 17)


def test_the_directory_holds_the_invented_people(client: Client) -> None:
    somebody = person(7, 5)
    found = client.get(f"/Users/{account_id(7, 5)}").json()
    assert found["userName"] == somebody.email
    assert found["externalId"] == found[ENTERPRISE_USER]["employeeNumber"] == "E00005"
    assert found[ENTERPRISE_USER]["manager"]["value"] == account_id(7, 0)
    assert found["emails"][-1] == {"type": "other", "value": somebody.email}


def test_everybody_but_the_first_has_a_manager() -> None:
    crowd = list(people(7, 100))
    assert [p.employee_id for p in crowd if p.manager_id is None] == ["E00000"]
    assert all(p.manager_id < p.employee_id for p in crowd if p.manager_id)


# -- tokens -----------------------------------------------------------------------------------------


def test_a_wrong_secret_is_answered_with_an_oauth_error(client: Client) -> None:
    answer = client.http.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=("a", "b"))
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_client"
    assert "ININ-Correlation-Id" in answer.headers


def test_the_client_may_send_its_secret_in_the_form(client: Client) -> None:
    form = {
        "grant_type": "client_credentials",
        "client_id": client.sim.client_id,
        "client_secret": client.sim.client_secret,
    }
    token = client.http.post("/oauth/token", data=form).json()
    assert (token["token_type"], token["expires_in"]) == ("bearer", 86_400)


def test_login_throttling_is_a_400(client: Client) -> None:
    client.steer("options", {"login_limit": 1})
    answer = client.grant()
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert answer.json()["error_description"].startswith("rate limit exceeded")


def test_without_a_token_the_answer_is_an_error_body(client: Client) -> None:
    answer = httpx2.get(f"{client.sim.api_url}{ROOT}/Users", trust_env=False)
    body = answer.json()
    assert answer.status_code == 401
    assert (body["code"], body["status"]) == ("authentication.required", 401)
    assert body["contextId"] == answer.headers["ININ-Correlation-Id"]


def test_an_expired_and_a_revoked_token_are_refused(client: Client) -> None:
    client.steer("options", {"expires_in": 0})
    client.login()
    assert client.get().status_code == 401
    client.steer("options", {"expires_in": 60})
    client.login()
    assert client.get().status_code == 200
    client.steer("tokens/revoke", {})
    assert client.get().json()["code"] == "bad.credentials"


def test_the_login_port_alone_gives_tokens() -> None:
    with running(Settings(users=1, login_port=0)) as sim:
        assert sim.login_url != sim.api_url
        client = Client(sim)
        with closing(client.http) as http:
            assert client.get().status_code == 200
            assert http.post("/oauth/token", data={"grant_type": "client_credentials"}).status_code in {
                401,
                404,
            }
            assert http.get(f"{sim.login_url}{ROOT}/Users").status_code == 404


# -- reading ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("root", ["/api/v2/scim/v2/users", "/api/v2/scim/Users", "/API/v2/SCIM/v2/USERS"])
def test_both_families_answer_in_any_case(client: Client, root: str) -> None:
    assert client.http.get(root, params={"count": 1}).json()["itemsPerPage"] == 1


def test_a_listing_has_25_active_people_a_page(client: Client) -> None:
    page = client.get().json()
    assert (page["startIndex"], page["itemsPerPage"], len(page["Resources"])) == (1, 25, 25)
    active = sum(p.active for p in people(7, 120))
    assert page["totalResults"] == active < 120
    seen = {user["id"] for start in range(1, 121, 25) for user in client.get(startIndex=start).json()["Resources"]}
    assert len(seen) == active


def test_inactive_people_need_their_own_filter(client: Client) -> None:
    page = client.get(filter="active eq false").json()
    assert page["totalResults"] == sum(not p.active for p in people(7, 120)) > 0
    inactive = page["Resources"][0]
    assert client.get(filter=f'userName eq "{inactive["userName"]}"').json()["totalResults"] == 0
    client.steer("options", {"filter_finds_inactive": True})
    assert client.get(filter=f'userName eq "{inactive["userName"]}"').json()["totalResults"] == 1


def test_count_0_gives_the_total_only(client: Client) -> None:
    page = client.get(count=0).json()
    assert page["Resources"] == []
    assert page["totalResults"] > 100


def test_attributes_leave_only_what_was_asked_and_what_is_always_returned(client: Client) -> None:
    one = client.get(attributes="title", count=1).json()["Resources"][0]
    assert one.keys() == {"schemas", "id", "userName", "active", "meta", "title"}
    several = client.http.get(
        ROOT + "/Users",
        params=[("attributes", "title"), ("attributes", f"displayName,{ENTERPRISE_USER}:manager.value")],
    ).json()["Resources"][1]
    assert several.keys() >= {"title", "displayName", ENTERPRISE_USER}
    assert several[ENTERPRISE_USER].keys() == {"manager"}
    assert several[ENTERPRISE_USER]["manager"].keys() == {"value"}


def test_excluded_attributes_are_left_out_but_never_the_fixed_ones(client: Client, ada: str) -> None:
    one = client.get(f"/Users/{ada}", excludedAttributes=f"title,id,meta,{ENTERPRISE_USER}").json()
    assert not {"title", ENTERPRISE_USER} & one.keys()
    assert {"id", "meta", "emails"} <= one.keys()


def test_an_unknown_attribute_is_refused(client: Client) -> None:
    assert client.get(attributes="nickName").json()["scimType"] == "invalidValue"


@pytest.mark.parametrize("quote", ["", '"'])
def test_the_documented_filters_find_people(client: Client, ada: str, quote: str) -> None:
    somebody = person(7, 5)
    for name, value in (
        ("id", ada),
        ("userName", somebody.email.upper()),
        ("externalId", "E00005"),
        ("employeeNumber", "E00005"),
        (f"{ENTERPRISE_USER}:employeeNumber", "E00005"),
        ("email", somebody.email),
    ):
        found = client.get(filter=f"{name} eq {quote}{value}{quote}").json()
        assert [u["id"] for u in found["Resources"]] == [ada], name
    reports = client.get(filter=f"manager eq {quote}{account_id(7, 0)}{quote}").json()
    assert ada in {u["id"] for u in reports["Resources"]}
    assert client.get(filter=f"division eq {quote}{somebody.division}{quote}").json()["totalResults"] > 1


def test_external_ids_are_found_by_authority_and_value(client: Client, ada: str) -> None:
    assert (
        client.patch(
            ada,
            {"op": "add", "path": f"{GENESYS_USER}:externalIds", "value": [{"authority": "hr", "value": "9"}]},
        ).status_code
        == 200
    )
    found = client.get(filter=f'{GENESYS_USER}:externalIds[authority eq "hr" and value eq "9"]').json()
    assert [u["id"] for u in found["Resources"]] == [ada]


@pytest.mark.parametrize(
    "text", ["title eq x", 'userName sw "a"', "id eq a and active eq true", "x", "groups[value eq 1]"]
)
def test_other_filters_are_refused(client: Client, text: str) -> None:
    answer = client.get(filter=text)
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidFilter")


def test_an_account_that_did_not_change_is_304(client: Client, ada: str) -> None:
    first = client.get(f"/Users/{ada}")
    tag = first.headers["ETag"]
    assert tag == f'"{first.json()["meta"]["version"]}"'
    again = client.http.get(f"{ROOT}/Users/{ada}", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    client.set(ada, "title", "Lead")
    assert client.http.get(f"{ROOT}/Users/{ada}", headers={"If-None-Match": tag}).status_code == 200


def test_an_unknown_id_is_a_404_error_body(client: Client) -> None:
    answer = client.get("/Users/nobody")
    assert (answer.status_code, answer.json()["code"]) == (404, "not.found")


# -- writing ----------------------------------------------------------------------------------------


def test_patch_answers_200_with_the_whole_user_and_a_new_version(client: Client, ada: str) -> None:
    answer = client.set(ada, "title", "Lead", version=1)
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"2"')
    assert answer.json()["title"] == "Lead"
    assert answer.json() == client.get(f"/Users/{ada}").json()


def test_a_patch_that_changes_nothing_keeps_the_version(client: Client, ada: str) -> None:
    title = client.get(f"/Users/{ada}").json()["title"]
    assert client.set(ada, "title", title).headers["ETag"] == '"1"'
    assert client.stats()["effective_writes"] == 0


@pytest.mark.parametrize(
    ("switch", "status", "scim_type", "code"),
    [
        ("400_invalid_vers", 400, "invalidVers", None),
        ("409_scim", 409, None, None),
        ("409_general_conflict", 409, None, "general.conflict"),
        ("412", 412, None, "precondition.failed"),
    ],
)
def test_a_stale_version_is_refused_as_the_switch_says(
    client: Client, ada: str, switch: str, status: int, scim_type: str | None, code: str | None
) -> None:
    client.steer("options", {"version_conflict": switch})
    client.steer("edit", {"id": ada, "path": "title", "value": "Edited"})
    answer = client.set(ada, "title", "Lead", version=1)
    assert answer.status_code == status
    assert (answer.json().get("scimType"), answer.json().get("code")) == (scim_type, code)
    assert ("schemas" in answer.json()) == (code is None)
    assert client.get(f"/Users/{ada}").json()["title"] == "Edited"
    assert client.stats()["conflict"] == 1


def test_what_was_written_is_read_back_in_normal_form(client: Client, ada: str) -> None:
    user = client.patch(
        ada,
        {"op": "replace", "path": 'phoneNumbers[type eq "work"].value', "value": "tel:+1-317-555-0199;ext=7"},
        {"op": "replace", "path": f"{ENTERPRISE_USER}:dateHire", "value": "2024-02-03T10:00:00Z"},
        {"op": "replace", "path": "userName", "value": "new.login@example.com"},
    ).json()
    assert user["phoneNumbers"][0]["value"] == "+13175550199;ext=7"
    assert user[ENTERPRISE_USER]["dateHire"] == "2024-02-03"
    assert {"type": "other", "value": "new.login@example.com"} in user["emails"]
    assert client.get(filter="userName eq new.login@example.com").json()["totalResults"] == 1
    assert client.get(filter=f"userName eq {person(7, 5).email}").json()["totalResults"] == 0


@pytest.mark.parametrize(
    ("path", "value", "scim_type"),
    [
        ("groups", [{"value": "x"}], "mutability"),
        ('emails[type eq "other"].value', "x@example.com", "mutability"),
        ("nickName", "x", "invalidPath"),
        ('phoneNumbers[type eq "home"].value', "+13175550100", "noTarget"),
        ('phoneNumbers[type eq "work"].value', "none", "invalidValue"),
        (f"{ENTERPRISE_USER}:manager", "nobody", "invalidValue"),
        (f"{ENTERPRISE_USER}:division", "Atlantis", "invalidValue"),
        (f"{GENESYS_USER}:routingSkills", [{"name": "sales", "proficiency": 1}], "invalidValue"),
        (f"{GENESYS_USER}:routingSkills", [{"name": "Sales", "proficiency": 6}], "invalidValue"),
        ("roles", [{"value": "Emperor"}], "invalidValue"),
    ],
)
def test_a_bad_value_is_a_scim_error_and_changes_nothing(
    client: Client, ada: str, path: str, value: Any, scim_type: str
) -> None:
    answer = client.set(ada, path, value)
    assert (answer.status_code, answer.json()["scimType"], answer.json()["status"]) == (400, scim_type, "400")
    assert answer.json()["schemas"] == [ERROR]
    assert client.get(f"/Users/{ada}").headers["ETag"] == '"1"'


def test_unknown_references_can_be_passed_over(client: Client, ada: str) -> None:
    client.steer("options", {"unknown_reference": "ignore"})
    answer = client.set(ada, "roles", [{"value": "Emperor"}, {"value": "admin"}])
    assert answer.json()["roles"] == [{"value": "admin"}]


def test_new_names_can_be_made_known(client: Client, ada: str) -> None:
    client.steer("names", {"skills": ["Juggling"]})
    value = [{"name": "Juggling", "proficiency": 4}]
    assert client.set(ada, f"{GENESYS_USER}:routingSkills", value).status_code == 200


def test_a_body_without_schemas_and_a_foreign_media_type_are_refused(client: Client, ada: str) -> None:
    url = f"{ROOT}/Users/{ada}"
    assert client.http.patch(url, json={"Operations": []}).json()["scimType"] == "invalidSyntax"
    assert client.http.patch(url, content=b"{", headers={"Content-Type": "text/plain"}).status_code == 415
    broken = client.http.patch(url, content=b"{", headers={"Content-Type": "application/json"})
    assert (broken.status_code, broken.json()["code"]) == (400, "bad.request")
    large = client.http.patch(url, json={"x": "y" * 600_000})
    assert large.status_code == 413


def test_a_new_user_gets_201_an_id_and_the_default_role(client: Client) -> None:
    answer = client.post(userName="new@example.com", externalId="X1", password="long long secret")
    user = answer.json()
    assert (answer.status_code, answer.headers["ETag"]) == (201, '"1"')
    assert user["roles"] == [{"value": "employee"}]
    assert user["active"] is True
    assert "password" not in user
    assert client.get(f"/Users/{user['id']}").json() == user
    assert client.get(filter="externalId eq X1").json()["totalResults"] == 1
    assert client.get(filter="externalId eq x1").json()["totalResults"] == 0


def test_a_taken_name_is_409_uniqueness(client: Client, ada: str) -> None:
    answer = client.post(userName=person(7, 6).email.upper())
    assert (answer.status_code, answer.json()["scimType"]) == (409, "uniqueness")
    assert client.set(ada, "userName", person(7, 6).email).status_code == 409


def test_delete_is_soft_and_the_name_brings_the_old_record_back(client: Client, ada: str) -> None:
    assert client.http.delete(f"{ROOT}/Users/{ada}", headers={"If-Match": '"9"'}).status_code == 400
    assert client.http.delete(f"{ROOT}/Users/{ada}").status_code == 204
    assert client.get(f"/Users/{ada}").status_code == 404
    assert client.get(filter=f"id eq {ada}").json()["totalResults"] == 0
    total = client.get(count=0).json()["totalResults"]
    user = client.post(userName=person(7, 5).email, displayName="Back Again")
    assert (user.status_code, user.json()["id"]) == (201, ada)
    assert user.json()[ENTERPRISE_USER]["division"] == "Home"
    assert "roles" not in user.json()
    assert int(user.json()["meta"]["version"]) > 1
    assert client.get(count=0).json()["totalResults"] == total + 1


@pytest.mark.parametrize(("switch", "status"), [("new_id", 201), ("conflict", 409)])
def test_a_deleted_name_can_also_stay_gone(client: Client, ada: str, switch: str, status: int) -> None:
    client.steer("options", {"post_on_deleted": switch})
    client.http.delete(f"{ROOT}/Users/{ada}")
    answer = client.post(userName=person(7, 5).email)
    assert answer.status_code == status
    assert answer.json().get("id") != ada


def test_deactivating_moves_a_person_from_one_listing_to_the_other(client: Client, ada: str) -> None:
    before = client.get(count=0).json()["totalResults"]
    assert client.set(ada, "active", value=False).status_code == 200
    assert client.get(count=0).json()["totalResults"] == before - 1
    assert ada in {u["id"] for u in client.get(filter="active eq false").json()["Resources"]}
    assert client.set(ada, "active", value=True).json()["active"] is True


def test_an_empty_text_does_not_overwrite_but_remove_clears(client: Client, ada: str) -> None:
    assert "title" in client.set(ada, "title", "").json()
    assert "title" in client.patch(ada, {"op": "replace", "value": {"title": ""}}).json()
    assert "title" not in client.patch(ada, {"op": "remove", "path": "title"}).json()
    client.steer("options", {"empty_value": "clear"})
    client.set(ada, "title", "Lead")
    assert "title" not in client.set(ada, "title", "").json()


def test_put_replaces_what_can_be_written(client: Client, ada: str) -> None:
    user = client.get(f"/Users/{ada}").json()
    user.pop("phoneNumbers")
    answer = client.http.put(f"{ROOT}/Users/{ada}", json=user | {"title": "Lead"})
    assert answer.status_code == 200
    assert answer.json()["title"] == "Lead"
    assert "phoneNumbers" not in answer.json()


# -- groups and discovery ---------------------------------------------------------------------------


def test_members_are_changed_on_the_group_and_show_on_the_user(client: Client, ada: str) -> None:
    group = next(g for g in client.get("/Groups").json()["Resources"] if ada not in {m["value"] for m in g["members"]})
    changed = client.patch(
        group["id"],
        {"op": "add", "path": "members", "value": [{"value": ada}]},
        version=group["meta"]["version"],
        path="/Groups",
    )
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"2"')
    held = client.get(f"/Users/{ada}").json()["groups"]
    assert (group["id"], "Group") in {(g["value"], g["type"]) for g in held}
    client.patch(group["id"], {"op": "remove", "path": f'members[value eq "{ada}"]'}, path="/Groups")
    assert group["id"] not in {g["value"] for g in client.get(f"/Users/{ada}").json()["groups"]}
    found = client.get("/Groups", filter=f'displayname eq "{group["displayName"]}"').json()
    assert found["totalResults"] == 1


def test_groups_are_never_made_nor_renamed(client: Client) -> None:
    group = client.get("/Groups").json()["Resources"][0]["id"]
    assert client.http.post(ROOT + "/Groups", json={"displayName": "New"}).status_code == 405
    answer = client.patch(group, {"op": "replace", "path": "displayName", "value": "x"}, path="/Groups")
    assert answer.json()["scimType"] == "mutability"
    renamed = client.steer("edit", {"id": group, "path": "displayName", "value": "Night shift"})
    assert renamed["displayName"] == client.get(f"/Groups/{group}").json()["displayName"] == "Night shift"
    stranger = client.patch(group, {"op": "add", "path": "members", "value": [{"value": "x"}]}, path="/Groups")
    assert stranger.json()["scimType"] == "invalidValue"


def test_the_service_describes_itself(client: Client) -> None:
    assert client.get("/Schemas").json()["totalResults"] == 7
    assert client.get(f"/schemas/{ENTERPRISE_USER}").json()["id"] == ENTERPRISE_USER
    assert client.get("/Schemas", filter="id eq x").status_code == 403
    assert client.get("/ResourceTypes/User").json()["endpoint"] == "/Users"
    kinds = [kind["name"] for kind in client.get("/ResourceTypes").json()["Resources"]]
    assert kinds == ["User", "Group", "ServiceProviderConfig", "ResourceType", "Schema"]
    assert client.get("/ResourceTypes/Schema").json()["endpoint"] == "/Schemas"
    assert client.get("/ServiceProviderConfig").json()["etag"] == {"supported": True}
    assert client.get("/Me").status_code == 404


# -- limits -----------------------------------------------------------------------------------------


def test_a_token_has_its_share_of_requests_a_minute(client: Client) -> None:
    client.steer("options", {"rate_limit": 3})
    client.login()
    seen = [client.get(count=1) for _ in range(3)]
    assert [r.headers["inin-ratelimit-count"] for r in seen] == ["1", "2", "3"]
    assert {r.headers["inin-ratelimit-allowed"] for r in seen} == {"3"}
    refused = client.get(count=1)
    assert refused.status_code == 429
    assert refused.json()["code"] == "too.many.requests.retry.after"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.json()["message"].endswith(f"in [{refused.headers['Retry-After']}] seconds")
    client.login()
    assert client.get(count=1).status_code == 200
    assert client.stats()["throttled"] == 1


def test_a_large_page_with_expensive_attributes_is_429(client: Client) -> None:
    assert client.get(count=26).status_code == 429
    assert client.get(count=100, **CHEAP).json()["itemsPerPage"] == 100
    assert client.get(count=100, attributes="id,active").status_code == 200
    assert client.get(count=26, attributes="roles").status_code == 429
    documented = f"externalId,roles,{GENESYS_USER}:routingSkills,{GENESYS_USER}:routingLanguages"
    assert client.get(count=26, excludedAttributes=documented).status_code == 200
    assert client.get(count=26, attributes=f"{ENTERPRISE_USER}:division").status_code == 200
    client.steer("options", {"expensive_page_429": "always"})
    assert client.get(count=26, excludedAttributes=documented).status_code == 429
    assert client.get(count=26, attributes=f"{ENTERPRISE_USER}:division").status_code == 429
    assert client.get(count=100, **CHEAP).status_code == 200
    client.steer("options", {"expensive_page_429": "never"})
    assert client.get(count=26).status_code == 200


# -- control and faults -----------------------------------------------------------------------------


def test_counters_tell_requests_by_kind(client: Client, ada: str) -> None:
    client.steer("stats/reset", {})
    client.get()
    client.set(ada, "title", "A")
    client.set(ada, "title", "B")
    stats = client.stats()
    assert (stats["list"], stats["patch"], stats["requests"]) == (1, 2, 3)
    assert (stats["writes_by_user"], stats["effective_writes"]) == (2, 2)


def test_a_foreign_edit_moves_the_version_and_is_told_from_the_client(client: Client, ada: str) -> None:
    client.steer("edit", {"userName": person(7, 5).email, "path": "title", "value": "Edited"})
    client.set(ada, "title", "Lead", version=2)
    client.steer("edit", {"externalId": "E00005", "delete": True})
    history = client.steer("history")
    assert [(e["who"], e["method"], e["version"]) for e in history] == [
        ("edit", "EDIT", 2),
        ("client", "PATCH", 3),
        ("edit", "DELETE", 4),
    ]
    assert history[1]["operations"] == [{"op": "replace", "path": "title", "value": "Lead"}]
    assert client.stats()["writes_by_user"] == 1


def test_an_edit_just_before_the_patch_provokes_a_version_race(client: Client, ada: str) -> None:
    client.steer("faults", {"faults": [{"on": "patch", "kind": "foreign_edit", "path": "title", "value": "Edited"}]})
    assert client.set(ada, "title", "Lead", version=1).json()["scimType"] == "invalidVers"
    assert client.set(ada, "title", "Lead", version=2).status_code == 200


def test_a_status_fault_strikes_as_often_as_it_says(client: Client, ada: str) -> None:
    client.steer(
        "faults",
        {"faults": [{"on": "patch", "status": 503, "headers": {"Retry-After": "1"}, "times": 2, "skip": 1}]},
    )
    answers = [client.set(ada, "title", text) for text in "ABCD"]
    assert [a.status_code for a in answers] == [200, 503, 503, 200]
    assert answers[1].headers["Retry-After"] == "1"
    assert answers[1].json()["code"] == "service.unavailable"
    assert client.stats()["effective_writes"] == 2


@pytest.mark.parametrize(("when", "title"), [("before", "Clerk"), ("after", "Lead")])
def test_a_reset_before_and_after_the_effect_look_the_same(client: Client, ada: str, when: str, title: str) -> None:
    client.set(ada, "title", "Clerk")
    client.steer("faults", {"faults": [{"on": "patch", "kind": "reset", "when": when}]})
    with pytest.raises((httpx2.ReadError, httpx2.RemoteProtocolError)):
        client.set(ada, "title", "Lead")
    assert client.get(f"/Users/{ada}").json()["title"] == title


def test_an_answer_can_be_cut_short_or_be_a_page_of_html(client: Client, ada: str) -> None:
    client.steer(
        "faults", {"faults": [{"on": "get", "kind": "truncate"}, {"on": "get", "kind": "html", "status": 502}]}
    )
    with pytest.raises(httpx2.RemoteProtocolError):
        client.get(f"/Users/{ada}")
    page = client.get(f"/Users/{ada}")
    assert (page.status_code, page.headers["Content-Type"]) == (502, "text/html")


def test_an_answer_can_come_too_late_though_the_write_took_effect(client: Client, ada: str) -> None:
    client.steer("faults", {"faults": [{"on": "patch", "kind": "hang", "seconds": 0.6, "when": "after"}]})
    client.http.timeout = 0.2
    with pytest.raises(httpx2.ReadTimeout):
        client.set(ada, "title", "Lead")
    client.http.timeout = 5
    assert client.get(f"/Users/{ada}").json()["title"] == "Lead"


def test_the_token_endpoint_can_fail_too(client: Client) -> None:
    client.steer("faults", {"faults": [{"on": "token", "status": 500}]})
    assert client.grant().status_code == 500
    assert client.grant().status_code == 200


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("options", {"version_conflict": "418"}),
        ("options", {"colour": "blue"}),
        ("faults", {"faults": [{"on": "patch", "kind": "flood"}]}),
        ("faults", {"faults": [{"kind": "reset"}]}),
        ("edit", {"userName": "nobody", "path": "title", "value": "x"}),
        ("names", {"colours": ["blue"]}),
    ],
)
def test_a_wrong_control_request_says_so(client: Client, what: str, body: Any) -> None:
    answer = client.http.post(f"/_simulator/{what}", json=body)
    assert answer.status_code == 400
    assert answer.json()["message"]


def test_meta_version_can_carry_its_quotes(client: Client, ada: str) -> None:
    client.get(f"/Users/{ada}")
    client.steer("options", {"meta_version_quoted": True})
    assert client.get(f"/Users/{ada}").json()["meta"]["version"] == '"1"'


def test_skills_may_live_outside_the_version(client: Client, ada: str) -> None:
    client.steer("options", {"version_covers": "directory"})
    changed = client.set(ada, f"{GENESYS_USER}:routingSkills", [{"name": "Sales", "proficiency": 5}])
    assert changed.headers["ETag"] == '"1"'
    assert {"name": "Sales", "proficiency": 5.0} in changed.json()[GENESYS_USER]["routingSkills"]


def test_many_clients_at_once_lose_no_update(client: Client, ada: str) -> None:
    def write(lane: int) -> None:
        with httpx2.Client(trust_env=False, headers=client.http.headers) as http:
            for step in range(10):
                body = {
                    "schemas": [PATCH_OP],
                    "Operations": [{"op": "replace", "path": "title", "value": f"{lane}-{step}"}],
                }
                http.patch(f"{client.sim.api_url}{ROOT}/Users/{ada}", json=body)

    lanes = [threading.Thread(target=write, args=(lane,)) for lane in range(4)]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    assert client.get(f"/Users/{ada}").headers["ETag"] == '"41"'


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_foreground_simulator_announces_itself_and_ends_on_a_signal(number: signal.Signals) -> None:
    program = (
        "from scimsync.simulator.server import Settings, serve\n"
        "serve(Settings(users=3), lambda a: print(a.api_url, a.client_id, a.client_secret, flush=True))\n"
        "print('ended')\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url, client_id, secret = process.stdout.readline().split()
        answer = httpx2.post(
            f"{url}/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=(client_id, secret),
            trust_env=False,
        )
        assert answer.status_code == 200
        process.send_signal(number)
        assert process.stdout.read() == "ended\n"
        assert process.wait(10) == 0

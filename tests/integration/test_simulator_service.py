"""What genesys-scim.md says beyond the plain way, each switch held on a real socket."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest

from scimsync.scim.genesys import GENESYS_USER
from scimsync.scim.messages import PATCH_OP
from scimsync.scim.schema import CORE_GROUP, CORE_USER, ENTERPRISE_USER
from scimsync.simulator.normalising import EXTERNAL_AUTHORITY
from scimsync.simulator.people import account_id, person
from scimsync.simulator.server import Running, Settings, running
from scimsync.simulator.tokens import Window

ROOT = "/api/v2/scim/v2"
ADA = account_id(7, 5)
EXTERNAL = f"{GENESYS_USER}:externalIds"
SKILLS = f"{GENESYS_USER}:routingSkills"


class Client:
    def __init__(self, sim: Running, client_id: str = "", secret: str = "") -> None:
        self.sim = sim
        self.http = httpx2.Client(trust_env=False, base_url=sim.api_url, timeout=10)
        login = (client_id or sim.client_id, secret or sim.client_secret)
        token = self.http.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=login)
        assert token.status_code == 200, token.text
        self.http.headers["Authorization"] = f"Bearer {token.json()['access_token']}"

    def get(self, path: str = f"/Users/{ADA}", headers: dict[str, str] | None = None, **params: Any) -> httpx2.Response:
        return self.http.get(ROOT + path, params=params, headers=headers)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.request(method, ROOT + path, json=body, headers=named)

    def patch(self, *operations: tuple[str, str, Any], path: str = f"/Users/{ADA}", **headers: str) -> httpx2.Response:
        listed = [{"op": op, "path": where, "value": value} for op, where, value in operations]
        return self.send("PATCH", path, {"schemas": [PATCH_OP], "Operations": listed}, **headers)

    def set(self, path: str, value: Any, **headers: str) -> httpx2.Response:
        return self.patch(("replace", path, value), **headers)

    def post(self, name: str, **body: Any) -> httpx2.Response:
        return self.send("POST", "/Users", {"userName": name, "displayName": "New One"} | body)

    def options(self, **changes: Any) -> None:
        answer = self.http.post("/_simulator/options", json=changes)
        assert answer.status_code == 200, answer.text

    def steer(self, what: str, body: Any) -> Any:
        answer = self.http.post(f"/_simulator/{what}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def another(self, name: str, **more: str) -> Client:
        self.steer("clients", {"client_id": name, "client_secret": "secret"} | more)
        return Client(self.sim, name, "secret")


@pytest.fixture
def client() -> Iterator[Client]:
    with running(Settings(users=60, seed=7, options={"rate_limit": 0})) as sim:
        found = Client(sim)
        with closing(found.http):
            yield found


def kind(answer: httpx2.Response) -> tuple[int, str]:
    body = answer.json()
    return answer.status_code, body.get("scimType") or body.get("code")


# -- names (§13) ------------------------------------------------------------------------------------


def test_names_are_listed_in_pages(client: Client) -> None:
    first = client.http.get("/api/v2/routing/skills", params={"pageSize": 5}).json()
    assert (first["total"], first["pageCount"], first["pageNumber"], len(first["entities"])) == (12, 3, 1, 5)
    last = client.http.get("/api/v2/routing/skills", params={"pageSize": 5, "pageNumber": 3}).json()
    assert [entity["name"] for entity in last["entities"]] == ["Software", "Warranty"]
    client.steer("names", {"roles": ["Juggler"]})
    roles = client.http.get("/api/v2/authorization/roles").json()["entities"]
    assert "Juggler" in {role["name"] for role in roles}
    assert client.http.get("/api/v2/routing/languages", params={"pageSize": "all"}).status_code == 400
    assert client.http.post("/api/v2/routing/languages", json={}).status_code == 404


@pytest.mark.parametrize(
    ("permission", "path"),
    [
        ("authorization:role:view", "authorization/roles"),
        ("authorization:division:view", "authorization/divisions"),
        ("routing:skill:view", "routing/skills"),
        ("routing:language:view", "routing/languages"),
    ],
)
def test_each_list_of_names_needs_a_permission(client: Client, permission: str, path: str) -> None:
    client.options(permissions="No Names")
    assert kind(client.http.get(f"/api/v2/{path}")) == (403, "missing.any.permissions")
    client.options(permissions=permission)
    assert client.http.get(f"/api/v2/{path}").status_code == 200


# -- permissions (§1.3) -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "path", "value", "allowed"),
    [
        ("Read Only", "title", "Lead", False),
        ("Directory Only", "title", "Lead", True),
        ("Directory Only", SKILLS, [{"name": "Sales", "proficiency": 1}], False),
        ("Directory Only", "roles", [{"value": "admin"}], False),
        ("Directory Only", 'phoneNumbers[type eq "work"].value', "+13175550100;ext=9", False),
        ("No Routing", f"{GENESYS_USER}:routingLanguages", [{"name": "French"}], False),
        ("routing:skill:assign", SKILLS, [{"name": "Sales", "proficiency": 1}], True),
        ("routing:skill:assign", "title", "Lead", False),
        ("directory:user:edit", "password", "long secret", False),
        ("SCIM Integration", "password", "long secret", True),
    ],
)
def test_each_area_needs_its_own_permission(client: Client, role: str, path: str, value: Any, *, allowed: bool) -> None:
    client.options(permissions=role)
    answer = client.set(path, value)
    assert answer.status_code == (200 if allowed else 403)
    if not allowed:
        wanted = "missing.any.permissions" if role == "Read Only" else "missing.permissions"
        assert answer.json()["code"] == wanted
        assert client.get().headers["ETag"] == '"1"'


def test_reading_users_needs_a_token_only_and_groups_need_a_permission(client: Client) -> None:
    client.options(permissions="Read Only")
    assert client.get().status_code == client.get("/Schemas").status_code == 200
    assert kind(client.get("/Groups")) == (403, "missing.any.permissions")
    assert client.post("new@example.com").status_code == 403
    assert client.send("DELETE", f"/Users/{ADA}").status_code == 403


def test_a_new_user_does_not_need_the_permission_for_the_default_role(client: Client) -> None:
    client.options(permissions="Directory Only")
    assert client.post("new@example.com").json()["roles"] == [{"value": "employee"}]
    assert client.post("other@example.com", roles=[{"value": "admin"}]).status_code == 403


def test_clients_have_roles_of_their_own_and_can_be_disabled(client: Client) -> None:
    reader = client.another("reader", permissions="Read Only")
    with closing(reader.http):
        assert reader.get().status_code == 200
        assert reader.set("title", "Lead").status_code == 403
        client.steer("clients", {"client_id": "reader", "state": "disabled"})
        assert reader.get().status_code == 401


# -- headers and methods (§2, §2.1) -----------------------------------------------------------------


def test_both_media_types_are_taken_and_given(client: Client) -> None:
    body = json.dumps({"schemas": [PATCH_OP], "Operations": [{"op": "replace", "path": "title", "value": "A"}]})
    for sent in ("application/json", "application/scim+json; charset=utf-8"):
        answer = client.http.patch(f"{ROOT}/Users/{ADA}", content=body, headers={"Content-Type": sent})
        assert answer.status_code == 200
    assert client.get().headers["Content-Type"] == "application/scim+json"
    assert client.get(headers={"Accept": "application/json"}).headers["Content-Type"] == "application/json"


def test_if_match_takes_lists_a_star_and_weak_tags(client: Client) -> None:
    for step, tag in enumerate(("*", '"9", "2"', 'W/"3"', "4")):
        assert client.set("title", f"T{step}", If_Match=tag).status_code == 200, tag
    client.options(weak_if_match="refuse")
    assert kind(client.set("title", "X", If_Match='W/"5"')) == (400, "invalidVers")
    assert client.set("title", "X", If_Match='"5"').status_code == 200


@pytest.mark.parametrize(("form", "tag"), [("weak", 'W/"1"'), ("unquoted", "1"), ("none", None)])
def test_the_etag_can_have_other_forms(client: Client, form: str, tag: str | None) -> None:
    client.options(etag_form=form)
    assert client.get().headers.get("ETag") == tag


def test_head_and_options_are_answered_sensibly(client: Client) -> None:
    head = client.send("HEAD", f"/Users/{ADA}")
    assert (head.status_code, head.content, head.headers["ETag"]) == (200, b"", '"1"')
    assert int(head.headers["Content-Length"]) > 100
    allowed = client.send("OPTIONS", f"/Users/{ADA}").headers["Allow"]
    assert {"GET", "PUT", "PATCH", "DELETE"} <= set(allowed.split(", "))
    assert "POST" not in client.send("POST", "/Groups", {}).headers["Allow"]


def test_the_provider_configuration_has_a_version(client: Client) -> None:
    tag = client.get("/ServiceProviderConfig").headers["ETag"]
    assert client.get("/ServiceProviderConfig", headers={"If-None-Match": tag}).status_code == 304


def test_success_codes_that_are_also_listed(client: Client) -> None:
    client.options(create_status="200", delete_status="200")
    user = client.post("new@example.com")
    assert user.status_code == 200
    assert client.send("DELETE", f"/Users/{user.json()['id']}").status_code == 200


def test_groups_are_never_made_nor_deleted(client: Client) -> None:
    group = client.get("/Groups").json()["Resources"][0]["id"]
    assert client.send("DELETE", f"/Groups/{group}").status_code == 405
    client.options(group_create="404")
    assert client.send("POST", "/Groups", {"displayName": "X"}).status_code == 404


# -- query parameters (§2.2) ------------------------------------------------------------------------


def test_only_the_listed_attribute_names_are_known(client: Client) -> None:
    for name in ("meta.version", f"{CORE_USER}:title", f"{ENTERPRISE_USER}:manager.value", GENESYS_USER):
        assert client.get(attributes=name).status_code == 200, name
    assert kind(client.get(attributes="emails.value")) == (400, "invalidValue")
    client.options(unknown_attribute="lenient")
    mails = client.get(attributes="emails.value").json()["emails"]
    assert [mail.keys() for mail in mails] == [{"value"}, {"value"}]
    assert client.get(attributes="nickName").status_code == 400
    client.options(unknown_attribute="ignore")
    assert client.get(attributes="nickName").json().keys() == {"schemas", "id", "userName", "active", "meta"}


def test_groups_have_attribute_names_and_fixed_ones_too(client: Client) -> None:
    one = client.get("/Groups", attributes="displayName").json()["Resources"][0]
    assert one.keys() == {"schemas", "id", "meta", "displayName"}
    assert client.get("/Groups", excludedAttributes=f"{CORE_GROUP}:members", count=100).status_code == 200
    assert client.get("/Groups", count=26).status_code == 429
    client.options(expensive_group_page_429=False)
    assert client.get("/Groups", count=26).status_code == 200


def test_active_of_groups_is_accepted_or_refused(client: Client) -> None:
    one = client.get("/Groups", attributes="id,active").json()["Resources"][0]
    assert one.keys() == {"schemas", "id", "meta"}
    assert client.get("/Groups", attributes="active").json()["Resources"][0].keys() == one.keys()
    client.options(group_active="error")
    assert kind(client.get("/Groups", attributes="id,active")) == (400, "invalidValue")


def test_sorting_is_passed_over_or_refused(client: Client) -> None:
    assert client.get("/Users", sortBy="title").status_code == 200
    client.options(sort="error")
    assert kind(client.get("/Users", sortBy="title")) == (400, "invalidValue")


@pytest.mark.parametrize(
    "text", [f'{EXTERNAL}[authority sw "a"]', f'{EXTERNAL}[authority eq "a"]', "active eq perhaps"]
)
def test_filters_that_are_nearly_right_are_refused(client: Client, text: str) -> None:
    assert kind(client.get("/Users", filter=text)) == (400, "invalidFilter")


def test_groups_without_filter_can_be_refused_in_one_family(client: Client) -> None:
    client.options(v2_groups_filter_required=True)
    assert client.get("/Groups").status_code == 400
    assert client.http.get("/api/v2/scim/groups").status_code == 200


# -- models (§3) ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "answer"),
    [
        ("phoneNumbers", [{"type": "fax", "value": "+13175550100"}], (400, "invalidValue")),
        ("phoneNumbers", [{"type": "MOBILE", "value": "+13175550100"}], (200, None)),
        ("emails", [{"type": "home", "value": "a@example.com"}], (400, "invalidValue")),
        ("emails", [{"value": "a@example.com"}], (400, "invalidValue")),
        (EXTERNAL, [{"authority": "hr"}], (400, "invalidValue")),
        (EXTERNAL, [{"authority": f"a{n}", "value": "1"} for n in range(99)], (200, None)),
        (EXTERNAL, [{"authority": f"a{n}", "value": "1"} for n in range(100)], (400, "invalidValue")),
        (EXTERNAL, [{"authority": EXTERNAL_AUTHORITY, "value": "other"}], (400, "mutability")),
        (SKILLS, [{"name": "Sales", "proficiency": -0.5}], (400, "invalidValue")),
        (SKILLS, [{"proficiency": 1}], (400, "invalidValue")),
        (f"{ENTERPRISE_USER}:dateHire", "2024-05-06T23:59:59.000+02:00", (200, None)),
    ],
)
def test_values_are_held_against_the_models(client: Client, path: str, value: Any, answer: tuple[int, Any]) -> None:
    assert kind(client.set(path, value)) == answer


def test_no_more_than_50_skills(client: Client) -> None:
    names = [f"Skill {n}" for n in range(51)]
    client.steer("names", {"skills": names})
    listed = [{"name": name, "proficiency": 1} for name in names]
    assert client.set(SKILLS, listed[:50]).status_code == 200
    assert kind(client.set(SKILLS, listed)) == (400, "invalidValue")


def test_phone_types_are_open_on_read(client: Client) -> None:
    phones = [{"type": "satellite", "value": "+13175550100"}]
    client.steer("edit", {"id": ADA, "operations": [{"op": "replace", "path": "phoneNumbers", "value": phones}]})
    assert client.get().json()["phoneNumbers"] == phones
    assert client.set("title", "Lead").status_code == 200  # what was there may stay


def test_a_written_reserved_external_id_can_be_passed_over(client: Client) -> None:
    client.options(readonly_write="ignore")
    before = client.get().json()[GENESYS_USER]["externalIds"]
    changed = client.set(EXTERNAL, [{"authority": EXTERNAL_AUTHORITY, "value": "other"}])
    assert changed.json()[GENESYS_USER]["externalIds"] == before
    assert client.set("groups", [{"value": "x"}]).status_code == 200


def test_a_reserved_external_id_that_a_list_leaves_out_comes_back(client: Client) -> None:
    own = client.get().json()[GENESYS_USER]["externalIds"]
    teams = [{"authority": "microsoftteams", "value": "t-1"}]
    assert client.set(EXTERNAL, teams).json()[GENESYS_USER]["externalIds"] == [*teams, *own]


def test_leaving_out_a_reserved_external_id_can_be_refused(client: Client) -> None:
    teams = [{"authority": "microsoftteams", "value": "t-1"}]
    client.options(reserved_dropped="refused")
    assert kind(client.set(EXTERNAL, teams)) == (400, "mutability")
    assert client.set("title", "Lead").status_code == 200


def test_leaving_out_a_reserved_external_id_can_be_obeyed(client: Client) -> None:
    teams = [{"authority": "microsoftteams", "value": "t-1"}]
    kept = [{"authority": f"{EXTERNAL_AUTHORITY}:second", "value": "S-1"}]
    client.options(reserved_dropped="obeyed")
    second = client.another("second")
    with closing(second.http):
        assert second.set("externalId", "S-1").status_code == 200
        after = client.set(EXTERNAL, [*teams, *kept]).json()
        assert after[GENESYS_USER]["externalIds"] == [*teams, *kept]
        assert "externalId" not in after
        assert second.get().json()["externalId"] == "S-1"
        assert client.patch(("remove", EXTERNAL, None)).status_code == 200
        assert "externalId" not in second.get().json()


def test_a_login_is_an_address_and_a_password_has_a_length(client: Client) -> None:
    for name in ("plain2688e0", "two@example.com@example.com", "a b@example.com", "a@"):
        assert kind(client.post(name)) == (400, "invalidValue"), name
    assert kind(client.set("userName", "plain")) == (400, "invalidValue")
    assert kind(client.post("new@example.com", password="a")) == (400, "invalidValue")
    assert kind(client.set("password", "a")) == (400, "invalidValue")
    assert client.post("new@example.com", password="long enough").status_code == 201
    client.options(login_form="any", password_length=0)
    assert client.post("plain2688e0", password="a").status_code == 201
    client.options(login_form="email")
    plain = client.get(filter="userName eq plain2688e0", path="/Users").json()["Resources"][0]["id"]
    assert (
        client.patch(("replace", "title", "Lead"), path=f"/Users/{plain}").status_code == 200
    )  # what was there may stay


def test_the_day_of_hire_is_published_as_a_text_and_is_a_date(client: Client) -> None:
    listed = client.get(f"/Schemas/{ENTERPRISE_USER}").json()["attributes"]
    assert [a["type"] for a in listed if a["name"] == "dateHire"] == ["string"]
    assert kind(client.set(f"{ENTERPRISE_USER}:dateHire", "yesterday")) == (400, "invalidValue")
    assert client.set(f"{ENTERPRISE_USER}:dateHire", "2024-02-03T10:00:00Z").status_code == 200
    assert client.get().json()[ENTERPRISE_USER]["dateHire"] == "2024-02-03"


def test_readback_forms_follow_their_switches(client: Client) -> None:
    client.options(phone_readback="tel", proficiency_step="1", division_case="ignore", duplicate_type="error")
    assert client.get().json()["phoneNumbers"][0]["value"].startswith("tel:+")
    skills = client.set(SKILLS, [{"name": "Sales", "proficiency": 3.4}]).json()[GENESYS_USER]["routingSkills"]
    assert skills == [{"name": "Sales", "proficiency": 3.0}]
    assert client.set(f"{ENTERPRISE_USER}:division", "nOrTh").json()[ENTERPRISE_USER]["division"] == "North"
    two = [{"type": "work", "value": "+13175550100"}, {"type": "work", "value": "+13175550101"}]
    assert kind(client.set("phoneNumbers", two)) == (400, "invalidValue")


def test_a_body_over_the_limit_names_the_limit(client: Client) -> None:
    answer = client.set("title", "x" * 512_000)
    assert (answer.status_code, answer.json()["limit"]["key"]) == (413, "request.bytes.max")


# -- versions, life cycle, uniqueness (§4) ----------------------------------------------------------


def test_the_version_covers_the_areas_that_are_named(client: Client) -> None:
    client.options(version_covers="directory+skills")
    assert client.set("roles", [{"value": "admin"}]).headers["ETag"] == '"1"'
    assert client.set("externalId", "X").headers["ETag"] == '"1"'
    assert client.set(SKILLS, [{"name": "Sales", "proficiency": 5}]).headers["ETag"] == '"2"'
    assert client.set("title", "Lead").headers["ETag"] == '"3"'
    client.options(version_covers="membership")
    group = client.steer("groups", {"displayName": "Night Shift"})
    client.patch(("add", "members", [{"value": ADA}]), path=f"/Groups/{group['id']}")
    assert client.get().headers["ETag"] == '"4"'


def test_a_change_of_nothing_can_move_the_version(client: Client) -> None:
    client.options(no_op_moves_version=True)
    assert client.set("title", client.get().json()["title"]).headers["ETag"] == '"2"'


def test_a_remove_of_nothing_can_be_an_error(client: Client) -> None:
    client.options(remove_no_match="error", create_on_replace=True)
    assert kind(client.patch(("remove", 'emails[type eq "home"]', None))) == (400, "noTarget")
    assert client.set('phoneNumbers[type eq "home"].value', "+13175550100").status_code == 200


def test_a_put_can_keep_what_it_leaves_out(client: Client) -> None:
    client.options(put_absent="keep")
    user = client.get().json()
    answer = client.send("PUT", f"/Users/{ADA}", {"userName": user["userName"], "title": "Lead"})
    assert answer.json()["phoneNumbers"] == user["phoneNumbers"]


def test_roles_go_when_a_person_becomes_inactive_and_do_not_come_back(client: Client) -> None:
    assert "roles" not in client.set("active", value=False).json()
    assert "roles" not in client.set("active", value=True).json()
    client.options(permissions="No Roles")
    assert client.patch(("replace", "active", False), path=f"/Users/{account_id(7, 6)}").status_code == 200
    inactive = client.get("/Users", filter="active eq false").json()["Resources"]
    assert inactive
    assert all("roles" not in user for user in inactive)


def test_inactive_people_may_keep_their_roles(client: Client) -> None:
    client.options(inactive_roles="keep")
    assert client.set("active", value=False).json()["roles"]
    with running(Settings(users=60, seed=7, options={"inactive_roles": "keep"})) as sim:
        keeping = Client(sim)
        with closing(keeping.http):
            inactive = keeping.get("/Users", filter="active eq false").json()["Resources"]
            assert inactive
            assert all(user["roles"] for user in inactive)


def test_a_restored_account_keeps_its_data_and_its_home(client: Client) -> None:
    client.set(f"{ENTERPRISE_USER}:division", "North")
    client.send("DELETE", f"/Users/{ADA}")
    user = client.post(person(7, 5).email).json()
    assert (user["id"], user["externalId"]) == (ADA, "E00005")
    assert user[ENTERPRISE_USER]["division"] == "Home"
    assert "groups" not in user


def test_a_taken_name_on_rename_is_409_or_400(client: Client) -> None:
    taken = person(7, 6).email
    assert kind(client.set("userName", taken)) == (409, "uniqueness")
    assert client.send("PUT", f"/Users/{ADA}", {"userName": taken, "displayName": "X"}).status_code == 409
    client.options(rename_conflict="400")
    assert kind(client.set("userName", taken)) == (400, "uniqueness")


def test_without_the_default_role_a_new_user_has_none(client: Client) -> None:
    client.options(default_role=False)
    assert "roles" not in client.post("new@example.com").json()


def test_each_client_sees_its_own_external_id(client: Client) -> None:
    other = client.another("other-idp")
    with closing(other.http):
        assert "externalId" not in other.get().json()
        assert other.set("externalId", "OTHER").json()["externalId"] == "OTHER"
        assert client.get().json()["externalId"] == "E00005"
        assert other.get("/Users", filter="externalId eq OTHER").json()["totalResults"] == 1
        assert client.get("/Users", filter="externalId eq OTHER").json()["totalResults"] == 0
        assert other.get("/Users", filter="externalId eq E00005").json()["totalResults"] == 0
        held = {e["authority"]: e["value"] for e in client.get().json()[GENESYS_USER]["externalIds"]}
        assert held == {EXTERNAL_AUTHORITY: "E00005", f"{EXTERNAL_AUTHORITY}:other-idp": "OTHER"}
        client.options(external_id_scope="org")
        assert other.get().json()["externalId"] == "E00005"


def test_an_external_id_of_another_user_can_be_refused(client: Client) -> None:
    client.options(external_id_taken="error")
    assert kind(client.set("externalId", "E00006")) == (409, "uniqueness")
    assert client.set("externalId", "free").status_code == 200


def test_searches_lag_and_reads_by_id_do_not(client: Client) -> None:
    client.options(search_lag_ms=60_000)
    new = client.post("late@example.com").json()["id"]
    client.set("title", "Lead")
    client.send("DELETE", f"/Users/{account_id(7, 6)}")
    assert client.get("/Users", filter="userName eq late@example.com").json()["totalResults"] == 0
    assert client.get(f"/Users/{new}").status_code == 200
    assert client.get().json()["title"] == "Lead"
    assert client.get("/Users", filter=f"id eq {ADA}").json()["Resources"][0]["title"] != "Lead"
    listed = {u["id"] for s in (1, 26, 51) for u in client.get("/Users", startIndex=s).json()["Resources"]}
    assert account_id(7, 6) in listed
    assert new not in listed
    client.options(search_lag_ms=0)
    assert client.get("/Users", filter="userName eq late@example.com").json()["totalResults"] == 1


def test_a_lag_ends_by_itself(client: Client) -> None:
    client.options(search_lag_ms=150)
    client.post("late@example.com")
    deadline = time.monotonic() + 5
    while not client.get("/Users", filter="userName eq late@example.com").json()["totalResults"]:
        assert time.monotonic() < deadline


# -- groups (§4.6) ----------------------------------------------------------------------------------


def test_members_are_users_or_groups_and_batches_can_be_limited(client: Client) -> None:
    group = client.steer("groups", {"displayName": "Night Shift"})["id"]
    inner = client.steer("groups", {"displayName": "Trainees", "type": "social"})["id"]
    path = f"/Groups/{group}"
    held = client.patch(("add", "members", [{"value": ADA}, {"value": inner}]), path=path).json()["members"]
    assert [m["type"] for m in held] == ["User", "Group"]
    client.options(nested_groups="error", group_batch=2, group_types_writable="official")
    another = client.steer("groups", {"displayName": "Third"})["id"]
    assert kind(client.patch(("add", "members", [{"value": another}]), path=path)) == (400, "invalidValue")
    three = [{"value": account_id(7, n)} for n in (10, 11, 12)]
    assert kind(client.patch(("add", "members", three), path=path)) == (400, "tooMany")
    assert kind(client.patch(("add", "members", three[:1]), path=f"/Groups/{inner}")) == (400, "mutability")
    assert kind(client.patch(("add", "members", three[:1]), path=path, If_Match='"1"')) == (400, "invalidVers")


def test_a_put_of_a_group_needs_its_name_and_replaces_members(client: Client) -> None:
    group = client.steer("groups", {"displayName": "Night Shift", "members": [ADA]})["id"]
    assert client.send("PUT", f"/Groups/{group}", {"members": []}).status_code == 400
    other = account_id(7, 6)
    body = {"displayName": "ignored", "members": [{"value": other}], "externalId": "G1"}
    changed = client.send("PUT", f"/Groups/{group}", body).json()
    assert (changed["displayName"], changed["externalId"]) == ("Night Shift", "G1")
    assert [m["value"] for m in changed["members"]] == [other]


# -- limits (§7) ------------------------------------------------------------------------------------


def test_the_429_names_the_limit_and_can_come_again_after_the_wait(client: Client) -> None:
    client.options(rate_limit=1, rate_shown=300)
    fresh = Client(client.sim)
    with closing(fresh.http):
        first, second = fresh.get(), fresh.get()
        assert first.headers["inin-ratelimit-allowed"] == "300"
        limit = second.json()["limit"]
        assert (limit["key"], limit["value"]) == ("client.credentials.token.rate.per.minute", 1)
        client.options(rate_limit=0)
        assert fresh.get().status_code == 200
    assert client.get("/Users", count=26).json()["limit"]["value"] == 25


def test_a_minute_that_refused_can_be_followed_by_more_refusals() -> None:
    window = Window()
    assert [window.take(0.0, 1, 2) for _ in range(2)] == [True, False]
    assert [window.take(61.0, 1, 2) for _ in range(3)] == [False, False, True]


def test_an_idle_token_dies(client: Client) -> None:
    client.options(idle_timeout=1)
    time.sleep(1.1)
    assert client.get().status_code == 401


# -- snapshots, files, TLS --------------------------------------------------------------------------


def test_a_rehearsal_can_be_repeated_from_a_snapshot(tmp_path: Path) -> None:
    with running(Settings(users=40, seed=7, snapshots=tmp_path, options={"rate_limit": 0})) as sim:
        client = Client(sim)
        with closing(client.http):
            client.set("title", "Before")
            client.send("DELETE", f"/Users/{account_id(7, 6)}")
            group = client.steer("groups", {"displayName": "Night Shift", "members": [ADA]})["id"]
            before = client.get().json()
            told = client.steer("snapshot", {"name": "monday"})
            assert told == {"users": 39, "groups": 7, "deleted": 1}
            client.set("title", "After")
            client.post("new@example.com")
            client.send("DELETE", f"/Users/{account_id(7, 8)}")
            assert client.steer("restore", {"name": "monday"}) == told
            assert client.get().json() == before
            assert client.get("/Users", filter="userName eq new@example.com").json()["totalResults"] == 0
            assert client.get(f"/Users/{account_id(7, 8)}").status_code == 200
            assert client.get(f"/Groups/{group}").json()["members"][0]["value"] == ADA
            assert client.post(person(7, 6).email).json()["id"] == account_id(7, 6)
            for name in ("../monday", "/etc", "", "a/b", None):
                assert client.http.post("/_simulator/snapshot", json={"name": name}).status_code == 400
    with running(Settings(source=tmp_path / "monday", seed=99)) as sim:
        client = Client(sim)
        with closing(client.http):
            assert client.get().json()["title"] == "Before"
            assert client.get().headers["ETag"] == '"2"'


def test_accounts_come_from_a_file_of_users(tmp_path: Path) -> None:
    file = tmp_path / "users.ndjson"
    users = [
        {
            "id": f"00000000-0000-4000-8000-00000000000{n}",
            "userName": f"u{n}@example.com",
            "displayName": f"User {n}",
            "active": n != 3,
            "roles": [{"value": "Pilot"}],
            "meta": {"version": str(n), "lastModified": "2026-01-02T03:04:05.000Z"},
        }
        for n in (1, 2, 3)
    ]
    file.write_text("\n".join(map(json.dumps, users)) + "\n\n", encoding="utf-8")
    group = {"displayName": "Crew", "members": [{"value": users[0]["id"]}]}
    (tmp_path / "groups.ndjson").write_text(json.dumps(group), encoding="utf-8")
    for source, groups in ((file, 0), (tmp_path, 1)):
        with running(Settings(source=source)) as sim:
            client = Client(sim)
            with closing(client.http):
                assert client.get("/Users").json()["totalResults"] == 2
                found = client.get(f"/Users/{users[1]['id']}")
                assert found.headers["ETag"] == '"2"'
                assert found.json()["meta"]["lastModified"] == "2026-01-02T03:04:05.000Z"
                assert client.get("/Groups").json()["totalResults"] == groups
                found = client.patch(("replace", "title", "Lead"), path=f"/Users/{users[1]['id']}", If_Match='"2"')
                assert found.json()["roles"] == [{"value": "Pilot"}]


@pytest.mark.parametrize("line", ["{", "[]", '{"displayName": "x"}'])
def test_a_line_that_is_no_user_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "users.ndjson"
    file.write_text(line, encoding="utf-8")
    with pytest.raises(ValueError, match=r"users\.ndjson, line 1|userName"), running(Settings(source=file)):
        pass


def test_snapshots_need_a_folder(client: Client) -> None:
    answer = client.http.post("/_simulator/snapshot", json={"name": "monday"})
    assert (answer.status_code, "--snapshots" in answer.json()["message"]) == (400, True)


def test_https_has_an_authority_of_its_own(tmp_path: Path) -> None:
    settings = Settings(users=3, tls=tmp_path / "tls")
    with running(settings) as sim:
        trusting = ssl.create_default_context(cafile=sim.announcement.ca_file)
        with httpx2.Client(trust_env=False, verify=trusting) as http:
            assert sim.api_url.startswith("https://")
            assert http.get(f"{sim.api_url}{ROOT}/Users").status_code == 401
        with httpx2.Client(trust_env=False) as http, pytest.raises(httpx2.ConnectError):
            http.get(f"{sim.api_url}{ROOT}/Users")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:1"}, 200),
        ({"Host": "simulator:8080"}, 200),
        ({"Host": "[::1]:80"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example:80"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "localhost:1", "Origin": "http://localhost:1", "Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
def test_no_web_page_steers_the_simulator(client: Client, headers: dict[str, str], status: int) -> None:
    before = client.http.get("/_simulator/options").json()
    answer = client.http.post("/_simulator/options", json={"password_length": 77}, headers=headers)
    assert answer.status_code == status
    assert (client.http.get("/_simulator/options").json() == before) is (status == 403)

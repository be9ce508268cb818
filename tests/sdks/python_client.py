"""Call every SCIM operation of the Python SDK, and what it offers of the Platform API, on a simulator.

Usage: python_client.py API_URL CLIENT_ID CLIENT_SECRET. Prints one JSON object for each answer: the operation, the
model, what the model cannot read of the answer, and whether a word is one that the model does not know.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import PureCloudPlatformClientV2 as Sdk
from PureCloudPlatformClientV2 import api_client as clients
from PureCloudPlatformClientV2.rest import ApiException

_PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
_GENESYS = "urn:ietf:params:scim:schemas:extension:genesys:purecloud:2.0:User"
_EXPENSIVE = ["externalId", "roles", f"{_GENESYS}:routingSkills", f"{_GENESYS}:routingLanguages"]
_EXPAND = ["skills", "languages", "employerInfo", "authorization", "groups"]
_PLAIN = {"str": str, "bool": bool, "int": int, "float": (int, float), "datetime": str, "date": str}


def unread(type_: str, value: Any, where: str = "") -> list[str]:
    """The places of an answer that a model of the SDK does not have, or has as another type."""
    if value is None or type_ == "object":
        return []
    if listed := re.fullmatch(r"(?:list|List)\[(.*)\]", type_):
        if not isinstance(value, list):
            return [f"{where}: no list"]
        return [found for item in value for found in unread(listed[1], item, f"{where}[]")]
    if mapped := re.fullmatch(r"dict\(str, (.*)\)", type_):
        if not isinstance(value, dict):
            return [f"{where}: no object"]
        return [found for name, item in value.items() for found in unread(mapped[1], item, f"{where}.{name}")]
    if type_ in _PLAIN:
        fits = isinstance(value, _PLAIN[type_]) and (type_ == "bool" or not isinstance(value, bool))
        return [] if fits else [f"{where}: no {type_}"]
    model = getattr(Sdk, type_)()
    types = {model.attribute_map[name]: kind for name, kind in model.swagger_types.items()}
    if not isinstance(value, dict):
        return [f"{where}: no object"]
    unknown = [f"{where}.{name}: not in {type_}" for name in value.keys() - types.keys()]
    return unknown + [p for n, item in value.items() if n in types for p in unread(types[n], item, f"{where}.{n}")]


class Client(clients.ApiClient):
    """Says of every answer what the models of the SDK make of it."""

    text = "null"
    model = "object"

    def deserialize(self, response: Any, response_type: Any) -> Any:
        """Keep the text of the answer, and the model that it is read as."""
        self.text, self.model = response.data, str(response_type)
        return super().deserialize(response, response_type)

    def play(self, operation: Any, *arguments: Any, **named: Any) -> Any:
        """Call an operation and write a line about its answer."""
        self.text, self.model, answer, status = "null", "object", None, 200
        try:
            answer = operation(*arguments, **named)
        except ApiException as error:
            self.text, status = error.body or "null", error.status
            self.model = "ScimError" if "schemas" in json.loads(self.text) else "ErrorBody"
        outdated = "outdated_sdk_version" in str(answer.to_dict() if hasattr(answer, "to_dict") else answer)
        told = {
            "operation": operation.__name__,
            "status": status,
            "model": self.model,
            "unread": unread(self.model, json.loads(self.text or "null")),
            "outdated": outdated,
        }
        sys.stdout.write(json.dumps(told) + "\n")
        return answer


def filled(model: Any, **values: Any) -> Any:
    """A model with these members."""
    for name, value in values.items():
        setattr(model, name, value)
    return model


def patch(*operations: tuple[str, str, Any]) -> Any:
    """The body of a PATCH."""
    listed = [filled(Sdk.ScimV2PatchOperation(), op=op, path=path, value=value) for op, path, value in operations]
    return filled(Sdk.ScimV2PatchRequest(), schemas=[_PATCH], operations=listed)


def newcomer(name: str, manager: str) -> Any:
    """The body of a new user, with all that a model takes."""
    enterprise = filled(
        Sdk.ScimV2EnterpriseUser(),
        department="Sales",
        division="Home",
        employee_number=f"E-{name}",
        date_hire="2024-02-03",
        manager=filled(Sdk.Manager(), value=manager),
    )
    return filled(
        Sdk.ScimV2CreateUser(),
        user_name=f"{name}@example.com",
        display_name="New One",
        title="Agent",
        password="long enough 1!",
        external_id=f"X-{name}",
        emails=[filled(Sdk.ScimEmail(), type="work", value="n@example.com")],
        phone_numbers=[filled(Sdk.ScimPhoneNumber(), type="work", value="+13175550100")],
        roles=[filled(Sdk.ScimUserRole(), value="Agent")],
        urnietfparamsscimschemasextensionenterprise20_user=enterprise,
    )


class Family:
    """All operations of one of the two path families."""

    def __init__(self, client: Client, family: str) -> None:
        self.client, self.family, self.scim = client, family, Sdk.SCIMApi(client)

    def of(self, verb: str, noun: str, *arguments: Any, **named: Any) -> Any:
        """Call one of them."""
        return self.client.play(getattr(self.scim, f"{verb}_{self.family}_{noun}"), *arguments, **named)

    def read(self) -> tuple[str, str]:
        """The listings and the service's own description; the ids of a user and a group."""
        everybody = self.of("get", "users")
        self.of("get", "users", count=100, attributes=["id", "active"])
        self.of("get", "users", count=100, excluded_attributes=_EXPENSIVE)
        self.of("get", "users", filter="active eq false")
        self.of("get", "users", filter=f"userName eq {everybody.resources[1].user_name}")
        groups = self.of("get", "groups", *(["displayName eq Sales"] if self.family == "scim_v2" else []))
        group = groups.resources[0].id
        self.of("get", "group", group)
        self.of("get", "group", group, attributes=["id", "active"])
        for name in ("schemas", "resourcetypes", "serviceproviderconfig"):
            found = self.of("get", name)
            for one in getattr(found, "resources", None) or []:
                self.of("get", name[:-1], one.id)
        return everybody.resources[0].id, group

    def write(self, manager: str, group: str) -> None:
        """A user comes, changes, joins a group, goes."""
        fresh = newcomer(f"python-{self.family}", manager)
        made = self.of("post", "users", fresh)
        self.of("post", "users", fresh)
        self.of("get", "user", made.id)
        self.of("get", "user", "00000000-0000-4000-8000-000000000000")
        moves = patch(
            ("replace", "title", "Lead"),
            ("replace", f"{_GENESYS}:routingSkills", [{"name": "Sales", "proficiency": 2.5}]),
            ("replace", f"{_GENESYS}:routingLanguages", [{"name": "French", "proficiency": 4}]),
        )
        changed = self.of("patch", "user", made.id, moves, if_match=f'"{made.meta.version}"')
        self.of("patch", "user", made.id, moves, if_match=f'"{made.meta.version}"')
        self.of("put", "user", made.id, filled(changed, title="Chief"))
        self.of("patch", "group", group, patch(("add", "members", [{"value": made.id}])))
        self.of("get", "user", made.id)
        self.of("put", "group", group, self.of("get", "group", group))
        self.of("delete", "user", made.id)


def play_people(client: Client) -> None:
    """People over the Platform API: in every state, brought back, with custom attributes."""
    users = Sdk.UsersApi(client)
    gone = client.play(users.get_users, state="deleted", page_size=100).entities[0]
    for state in ("active", "inactive", "any"):
        client.play(users.get_users, state=state, expand=_EXPAND)
    client.play(users.get_user, gone.id)
    client.play(users.get_user, gone.id, state="any")
    back = filled(Sdk.UpdateUser(), state="active", version=gone.version)
    client.play(users.patch_user, gone.id, back)
    client.play(users.patch_user, gone.id, back)
    schema = client.play(users.get_users_customattributes_schemas).entities[0]
    client.play(users.get_users_customattributes_schema, schema.id)
    record = Sdk.UserCustomAttributesUpdateRequest()
    filled(record, schema_id=schema.id, schema_version=schema.version, attributes={"badge": 7})
    client.play(users.put_user_customattributes, gone.id, record)
    client.play(users.patch_user_customattributes, gone.id, record)
    client.play(users.get_user_customattribute, gone.id, schema.id)
    client.play(users.get_user_customattributes_bulk, gone.id, [schema.id])
    client.play(users.delete_user_customattribute, gone.id, schema.id)


def play_rights(client: Client) -> None:
    """Names, the client's own rights, limits, licences."""
    rights, routing, organization = Sdk.AuthorizationApi(client), Sdk.RoutingApi(client), Sdk.OrganizationApi(client)
    client.play(rights.get_authorization_subjects_me)
    client.play(rights.get_authorization_subjects_me, include_full_roles=True)
    client.play(rights.get_authorization_divisions)
    roles = client.play(rights.get_authorization_roles)
    client.play(routing.get_routing_skills)
    client.play(routing.get_routing_languages)
    client.play(organization.get_organizations_limits_namespace, "scim")
    client.play(organization.get_organizations_limits_namespace_defaults, "scim")
    client.play(Sdk.LicenseApi(client).post_license_infer, body=[role.id for role in roles.entities])


if __name__ == "__main__":
    caller = Client(host=sys.argv[1])
    caller.get_client_credentials_token(*sys.argv[2:4])
    for path in ("scim", "scim_v2"):
        operations = Family(caller, path)
        operations.write(*operations.read())
    play_people(caller)
    play_rights(caller)

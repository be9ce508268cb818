"""The Platform API beside SCIM: people in every state, names, the client's own rights, limits, licences.

Documented by the SDKs (genesys-scim.md §13, §16). It answers with plain JSON and refuses with ErrorBodies; an account
is the same one as over SCIM, with the same version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from urllib.parse import parse_qs

import msgspec

from scimsync.errors import ProtocolError
from scimsync.scim.genesys import GENESYS_USER
from scimsync.scim.messages import Operation
from scimsync.scim.schema import ENTERPRISE_USER
from scimsync.simulator.answers import Answer, Refused, as_json, refuse_beyond
from scimsync.simulator.custom import CustomSchema
from scimsync.simulator.directory import Directory
from scimsync.simulator.entities import Actor, Entity, JsonObject, NameTaken
from scimsync.simulator.messages import Item, Request, document_of, page_number
from scimsync.simulator.people import identifier
from scimsync.simulator.permissions import ADD, DELETE, EDIT, TEAM_ASSIGN, TEAM_VIEW, VIEW, VIEWS, demand_any, name_of
from scimsync.simulator.readings import division_of
from scimsync.simulator.routes import STATES
from scimsync.simulator.tokens import Tokens

_MOST = 500  #: people a page; told by the Terraform provider, not documented
_EXPENSIVE_PAGE = 25
#: what a role needs; the true table is the licence definitions of an organisation (a guess)
_LICENSES: Mapping[str, str] = {
    "employee": "collaborate",
    "Agent": "engage1",
    "supervisor": "engage2",
    "Quality Evaluator": "engage3",
    "admin": "communicate",
}
#: attribute of the Platform API -> path over SCIM
_FIELDS: Mapping[str, str] = {
    "name": "displayName",
    "title": "title",
    "department": f"{ENTERPRISE_USER}:department",
    "manager": f"{ENTERPRISE_USER}:manager.value",
}
#: member of `employerInfo` -> path over SCIM
_SHARED: Mapping[str, str] = {
    "employeeId": f"{ENTERPRISE_USER}:employeeNumber",
    "dateHire": f"{ENTERPRISE_USER}:dateHire",
}


class Platform:
    """The endpoints of the Platform API, by the kind of the request.

    Args:
        directory: The organisation.
        tokens: Who may ask.
    """

    def __init__(self, directory: Directory, tokens: Tokens) -> None:
        self.directory = directory
        self.options = directory.options
        self.tokens = tokens
        self.handlers: Mapping[str, Callable[[Request], Answer]] = {
            "names": self._names,
            "people": self._people,
            "person": self._person,
            "person_patch": self._change,
            "custom": self._custom,
            "custom_schema": self._custom_schema,
            "subject": self._subject,
            "limits": self._limits,
            "license": self._licenses,
            "invite": self._invite,
            "locations": self._locations,
            "teams": self._teams,
            "team_members": self._team_members,
        }

    def _held(self, request: Request, *needed: str) -> frozenset[str]:
        held = self.tokens.permissions(request.client)
        if needed:
            demand_any(held, needed)
        return held

    def _names(self, request: Request) -> Answer:
        """A page of names; of the divisions those that the client sees."""
        self._held(request, VIEWS[request.endpoint])
        names = sorted(getattr(self.directory.names, request.endpoint))
        if request.endpoint == "divisions":
            names = [name for name in names if self.options.sees(name)]
        page, rest = _page(names, _asked(request))
        shown = _division if request.endpoint == "divisions" else lambda name: _named(request.endpoint, name)
        return as_json({"entities": [shown(name) for name in page], **rest})

    # -- people ------------------------------------------------------------------------------------

    def _people(self, request: Request) -> Answer:
        self._held(request, VIEW)
        asked = _asked(request)
        ids = asked.get("id")
        found = self._by_id(ids) if ids else self._in_state(_last(asked, "state", "active"))
        if self.options.divisions != "all":
            found = [number for number in found if self.directory.visible(self.directory.entity(number))]
        page, rest = _page(found, asked, most=_MOST)
        if not ids and _last(asked, "state", "active") == "inactive":
            refuse_beyond(self.options.inactive_wall, (rest["pageNumber"] - 1) * rest["pageSize"] + len(page))
        expand = _listed(asked, "expand") if self.options.expand_listed == "always" else ()
        entities = [self.directory.entity(number) for number in page]
        return as_json({"entities": [self._with_custom(entity, expand, asked) for entity in entities], **rest})

    def _with_custom(self, entity: Entity, expand: Sequence[str], asked: Mapping[str, list[str]]) -> JsonObject:
        """A person with the records that are asked for; in what form is not published (a guess)."""
        shown, custom = self._shown(entity, expand), self.directory.custom
        if "customAttributes" in expand:
            held = custom.records.get(entity.id, {})
            shown["customAttributes"] = [custom.show(entity.id, s) for s in self._schemas(asked) if s.id in held]
        return shown

    def _schemas(self, asked: Mapping[str, list[str]]) -> list[CustomSchema]:
        known = self.directory.custom.schemas
        return [known[id_] for id_ in _listed(asked, "userCustomAttributeSchemaIds") if id_ in known]

    def _by_id(self, ids: Sequence[str]) -> Sequence[int]:
        users = [self.directory.user(id_) for given in ids for id_ in given.split(",")]
        return [user.number for user in users if user is not None]

    def _in_state(self, state: str) -> Sequence[int]:
        directory = self.directory
        match state:
            case "active" | "inactive":
                return directory.select("active", "true" if state == "active" else "false")
            case "deleted":
                return directory.deleted()
            case "any":
                alive = (*directory.select("active", "true"), *directory.select("active", "false"))
                return sorted((*alive, *directory.deleted()))
        raise Refused(400, f"state is one of {', '.join(STATES)}")

    def _find(self, request: Request, state: str = "any") -> Entity:
        number = self.directory.number(request.id)
        entity = None if number is None else self.directory.entity(number)
        if entity is None or not self.directory.visible(entity) or state not in {"any", _state(entity)}:
            raise Refused(404, "There is no user with this id.")
        return entity

    def _person(self, request: Request) -> Answer:
        """Without `state` whoever is not deleted (inferred)."""
        self._held(request, VIEW)
        asked = _asked(request)
        state = _last(asked, "state", "")
        if state and state not in STATES:
            raise Refused(400, f"state is one of {', '.join(STATES)}")
        entity = self._find(request, state or "any")
        if not state and entity.deleted:
            raise Refused(404, "There is no user with this id.")
        return as_json(self._with_custom(entity, _listed(asked, "expand"), asked))

    def _change(self, request: Request) -> Answer:
        """`state` is changed alone (documented); `version` must be the present one, else 409 (documented)."""
        held = self._held(request, EDIT)
        actor = Actor(request.client, "PATCH", held, correlation_id=request.correlation_id)
        entity = self._find(request)
        body = document_of(request, self.options.request_bytes)
        if "state" in body and set(body) - {"state", "version"}:
            raise Refused(400, "The state of a user is changed alone.")
        if entity.deleted and "state" not in body:
            raise Refused(404, "There is no user with this id.")
        if not isinstance(body.get("version"), int):
            raise Refused(400, "The version of the user is required.")
        if body["version"] != entity.version:
            raise Refused(409, f"The version does not match the current version [{entity.version}].")
        try:
            if "state" in body:
                self._move(entity, body["state"], actor)
            else:
                self._amend(entity, body, actor)
        except NameTaken as error:
            raise Refused(409, "Another user has this e-mail address.") from error
        except ProtocolError as error:
            raise Refused(400, str(error)) from error
        return as_json(self._shown(entity))

    def _amend(self, entity: Entity, body: JsonObject, actor: Actor) -> None:
        version = entity.version
        given = {_FIELDS[name]: value for name, value in body.items() if name in _FIELDS}
        if "employerInfo" in body:
            given |= {path: _part(body, "employerInfo").get(name) for name, path in _SHARED.items()}
        operations = [Operation("replace" if value else "remove", path, value or None) for path, value in given.items()]
        if operations:
            self.directory.patch(entity, operations, actor)
        self.directory.write_beside(entity, body, actor, moved=entity.version != version)

    def _move(self, entity: Entity, state: object, actor: Actor) -> None:
        if state not in STATES or state == "any":
            raise Refused(400, "state is active, inactive or deleted")
        if state == _state(entity):
            return
        if state == "deleted":
            demand_any(actor.permissions, [DELETE])
            self.directory.delete(entity, Actor(actor.client, "DELETE", actor.permissions))
        elif entity.deleted:
            self.directory.revive(entity, actor, active=state == "active")
        else:
            self.directory.patch(entity, [Operation("replace", "active", state == "active")], actor)

    def _shown(self, entity: Entity, expand: Sequence[str] = ()) -> JsonObject:
        """An account as a `User` of the Platform API; what nobody gave is left out."""
        held = entity.resource
        enterprise, genesys = _part(held, ENTERPRISE_USER), _part(held, GENESYS_USER)
        login, division = str(held["userName"]), division_of(held)
        manager = _part(enterprise, "manager").get("value")
        shown: JsonObject = {
            "id": entity.id,
            "name": held.get("displayName"),
            "division": _named("divisions", division),
            "department": enterprise.get("department"),
            "email": login,
            "primaryContactInfo": [{"address": login, "mediaType": "EMAIL", "type": "PRIMARY"}],
            "addresses": [
                {"address": phone["value"], "mediaType": "PHONE", "type": str(phone["type"]).upper()}
                for phone in _objects(held.get("phoneNumbers"))
            ],
            "state": _state(entity),
            "title": held.get("title"),
            "username": login,
            "manager": {"id": manager, "selfUri": f"/api/v2/users/{manager}"} if manager else None,
            "version": entity.version,
            "acdAutoAnswer": False,
            "selfUri": f"/api/v2/users/{entity.id}",
        }
        shown |= self._expanded(entity, enterprise, genesys, frozenset(expand))
        return {name: value for name, value in shown.items() if value is not None}

    def _expanded(
        self, entity: Entity, enterprise: JsonObject, genesys: JsonObject, expand: frozenset[str]
    ) -> JsonObject:
        more: dict[str, Callable[[], object]] = {
            "skills": lambda: _levels(genesys, "skills", "routingSkills"),
            "languages": lambda: _levels(genesys, "languages", "routingLanguages"),
            "authorization": lambda: {
                "roles": [_named("roles", str(role["value"])) for role in _objects(entity.resource.get("roles"))]
            },
            "groups": lambda: [{"id": id_} for id_ in self.directory.groups_of(entity)],
        }
        shared = {name: enterprise.get(path.rpartition(":")[2]) for name, path in _SHARED.items()}
        held = {name: value for name, value in shared.items() if value is not None}
        found = {name: make() for name, make in more.items() if name in expand}
        return found | self.directory.beside.shown(entity.id, held, expand)

    def _invite(self, request: Request) -> Answer:
        """Send the activation mail; an outstanding one is sent again only where `force` says so (documented)."""
        self._held(request, ADD)
        entity, invited = self._find(request), self.directory.beside.invited
        if entity.deleted:
            raise Refused(404, "There is no user with this id.")
        if entity.id not in invited or _last(_asked(request), "force", "false").lower() == "true":
            invited.append(entity.id)
        return Answer(204)

    # -- locations and work teams ------------------------------------------------------------------

    def _locations(self, request: Request) -> Answer:
        """Needs no permission (documented)."""
        self._held(request)
        page, rest = _page(sorted(self.directory.beside.locations.items()), _asked(request))
        return as_json({"entities": [{"id": id_, "name": name, "state": "active"} for id_, name in page], **rest})

    def _teams(self, request: Request) -> Answer:
        """Pages by a cursor (documented)."""
        self._held(request, TEAM_VIEW)
        asked = _asked(request)
        size, after = page_number(_last(asked, "pageSize", "25")), _last(asked, "after", "")
        listed = [item for item in sorted(self.directory.beside.teams.items()) if item[0] > after]
        shown: JsonObject = {"entities": [{"id": id_, "name": name} for id_, name in listed[:size]]}
        if len(listed) > size:
            shown["nextUri"] = f"/api/v2/teams?pageSize={size}&after={listed[size - 1][0]}"
        return as_json(shown)

    def _team_members(self, request: Request) -> Answer:
        """Add or remove members; the versions of people stay."""
        self._held(request, TEAM_ASSIGN)
        if request.method == "DELETE":
            self.directory.beside.leave(request.id, _listed(_asked(request), "id"))
            return Answer(204)
        given = document_of(request, self.options.request_bytes).get("memberIds")
        users = [str(id_) for id_ in given] if isinstance(given, list) else []
        if unknown := [id_ for id_ in users if self.directory.user(id_) is None]:
            raise Refused(400, f"There is no user {unknown[0]}.")
        failures = self.directory.beside.join(request.id, users)
        refused = {failure["id"] for failure in failures}
        return as_json({"entities": [{"id": id_} for id_ in users if id_ not in refused], "failures": failures})

    # -- custom attributes -------------------------------------------------------------------------

    def _custom_schema(self, request: Request) -> Answer:
        self._held(request, VIEW, EDIT)
        custom = self.directory.custom
        if request.id:
            return as_json(custom.schema(request.id).to_json())
        listed = [schema.to_json() for schema in custom.schemas.values()]
        return as_json({"total": len(listed), "entities": listed})

    def _custom(self, request: Request) -> Answer:
        """Records of one person: read one or several, replace, amend, delete (documented)."""
        reads = request.method in {"GET", "HEAD"}
        held = self._held(request, EDIT, *([VIEW] if reads else []))
        actor = Actor(request.client, request.method, held, correlation_id=request.correlation_id)
        entity, custom = self._find(request), self.directory.custom
        if entity.deleted:
            raise Refused(404, "There is no user with this id.")
        if reads and not request.part:
            schemas = [custom.schema(id_) for id_ in _listed(_asked(request), "schemaIds")]
            known = custom.records.get(entity.id, {})
            return as_json([custom.show(entity.id, schema) for schema in schemas if schema.id in known])
        if reads:
            return as_json(custom.show(entity.id, custom.schema(request.part)))
        if request.method == "DELETE":
            self.directory.remove_custom(entity, custom.schema(request.part), actor)
            return Answer(204)
        body = document_of(request, self.options.request_bytes)
        schema = self.directory.write_custom(entity, body, actor, whole=request.method == "PUT")
        return as_json(custom.show(entity.id, schema))

    # -- the client itself -------------------------------------------------------------------------

    def _subject(self, request: Request) -> Answer:
        """Who asks, with its role in each division; needs no permission (documented).

        The permissions of the role come with `includeFullRoles=true` (documented).
        """
        held = self._held(request)
        role = _named("roles", name_of(held))
        if _last(_asked(request), "includeFullRoles", "false").lower() == "true":
            role["policies"] = _policies(held)
        divisions = [name for name in sorted(self.directory.names.divisions) if self.options.sees(name)]
        grants = [{"subjectId": request.client, "role": role, "division": _division(name)} for name in divisions]
        return as_json(
            {
                "id": request.client,
                "name": request.client,
                "grants": grants,
                "version": 1,
                "selfUri": "/api/v2/authorization/subjects/me",
            }
        )

    def _limits(self, request: Request) -> Answer:
        """The limits of a namespace, needs no permission (documented); keys and values are unpublished (guesses)."""
        rate = 300 if request.path.lower().rstrip("/").endswith("/defaults") else self.options.rate_limit
        known = {
            "scim": {"client.credentials.token.rate.per.minute": rate, "expensive.page.size": _EXPENSIVE_PAGE},
            "platform.api": {
                "client.credentials.token.rate.per.minute": rate,
                "request.bytes.max": self.options.request_bytes,
            },
        }
        if request.id not in known:
            raise Refused(404, "There is no such namespace.")
        listed = [
            {"key": key, "namespace": request.id, "value": value} for key, value in known[request.id].items() if value
        ]
        return as_json({"entities": listed})

    def _licenses(self, request: Request) -> Answer:
        """The licences that follow from role ids; needs no permission (documented)."""
        self._held(request)
        try:
            ids = msgspec.json.decode(request.body or b"[]", type=list[str])
        except msgspec.DecodeError as error:
            raise Refused(400, "The request body is a list of role ids.") from error
        roles = {identifier(f"roles:{name}"): name for name in self.directory.names.roles}
        if unknown := [id_ for id_ in ids if id_ not in roles]:
            raise Refused(400, f"There is no role {unknown[0]}.")
        return as_json(sorted({_LICENSES.get(roles[id_], "collaborate") for id_ in ids}))


def _asked(request: Request) -> dict[str, list[str]]:
    return parse_qs(request.query.decode("latin-1"))


def _last(asked: Mapping[str, list[str]], name: str, default: str) -> str:
    return asked.get(name, [default])[-1]


def _listed(asked: Mapping[str, list[str]], name: str) -> list[str]:
    return [part for given in asked.get(name, []) for part in given.split(",")]


def _page(
    found: Sequence[Item], asked: Mapping[str, list[str]], most: int = 0
) -> tuple[Sequence[Item], dict[str, int]]:
    """One page, and what the list says about itself."""
    size, number = page_number(_last(asked, "pageSize", "25")), page_number(_last(asked, "pageNumber", "1"))
    if most and size > most:
        raise Refused(400, f"pageSize is at most {most}.")
    rest = {
        "pageSize": size,
        "pageNumber": number,
        "total": len(found),
        "pageCount": -(-len(found) // size),
    }
    return found[(number - 1) * size : number * size], rest


def _named(kind: str, name: str) -> JsonObject:
    return {"id": identifier(f"{kind}:{name}"), "name": name}


def _division(name: str) -> JsonObject:
    return _named("divisions", name) | {"description": "", "homeDivision": name == "Home"}


def _state(entity: Entity) -> str:
    return "deleted" if entity.deleted else "active" if entity.active else "inactive"


def _part(holder: Mapping[str, object], name: str) -> JsonObject:
    found = holder.get(name)
    return found if isinstance(found, dict) else {}


def _objects(listed: object) -> list[JsonObject]:
    return [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []


def _levels(genesys: JsonObject, kind: str, name: str) -> list[JsonObject]:
    return [
        _named(kind, str(level["name"])) | {"proficiency": level.get("proficiency", 0.0), "state": "active"}
        for level in _objects(genesys.get(name))
    ]


def _policies(held: frozenset[str]) -> list[JsonObject]:
    """Permissions as a role has them: `directory:user:view` is an action of an entity of a domain."""
    found: dict[tuple[str, str], list[str]] = {}
    for permission in sorted(held):
        domain, entity, action = permission.split(":")
        found.setdefault((domain, entity), []).append(action)
    return [{"domain": domain, "entityName": entity, "actions": actions} for (domain, entity), actions in found.items()]

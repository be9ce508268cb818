"""Which request is meant: both path families, discovery, the Platform API, the token endpoint."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from scimsync.simulator.messages import KINDS, Request, Scope

DISCOVERY = frozenset({"schemas", "resourcetypes", "serviceproviderconfig"})
#: the roots of the two path families; the first is the versioned one
FAMILIES = ("/api/v2/scim/v2/", "/api/v2/scim/")
#: paths of the Platform API that list the names which SCIM only refers to -> which names
NAMES: Mapping[str, str] = {
    "/api/v2/authorization/roles": "roles",
    "/api/v2/authorization/divisions": "divisions",
    "/api/v2/routing/skills": "skills",
    "/api/v2/routing/languages": "languages",
}
#: other paths of the Platform API, as OpenAPI writes them -> method -> kind of request
PLATFORM: Mapping[str, Mapping[str, str]] = {
    "/api/v2/users": {"GET": "people"},
    "/api/v2/users/customattributes/schemas": {"GET": "custom_schema"},
    "/api/v2/users/customattributes/schemas/{schemaId}": {"GET": "custom_schema"},
    "/api/v2/users/{userId}": {"GET": "person", "PATCH": "person_patch"},
    "/api/v2/users/{userId}/customattributes": {"PUT": "custom", "PATCH": "custom"},
    "/api/v2/users/{userId}/customattributes/bulk": {"GET": "custom"},
    "/api/v2/users/{userId}/customattributes/{schemaId}": {"GET": "custom", "DELETE": "custom"},
    "/api/v2/users/{userId}/invite": {"POST": "invite"},
    "/api/v2/locations": {"GET": "locations"},
    "/api/v2/teams": {"GET": "teams"},
    "/api/v2/teams/{teamId}/members": {"POST": "team_members", "DELETE": "team_members"},
    "/api/v2/authorization/subjects/me": {"GET": "subject"},
    "/api/v2/organizations/limits/namespaces/{namespaceName}": {"GET": "limits"},
    "/api/v2/organizations/limits/namespaces/{namespaceName}/defaults": {"GET": "limits"},
    "/api/v2/license/infer": {"POST": "license"},
}
STATES = ("active", "inactive", "deleted", "any")  #: of people over the Platform API (documented)
_PATTERNS = tuple(
    (re.compile(re.sub(r"\\{\w+\\}", "([^/]+)", re.escape(path.lower()))), methods)
    for path, methods in PLATFORM.items()
)


def find_route(request: Request, scope: Scope, login_port: int | None) -> None:
    """Set the kind, endpoint and id of a request; the kind stays empty where nothing is served.

    Args:
        request: As it was read.
        scope: Where it arrived.
        login_port: The port that alone serves `/oauth/token`; None where one port serves all.
    """
    path = request.path.lower().rstrip("/")
    server = scope.get("server")
    at_login = login_port is not None and isinstance(server, Sequence) and server[1] == login_port
    if path == "/oauth/token":
        if request.method == "POST" and (login_port is None or at_login):
            request.kind = "token"
        return
    if at_login:
        return
    method = "GET" if request.method == "HEAD" else request.method
    if path in NAMES:
        request.endpoint = NAMES[path]
        request.kind = "names" if method == "GET" else ""
        return
    family = next((root for root in FAMILIES if path.startswith(root)), None)
    if family is None:
        _find_platform(request, path, method)
        return
    request.endpoint, _, request.id = path[len(family) :].partition("/")
    if request.endpoint in DISCOVERY and method == "GET":
        request.kind = "schema"
        return
    request.kind = KINDS.get((request.endpoint, bool(request.id), method), "")


def _find_platform(request: Request, path: str, method: str) -> None:
    for pattern, methods in _PATTERNS:
        if found := pattern.fullmatch(path):
            request.kind = methods.get(method, "")
            request.id = found[1] if pattern.groups else ""
            request.part = found[2] if pattern.groups > 1 else ""
            return

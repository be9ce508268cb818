"""Which request is meant: both path families, discovery, the lists of names, the token endpoint."""

from __future__ import annotations

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


def find_route(request: Request, scope: Scope, login_port: int | None) -> None:
    """Set the kind, endpoint and id of a request; the kind stays empty where nothing is served.

    Args:
        request: As it was read.
        scope: Where it arrived.
        login_port: The port that alone serves `/oauth/token`; None where one port serves all.
    """
    path = request.path.lower().rstrip("/")
    server = scope.get("server")
    at_login = isinstance(server, Sequence) and server[1] == login_port
    if path == "/oauth/token":
        if request.method == "POST" and (login_port is None or at_login):
            request.kind = "token"
        return
    if path in NAMES and not (at_login and login_port is not None):
        request.endpoint = NAMES[path]
        request.kind = "names" if request.method in {"GET", "HEAD"} else ""
        return
    family = next((root for root in FAMILIES if path.startswith(root)), None)
    if family is None or (at_login and login_port is not None):
        return
    request.endpoint, _, request.id = path[len(family) :].partition("/")
    method = "GET" if request.method == "HEAD" else request.method
    if request.endpoint in DISCOVERY and method == "GET":
        request.kind = "schema"
        return
    request.kind = KINDS.get((request.endpoint, bool(request.id), method), "")

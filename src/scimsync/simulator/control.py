"""`/_simulator`: look into the simulator and steer it while it runs. No token is needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import asdict

from scimsync.errors import ProtocolError
from scimsync.scim.messages import Operation
from scimsync.simulator import openapi, snapshots
from scimsync.simulator.answers import Answer, Refused, as_json
from scimsync.simulator.directory import Directory
from scimsync.simulator.drift import Step, read_steps
from scimsync.simulator.entities import EDITOR, Actor
from scimsync.simulator.faults import Fault, read_faults
from scimsync.simulator.options import Options, explain
from scimsync.simulator.permissions import read_role
from scimsync.simulator.requests import RequestLog
from scimsync.simulator.tokens import OAuthClient, Tokens


class Steered(Protocol):
    """What can be steered: the application, seen from here."""

    directory: Directory
    options: Options
    tokens: Tokens
    faults: list[Fault]
    counters: Counter[str]
    drift: list[Step]
    requests: RequestLog
    snapshots: Path | None


def refusal(headers: Mapping[bytes, bytes], host: str) -> Answer | None:
    """Why a request may not steer: it comes from a web page, as any browser here may show; None if it may.

    A page of somebody else sends `Origin`, or says in `Sec-Fetch-Site` that it is one. One whose name was made to
    mean this machine (DNS rebinding) is told by that name in `Host`: here people ask by number, by `localhost`, by the
    name that was given to listen on, or by one without a dot, as containers have.
    """
    asked = headers.get(b"host", b"").decode("latin-1").strip().lower()
    origin = headers.get(b"origin", b"").decode("latin-1").strip().lower()
    if not _is_ours(asked, host.lower()):
        return as_json({"message": f"/_simulator is not steered under the name {asked[:200]!r}: ask 127.0.0.1"}, 403)
    if (origin and origin.partition("://")[2] != asked) or headers.get(b"sec-fetch-site", b"none") not in _ASKED_HERE:
        return as_json({"message": "/_simulator is not steered by a web page of another address"}, 403)
    return None


#: of a request that no page of another address makes
_ASKED_HERE = frozenset({b"none", b"same-origin"})


def _is_ours(asked: str, host: str) -> bool:
    try:
        name = urlsplit(f"//{asked}").hostname or ""
    except ValueError:
        return False
    return name in {"", host} or name.endswith(".localhost") or "." not in name or _is_number(name)


def _is_number(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def answer(simulator: Steered, method: str, path: str, body: bytes) -> Answer:
    """Answer a control request; every mistake is a 400 with a text."""
    handler = _HANDLERS.get((method, path.removeprefix("/_simulator").strip("/")))
    if method == "GET":
        body = b""
    if handler is None:
        known = ", ".join(f"{m} /_simulator/{p}" for m, p in _HANDLERS)
        return as_json({"message": f"there is {known}"}, 404)
    try:
        return as_json(handler(simulator, msgspec.json.decode(body) if body else {}))
    except (ValueError, OSError, Refused, ProtocolError) as error:  # DecodeError is a ValueError
        return as_json({"message": str(error)}, 400)


def _stats(simulator: Steered, _: object) -> object:
    directory = simulator.directory
    return dict(simulator.counters) | {
        "requests": sum(simulator.counters[kind] for kind in _REQUESTS),
        "writes_by_user": max((user.writes for user in directory.kept.values()), default=0),
        "effective_writes": directory.effective_writes,
    }


def _reset_stats(simulator: Steered, _: object) -> object:
    simulator.counters.clear()
    simulator.directory.effective_writes = 0
    for entity in (*simulator.directory.kept.values(), *simulator.directory.groups.values()):
        entity.writes = 0
    return {}


def _options(simulator: Steered, body: object) -> object:
    if isinstance(body, Mapping) and body:
        simulator.options.change({str(name): value for name, value in body.items()})
        simulator.directory.forget_wire()
    return simulator.options.to_json()


def _faults(simulator: Steered, body: object) -> object:
    simulator.faults[:] = read_faults(body)
    return _show_faults(simulator, body)


def _add_faults(simulator: Steered, body: object) -> object:
    simulator.faults.extend(read_faults(body))
    return _show_faults(simulator, body)


def _show_faults(simulator: Steered, _: object) -> object:
    return {"faults": [fault.to_json() for fault in simulator.faults]}


def _history(simulator: Steered, _: object) -> object:
    return [asdict(entry) for entry in simulator.directory.history]


def _requests(simulator: Steered, _: object) -> object:
    return simulator.requests.to_json()


def _drift(simulator: Steered, body: object) -> object:
    """`{"steps": [...]}` sets the drift of the schemas; an empty list ends it."""
    if isinstance(body, Mapping) and "steps" in body:
        simulator.drift[:] = read_steps(body["steps"])
    return {"steps": [msgspec.to_builtins(step) for step in simulator.drift]}


def _clients(simulator: Steered, body: object) -> object:
    """`{"client_id", "client_secret", "permissions", "state"}` adds or changes an OAuth client."""
    if isinstance(body, Mapping) and body:
        _set_client(simulator, {str(name): str(value) for name, value in body.items()})
    known = simulator.tokens.clients.values()
    return {"clients": [{"client_id": c.id, "permissions": c.role, "state": c.state} for c in known]}


def _set_client(simulator: Steered, given: Mapping[str, str]) -> None:
    if set(given) - {"client_id", "client_secret", "permissions", "state"} or not given.get("client_id"):
        raise ValueError("a client has client_id, client_secret, permissions and state")
    if given.get("state", "active") not in {"active", "disabled"}:
        raise ValueError("a client is active or disabled")
    if role := given.get("permissions", ""):
        read_role(role)
    held = simulator.tokens.clients.get(given["client_id"])
    client = held or OAuthClient(id=given["client_id"], secret=given.get("client_secret", ""))
    if not client.secret:
        raise ValueError("a client needs a client_secret")
    client.secret = given.get("client_secret", client.secret)
    client.role, client.state = given.get("permissions", client.role), given.get("state", client.state)
    simulator.tokens.clients[client.id] = client


def _snapshot(simulator: Steered, body: object) -> object:
    name = body.get("name") if isinstance(body, Mapping) else None
    return snapshots.write(simulator.directory, snapshots.folder_of(simulator.snapshots, name))


def _restore(simulator: Steered, body: object) -> object:
    name = body.get("name") if isinstance(body, Mapping) else None
    return snapshots.restore(simulator.directory, snapshots.folder_of(simulator.snapshots, name))


def _edit(simulator: Steered, body: object) -> object:
    if not isinstance(body, Mapping):
        raise ValueError("an edit is an object")
    directory = simulator.directory
    if (group := directory.group(str(body.get("id")))) is not None:
        return directory.document(directory.patch_group(group, _edits(body), Actor(EDITOR, "EDIT")))
    user = directory.find_user(body)
    if user is None:
        raise ValueError("there is no such user")
    if body.get("delete") is True:
        directory.delete(user, Actor(EDITOR, "DELETE"))
        return {"id": user.id, "deleted": True}
    directory.edit(user, _edits(body))
    return directory.document(user)


def _edits(body: Mapping[str, object]) -> list[Operation]:
    listed = body.get("operations")
    if listed is None:
        path, value = str(body.get("path")), body.get("value")
        return [Operation("remove" if value is None else "replace", path, value)]
    if not isinstance(listed, list):
        raise ValueError("operations are a list")
    return [Operation(str(o.get("op", "replace")), o.get("path"), o.get("value")) for o in listed]


def _names(simulator: Steered, body: object) -> object:
    names = simulator.directory.names
    for kind, listed in body.items() if isinstance(body, Mapping) else ():
        if kind not in names.__struct_fields__ or not isinstance(listed, list):
            raise ValueError(f"names are lists of {', '.join(names.__struct_fields__)}")
        getattr(names, kind).update(map(str, listed))
    return {kind: sorted(getattr(names, kind)) for kind in names.__struct_fields__}


def _custom(simulator: Steered, body: object) -> object:
    """`{"name", "attributes": {"costCenter": "text"}}` makes a schema of custom attributes, or its next version."""
    custom = simulator.directory.custom
    if isinstance(body, Mapping) and body:
        name, types = body.get("name"), body.get("attributes")
        if not isinstance(name, str) or not isinstance(types, Mapping):
            raise ValueError("a schema of custom attributes has a name, and attributes with their types")
        custom.define(name, {str(attribute): str(kind) for attribute, kind in types.items()})
    return {"schemas": [schema.to_json() for schema in custom.schemas.values()]}


def _group(simulator: Steered, body: object) -> object:
    if not isinstance(body, Mapping) or not isinstance(name := body.get("displayName"), str):
        raise ValueError("a group has a displayName")
    members = body.get("members", [])
    kind = body.get("type", "official")
    if kind not in {"official", "social"}:
        raise ValueError("a group is official or social")
    group = simulator.directory.add_group(name, map(str, members) if isinstance(members, list) else ())
    if kind == "social":
        simulator.directory.social.add(group.id)
    return simulator.directory.document(group)


def _openapi(simulator: Steered, _: object) -> object:
    return openapi.describe(simulator.directory.base_url, ROUTES)


def _revoke(simulator: Steered, _: object) -> object:
    return {"revoked": simulator.tokens.revoke()}


_REQUESTS = (
    "token", "list", "get", "post", "put", "patch", "delete", "schema",
    "group_list", "group_get", "group_put", "group_patch", "unknown",
    "people", "person", "person_patch", "custom", "custom_schema", "subject", "limits", "license",
    "invite", "locations", "teams", "team_members",
)  # fmt: skip
_HANDLERS: Mapping[tuple[str, str], Callable[[Steered, object], object]] = {
    ("GET", "stats"): _stats,
    ("POST", "stats/reset"): _reset_stats,
    ("GET", "options"): _options,
    ("POST", "options"): _options,
    ("GET", "faults"): _show_faults,
    ("POST", "faults"): _faults,
    ("PUT", "faults"): _faults,
    ("PATCH", "faults"): _add_faults,
    ("GET", "history"): _history,
    ("POST", "edit"): _edit,
    ("GET", "names"): _names,
    ("POST", "names"): _names,
    ("POST", "groups"): _group,
    ("GET", "custom"): _custom,
    ("POST", "custom"): _custom,
    ("POST", "tokens/revoke"): _revoke,
    ("GET", "history/requests"): _requests,
    ("GET", "drift"): _drift,
    ("POST", "drift"): _drift,
    ("GET", "clients"): _clients,
    ("POST", "clients"): _clients,
    ("POST", "snapshot"): _snapshot,
    ("POST", "restore"): _restore,
    ("GET", "switches"): lambda _, __: explain(),
    ("GET", "openapi.json"): _openapi,
}
#: (method, path below `/_simulator/`) of all that can be asked here
ROUTES: tuple[tuple[str, str], ...] = tuple(_HANDLERS)

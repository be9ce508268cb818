"""`/_simulator`: look into the simulator and steer it while it runs. No token is needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Protocol

import msgspec

from scimsync.errors import ProtocolError
from scimsync.scim.messages import Operation
from scimsync.simulator.answers import Answer, Refused, as_json
from scimsync.simulator.directory import EDITOR, Actor, Directory
from scimsync.simulator.faults import Fault, read_faults
from scimsync.simulator.options import Options
from scimsync.simulator.tokens import Tokens


class Steered(Protocol):
    """What can be steered: the application, seen from here."""

    directory: Directory
    options: Options
    tokens: Tokens
    faults: list[Fault]
    counters: Counter[str]


def answer(simulator: Steered, method: str, path: str, body: bytes) -> Answer:
    """Answer a control request; every mistake is a 400 with a text."""
    handler = _HANDLERS.get((method, path.removeprefix("/_simulator").strip("/")))
    if handler is None:
        known = ", ".join(f"{m} /_simulator/{p}" for m, p in _HANDLERS)
        return as_json({"message": f"there is {known}"}, 404)
    try:
        return as_json(handler(simulator, msgspec.json.decode(body) if body else {}))
    except (ValueError, Refused, ProtocolError) as error:  # DecodeError is a ValueError
        return as_json({"message": str(error)}, 400)


def _stats(simulator: Steered, _: object) -> object:
    directory = simulator.directory
    return dict(simulator.counters) | {
        "requests": sum(simulator.counters[kind] for kind in _REQUESTS),
        "writes_by_user": max((user.writes for user in directory.users.values()), default=0),
        "effective_writes": directory.effective_writes,
    }


def _reset_stats(simulator: Steered, _: object) -> object:
    simulator.counters.clear()
    simulator.directory.effective_writes = 0
    for entity in (*simulator.directory.users.values(), *simulator.directory.groups.values()):
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
    return {"faults": [asdict(fault) for fault in simulator.faults]}


def _history(simulator: Steered, _: object) -> object:
    return [asdict(entry) for entry in simulator.directory.history]


def _edit(simulator: Steered, body: object) -> object:
    if not isinstance(body, Mapping):
        raise ValueError("an edit is an object")
    directory = simulator.directory
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
        if kind not in names.__slots__ or not isinstance(listed, list):
            raise ValueError(f"names are lists of {', '.join(names.__slots__)}")
        getattr(names, kind).update(map(str, listed))
    return {kind: sorted(getattr(names, kind)) for kind in names.__slots__}


def _group(simulator: Steered, body: object) -> object:
    if not isinstance(body, Mapping) or not isinstance(name := body.get("displayName"), str):
        raise ValueError("a group has a displayName")
    members = body.get("members", [])
    group = simulator.directory.add_group(name, map(str, members) if isinstance(members, list) else ())
    return simulator.directory.document(group)


def _revoke(simulator: Steered, _: object) -> object:
    return {"revoked": simulator.tokens.revoke()}


_REQUESTS = (
    "token", "list", "get", "post", "put", "patch", "delete", "schema",
    "group_list", "group_get", "group_put", "group_patch", "unknown",
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
    ("POST", "tokens/revoke"): _revoke,
}

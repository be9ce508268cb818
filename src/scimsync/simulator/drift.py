"""Schema drift: what the published schemas become when the provider changes them (genesys-scim.md §5.9)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from scimsync.errors import PatchRefused
from scimsync.scim.schema import CORE_USER

JsonObject = dict[str, object]

#: what a step may do to an attribute
STEPS: Mapping[str, str] = {
    "remove": "the attribute is gone",
    "retype": "its type is `to`",
    "read_only": "its mutability is readOnly",
    "require": "it is required",
    "add_value": "its canonical values have `to` too",
    "upper_case": "the enumerated words of all schemas are in upper case, as before July 2021",
}
_ENUMERATED = ("type", "mutability", "returned", "uniqueness")


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One change: `urn:...:User:title`, `phoneNumbers.type`; `upper_case` needs no path."""

    do: str
    path: str = ""
    to: str = ""


def read_steps(value: object) -> list[Step]:
    """Read a step or a list of steps.

    Raises:
        ValueError: One is not a step.
    """
    listed = value if isinstance(value, list) else [value]
    try:
        steps = msgspec.convert(listed, list[Step])
    except msgspec.ValidationError as error:
        raise ValueError(f"a step of a schema drift: {error}") from error
    for step in steps:
        if step.do not in STEPS:
            raise ValueError(f"a step of a schema drift is one of {', '.join(STEPS)}")
        if step.do in {"retype", "add_value"} and not step.to:
            raise ValueError(f"{step.do} needs `to`")
    return steps


def drifted(schema: JsonObject, steps: list[Step]) -> JsonObject:
    """A schema document after the steps."""
    changed = schema
    for step in steps:
        if step.do == "upper_case":
            changed = changed | {"attributes": [_upper(a) for a in _attributes(changed)]}
        else:
            urn, _, name = step.path.rpartition(":")
            if not urn or urn.lower() == str(schema.get("id", "")).lower():
                changed = changed | {"attributes": _stepped(_attributes(changed), name.split("."), step)}
    return changed


def refuse_drifted(body: Mapping[str, object], steps: list[Step]) -> None:
    """Refuse a write to what is gone or became read-only: drift in the middle of a run (reliability.md F60).

    Raises:
        PatchRefused: The body names such an attribute.
    """
    named = set(_named(body))
    for step in steps:
        if step.do not in {"remove", "read_only"}:
            continue
        path = step.path.lower()
        short = path.removeprefix(CORE_USER.lower() + ":")
        if any(_covers(name, wanted) for name in named for wanted in {path, short}):
            word = "invalidPath" if step.do == "remove" else "mutability"
            raise PatchRefused(word, f"{step.path} cannot be written any more")


def _covers(name: str, wanted: str) -> bool:
    return name == wanted or (name.startswith(wanted) and name[len(wanted)] in ".[")


def _named(body: Mapping[str, object]) -> Iterator[str]:
    """The attributes that a body writes to, in lower case."""
    operations = next((value for name, value in body.items() if name.lower() == "operations"), None)
    if isinstance(operations, list):
        for operation in operations:
            if isinstance(operation, dict):
                yield from _named_by(str(operation.get("path") or "").lower(), operation.get("value"))
        return
    yield from _named_by("", body)


def _named_by(path: str, value: object) -> Iterator[str]:
    if path:
        yield path
    if isinstance(value, Mapping) and (not path or path.startswith("urn:")):
        for name, inner in value.items():
            joined = f"{path}:{name}".lower() if path else str(name).lower()
            yield from _named_by(joined, inner) if ":" in joined and isinstance(inner, Mapping) else (joined,)


def _attributes(holder: Mapping[str, object], name: str = "attributes") -> list[JsonObject]:
    listed = holder.get(name)
    return [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []


def _stepped(listed: list[JsonObject], names: list[str], step: Step) -> list[JsonObject]:
    left = []
    for item in listed:
        if str(item.get("name", "")).lower() != names[0].lower():
            left.append(item)
        elif len(names) > 1:
            left.append(item | {"subAttributes": _stepped(_attributes(item, "subAttributes"), names[1:], step)})
        elif step.do != "remove":
            left.append(_changed(item, step))
    return left


def _changed(item: JsonObject, step: Step) -> JsonObject:
    match step.do:
        case "retype":
            return item | {"type": step.to}
        case "read_only":
            return item | {"mutability": "readOnly"}
        case "require":
            return item | {"required": True}
    held = item.get("canonicalValues")
    return item | {"canonicalValues": [*(held if isinstance(held, list) else []), step.to]}


def _upper(item: JsonObject) -> JsonObject:
    changed = item | {name: str(item[name]).upper() for name in _ENUMERATED if name in item}
    if "subAttributes" in item:
        changed["subAttributes"] = [_upper(sub) for sub in _attributes(item, "subAttributes")]
    return changed

"""What is wrong with the form of a document, in our sentences: place, what, suggestion.

pydantic finds the faults; what it says about them is not shown, because it repeats what was written, and that may be
a secret. A value is repeated here only where it is one of a few words or a limit.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from scimsync.config import approvals, clockwork, console, contracts, document, keys, outward
from scimsync.config.document import Attribute, Document
from scimsync.config.keys import Section
from scimsync.config.places import Place
from scimsync.config.sources import JoinedSource, is_joined
from scimsync.config.words import about, hint

_JOINED_MODE = (
    "only the first source says who is in a delivery. Take it away: whom a joined source does not have keeps what they "
    "have, unless it proves that it is complete"
)
_SHARE = 'write a number of people, or a share such as "5%"'
#: what is said about a text of another form, behind what was written
_SHOWN = {
    keys.SHARE: _SHARE,
    keys.WINDOW: 'write days or hours such as "1d" or "12h", or "0"',
    keys.OUTAGE: 'write "stop", or "wait 30m" or "wait 2h"',
    keys.BOUNDS: 'write ">= 900", "<= 2000" or "900 to 2000"',
    keys.RULE_NAME: "write small letters, digits and hyphens",
    keys.CLOCK: 'write hours and minutes such as "08:00"',
    keys.AFTER: 'write days or hours such as "1d" or "36h"',
    keys.MEMORY: 'write a number and its unit, for instance "512MB"',
    keys.TEXTFILE: "the name must end with .prom, or nobody collects it",
}
#: the same where nothing may be repeated
_HIDDEN = "is a secret and may not stand in the file: write"
_SECRETS = {
    keys.REFERENCE: f"{_HIDDEN} env:NAME, file:PATH, credential:NAME or exec:COMMAND",
    keys.FORMER_REFERENCE: f"{_HIDDEN} env:NAME, file:PATH, credential:NAME or exec:COMMAND",
    keys.SIGNING_KEY: f"{_HIDDEN} file:PATH or keyring:NAME",
}
_TYPES = {"boolean": "true or false", "array": "a list of texts", "string": "a text", "object": "a table"}
#: sections of which there may be several, one below the other
_SEVERAL: Mapping[str, type[Section]] = {
    "webhook": outward.Webhook,
    "rule": contracts.Rule,
    "approval": approvals.Approval,
    "schedule": clockwork.Schedule,
    "blackout": clockwork.Blackout,
    "alarm": clockwork.Alarm,
}
_MISSING = {
    "source": "say where the HR records are",
    "target": "say which directory is kept",
    "attributes": "map at least userName, displayName and active",
}


class Faults:
    """The faults so far, and the places that they are about, so that nothing is told twice."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.places: set[Place] = set()

    def tell(self, place: Place, sentence: str) -> None:
        """Add a fault."""
        self.places.add(place)
        self.faults.append(sentence)

    def knows(self, section: str, *keys: str) -> bool:
        """Whether one of these keys, or their whole section, was told of."""
        return (section,) in self.places or any((section, key) in self.places for key in keys)

    def need(self, section: str, key: str, found: str) -> None:
        """Tell that a key is missing where nothing was found for it."""
        self.need_at((section,), key, found)

    def need_at(self, table: Place, key: str, found: str) -> None:
        """The same for a table that stands in another."""
        if not found and not {table, (*table, key)} & self.places:
            where = ".".join(map(str, table))
            self.tell(
                (*table, key), f"[{where}] {key} is missing: {about(_known(str(table[0]), joined=len(table) > 1)[key])}"
            )


def read(raw: Mapping[str, object], told: Faults) -> Document:
    """The document; where its form is at fault, what is sound of it, and the faults are told.

    Keys and sections that are needed and not there are empty then.
    """
    try:
        return Document.model_validate(raw)
    except ValidationError as error:
        for found in error.errors(include_url=False, include_context=False, include_input=False):
            place = _place(found["loc"], raw)
            if place and place not in told.places:
                told.tell(place, _sentence(place, found["type"], raw))
        return _sound(raw, told.places)


def _place(loc: Place, raw: Mapping[str, object]) -> Place:
    """Where a fault is, without the branches of unions; () for a branch that was not meant."""
    section, *rest = loc
    held = raw.get(str(section))
    if section in _SEVERAL:
        return loc[:3] if len(loc) > 2 else (section,)
    if not rest or not isinstance(held, dict):
        return (section,)
    if section == "attributes" and isinstance(held.get(str(rest[0])), dict):
        given = held[str(rest[0])]
        if not isinstance(given.get("value"), str):
            return loc[:2]
        return (*loc[:2], *loc[3:4]) if len(loc) > 3 else ()
    if loc[:2] == ("state", "keep"):
        return loc[:2]
    if loc[:2] == ("limits", "clear") and isinstance(held.get("clear"), dict):
        return (*loc[:2], *loc[3:4]) if len(loc) > 3 else ()
    if loc[:2] in {("source", "expect"), ("console", "oidc")}:
        return loc[: min(4, 2 + _depth(loc[2:], held.get(str(loc[1]))))]
    if section == "source" and is_joined(rest[0]):
        return loc[:3]
    return loc[:2]


def _depth(steps: Place, held: object) -> int:
    """How many of these steps lead through tables; what comes after names the branch of a union."""
    if not steps or not isinstance(held, dict):
        return 0
    return 1 + _depth(steps[1:], held.get(steps[0]))


def _sentence(place: Place, fault: str, raw: Mapping[str, object]) -> str:
    section = str(place[0])
    if len(place) == 1:
        return _of_section(section, fault, Document.model_fields)
    value = _held(raw, place)
    if section == "attributes":
        return _of_attribute(place, fault, value)
    if place[:2] == ("limits", "clear") and len(place) > 2:
        return f"[limits] clear {place[2]} = {value!r}: {_SHARE}"
    if place == ("state", "keep"):
        return f"[state] keep = {value!r}: a table of runs and days, each a whole number from 1"
    if place[:2] in _INNER and len(place) > 2:
        return _INNER[place[:2]](place, fault, value)
    if section == "source" and is_joined(place[1]):
        if len(place) == 2:  # no table, so it is meant as a key
            return f"[source] {_of_key(str(place[1]), 'extra_forbidden', value, _known(section))}"
        if place[2] == "mode":
            return f"[source.{place[1]}] mode: {_JOINED_MODE}"
        return f"[source.{place[1]}] {_of_key(str(place[2]), fault, value, _known(section, joined=True))}"
    where = f"[[{section}]] {int(place[1]) + 1}" if section in _SEVERAL else f"[{section}]"
    return f"{where} {_of_key(str(place[-1]), fault, value, _known(section))}"


def _known(section: str, *, joined: bool = False) -> Mapping[str, Any]:
    """The keys of a section, as the schema has them; or those of a source that is joined to the first."""
    from scimsync.config.schema import schema  # noqa: PLC0415 - made where something is wrong only

    found: Mapping[str, Any] = schema()["properties"][section]
    if section == "attributes":
        found = found["additionalProperties"]["anyOf"][1]
    if joined:
        found = found["additionalProperties"]
    known: Mapping[str, Any] = found.get("items", found)["properties"]
    return known


def _of_section(section: str, fault: str, sections: Iterable[str]) -> str:
    if fault == "extra_forbidden":
        return f"[{section}] is not a section{hint(section, sections)}"
    if fault in {"missing", "too_short"}:
        return f"[{section}] is {'empty' if section == 'attributes' else 'missing'}: {_MISSING[section]}"
    if section in _SEVERAL:
        return f"[[{section}]] must be a list of tables: write [[{section}]] with two brackets"
    return f"[{section}] must be a table"


def _of_expectation(place: Place, fault: str, value: object) -> str:
    where, known = "[source.expect]", _known("source")["expect"]["properties"]
    if len(place) == 3:
        return f"{where} {_of_key(str(place[2]), fault, value, known)}"
    if place[2] == "newest":
        return f"{where} newest {_of_key(str(place[3]), fault, value, known['newest']['properties'])}"
    form = _SHARE if place[2] == "shares" else 'write a share such as "2%"'
    return f"{where} {place[2]} {place[3]} = {value!r}: {form}"


def _of_provider(place: Place, fault: str, value: object) -> str:
    where, known = "[console.oidc]", _known("console")["oidc"]["properties"]
    if len(place) == 3:
        return f"{where} {_of_key(str(place[2]), fault, value, known)}"
    words: list[str] = list(known["roles"]["propertyNames"]["enum"])
    if str(place[3]) not in words:
        return f"{where} roles: {place[3]} is none of {', '.join(words)}{hint(str(place[3]), words)}"
    return f'{where} roles {place[3]} = {value!r}: write a list of groups such as ["scimsync-admins"]'


#: tables within a section, and what tells of their keys
_INNER: Mapping[Place, Callable[[Place, str, object], str]] = {
    ("source", "expect"): _of_expectation,
    ("console", "oidc"): _of_provider,
}


def _of_attribute(place: Place, fault: str, value: object) -> str:
    where = f"[attributes] {place[1]}:"
    if len(place) == 2:
        return f'{where} write an SQL expression as text, or {{ value = "..." }}'
    if fault == "extra_forbidden":
        return f"{where} {place[2]} is not a setting{hint(str(place[2]), _known('attributes'))}"
    words: list[str] = _known("attributes")["authority"]["enum"]
    return f"{where} authority = {value!r} is none of {', '.join(words)}{hint(str(value), words)}"


def _of_key(key: str, fault: str, value: object, known: Mapping[str, Any]) -> str:
    if fault == "extra_forbidden":
        return f"{key} is not a setting{hint(key, known)}"
    if fault == "missing":
        return f"{key} is missing: {about(known[key])}"
    if key == "events":
        return _of_events(value, known)
    text, words = about(known[key]), known[key].get("enum", ())
    if words and isinstance(value, str) and value:
        return f"{key} = {value!r} is none of {', '.join(words)}{hint(value, words)}"
    forms = [part.get("pattern") for part in known[key].get("anyOf", [known[key]])]
    for form in forms:
        if form in _SECRETS and isinstance(value, str):
            return f"{key} {_SECRETS[form]}"
        if form in _SHOWN and (len(forms) > 1 or (isinstance(value, str) and value)):
            return f"{key} = {value!r}: {_SHOWN[form]}"
    if known[key].get("type") == "integer":
        return f"{key} must be a whole number from {known[key]['minimum']}: {text}"
    return f"{key} must be {_TYPES[known[key].get('type', 'string')]}: {text}"


def _of_events(value: object, known: Mapping[str, Any]) -> str:
    wrong = [each for each in value if not isinstance(each, str)] if isinstance(value, list) else [value]
    return f"events: {wrong[0]!r} is not an event: {about(known['events'])}"


def _held(raw: Any, place: Iterable[str | int]) -> Any:  # noqa: ANN401 - whatever was written
    """What stands at a place; nothing where it is missing."""
    for step in place:
        raw = raw[step] if isinstance(step, int) else raw.get(step, {})
    return raw


# --- what is sound ------------------------------------------------------------------------------


def _sound(raw: Mapping[str, object], faulty: Iterable[Place]) -> Document:
    """The document without what is faulty; what is needed and missing is empty."""
    kept: dict[str, Any] = copy.deepcopy(dict(raw))
    for *before, last in sorted(faulty, key=len, reverse=True):
        _held(kept, before).pop(last, None)
        if before == ["attributes"]:  # the path counts as mapped, so that no other fault follows from this one
            kept["attributes"][last] = ""
    sections: dict[str, Any] = {}
    for name, field in Document.model_fields.items():
        model = field.annotation
        if isinstance(model, type) and issubclass(model, Section):
            sections[name] = _filled(model, kept.get(name, {}))
    for name, optional in (("groups", document.Groups), ("events", outward.Events)):
        sections[name] = _filled(optional, kept[name]) if name in kept else None
    for name, several in _SEVERAL.items():
        sections[name] = [_filled(several, each) for each in kept.get(name, [])]
    _fill_inner(sections)
    if isinstance(sections["source"].model_extra, dict):
        for name, joined in sections["source"].model_extra.items():
            sections["source"].model_extra[name] = _filled(JoinedSource, joined)
    sections["attributes"] = {
        path: _filled(Attribute, given) if isinstance(given, dict) else given
        for path, given in kept.get("attributes", {}).items()
    }
    return Document.model_construct(**sections)


def _fill_inner(sections: Mapping[str, Any]) -> None:
    """The tables within sections."""
    if isinstance(expect := sections["source"].expect, dict):
        newest = expect.get("newest")
        filled = {**expect, "newest": _filled(contracts.Newest, newest) if newest else None}
        sections["source"].expect = _filled(contracts.Expect, filled)
    if isinstance(oidc := sections["console"].oidc, dict):
        sections["console"].oidc = _filled(console.Oidc, oidc)


def _filled(model: type[Section], given: Mapping[str, Any]) -> BaseModel:
    needed = {name: "" for name, field in model.model_fields.items() if field.is_required()}
    return model.model_construct(**{**needed, **given})

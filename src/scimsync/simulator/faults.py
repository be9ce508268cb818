"""Trouble on demand: which request is to fail, how, and on which side of its effect."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from random import Random

import msgspec
from msgspec import Struct, field

from scimsync.simulator.drift import read_steps
from scimsync.simulator.options import AREAS, Options

#: every kind of fault, and what it does
KINDS: Mapping[str, str] = {
    "status": "answer `status`, with `headers`, as an ErrorBody or (with `scim_type`) a ScimError",
    "reset": "reset the connection, before or after the effect",
    "close": "end the connection in order, without an answer, before or after the effect",
    "hang": "answer only after `seconds`; the effect comes before or after the wait",
    "delay": "the same as hang",
    "drip": "send the right answer in small pieces, `seconds` in all",
    "stall": "send the headers of the right answer, then nothing for `seconds`, then end",
    "truncate": "send half of the right answer, then end",
    "html": "answer a page of HTML with `status`",
    "content_type": "send the right answer as `value`, for instance text/plain",
    "empty": "answer 200 without a body",
    "wrong_body": "answer with the body of another person",
    "gzip_bomb": "answer a few kilobytes that unpack to `megabytes`",
    "foreign_edit": "somebody sets `path` to `value` (or adds it to a group) just before this request",
    "partial_apply": "carry out the PATCH except in `areas`; answer `status` (500, or 200)",
    "page_drift": "before this page, an account in front of it is made or deleted (`value`: insert, delete)",
    "schema_drift": "from now on the schemas are those after the steps in `value`",
    "options": "from now on the switches are those in `value`",
    "revoke": "all tokens end",
}


class Fault(Struct, kw_only=True):
    """One recipe.

    `on` is the kind of request (`patch`, `post`, `put`, `delete`, `get`, `list`, `token`, `schema`,
    `group_patch`, ...) or `any`. `when` is `before` or `after`: whether the request had its effect.
    """

    on: str = ""
    kind: str = "status"
    name: str = ""  #: for people, and for the history
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1  #: how many requests it hits; 0 = all
    skip: int = 0  #: how many requests it lets pass first
    probability: float = 1.0  #: with which it hits a request
    seed: int = 0  #: of the dice
    when: str = "before"
    seconds: float = 1.0
    user: str = ""  #: only requests for this account or group id
    client: str = ""  #: only requests of this client
    scim_type: str = ""  #: send a ScimError with this type
    message: str = ""
    path: str = ""  #: of a `foreign_edit`
    value: object = None
    areas: list[str] = field(default_factory=lambda: ["skills"])
    megabytes: int = 64
    hits: int = 0
    _dice: Random | None = None

    def strikes(self, kind: str, user: str, client: str = "") -> bool:
        """Whether this request is hit; counts it."""
        if self.on not in {kind, "any"} or (self.user and self.user != user):
            return False
        if self.client and self.client != client:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times and self.hits >= self.times:
            return False
        if self.probability < 1 and not self._falls():
            return False
        self.hits += 1
        return True

    def _falls(self) -> bool:
        if self._dice is None:
            self._dice = Random(self.seed)  # noqa: S311 - a rehearsal, not a secret
        return self._dice.random() < self.probability

    def to_json(self) -> dict[str, object]:
        """The recipe and how often it hit."""
        return {name: getattr(self, name) for name in _FIELDS} | {"hits": self.hits}


_FIELDS = tuple(name for name in Fault.__struct_fields__ if name not in {"hits", "_dice"})


def read_faults(document: object) -> list[Fault]:
    """Read `{"faults": [...]}` or a bare list of recipes.

    Raises:
        ValueError: A recipe is not one; names the field.
    """
    listed = document.get("faults") if isinstance(document, Mapping) else document
    if not isinstance(listed, list):
        raise ValueError('faults are a list, or an object {"faults": [...]}')
    return [_read(recipe) for recipe in listed]


def _read(recipe: object) -> Fault:
    if not isinstance(recipe, Mapping):
        raise ValueError("a fault is an object")
    unknown = set(recipe) - set(_FIELDS) - {"scimType", "hits"}
    if unknown:
        raise ValueError(f"a fault has no field {', '.join(sorted(unknown))}")
    members = {("scim_type" if name == "scimType" else name): value for name, value in recipe.items()}
    try:
        fault = msgspec.convert({n: v for n, v in members.items() if n in _TYPES.__struct_fields__}, _TYPES)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error
    made = Fault(**{name: getattr(fault, name) for name in members if name in _TYPES.__struct_fields__})
    _check(made)
    return made


_TYPES = msgspec.defstruct(
    "_Types",
    [
        (name, {"str": str, "int": int, "float": float, "dict[str, str]": dict[str, str], "list[str]": list[str]}.get(
            str(Fault.__annotations__[name]), object), None)
        for name in _FIELDS
    ],
)  # fmt: skip


def _check(fault: Fault) -> None:
    if not fault.on:
        raise ValueError("a fault says `on` which kind of request it strikes")
    if fault.kind not in KINDS:
        raise ValueError(f"a fault is one of {', '.join(KINDS)}")
    if fault.when not in {"before", "after"}:
        raise ValueError("a fault strikes before or after the effect")
    if not 0 <= fault.probability <= 1:
        raise ValueError("probability goes from 0 to 1")
    if set(fault.areas) - set(AREAS):
        raise ValueError(f"areas are some of {', '.join(AREAS)}")
    if fault.kind == "page_drift" and fault.value not in {"insert", "delete", None}:
        raise ValueError("a page_drift has the value insert or delete")
    if fault.kind == "schema_drift":
        read_steps(fault.value)
    if fault.kind == "options":
        if not isinstance(fault.value, Mapping):
            raise ValueError("a fault of kind options has switches by name as value")
        Options().change({str(name): value for name, value in fault.value.items()})


def strike(faults: Iterable[Fault], kind: str, user: str, client: str = "") -> Fault | None:
    """The first fault that hits a request."""
    return next((fault for fault in faults if fault.strikes(kind, user, client)), None)


@lru_cache(maxsize=2)
def bomb(megabytes: int) -> bytes:
    """Some kilobytes of gzip that unpack to so many megabytes of JSON text."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    block = b" " * 1_048_576
    parts = [packer.compress(block) for _ in range(megabytes)]
    return b"".join([*parts, packer.compress(b"{}"), packer.flush()])

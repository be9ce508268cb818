"""Trouble on demand: which request is to fail, how, and on which side of its effect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

KINDS = ("status", "reset", "hang", "truncate", "html", "foreign_edit")


@dataclass(slots=True, kw_only=True)
class Fault:
    """One recipe.

    `on` is the kind of request (`patch`, `post`, `put`, `delete`, `get`, `list`, `token`, `schema`,
    `group_patch`, ...) or `any`. `when` is `before` or `after`: whether the request had its effect.
    """

    on: str
    kind: str = "status"
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1  #: how many requests it hits; 0 = all
    skip: int = 0  #: how many requests it lets pass first
    when: str = "before"
    seconds: float = 1.0  #: of a `hang`
    user: str = ""  #: only requests for this account id
    scim_type: str = ""  #: send a ScimError with this type
    message: str = ""
    path: str = ""  #: of a `foreign_edit`
    value: object = None
    hits: int = 0

    def strikes(self, kind: str, user: str) -> bool:
        """Whether this request is hit; counts it."""
        if self.on not in {kind, "any"} or (self.user and self.user != user):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times and self.hits >= self.times:
            return False
        self.hits += 1
        return True


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
    unknown = set(recipe) - set(Fault.__dataclass_fields__) - {"scimType"}
    if unknown:
        raise ValueError(f"a fault has no field {', '.join(sorted(unknown))}")
    members = {("scim_type" if name == "scimType" else name): value for name, value in recipe.items()}
    try:
        fault = msgspec.convert(members, Fault)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error
    if fault.kind not in KINDS:
        raise ValueError(f"a fault is one of {', '.join(KINDS)}")
    if fault.when not in {"before", "after"}:
        raise ValueError("a fault strikes before or after the effect")
    return fault


def strike(faults: Iterable[Fault], kind: str, user: str) -> Fault | None:
    """The first fault that hits a request."""
    return next((fault for fault in faults if fault.strikes(kind, user)), None)

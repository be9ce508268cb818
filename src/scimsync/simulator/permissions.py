"""Who may do what: the permissions of genesys-scim.md §1.3, checked for each area that a write touches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from scimsync.simulator.answers import Refused

ADD, EDIT, DELETE = "directory:user:add", "directory:user:edit", "directory:user:delete"
VIEW = "directory:user:view"  #: people over the Platform API; over SCIM a token is enough (documented)
PASSWORD = "directory:user:setPassword"  # noqa: S105 - the name of a permission
GROUP = "directory:group:edit"
GRANT_ADD, GRANT_DELETE = "authorization:grant:add", "authorization:grant:delete"
SKILL, LANGUAGE, EXTENSION = "routing:skill:assign", "routing:language:assign", "telephony:extension:assign"
TEAM_VIEW, TEAM_ASSIGN = "groups:team:view", "groups:team:assign"
#: what shows the lists of names of the Platform API; which role holds them is not documented
VIEWS: Mapping[str, str] = {
    "roles": "authorization:role:view",
    "divisions": "authorization:division:view",
    "skills": "routing:skill:view",
    "languages": "routing:language:view",
}
_SHARED = (GRANT_ADD, GRANT_DELETE, SKILL, LANGUAGE, EXTENSION)
ALL = frozenset({ADD, EDIT, DELETE, VIEW, PASSWORD, GROUP, TEAM_VIEW, TEAM_ASSIGN, *_SHARED, *VIEWS.values()})
#: what the spec names for each method on a user ("ANY of")
ANY_OF: Mapping[str, tuple[str, ...]] = {
    "POST": (ADD, *_SHARED),
    "PUT": (EDIT, PASSWORD, *_SHARED),
    "PATCH": (EDIT, PASSWORD, *_SHARED),
    "DELETE": (DELETE,),
}
#: ready-made roles; the first is the built-in one of Genesys (documented), the others are for rehearsals
ROLES: Mapping[str, frozenset[str]] = {
    "SCIM Integration": ALL,
    "Read Only": frozenset(),
    "Directory Only": frozenset({ADD, EDIT, DELETE, PASSWORD, GROUP}),
    "No Roles": ALL - {GRANT_ADD, GRANT_DELETE},
    "No Routing": ALL - {SKILL, LANGUAGE},
    "No Groups": ALL - {GROUP},
    "No Delete": ALL - {DELETE},
    "No Names": ALL - frozenset(VIEWS.values()),
    "No View": ALL - {VIEW},
    "No Teams": ALL - {TEAM_VIEW, TEAM_ASSIGN},
}


def name_of(held: frozenset[str]) -> str:
    """The name of the ready-made role that allows just this; one of its own for any other."""
    return next((name for name, allowed in ROLES.items() if allowed == held), "Custom Role")


@lru_cache(maxsize=64)
def read_role(text: str) -> frozenset[str]:
    """The permissions of a role by its name, or those that are listed with commas.

    Raises:
        ValueError: Neither a role nor permissions.
    """
    for name, held in ROLES.items():
        if name.lower() == text.strip().lower():
            return held
    listed = frozenset(part.strip() for part in text.split(",") if part.strip())
    if not listed or listed - ALL:
        raise ValueError(
            f"permissions are a role ({', '.join(ROLES)}) or some of {', '.join(sorted(ALL))}, joined by commas"
        )
    return listed


def demand(held: frozenset[str], needed: Iterable[str]) -> None:
    """Refuse with 403 what a role does not allow.

    Raises:
        Refused: One of the needed permissions is missing; names it.
    """
    for permission in needed:
        if permission not in held:
            raise Refused(
                403,
                f"Unable to perform the requested action. You are missing the following permission(s): [{permission}]",
                code="missing.permissions",
            )


def demand_any(held: frozenset[str], listed: Iterable[str]) -> None:
    """Refuse with 403 where none of the permissions is held.

    Raises:
        Refused: None is.
    """
    names = tuple(listed)
    if held.isdisjoint(names):
        raise Refused(
            403,
            "Unable to perform the requested action. You must have at least one of the following permissions assigned: "
            f"[{', '.join(names)}]",
            code="missing.any.permissions",
        )

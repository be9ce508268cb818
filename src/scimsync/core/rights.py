"""Which permission a configuration needs, what of it needs it, and whether our client has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from msgspec import Struct

from scimsync.model.policy import Policy
from scimsync.scim.dialect import ROLE, Dialect, Permission


class Missing(Struct, frozen=True):
    """A permission that is needed and not held."""

    permission: str
    #: what needs it: mapped paths, or a word
    needed_by: tuple[str, ...]
    #: the divisions in which it is held, where it is held in some and not in all
    only_in: tuple[str, ...] = ()
    #: people can be written all the same: it is needed for some values, or only to look names up
    bearable: bool = False
    #: for a bearable one, when it is needed
    when: str = ""


def missing(policy: Policy, dialect: Dialect, granted: Mapping[str, Set[str]]) -> Iterator[Missing]:
    """What a configuration needs and our client may not do.

    Args:
        policy: What is mapped, and what becomes of leavers and groups.
        dialect: What needs which permission.
        granted: Division -> the permissions that we have there.

    Examples:
        >>> from scimsync.model.policy import Authority, Mapped
        >>> from scimsync.scim.genesys import GENESYS
        >>> paths = ("title", "genesys:routingSkills")
        >>> mapped = tuple(Mapped(place=GENESYS.users.resolve(p), expression="x", authority=Authority.ASK)
        ...                for p in paths)
        >>> held = {"directory:user:*", "routing:skill:view"}
        >>> [(m.permission, m.needed_by) for m in missing(Policy(attributes=mapped, match=()), GENESYS, {"Home": held})]
        [('routing:skill:assign', ('genesys:routingSkills',))]
    """
    for permission in dialect.permissions:
        needed_by = tuple(_needing(permission, policy, dialect))
        holding = tuple(name for name, held in granted.items() if _holds(held, permission.name))
        # accounts are of a division; the rest need only be held somewhere
        least = len(granted) if permission.actions else 1
        if needed_by and len(holding) < max(1, least):
            when = permission.only or _looked_up(permission.names, dialect)
            yield Missing(permission.name, needed_by, holding, bool(when), when)


def _looked_up(kind: str, dialect: Dialect) -> str:
    """When a list of names is needed; "" for none."""
    costs = " and to say which licences a plan needs" if kind == ROLE and dialect.licences_url else ""
    return f"to check names before the first write{costs}" if kind else ""


def closed(policy: Policy, dialect: Dialect, granted: Mapping[str, Set[str]]) -> dict[str, str]:
    """Mapped path that is kept beside SCIM -> the permission that it needs and our client has not."""
    beside = {mapped.path for mapped in policy.attributes if not mapped.place.published}
    lacking = missing(policy, dialect, granted) if beside else ()
    return {path: f"needs {one.permission}" for one in lacking for path in one.needed_by if path in beside}


def is_held(name: str, granted: Mapping[str, Set[str]]) -> bool:
    """Whether a permission is held in some division."""
    return any(_holds(held, name) for held in granted.values())


def _holds(held: Set[str], name: str) -> bool:
    words = name.split(":")
    given = (permission.split(":") for permission in held)
    return any(len(one) == len(words) and all(g in {w, "*"} for g, w in zip(one, words, strict=True)) for one in given)


def _needing(permission: Permission, policy: Policy, dialect: Dialect) -> Iterator[str]:
    """What of a configuration needs a permission, in its own words."""
    words = {"create": "joiners", "update": "movers and leavers", "members": "[groups]", "delete": "[policy] leavers"}
    done = {"create", "update", policy.leavers.value} | ({"members"} if policy.groups is not None else set())
    yield from (words[action] for action in permission.actions if action in done)
    roots = {*permission.roots, *(listed.root for listed in dialect.names if listed.kind == permission.names)}
    yield from (mapped.path for mapped in policy.attributes if mapped.place.root in roots)

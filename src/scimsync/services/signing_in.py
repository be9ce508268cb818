"""Let in whom a provider of OpenID Connect names, with the roles that its groups give them today."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from scimsync.bootstrap import Provider, make_provider, on_behalf_of
from scimsync.config import OidcSettings, Settings
from scimsync.core import claiming
from scimsync.engine.state import Journal
from scimsync.errors import IdentityRefused
from scimsync.model.audit import Kind
from scimsync.model.decisions import Actor
from scimsync.model.visitors import Asking
from scimsync.services.auditing import note

__all__ = ["Asking", "Entered", "Provider", "enter", "make_provider"]

#: how people are proven whom a provider names
PROOF = "oidc"


class Entered(Struct, frozen=True, kw_only=True):
    """Who comes in."""

    who: Actor
    roles: tuple[str, ...]


def enter(settings: Settings, store: Journal, claims: Mapping[str, object]) -> Entered:
    """Who somebody is and what they may, by what the provider proved of them; it is a record of the audit chain.

    Raises:
        IdentityRefused: Nothing that they belong to gives them a role here.
    """
    given = settings.console.oidc
    if given is None:
        raise IdentityRefused("Nobody signs in by a provider here: the configuration has no [console.oidc].")
    name = claiming.name_of(given.issuer, str(claims["sub"]), claiming.said(claims, given.name))
    held = claiming.groups(claims, given.claim)
    roles = claiming.roles(held, given.roles)
    who = Actor(name, PROOF)
    if not roles:
        raise IdentityRefused(_why_not(given, claims, who, len(held)))
    with on_behalf_of(who):
        note(settings, store, Kind.CONSOLE, action="signed in", detail=", ".join(roles))
    return Entered(who=who, roles=roles)


def _why_not(given: OidcSettings, claims: Mapping[str, object], who: Actor, number: int) -> str:
    """Why somebody has no role, and who can do what about it."""
    if claiming.is_left_out(claims, given.claim):
        return (
            f"{who.shown}: you are in more groups than {given.host} tells of in one answer, so nobody here knows "
            "whether you may come in. Let it send the groups of this application alone, or roles of the application "
            '(claim = "roles").'
        )
    if claiming.said(claims, given.claim) is None:
        return (
            f"{who.shown}: {given.host} says nothing of you under {given.claim!r}. It must be set up to send that "
            "claim, or [console.oidc] claim must name another."
        )
    count = f"{number} group" + ("" if number == 1 else "s")
    return (
        f"{who.shown}: {given.host} knows you, and none of your {count} gives you a role here. Ask an admin to add one "
        "to [console.oidc] roles, or to add you to one that stands there."
    )

"""What the console is handed: who gets in, and by which provider."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct, field

from scimsync.values import Secretive


class OidcSettings(Secretive, frozen=True, kw_only=True):
    """A provider of OpenID Connect, and what it takes to get in by it."""

    issuer: str
    client_id: str
    #: "" for a public client, and where secrets were not asked for
    client_secret: str = ""
    client_auth: Literal["basic", "post"] = "basic"
    scopes: tuple[str, ...] = ()
    claim: str = "groups"
    #: role -> what the claim holds for it
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: the claim by which people are shown
    name: str = "preferred_username"
    ca_file: Path | None = None

    @property
    def host(self) -> str:
        """The provider, as people are told of it."""
        return urlsplit(self.issuer).netloc


class ConsoleSettings(Struct, frozen=True, kw_only=True):
    """Who gets into the console."""

    local_users: bool = True
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    oidc: OidcSettings | None = None

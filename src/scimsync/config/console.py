"""The sections about who gets into the console: [console] and [console.oidc]."""

from typing import Annotated, Literal

from scimsync.config.keys import REFERENCE, Section
from scimsync.config.keys import key as _key
from scimsync.config.keys import like as _like
from scimsync.config.keys import text as _text

RoleWord = Literal["viewer", "operator", "approver", "auditor", "admin"]


class Oidc(Section):
    """A provider of OpenID Connect at which people sign in."""

    issuer: str = _text(
        "The address of the provider, letter by letter as its discovery document says `issuer`; https.",
        ...,
        example="https://login.example.com/realms/firm",
    )
    client_id: str = _text("What the provider knows this console as.", ..., example="scimsync-console")
    client_secret: str = _like(
        REFERENCE,
        "The secret of the console there; env:NAME or file:PATH. Without one it is a public client.",
        example="env:OIDC_CLIENT_SECRET",
    )
    client_auth: Literal["basic", "post"] = _key(
        "How id and secret travel to the token endpoint: in a header (`basic`) or in the form (`post`).",
        "basic",
        example="post",
    )
    scopes: list[str] = _key(
        "What is asked for, besides `openid`. Okta gives groups for a scope of its own.",
        ["profile", "email"],
        example=["profile", "email", "groups"],
    )
    claim: str = _text(
        "The claim that says what somebody belongs to; dots lead inwards.", "groups", example="realm_access.roles"
    )
    roles: dict[RoleWord, Annotated[list[str], _key("Groups, letter by letter.", ..., example=["HR IT"])]] = _key(
        "Role -> what the claim holds for whoever has it, letter by letter. Who has several roles may do what any of "
        "them may; who has none is not let in.",
        ...,
        example={"approver": ["scimsync-leads"], "admin": ["scimsync-admins"]},
        min_length=1,
    )
    name: str = _text(
        "The claim by which people are shown; they are told apart by issuer and `sub`.",
        "preferred_username",
        example="email",
    )
    ca_file: str = _text("One more authority that is trusted for the provider.", example="/etc/ssl/firm-ca.pem")


class Console(Section):
    """Who gets into the console of `scimsync serve`."""

    local_users: bool = _key(
        "Whether users of the page *Settings* sign in by password or passkey. Where `[console.oidc]` is and this is "
        "true, one human may be two people here.",
        default=True,
        example=False,
    )
    trusted_proxies: list[str] = _key(
        "Addresses or networks of proxies that say in `X-Forwarded-For` from where a request comes, so that guessers "
        "are told apart.",
        [],
        example=["127.0.0.1", "10.1.0.0/16"],
    )
    oidc: Oidc | None = _key(
        "A provider of OpenID Connect at which people sign in.",
        None,
        example={
            "issuer": "https://login.example.com/realms/firm",
            "client_id": "scimsync-console",
            "roles": {"admin": ["scimsync-admins"]},
        },
    )

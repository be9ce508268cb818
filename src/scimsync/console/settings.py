"""Users with their roles, tokens with their scopes, webhooks with their last answers."""

from __future__ import annotations

from datetime import timedelta

from starlette.responses import Response

from scimsync.console.asking import Asked, Page
from scimsync.console.roles import Right, Role
from scimsync.errors import ConfigError
from scimsync.services import visiting

#: what a machine may be let do; who may is decided by people alone
SCOPES = tuple(right.value for right in Right if right is not Right.ADMIN)


def _settings(asked: Asked, secret: str = "") -> Response:
    return asked.page(
        "settings.html.j2",
        users=asked.store.users(),
        tokens=asked.store.tokens(),
        roles=[role.value for role in Role],
        scopes=_scopes(asked),
        secret=secret,
    )


def _scopes(asked: Asked) -> list[str]:
    """What a token may be let do: nothing that who makes it may not do, for it acts for them."""
    return [scope for scope in SCOPES if asked.visitor.may(scope)]


def _save_user(asked: Asked) -> Response:
    name, form = asked.form.get("name", "").strip(), asked.form
    visiting.save_user(
        asked.settings,
        asked.store,
        name,
        form.get("role", ""),
        form.get("password", ""),
        [role.value for role in Role],
    )
    asked.console.sessions.end_all(name)
    return asked.go("/settings")


def _remove_user(asked: Asked) -> Response:
    name = asked.form.get("name", "")
    visiting.remove_user(asked.settings, asked.store, name)
    for token in [token for token in asked.store.tokens() if token.actor == name]:
        visiting.remove_token(asked.settings, asked.store, token.id)  # it acted for them
    asked.console.sessions.end_all(name)
    return asked.go("/settings")


def _make_token(asked: Asked) -> Response:
    days = asked.form.get("days", "")
    if not (days.isascii() and days.isdigit() and len(days) < 5):
        raise ConfigError("Say for how many days the token holds.")
    scopes = [scope for scope in asked.fields.get("scope", ()) if scope in _scopes(asked)]
    name = asked.form.get("name", "")
    _, secret = visiting.make_token(asked.settings, asked.store, name, scopes, timedelta(days=int(days)))
    return _settings(asked, secret)


def _remove_token(asked: Asked) -> Response:
    visiting.remove_token(asked.settings, asked.store, asked.form.get("id", ""))
    return asked.go("/settings")


PAGES = (
    Page(path="/settings", handler=_settings, right=Right.ADMIN),
    Page(path="/settings/users", handler=_save_user, right=Right.ADMIN, method="POST"),
    Page(path="/settings/users/remove", handler=_remove_user, right=Right.ADMIN, method="POST"),
    Page(path="/settings/tokens", handler=_make_token, right=Right.ADMIN, method="POST"),
    Page(path="/settings/tokens/remove", handler=_remove_token, right=Right.ADMIN, method="POST"),
)

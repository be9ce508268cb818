"""Sign in, by the link of the first start or by name and password, and out."""

from __future__ import annotations

import math

from starlette.responses import Response

from scimsync.console.asking import Asked, Page
from scimsync.console.roles import Role
from scimsync.services import visiting


def _enter(asked: Asked) -> Response:
    """What the link leads to: a button, because looking changes nothing, and programs look at links."""
    return asked.page("enter.html.j2", token=asked.query.get("token", ""), wrong="")


def _entered(asked: Asked) -> Response:
    patience, who = asked.console.patience, f"link {asked.client}"
    if wait := patience.wait_s(who):
        return _wait(asked, wait)
    session = asked.console.sessions.redeem(asked.form.get("token", ""))
    if session is None:
        patience.failed(who)
        return asked.page(
            "enter.html.j2",
            status=403,
            token="",
            wrong="This link was used, or is not the last one. Start scimsync serve again for another.",
        )
    patience.succeeded(who)
    return _signed_in(asked, session, "/")


def _login(asked: Asked) -> Response:
    return asked.page("login.html.j2", to=_place(asked.query.get("to", "/")), wrong="", name="")


def _named(asked: Asked) -> Response:
    """Sign in by name and password. A name and an address have to wait, each for itself, after some tries in vain."""
    name, password, to = (asked.form.get(field, "") for field in ("name", "password", "to"))
    patience, guessers = asked.console.patience, (f"name {name[:64]}", f"address {asked.client}")
    if wait := max(map(patience.wait_s, guessers)):
        return _wait(asked, wait)
    user = visiting.sign_in(asked.store, name, password)
    if user is None:
        for one in guessers:
            patience.failed(one)
        wrong = "This name and this password do not belong together."
        return asked.page("login.html.j2", status=403, to=_place(to), wrong=wrong, name=name[:64])
    for one in guessers:
        patience.succeeded(one)
    return _signed_in(asked, asked.console.sessions.begin(user.name, Role(user.role)), to)


def _signed_in(asked: Asked, session: str, to: str) -> Response:
    response = asked.go(_place(to))
    response.set_cookie(
        asked.console.cookie, session, path="/", secure=asked.console.secure, httponly=True, samesite="strict"
    )
    return response


def _logout(asked: Asked) -> Response:
    asked.console.sessions.end(_cookie(asked))
    response = asked.go("/login")
    response.delete_cookie(
        asked.console.cookie, path="/", secure=asked.console.secure, httponly=True, samesite="strict"
    )
    response.headers["clear-site-data"] = '"cache", "storage"'
    return response


def _cookie(asked: Asked) -> str:
    pairs = (part.strip().partition("=") for part in asked.headers.get("cookie", "").split(";"))
    return next((value for name, _, value in pairs if name == asked.console.cookie), "")


def _wait(asked: Asked, seconds: float) -> Response:
    whole = math.ceil(seconds)
    response = asked.sorry(429, "Too many tries", f"Wait {whole} seconds before the next one.")
    response.headers["retry-after"] = str(whole)
    return response


def _place(to: str) -> str:
    """A place of ours, whatever was asked for: nobody is sent elsewhere from here."""
    is_ours = to.startswith("/") and not to.startswith(("//", "/\\")) and to.isprintable() and "\\" not in to
    return to if is_ours else "/"


PAGES = (
    Page(path="/enter", handler=_enter, right=None),
    Page(path="/enter", handler=_entered, right=None, method="POST"),
    Page(path="/login", handler=_login, right=None),
    Page(path="/login", handler=_named, right=None, method="POST"),
    Page(path="/logout", handler=_logout, right=None, method="POST"),
)

"""Sign in: by the link of the first start, by name and password, at a provider; and out."""

from __future__ import annotations

import math
from urllib.parse import urlencode

from starlette.responses import Response

from scimsync.console.asking import Asked, Page
from scimsync.console.roles import Role
from scimsync.errors import IdentityRefused, ProviderSilent
from scimsync.services import signing_in, visiting
from scimsync.services.passkeys import Place

#: where a provider sends a browser back to
BACK = "/login/oidc/back"
_OIDC = "oidc"


def page(asked: Asked, *, to: str = "/", status: int = 200, wrong: str = "", name: str = "") -> Response:
    """The page where one signs in."""
    console = asked.console
    return asked.page(
        "login.html.j2",
        status=status,
        to=place(to),
        wrong=wrong,
        name=name[:64],
        provider=console.provider.host if console.provider is not None else "",
        provider_query=urlencode({"to": place(to)}),
        local=asked.settings.console.local_users,
        by_passkey=asked.settings.console.local_users and Place(asked.origin).is_fit,
    )


# --- by the link ----------------------------------------------------------------------------------


def _enter(asked: Asked) -> Response:
    """What the link leads to: a button, because looking changes nothing, and programs look at links."""
    return asked.page("enter.html.j2", token=asked.query.get("token", ""), wrong="")


def _entered(asked: Asked) -> Response:
    patience, who = asked.console.patience, f"link {asked.client}"
    if seconds := patience.take(who):
        return wait(asked, seconds)
    session = asked.console.sessions.redeem(asked.form.get("token", ""))
    if session is None:
        return asked.page(
            "enter.html.j2",
            status=403,
            token="",
            wrong="This link was used, or is not the last one. Start scimsync serve again for another.",
        )
    patience.succeeded(who)
    return signed_in(asked, session, asked.go("/"))


# --- by name and password -------------------------------------------------------------------------


def _login(asked: Asked) -> Response:
    return page(asked, to=asked.query.get("to", "/"))


def _named(asked: Asked) -> Response:
    """Sign in by name and password. A name and an address have to wait, each for itself, after some tries in vain."""
    name, password, to = (asked.form.get(field, "") for field in ("name", "password", "to"))
    if not asked.settings.console.local_users:
        return page(asked, status=403, to=to, wrong="Nobody signs in by a password here.")
    patience, of_name, of_address = asked.console.patience, f"name {name[:64]}", f"address {asked.client}"
    if seconds := patience.take(of_name, of_address):
        return wait(asked, seconds)
    try:
        user = visiting.sign_in(asked.store, name, password)
    except IdentityRefused as error:
        patience.give_back(of_name)
        patience.give_back(of_address)
        return _busy(asked, str(error))
    if user is None:
        wrong = "This name and this password do not belong together."
        return page(asked, status=403, to=to, wrong=wrong, name=name)
    patience.succeeded(of_name)
    patience.give_back(of_address)
    session = asked.console.sessions.begin(user.name, Role(user.role))
    return signed_in(asked, session, asked.go(place(to)))


# --- at a provider --------------------------------------------------------------------------------


def _leave_for(asked: Asked) -> Response:
    """Off to the provider. What must come back is kept by this browser, sealed; nothing is kept here."""
    provider, to = asked.console.provider, place(asked.query.get("to", "/"))
    if provider is None:
        return page(asked, status=404, to=to, wrong="Nobody signs in at a provider here.")
    try:
        url, asking = provider.begin(asked.origin + BACK)
    except ProviderSilent as error:
        return page(asked, status=502, to=to, wrong=_silent(asked, error))
    kept = {"state": asking.state, "nonce": asking.nonce, "verifier": asking.verifier, "to": to}
    response = asked.elsewhere(url)
    # lax, for it must come along when the provider sends the browser back; it opens nothing by itself
    asked.set_cookie(response, asked.console.pending.seal(_OIDC, **kept), asked.begun_cookie, lax=True)
    return response


def _come_back(asked: Asked) -> Response:
    """Back from the provider, with a code for what it says of this person."""
    console, who = asked.console, f"oidc {asked.client}"
    kept = console.pending.open(_OIDC, asked.cookie(asked.begun_cookie))
    if console.provider is None or kept is None:
        wrong = "This browser did not begin to sign in here, or that took more than ten minutes. Begin again."
        return page(asked, status=403, wrong=wrong)
    if seconds := console.patience.take(who):
        return wait(asked, seconds)
    asking = signing_in.Asking(state=kept["state"], nonce=kept["nonce"], verifier=kept["verifier"])
    try:
        claims = console.provider.finish(asking, dict(asked.query), asked.origin + BACK)
        entered = signing_in.enter(asked.settings, asked.store, claims)
    except IdentityRefused as error:
        response = page(asked, status=403, to=kept["to"], wrong=str(error))
    except ProviderSilent as error:
        console.patience.give_back(who)
        response = page(asked, status=502, to=kept["to"], wrong=_silent(asked, error))
    else:
        console.patience.succeeded(who)
        roles = [Role(role) for role in entered.roles]
        session = console.sessions.begin(entered.who.name, *roles, proof=entered.who.proof)
        # a page and no redirect: a strict cookie does not come along on a way that began elsewhere
        response = signed_in(asked, session, asked.page("bounce.html.j2", to=kept["to"]))
    asked.drop_cookie(response, asked.begun_cookie, lax=True)
    return response


def _silent(asked: Asked, error: ProviderSilent) -> str:
    others = " Local users sign in below as ever." if asked.settings.console.local_users else ""
    return f"{error} Try again in a minute.{others}"


# --- in and out -----------------------------------------------------------------------------------


def signed_in(asked: Asked, session: str, response: Response) -> Response:
    """An answer that lets the browser keep a session."""
    asked.set_cookie(response, session, asked.console.cookie)
    return response


def _logout(asked: Asked) -> Response:
    """Out here; who came by a provider is shown how to sign out there."""
    asked.console.sessions.end(asked.cookie(asked.console.cookie))
    provider, there = asked.console.provider, ""
    if provider is not None and asked.visitor.proof == signing_in.PROOF:
        there = provider.leave(asked.origin + "/login")
    response = asked.signed_out.page("left.html.j2", there=there, host=provider.host) if provider and there else None
    response = response or asked.go("/login")
    asked.drop_cookie(response, asked.console.cookie)
    response.headers["clear-site-data"] = '"cache", "storage"'
    return response


def wait(asked: Asked, seconds: float) -> Response:
    """That somebody tried too often."""
    whole = math.ceil(seconds)
    response = asked.sorry(429, "Too many tries", f"Wait {whole} seconds before the next one.")
    response.headers["retry-after"] = str(whole)
    return response


def _busy(asked: Asked, why: str) -> Response:
    response = asked.sorry(503, "Not at this moment", why)
    response.headers["retry-after"] = "5"
    return response


def place(to: str) -> str:
    """A place of ours, whatever was asked for: nobody is sent elsewhere from here."""
    is_ours = to.startswith("/") and not to.startswith(("//", "/\\")) and to.isprintable() and "\\" not in to
    return to if is_ours and len(to) <= 1000 else "/"


PAGES = (
    Page(path="/enter", handler=_enter, right=None),
    Page(path="/enter", handler=_entered, right=None, method="POST"),
    Page(path="/login", handler=_login, right=None),
    Page(path="/login", handler=_named, right=None, method="POST"),
    Page(path="/login/oidc", handler=_leave_for, right=None),
    Page(path=BACK, handler=_come_back, right=None),
    Page(path="/logout", handler=_logout, right=None, method="POST"),
)

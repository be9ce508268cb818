"""Passkeys: made on a page of one's own, and proven where one signs in."""

from __future__ import annotations

import base64

from starlette.responses import JSONResponse, Response

from scimsync.console import entering
from scimsync.console.asking import Asked, Page
from scimsync.console.roles import Right, Role
from scimsync.errors import ConfigError, IdentityRefused
from scimsync.services import passkeys
from scimsync.services.passkeys import Place

_MAKING, _ASKING = "passkey to be made", "passkey"
#: how one is proven who may make a passkey: by what belongs to the user
_OWN = frozenset({"password", passkeys.PROOF})


def _account(asked: Asked) -> Response:
    return asked.page(
        "account.html.j2",
        passkeys=asked.store.passkeys(asked.visitor.name) if _has_own(asked) else (),
        is_own=_has_own(asked),
        is_fit=Place(asked.origin).is_fit,
    )


def _has_own(asked: Asked) -> bool:
    return asked.visitor.proof in _OWN and asked.settings.console.local_users


def _begin(asked: Asked) -> Response:
    """What the browser is asked in order to make one; it keeps the challenge, sealed."""
    if not _has_own(asked):
        raise ConfigError("Passkeys are for users of the page Settings; who came in otherwise has none here.")
    options, challenge = passkeys.begin(asked.store, Place(asked.origin), asked.visitor.name)
    return _asks(asked, _MAKING, options, challenge)


def _keep(asked: Asked) -> Response:
    challenge = _challenge(asked, _MAKING)
    if challenge is None:
        return asked.sorry(403, "This took too long", "Go back, and make the passkey again.")
    form, user = asked.form, asked.visitor.name
    said, place = form.get("credential", ""), Place(asked.origin)
    try:
        passkeys.keep(asked.settings, asked.store, place, user, form.get("name", ""), said, challenge)
    except IdentityRefused as error:
        return asked.sorry(400, "The passkey was not kept", str(error))
    response = asked.go("/account")
    asked.drop_cookie(response, asked.begun_cookie)
    return response


def _remove(asked: Asked) -> Response:
    passkeys.remove(asked.settings, asked.store, asked.visitor.name, asked.form.get("id", ""))
    return asked.go("/account")


def _ask(asked: Asked) -> Response:
    """What the browser is asked of whoever wants to sign in by one."""
    place = Place(asked.origin)
    if not asked.settings.console.local_users or not place.is_fit:
        return JSONResponse({"error": "Nobody signs in by a passkey here."}, 404)
    options, challenge = passkeys.ask(place)
    return _asks(asked, _ASKING, options, challenge)


def _enter(asked: Asked) -> Response:
    """Sign in by one."""
    to, patience, who = asked.form.get("to", "/"), asked.console.patience, f"passkey {asked.client}"
    challenge = _challenge(asked, _ASKING)
    if challenge is None or not asked.settings.console.local_users:
        return entering.page(asked, status=403, to=to, wrong="That took too long, or was no answer. Begin again.")
    if wait := patience.take(who):
        return entering.wait(asked, wait)
    try:
        user = passkeys.prove(asked.store, Place(asked.origin), asked.form.get("credential", ""), challenge)
    except IdentityRefused as error:
        return entering.page(asked, status=403, to=to, wrong=str(error))
    patience.succeeded(who)
    session = asked.console.sessions.begin(user.name, Role(user.role), proof=passkeys.PROOF)
    response = entering.signed_in(asked, session, asked.go(entering.place(to)))
    asked.drop_cookie(response, asked.begun_cookie)
    return response


def _asks(asked: Asked, kind: str, options: str, challenge: bytes) -> Response:
    response = Response(options, media_type="application/json")
    sealed = asked.console.pending.seal(kind, challenge=base64.b64encode(challenge).decode(), who=asked.visitor.name)
    asked.set_cookie(response, sealed, asked.begun_cookie)
    return response


def _challenge(asked: Asked, kind: str) -> bytes | None:
    """What this browser was asked; None where it was asked nothing, was somebody else, or has answered before."""
    sealed = asked.cookie(asked.begun_cookie)
    kept = asked.console.pending.open(kind, sealed)
    if kept is None or kept["who"] != asked.visitor.name or not asked.console.pending.end(sealed):
        return None
    return base64.b64decode(kept["challenge"])


PAGES = (
    Page(path="/account", handler=_account, right=Right.SEE),
    Page(path="/account/passkeys/begin", handler=_begin, right=Right.SEE, method="POST"),
    Page(path="/account/passkeys", handler=_keep, right=Right.SEE, method="POST"),
    Page(path="/account/passkeys/remove", handler=_remove, right=Right.SEE, method="POST"),
    Page(path="/login/passkey/begin", handler=_ask, right=None, method="POST"),
    Page(path="/login/passkey", handler=_enter, right=None, method="POST"),
)

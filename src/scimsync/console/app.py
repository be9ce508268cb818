"""The console as one ASGI application: who asks, whether they may, and which page answers."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from importlib.resources import files
from urllib.parse import parse_qsl, quote

from msgspec import Struct
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from scimsync.config import Settings
from scimsync.console import (
    account,
    api,
    api_deciding,
    approvals,
    audit,
    conflicts,
    entering,
    overview,
    people,
    progress,
    runs,
    settings,
    workshop,
)
from scimsync.console.asking import Asked, Console, Page
from scimsync.console.guarding import SAFE, Guard, client_of
from scimsync.console.pending import Pending
from scimsync.console.roles import NOBODY, Role, Visitor
from scimsync.console.sessions import Patience, Sessions
from scimsync.errors import ConfigError, PlanError, ScimsyncError, StoreLocked, TargetError
from scimsync.services.deciding import Inbox
from scimsync.services.reviewing import Reviews
from scimsync.services.signing_in import make_provider
from scimsync.services.state import Store
from scimsync.services.working import Works, monotonic, on_behalf_of
from scimsync.showing.values import environment, look

#: every address; whatever is not here is not there
PAGES: tuple[Page, ...] = (
    *entering.PAGES,
    *overview.PAGES,
    *runs.PAGES,
    *progress.PAGES,
    *conflicts.PAGES,
    *approvals.PAGES,
    *people.PAGES,
    *audit.PAGES,
    *workshop.PAGES,
    *settings.PAGES,
    *account.PAGES,
    *api.PAGES,
    *api_deciding.PAGES,
)
_STATIC = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


class Opened(Struct, frozen=True):
    """A console that answers."""

    app: Guard
    console: Console
    #: where to begin: a link that lets one person in, once, where there is no admin yet
    entrance: str

    def close(self) -> None:
        """Stop what is at work, and remove the indexes."""
        self.console.works.halt()
        self.console.reviews.close()


def open_console(given: Settings, store: Store, origins: frozenset[str]) -> Opened:
    """A console on a state.

    Args:
        given: The configuration.
        store: The state.
        origins: The addresses under which it is reached, as `https://console.example.com`.
    """
    port = next(iter(sorted(origins))).rpartition(":")[2]
    secure = all(origin.startswith("https:") for origin in origins)
    sessions = Sessions(monotonic())
    console = Console(
        settings=given,
        store=store,
        reviews=Reviews(given, store.artifact("plan").parent),
        works=Works(given, lambda: secrets.token_hex(8)),
        inbox=Inbox(given),
        sessions=sessions,
        patience=Patience(monotonic()),
        templates=environment("scimsync.console"),
        # a cookie belongs to a host, whatever the port: two consoles of one machine must not sign each other out
        cookie="__Host-scimsync" if secure else f"scimsync-{port}",
        secure=secure,
        static=_static(),
        monotonic=monotonic(),
        origins=origins,
        pending=Pending(monotonic()),
        provider=make_provider(given),
        served=PAGES,
    )
    routes = [Route(page.path, _endpoint(console, page), methods=[page.method]) for page in PAGES]
    routes += [Route("/static/{name}", _static_endpoint(console), methods=["GET"])]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _refused(console), 500: _broken(console)})
    return Opened(Guard(app, origins), console, "/login" if _has_admin(given, store) else _link(sessions))


def _has_admin(given: Settings, store: Store) -> bool:
    """Whether somebody can come in who lets others in."""
    oidc = given.console.oidc
    if oidc is not None and oidc.roles.get(Role.ADMIN.value):
        return True
    return given.console.local_users and any(user.role == Role.ADMIN.value for user in store.users())


def _link(sessions: Sessions) -> str:
    return f"/enter?token={sessions.invite()}"


# --- one request ----------------------------------------------------------------------------------


class _Endpoint:
    """Answers the requests for one page."""

    def __init__(self, console: Console, page: Page) -> None:
        self._console, self._page = console, page

    async def __call__(self, scope: object, receive: object, send: object) -> None:
        """Answer one request."""
        request = Request(scope, receive)  # type: ignore[arg-type]
        try:
            response = await self._answer(request)
        except ClientDisconnect:
            told, close = "it did not come in time, or is too long", {"connection": "close"}
            is_machine = self._page.machine
            response = JSONResponse({"error": told}, 413, close) if is_machine else Response(f"{told}\n", 413, close)
        await response(scope, receive, send)  # type: ignore[arg-type]

    async def _answer(self, request: Request) -> Response:
        page = self._page
        visitor = await run_in_threadpool(_visitor, self._console, request, page)
        asked = Asked(
            console=self._console,
            visitor=visitor,
            path=request.url.path,
            query=request.query_params,
            given={name: str(value) for name, value in request.path_params.items()},
            headers=request.headers,
            client=client_of(
                request.client.host if request.client else "",
                request.headers.getlist("x-forwarded-for"),
                self._console.settings.console.proxies,
            ),
        )
        if page.right is not None and page.right not in visitor.rights:
            return _turned_away(asked, page)
        if page.told is not None and request.method not in SAFE and visitor.csrf and not _is_ours(asked):
            return JSONResponse({"error": "a session sends its x-csrf-token"}, 403)
        if (refusal := _misread(asked, page)) is not None:
            return refusal
        if request.method not in SAFE:
            body, kind = await request.body(), request.headers.get("content-type", "")
            try:
                given = _form(body) if page.told is None else page.told.read_body(body, kind)
            except ConfigError as error:
                return JSONResponse({"error": str(error), "exit_code": error.exit_code}, 400)
            asked = replace(asked, fields=given, form={name: values[-1] for name, values in given.items() if values})
            if page.told is None and visitor.csrf and not _is_ours(asked):
                return asked.sorry(403, "This form is out of date", "Go back, load the page again, and repeat it.")
        return await run_in_threadpool(_answered, page, asked)


def _endpoint(console: Console, page: Page) -> _Endpoint:
    return _Endpoint(console, page)


def _answered(page: Page, asked: Asked) -> Response:
    try:
        with on_behalf_of(asked.visitor.person):
            return page.handler(asked)
    except ScimsyncError as error:
        status, title = next((s, t) for kind, s, t in _TOLD if isinstance(error, kind))
        if page.machine:
            return JSONResponse({"error": str(error), "exit_code": error.exit_code}, status)
        return asked.sorry(status, title, *str(error).splitlines())


_TOLD: tuple[tuple[type[ScimsyncError], int, str], ...] = (
    (ConfigError, 400, "That cannot be done"),
    (StoreLocked, 409, "Somebody else is at work"),
    (PlanError, 409, "The plan does not fit any more"),
    (TargetError, 502, "The directory did not answer as it should"),
    (ScimsyncError, 409, "That cannot be done now"),
)


def _visitor(console: Console, request: Request, page: Page) -> Visitor:
    """Who asks: by the cookie of their session, or, where machines may ask, by a token."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        found = api.bearer(console, token) if page.machine else None
        return found or NOBODY
    cookie = request.cookies.get(console.cookie, "")
    return (console.sessions.visitor(cookie) if cookie else None) or NOBODY


def _turned_away(asked: Asked, page: Page) -> Response:
    if page.machine:
        known = bool(asked.visitor.role)
        words = "your token does not reach so far" if known else "say who you are: Authorization: Bearer TOKEN"
        return JSONResponse({"error": words}, 403 if known else 401)
    if asked.visitor.role:
        return asked.sorry(403, "You may not do this", f"As {asked.visitor.role} you may look elsewhere. Ask an admin.")
    if asked.headers.get("sec-fetch-site") == "cross-site" and page.method == "GET" and "again" not in asked.query:
        # a strict cookie does not come along from a link elsewhere; from a page of ours it does
        at = quote(asked.path) + f"?{asked.query}&again=1" if str(asked.query) else f"{quote(asked.path)}?again=1"
        return asked.page("bounce.html.j2", to=at)
    if asked.is_partial:
        return Response(status_code=401, headers={"hx-refresh": "true"})
    at = asked.path + (f"?{asked.query}" if str(asked.query) else "")
    return entering.page(asked, status=401, to=at if page.method == "GET" else "/")


def _is_ours(asked: Asked) -> bool:
    given = asked.form.get("csrf", "") or asked.headers.get("x-csrf-token", "")
    return hmac.compare_digest(given.encode(), asked.visitor.csrf.encode())


def _misread(asked: Asked, page: Page) -> Response | None:
    """The answer to a machine that asks with parameters that will not do."""
    if page.told is None:
        return None
    try:
        page.told.read_query(asked.query.multi_items())
    except ConfigError as error:
        return JSONResponse({"error": str(error), "exit_code": error.exit_code}, 400)
    return None


def _form(body: bytes) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=1000)
    except ValueError as error:
        raise HTTPException(400) from error
    for name, value in pairs:
        found[name] = (*found.get(name, ()), value)
    return found


# --- what is not a page ---------------------------------------------------------------------------


class _Told:
    """Answers what no page answers."""

    def __init__(self, console: Console, *, broken: bool) -> None:
        self._console, self._broken = console, broken

    async def __call__(self, request: Request, error: Exception) -> Response:
        """A page that says so."""
        status = 500 if self._broken or not isinstance(error, HTTPException) else error.status_code
        if request.url.path.startswith("/api/"):
            said = error.detail if isinstance(error, HTTPException) and status == _UNKNOWN else ""
            words = said if said not in {"", "Not Found"} else _WORDS.get(status, "that cannot be done")
            return JSONResponse({"error": words}, status)
        visitor = self._console.sessions.visitor(request.cookies.get(self._console.cookie, "")) or NOBODY
        asked = Asked(
            console=self._console, visitor=visitor, path=request.url.path, query=request.query_params, given={}
        )
        return asked.sorry(status, _WORDS.get(status, "That cannot be done").capitalize())


_UNKNOWN = 404
_WORDS = {
    400: "what was sent cannot be read",
    404: "there is nothing here",
    405: "this address does not take that method",
    500: "something went wrong here; the log says what",
}


def _refused(console: Console) -> _Told:
    return _Told(console, broken=False)


def _broken(console: Console) -> _Told:
    return _Told(console, broken=True)


def _static() -> dict[str, tuple[bytes, str]]:
    """What pages load, by a path that changes with the content, so that it may be kept for ever."""
    folder = files("scimsync.console") / "static"
    own = (folder / "console.css").read_text(encoding="utf-8")
    bodies = {"look.css": (look() + own).encode()}
    bodies |= {
        name: (folder / file).read_bytes()
        for name, file in (
            ("htmx.js", "htmx-2.0.11.min.js"),
            ("sse.js", "htmx-sse-2.2.4.min.js"),
            ("console.js", "console.js"),
            ("passkey.js", "passkey.js"),
            ("icon.svg", "icon.svg"),
        )
    }
    found = {}
    for name, body in bodies.items():
        stem, _, ending = name.rpartition(".")
        mark = hashlib.sha256(body).hexdigest()[:16]
        found[f"/static/{stem}-{mark}.{ending}"] = (body, _STATIC[f".{ending}"])
    return found


class _StaticEndpoint:
    """Answers with one of the few files that pages load."""

    def __init__(self, console: Console) -> None:
        self._console = console

    async def __call__(self, scope: object, receive: object, send: object) -> None:
        """Answer one request."""
        request = Request(scope, receive)  # type: ignore[arg-type]
        found = self._console.static.get(request.url.path)
        if found is None:
            raise HTTPException(404)
        headers = {"cache-control": "public, max-age=31536000, immutable"}
        await Response(found[0], headers=headers, media_type=found[1])(scope, receive, send)  # type: ignore[arg-type]


def _static_endpoint(console: Console) -> _StaticEndpoint:
    return _StaticEndpoint(console)

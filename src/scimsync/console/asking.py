"""One question of a visitor: what they ask, who they are, and what a page answers with."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from jinja2 import Environment
from msgspec import Struct, field
from starlette.datastructures import QueryParams
from starlette.responses import HTMLResponse, RedirectResponse, Response

from scimsync.config import Settings
from scimsync.console.openapi import Operation
from scimsync.console.roles import Right, Visitor
from scimsync.console.sessions import Patience, Sessions
from scimsync.console.watching import Watching
from scimsync.services.deciding import Inbox
from scimsync.services.reviewing import Reviews
from scimsync.services.state import Store
from scimsync.services.working import Works


class Console(Struct, frozen=True, kw_only=True):
    """All that pages need."""

    settings: Settings
    store: Store
    reviews: Reviews
    works: Works
    inbox: Inbox
    sessions: Sessions
    patience: Patience
    templates: Environment
    #: how the cookie is called, and whether it travels over TLS alone
    cookie: str
    secure: bool
    #: path -> body and type of what every page loads
    static: Mapping[str, tuple[bytes, str]]
    monotonic: Callable[[], float]
    watching: Watching = field(default_factory=Watching)
    #: every address, for the description of those that machines ask
    served: tuple[Page, ...] = ()


class Asked(Struct, frozen=True, kw_only=True):
    """One question."""

    console: Console
    visitor: Visitor
    path: str
    query: QueryParams
    #: parts of the path by name
    given: Mapping[str, str]
    form: Mapping[str, str] = field(default_factory=dict)
    #: every value of each field
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    client: str = ""

    @property
    def settings(self) -> Settings:
        """The configuration."""
        return self.console.settings

    @property
    def store(self) -> Store:
        """The state."""
        return self.console.store

    @property
    def is_partial(self) -> bool:
        """Whether a script on the page wants a part of it."""
        return self.headers.get("hx-request", "") == "true"

    def number(self, name: str, otherwise: int = 0, most: int = 10_000_000) -> int:
        """A number of the query; `otherwise` where it is none."""
        text = self.query.get(name, "")
        return min(int(text), most) if text.isascii() and text.isdigit() and len(text) < 12 else otherwise

    def may(self, right: Right) -> bool:
        """Whether the visitor has a right."""
        return right in self.visitor.rights

    def page(
        self, template: str, known: Mapping[str, object] | None = None, *, status: int = 200, **values: object
    ) -> Response:
        """A page, with what its template is given."""
        names = self.console.static
        text = self.console.templates.get_template(template).render(
            visitor=self.visitor,
            path=self.path,
            at_work=self.console.works.current,
            static={path.rpartition("/")[2].partition("-")[0]: path for path in names},
            **(known or {}),
            **values,
        )
        return HTMLResponse(text, status)

    def go(self, path: str) -> Response:
        """On to another page of ours."""
        return RedirectResponse(path, 303)

    def sorry(self, status: int, title: str, *why: str) -> Response:
        """A page that says what is wrong and what to do."""
        return self.page("sorry.html.j2", status=status, title=title, why=why)


#: what a page does; called in a thread
Handler = Callable[[Asked], Response]


class Page(Struct, frozen=True, kw_only=True):
    """One address: what answers it, and the right that it wants."""

    path: str
    handler: Handler
    #: None for what everybody may see, before they are signed in
    right: Right | None
    method: str = "GET"
    #: an address for machines: it answers in JSON, to tokens and to sessions
    machine: bool = False
    #: of an address for machines: what it does, and what it takes
    told: Operation | None = None

    @property
    def scope(self) -> str:
        """The scope that a token needs."""
        return self.right.value if self.right is not None else ""

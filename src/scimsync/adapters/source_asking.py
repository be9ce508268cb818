"""Asking a source over HTTP: who lets us in, and a loop for what waits, because a source is read without one.

Pace, tries, deadline, size cap and tokens are those of a target (`target_http`); here is only the voice of a source.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Coroutine, Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, TypeVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from msgspec import field
from msgspec.structs import replace

from scimsync.adapters.target_auth import Credentials, Fixed, Grant, Keeper, TokenKeeper, basic_pair
from scimsync.adapters.target_http import Client, Clock, is_troubled
from scimsync.adapters.target_wire import Answer, Ask, TargetSettings, said_by
from scimsync.errors import ConfigError, SourceError, TargetError
from scimsync.scim.generic import GENERIC
from scimsync.values import Secretive

_T = TypeVar("_T")


class Access(Secretive, frozen=True, kw_only=True):
    """Who we are to a source. Secrets do not show in `repr`."""

    username: str = ""
    password: str = ""
    token: str = ""
    header: str = ""
    header_value: str = ""
    #: parameters of the query that are secrets
    parameters: Mapping[str, str] = field(default_factory=dict)
    client_id: str = ""
    client_secret: str = ""
    token_url: str = ""
    scopes: tuple[str, ...] = ()
    audience: str = ""
    client_auth: Literal["basic", "post"] = "basic"
    ca_file: Path | None = None


class Loop:
    """Runs coroutines for whoever is in no loop, or must not use it: in a thread of its own, until it is left."""

    def __enter__(self) -> Loop:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="scimsync source", daemon=True)
        self._thread.start()
        return self

    def run(self, work: Coroutine[object, object, _T]) -> _T:
        """Run a coroutine to its end; a caller who is interrupted cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.run(_settled())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _settled() -> None:
    """End what still runs in this loop."""
    here = asyncio.current_task()
    left = [task for task in asyncio.all_tasks() if task is not here]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    loop = asyncio.get_running_loop()
    await loop.shutdown_asyncgens()
    await loop.shutdown_default_executor()


class SourceClient(Client):
    """Asks a source, and says of it what went wrong in the words of a source.

    Args:
        url: Where it is.
        access: Who we are.
        clock: Says when.
        rng: Draws the jitter of pauses.
        headers: Sent with each request.
        requests_per_minute: The most; 0 for no limit of ours.
        exchange_s: Deadline of one exchange.
        reply_bytes: The largest answer.
    """

    def __init__(  # noqa: PLR0913 - each is handed in
        self,
        url: str,
        access: Access,
        *,
        clock: Clock,
        rng: random.Random,
        headers: Mapping[str, str],
        requests_per_minute: int | None,
        exchange_s: float,
        reply_bytes: int,
    ) -> None:
        self._access, self._headers = access, dict(headers)
        base = urlsplit(url)._replace(query="", fragment="").geturl()
        settings = TargetSettings(
            api_url=base,
            section="source",
            dialect=replace(GENERIC, base_path="", media_type="application/json"),
            login_url=access.token_url and base,
            token_url=access.token_url,
            client_id=access.client_id,
            client_secret=access.client_secret,
            password=access.password,
            requests_per_minute=requests_per_minute,
            workers=1,
            exchange_s=exchange_s,
            reply_bytes=reply_bytes,
            ca_file=access.ca_file,
        )
        self._hidden = (access.header_value, access.token, *access.parameters.values(), *self._headers.values())
        probe = Ask(kind="probe", method="GET", url=url)
        super().__init__(settings, probe, clock=clock, rng=rng, notice=_unheard, transport=None, watch=None)

    def make_keeper(self, rng: random.Random) -> Keeper:
        """Who gives out what lets requests in."""
        who = self._access
        if who.client_id:
            credentials = Credentials(
                token_url=who.token_url,
                client_id=who.client_id,
                client_secret=who.client_secret,
                scopes=who.scopes,
                audience=who.audience,
                posted=who.client_auth == "post",
                taker="The source",
                address="url",
            )
            return TokenKeeper(credentials, self._login, clock=self._clock, rng=rng)
        if who.token:
            return self._fixed(Grant(who.token, 1), "the token (401). Make a new one: it expired or was withdrawn.")
        if who.username:
            pair = basic_pair(who.username, who.password).removeprefix("Basic ")
            return self._fixed(Grant(pair, 1, scheme="Basic "), "username and password (401). Check both.")
        if who.header:
            grant = Grant(who.header_value, 1, name=who.header, scheme="")
            return self._fixed(grant, f"the header {who.header} (401). Check header and header_value.")
        if who.parameters:
            names = ", ".join(who.parameters)
            return self._fixed(Grant("", 1, name=""), f"the parameter {names} (401). Check it in parameters.")
        return self._fixed(
            Grant("", 1, name=""), "us (401), and nothing under [source] says who we are: it wants a key."
        )

    def _fixed(self, grant: Grant, refused: str) -> Fixed:
        return Fixed(grant, f"{self.host} refuses {refused}")

    async def _send(self, ask: Ask, grant: Grant) -> Answer:
        extra = {"Accept": "application/json", **self._headers}
        url = with_parameters(ask.url, self._access.parameters)
        answer = await super()._send(replace(ask, url=url, extra=extra | dict(ask.extra)), grant)
        content = answer.content
        for secret in self._hidden if answer.status >= 400 else ():
            content = content.replace(secret.encode(), b"***") if len(secret) > 3 else content
        return answer if content == answer.content else replace(answer, content=content)

    async def asked(self, ask: Ask) -> Answer:
        """The answer to a question that must be answered.

        Raises:
            SourceError: It is not: the source refuses us, cannot be reached, or answers with something else.
        """
        answer = await self.heard(ask)
        if answer.status in {200, 203} and answer.value is not None:
            return answer
        raise self.trouble(answer)

    async def heard(self, ask: Ask) -> Answer:
        """The answer to a question, whatever it is.

        Raises:
            SourceError: There is none: the source refuses us, or is down.
        """
        try:
            return await self.call(ask)
        except TargetError as error:
            raise SourceError(str(error)) from error

    def trouble(self, answer: Answer) -> SourceError:
        """What to say of an answer that is none."""
        why = f"{answer.why()}{said_by(answer)}{' to ' if answer.asked else ''}{answer.asked}"
        if answer.redirected:
            where = (urlsplit(answer.headers.get("location", "")).netloc or "another place")[:100]
            return SourceError(
                f"{self.host} sends us on to {where!r}, which was not followed, and no credentials went there. "
                "Check url under [source]."
            )
        if answer.status == 429:
            return SourceError(
                f"{self.host} refuses further requests after {answer.tries} tries: {why}. Start again later, or lower "
                "requests_per_minute under [source]."
            )
        if answer.status >= 400 and not is_troubled(answer.status):
            return SourceError(f"{self.host} refuses to be read: {why}. Check url, and what our access may read.")
        return SourceError(f"{self.host} could not be read after {answer.tries} tries: {why}. Try again later.")


def _unheard(_: str) -> None:
    """A source has nobody to tell."""


def with_parameters(url: str, given: Mapping[str, str]) -> str:
    """An address with these parameters, in the place of those that it has of the same names.

    Examples:
        >>> with_parameters("https://h/a?b=1&c=2", {"c": "3 4"})
        'https://h/a?b=1&c=3%204'
    """
    if not given:
        return url
    parts = urlsplit(url)
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in given]
    query = urlencode([*kept, *given.items()], quote_via=quote, safe="$,:@/")
    return parts._replace(query=query, fragment="").geturl()


def check_address(url: str, name: str = "url") -> None:
    """Refuse what is no address before a secret is sent to it.

    Raises:
        ConfigError: It is none.
    """
    try:
        parts = urlsplit(url)
        fit = parts.scheme in {"https", "http"} and parts.hostname and "@" not in parts.netloc and not parts.fragment
    except ValueError:
        fit = False
    if not fit:
        raise ConfigError(f"[source] {name}: must look like https://host/path")

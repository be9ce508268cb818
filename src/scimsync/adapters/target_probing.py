"""Bare questions to a provider, for experiments. Fits `scimsync.engine.laboratory.Provider`.

What an experiment asks goes through the client of every run, so that pace, throttles, deadlines, redirects and the
token are its own; what comes back is told as it came.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from urllib.parse import quote, unquote, urlencode, urlsplit

import httpx2
import msgspec

from scimsync.adapters.target_addresses import resource_url
from scimsync.adapters.target_describing import describe_ask
from scimsync.adapters.target_http import Client, Clock
from scimsync.adapters.target_wire import TRIES, Answer, Ask, TargetSettings, lenient
from scimsync.model.probing import Heard, Question
from scimsync.scim.drift import CONFIG
from scimsync.scim.messages import MEDIA_TYPE


class ProbedTarget:
    """The provider behind `settings.api_url`, asked one question at a time.

    Args:
        settings: Where, and with what.
        clock: Says when; handed in.
        rng: Draws the jitter of pauses.
        notice: Takes a sentence when the provider goes or comes back.
        transport: What carries requests; a connection pool where None.
    """

    def __init__(
        self,
        settings: TargetSettings,
        *,
        clock: Clock,
        rng: random.Random,
        notice: Callable[[str], None] = lambda _: None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._root = self._base = settings.api_url.rstrip("/") + settings.dialect.base_path
        self._media = MEDIA_TYPE
        alive = describe_ask(self._base, CONFIG, {}, "probe")
        self._client = Client(settings, alive, clock=clock, rng=rng, notice=notice, transport=transport, watch=None)

    @property
    def url(self) -> str:
        """The SCIM base."""
        return self._base

    @property
    def requests(self) -> int:
        """Requests that were sent, all kinds and tries."""
        return sum(sent for kind, sent in self._client.counts.items() if kind != "throttled")

    @property
    def announced(self) -> int | None:
        """Requests a minute that the answers announce; None where they do not."""
        return self._client.pace.announced

    def move(self, path: str, media: str = "") -> None:
        """Ask below another path of the same host from now on, and call bodies `media`, where it is given."""
        self._base = self._root + path
        self._media = media or self._media

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    async def ask(self, question: Question) -> Heard:
        """Ask once, with whatever patience the question has.

        Raises:
            TargetError: The provider stays down, or refuses the credentials.
        """
        url = f"{self._base}/{question.endpoint}"
        if question.identity:
            made = resource_url(url, question.identity)
            if made is None:
                return Heard(question=question, why="the id cannot stand in an address")
            url = made
        if question.query:
            url = f"{url}?{urlencode(question.query, quote_via=quote)}"
        tries = TRIES if question.patient else 1
        ask = Ask(
            kind="experiment",
            method=question.method,
            url=url,
            body=b"" if question.body is None else msgspec.json.encode(question.body),
            match=question.match,
            decode=msgspec.json.decode,
            media=self._media,
            throttles=tries,
            unreadables=min(tries, 2),
            troubles=min(tries, 2),
        )
        return _heard(question, await self._client.call(ask))


def _heard(question: Question, answer: Answer) -> Heard:
    path = urlsplit(answer.headers.get("location", "")).path.rstrip("/")
    head, _, last = path.rpartition("/")
    named = head.lower().endswith(f"/{question.endpoint.lower()}")
    return Heard(
        question=question,
        status=answer.status,
        body=answer.value if answer.value is not None else lenient(answer.content),
        etag=answer.headers.get("etag", "").strip(),
        location=unquote(last) if named else "",
        media=answer.headers.get("content-type", "").partition(";")[0].strip().lower(),
        why=answer.detail if not answer.status else "",
    )

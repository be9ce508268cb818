"""Keeps a write from landing on a state that nobody has seen: under the target's version, or by comparing.

*By version*: the write carries `If-Match` (RFC 7644 §3.14). A version is opaque: it goes back byte for byte as it came.
Where the target refuses its own version though nobody wrote, another form of it is tried (the header or
`meta.version`, without the mark of a weak tag, without quotes), and the one that it takes is kept.

*By comparing*: the resource is read, compared with what the caller saw, written without `If-Match`, and read back. What
it was is then told by a fingerprint in the place of a version. Whoever writes in between is not seen: the window.

A target that takes no PATCH is written with PUT of all that it shows, with our change in it, guarded in the same way.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence

import httpx2
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from scimsync.adapters.target_http import Client, Clock
from scimsync.adapters.target_wire import OBJECT, TRIES, Answer, Ask
from scimsync.errors import ProtocolError
from scimsync.model.outcomes import COMPARED, Exchange, Guard
from scimsync.scim.dialect import Dialect
from scimsync.scim.dressing import dressed, told, wants_sight
from scimsync.scim.fitting import fitted
from scimsync.scim.messages import Operation, error_within, version_of
from scimsync.scim.patch import apply

#: seconds for which a resource that was just read need not be read again before it is written
FRESH_S = 2.0
#: resources that are remembered between a read and its write
_REMEMBERED = 256
#: answers that say that a target takes no PATCH at all
_NO_PATCH = frozenset({405, 501})
#: forms of one version: where it comes from first, and what is taken from it
_FORMS = tuple((source, strip) for strip in ("", "weak", "quotes") for source in ("header", "meta"))


class _Seen(Struct, frozen=True):
    """A resource as it was read."""

    answer: Answer
    at: float


class Versions(Struct):
    """The versions of a target: which of two it honours, and in what form."""

    #: versions are numbers, whose marks mean nothing
    counted: bool = False
    form: int = 0
    #: one form was taken
    found: bool = False
    #: bytes of a header that are no UTF-8 were seen
    encoding: str = "utf-8"

    def of(self, headers: httpx2.Headers, body: object) -> tuple[str, str]:
        """The version in the header, and that in `meta.version`; "" where there is none."""
        raw = next((held for name, held in headers.raw if name.lower() == b"etag"), b"")
        try:
            tag = raw.decode("utf-8")
        except UnicodeDecodeError:
            tag, self.encoding = raw.decode("latin-1"), "latin-1"
        meta = body.get("meta") if isinstance(body, Mapping) else None
        return self._read(tag), self._read(meta.get("version") if isinstance(meta, Mapping) else None)

    def _read(self, text: object) -> str:
        found = version_of(text)
        return found.removeprefix("W/").strip('"') if self.counted else found

    def pick(self, texts: tuple[str, str]) -> str:
        """The version that counts."""
        header, meta = texts
        return (header or meta) if _FORMS[self.form][0] == "header" else (meta or header)

    def match(self, version: str, form: int | None = None) -> str:
        """The value of `If-Match`, each character one byte of it."""
        strip = "weak" if self.counted else _FORMS[self.form if form is None else form][1]
        bare = version.removeprefix("W/").strip('"') if strip else version
        text = bare if strip == "quotes" or bare.startswith("W/") else f'"{bare}"'
        try:
            return text.encode(self.encoding).decode("latin-1")
        except UnicodeEncodeError:
            return text.encode().decode("latin-1")

    def others(self, texts: tuple[str, str], refused: str) -> list[tuple[int, str]]:
        """The forms that were not tried, each with the value of `If-Match` that it makes; one that was taken, alone."""
        made: dict[str, int] = {refused: self.form}
        for form, (source, _) in enumerate(_FORMS):
            if self.found and form != self.form:
                continue
            header, meta = texts
            text = (header or meta) if source == "header" else (meta or header)
            made.setdefault(self.match(text, form), form)
        return [(form, value) for value, form in made.items() if value != refused]


class Guarded:
    """Reads resources and writes them, so that no write lands on what nobody has seen.

    Args:
        client: Asks.
        dialect: How the target is guarded (`concurrency`), and the schemas of its accounts.
        clock: Says how old a reading is.
        config: Asks for the ServiceProviderConfig of the target.
        notice: Takes a sentence when the way of writing changes.
    """

    def __init__(
        self, client: Client, dialect: Dialect, clock: Clock, config: Ask, notice: Callable[[str], None]
    ) -> None:
        self._client, self._dialect, self._clock, self._notice = client, dialect, clock, notice
        self._config = config
        self._versions = Versions(counted=dialect.counts_versions, form=int(dialect.versions_in == "meta"))
        self._says: Mapping[str, object] | None = None
        self._asking = asyncio.Lock()
        #: writes go without a version; a target was seen to guard nothing, or says so
        self._compares = dialect.concurrency == "compare"
        self._puts, self._patched = not dialect.patches, False
        self._reads: dict[str, _Seen] = {}

    # --- what is known of the target -----------------------------------------------------------

    def told(self, config: Mapping[str, object]) -> None:
        """Take note of what the target says of itself (RFC 7643 §5)."""
        self._says = config
        if self._dialect.concurrency == "auto":
            self._compares = self._compares or _claim(config, "etag") is False
        self._puts = self._puts or (self._dialect.concurrency != "version" and _claim(config, "patch") is False)

    @property
    def promised(self) -> bool:
        """Whether versions guard writes here, as the dialect or the target itself says."""
        says = self._says is not None and _claim(self._says, "etag") is True
        return not self._compares and (says or self._dialect.concurrency == "version")

    async def guard(self, url: str = "") -> Guard:
        """How writes are guarded here; `url` is that of a resource to look at, where what is known does not tell.

        Raises:
            TargetError: The target cannot be asked at all.
        """
        await self._ask()
        texts, shown = ("", ""), False
        if url and not self._compares:
            answer = await self._client.call(Ask(kind="get", method="GET", url=url))
            shown = isinstance(answer.value, dict)
            texts = self._versions.of(answer.headers, answer.value)
        bare = shown and not any(texts)
        return Guard(
            compares=self._compares or (bare and self._dialect.concurrency == "auto"),
            unguarded=bare and self._dialect.concurrency == "version",
            puts=self._puts,
        )

    async def _ask(self) -> None:
        """Read once what the target says of itself, where the dialect does not know how it is written."""
        if self._says is not None or self._dialect.concurrency == "version":
            return
        async with self._asking:
            if self._says is None:
                answer = await self._client.call(self._config)
                self.told(answer.value if isinstance(answer.value, dict) else {})

    # --- reading -------------------------------------------------------------------------------

    async def read(self, ask: Ask) -> Answer:
        """GET a resource; the answer has its version, or its fingerprint where none counts."""
        at = self._clock.monotonic()
        answer = await self._client.call(ask)
        if not isinstance(answer.value, dict):
            return answer
        await self._ask()
        version = self._versions.pick(self._versions.of(answer.headers, answer.value))
        if self._compares or (not version and self._dialect.concurrency == "auto"):
            version = fingerprint(answer.value)
        answer = replace(answer, version=version)
        if version.startswith(COMPARED) or self._puts:
            self._reads[ask.url] = _Seen(answer, at)
            while len(self._reads) > _REMEMBERED:
                del self._reads[next(iter(self._reads))]
        return answer

    def shown(self, answer: Answer) -> Answer:
        """An answer with the version that it shows; without one, whoever wants to write has to read."""
        texts = self._versions.of(answer.headers, answer.value)
        return replace(answer, version="" if self._compares else self._versions.pick(texts))

    # --- writing -------------------------------------------------------------------------------

    async def write(self, ask: Ask, version: str, operations: Sequence[Operation] = ()) -> Answer:
        """PATCH or DELETE a resource, if it still is what `version` stands for; else the answer is 412.

        Args:
            ask: The request.
            version: The version, or the fingerprint, of what the caller saw.
            operations: What the PATCH of an account holds; its body is made of them, in the form that the target takes.

        Raises:
            ValueError: `version` is empty, or no header can carry it: a blind write is never sent.
        """
        if not version_of(version):
            raise ValueError(f"a {ask.method} needs the version it rests on")
        await self._ask()
        refused = False
        for tried in range(TRIES):
            puts = (self._puts or refused) and bool(operations)
            compares = self._compares or version.startswith(COMPARED)
            tries = replace(ask, throttles=1, tried=tried) if compares else ask
            answer = await self._once(tries, version, operations, compares=compares, puts=puts)
            if answer.status in _NO_PATCH and operations and not puts and self._patched:
                refused = True  # it takes PATCH, and this one not
            elif answer.status in _NO_PATCH and operations and not puts:
                self._puts = True
                told = f"{self._client.host} takes no PATCH ({answer.why()}); accounts are written with PUT"
                self._notice(f"{told} of all that it shows and our change")
            elif compares != (self._compares or version.startswith(COMPARED)):
                continue  # no version is taken any more
            elif not (answer.status == 429 and compares and answer.retry_after_s is None):
                break
        self._patched = self._patched or (ask.method == "PATCH" and not puts and 200 <= answer.status < 300)
        return answer

    async def _once(
        self, ask: Ask, version: str, operations: Sequence[Operation], *, compares: bool, puts: bool
    ) -> Answer:
        if not (compares or puts or wants_sight(operations, self._dialect)):
            return await self._versioned(self._bodied(ask, operations), version)
        seen = await self._fresh(ask)
        body = seen.answer.value
        if not isinstance(body, dict):
            gone = seen.answer.status in {404, 410}
            return seen.answer if gone else _unsent(f"the resource could not be read before: {seen.answer.why()}")
        texts = self._versions.of(seen.answer.headers, body)
        if version not in (texts if not version.startswith(COMPARED) else (fingerprint(body),)):
            return Answer(exchange=Exchange.ANSWERED, status=412, detail="it is not any more what was read before")
        try:
            ask = self._put(ask, seen, body, operations) if puts else self._bodied(ask, operations, body)
        except ProtocolError as error:
            return Answer(exchange=Exchange.ANSWERED, status=400, detail=f"not sent: {error}")
        if not compares:
            return await self._versioned(ask, version)
        answer = await self._client.call(ask)
        window = self._clock.monotonic() - seen.at
        if not 200 <= answer.status < 300 or ask.method == "DELETE" or error_within(answer.value) is not None:
            return replace(answer, window_s=window)
        back = await self.read(_reading(ask))
        if not isinstance(back.value, dict):
            return replace(answer, window_s=window)
        return replace(answer, value=back.value, headers=back.headers, version=back.version, window_s=window)

    def _bodied(self, ask: Ask, operations: Sequence[Operation], held: Mapping[str, object] | None = None) -> Ask:
        """A PATCH with its body, as the target takes it."""
        if not operations:
            return ask
        return replace(ask, body=msgspec.json.encode(dressed(operations, self._dialect, held)))

    def _put(self, ask: Ask, seen: _Seen, held: Mapping[str, object], operations: Sequence[Operation]) -> Ask:
        """A PUT of all that the target shows, with our change in it.

        Raises:
            ProtocolError: It would lose what cannot be read.
        """
        if lost := fitted(OBJECT.decode(seen.answer.body), self._dialect.users)[1].lost:
            raise ProtocolError(f"a PUT would lose {', '.join(sorted(lost))}, which cannot be read as they are")
        whole: object = apply(held, operations, self._dialect.users, create_on_replace=True)
        whole = told(whole) if self._dialect.text_booleans else whole
        return replace(ask, method="PUT", body=msgspec.json.encode(whole))

    async def _fresh(self, ask: Ask) -> _Seen:
        """The resource as it was read just now."""
        seen, now = self._reads.pop(ask.url, None), self._clock.monotonic()
        if seen is not None and now - seen.at <= FRESH_S:
            return seen
        answer = await self.read(_reading(ask))
        self._reads.pop(ask.url, None)
        return _Seen(answer, now)

    async def _versioned(self, ask: Ask, version: str) -> Answer:
        """Send a write under a version; where the target refuses its own, in the other forms of it."""
        versions, match = self._versions, self._versions.match(version)
        answer = await self._client.call(replace(ask, match=match))
        if not _is_refused(answer) or self._dialect.counts_versions:
            versions.found = versions.found or 200 <= answer.status < 300
            return self.shown(answer)
        seen = await self._client.call(_reading(ask))
        texts = versions.of(seen.headers, seen.value)
        if version not in texts:
            return answer
        was_found = versions.found
        for form, value in versions.others(texts, match):
            other = await self._client.call(replace(ask, match=value))
            if not _is_refused(other):
                if 200 <= other.status < 300:
                    versions.form, versions.found = form, True
                return self.shown(other)
        if self._dialect.concurrency == "auto" and not was_found:
            self._compares = True
            told = f"{self._client.host} refuses its own versions in every form; accounts are read, compared, written"
            self._notice(f"{told} and read back")
        return answer


def fingerprint(body: Mapping[str, object]) -> str:
    """What a resource is, in the place of a version: without `meta`, and whatever the order of its lists."""
    held = {name: value for name, value in body.items() if name.lower() != "meta"}
    return COMPARED + hashlib.sha256(msgspec.json.encode(_sorted(held))).hexdigest()[:20]


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return sorted((_sorted(one) for one in value), key=msgspec.json.encode)
    return value


def _claim(config: Mapping[str, object], feature: str) -> bool | None:
    """Whether the target says that it can do something; None where it does not say (RFC 7643 §5)."""
    said = config.get(feature)
    claim = said.get("supported") if isinstance(said, Mapping) else None
    return claim if isinstance(claim, bool) else None


def _is_refused(answer: Answer) -> bool:
    """Whether a write was refused for its version."""
    return answer.status == 412 or (answer.status == 400 and b"invalidvers" in answer.content.lower())


def _reading(ask: Ask) -> Ask:
    """The GET of what a write is about."""
    return Ask(
        kind="group_get" if ask.kind.startswith("group") else "get",
        method="GET",
        url=ask.url,
        decode=OBJECT.decode if ask.method == "DELETE" else ask.decode,
    )


def _unsent(why: str) -> Answer:
    return Answer(exchange=Exchange.NOT_SENT, detail=f"not sent: {why}")

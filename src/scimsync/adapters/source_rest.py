"""Read people from a REST API, page by page. Fits `scimsync.engine.ports.Source`.

Here lives the knowledge of how JSON APIs list: where the records stand, how a listing goes on, what proves its end.
The words are those of dlt's rest_api. What is refused rather than believed: a page that comes twice, a total that
moves or is not met, a next page on another host, an answer that is no JSON.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from urllib.parse import urlsplit

from msgspec import field

from scimsync.adapters.source_asking import Access, Loop, SourceClient, check_address
from scimsync.adapters.source_columns import batched, check_columns, check_key, owned_by
from scimsync.adapters.source_members import ABSENT, Member, Misfit
from scimsync.adapters.source_pages import BEYOND, COUNTING, Pages, Paging, Proof, Question
from scimsync.adapters.source_text import Placed
from scimsync.adapters.target_http import Clock
from scimsync.adapters.target_wire import Answer, Ask
from scimsync.errors import ConfigError, SourceError
from scimsync.model.records import Cell, Reading
from scimsync.values import Secretive

#: members that a message names
_FEW = 8


class RestSource(Secretive, frozen=True, kw_only=True):
    """One listing of one API."""

    question: Question
    key: str
    #: column -> where its value stands in a record
    columns: Mapping[str, str]
    #: where the list of records stands; "" where the answer is that list
    records: str = ""
    paging: Paging = field(default_factory=Paging)
    #: where a page says how many records there are
    total: str = ""
    #: the user says that a listing which ends is whole
    assume: bool = False
    access: Access = field(default_factory=Access)
    headers: Mapping[str, str] = field(default_factory=dict)
    requests_per_minute: int | None = None
    exchange_s: float = 60.0
    reply_bytes: int = 64 * 1024 * 1024
    clock: Clock
    rng: random.Random

    @property
    def name(self) -> str:
        """Host and path of the API; no parameters, which may hold secrets."""
        parts = urlsplit(self.question.url)
        return f"{parts.hostname or 'REST API'}{parts.path}"

    def read(self) -> Reading:
        """Ask for the first page.

        Raises:
            SourceError: The API cannot be reached, refuses us, answers with something else than the JSON that was
                described, has no records, or (while the batches are walked) does not prove its end.
            ConfigError: The address is none, or a path cannot be read.
        """
        check_address(self.question.url)
        host, columns = urlsplit(self.question.url).netloc, tuple(self.columns)
        check_columns(f"{host}: [source] columns", columns)
        check_key(host, columns, self.key)
        pages, proof = Pages(self.question, self.paging), Proof(host, self.paging, self.total)
        with ExitStack() as stack:
            loop = stack.enter_context(Loop())
            client = self._client()
            stack.callback(lambda: loop.run(client.close()))
            answer = loop.run(client.asked(pages.first()))
            walk = _Walk(host, self._members(), self.key, Member.of(self.records), proof)
            rows = walk.rows(answer, pages, self.paging, lambda ask: loop.run(client.heard(ask)), client.trouble)
            batches = owned_by(stack.pop_all(), batched(host, rows))
        next(batches)
        return Reading(columns=columns, batches=batches, proven=self.assume or proof.is_declared, live=True)

    def _members(self) -> dict[str, Member]:
        try:
            return {column: Member.of(path) for column, path in self.columns.items()}
        except ValueError as error:
            raise ConfigError(f"[source] columns: {error}") from error

    def _client(self) -> SourceClient:
        return SourceClient(
            self.question.url,
            self.access,
            clock=self.clock,
            rng=self.rng,
            headers=self.headers,
            requests_per_minute=self.requests_per_minute,
            exchange_s=self.exchange_s,
            reply_bytes=self.reply_bytes,
        )


class _Walk:
    """The records of all pages, as rows."""

    def __init__(self, host: str, members: Mapping[str, Member], key: str, records: Member, proof: Proof) -> None:
        self._host, self._members, self._records, self._proof = host, members, records, proof
        self._key = list(members).index(key) if key in members else None
        self._unseen = {column for column, member in members.items() if not member.optional}

    def rows(
        self,
        answer: Answer,
        pages: Pages,
        paging: Paging,
        call: Callable[[Ask], Answer],
        trouble: Callable[[Answer], SourceError],
    ) -> Iterator[Placed]:
        """Walk from the first page to the last."""
        proof = self._proof
        while True:
            found, before = self._listed(answer), proof.met
            rows = [self._row(record, before + number) for number, record in enumerate(found, 1)]
            proof.take(answer, [self._mark(row) for row in rows])
            yield from enumerate(rows, before + 1)
            counts = paging.kind in COUNTING
            if counts and (not rows or not proof.may_follow):
                break
            ask = pages.after(answer, proof.pages, proof.met)
            if ask is None:
                break
            answer = call(ask)
            if counts and answer.status in BEYOND and proof.is_met:
                break
            if answer.status not in {200, 203} or answer.value is None:
                raise trouble(answer)
        proof.close()
        if self._unseen and proof.met:
            column = sorted(self._unseen)[0]
            raise SourceError(
                f"{self._host}: no record has the member {self._members[column].text!r} of the column {column!r}. "
                "Correct it in columns under [source], look whether our access may read it, or write ? behind it if "
                "nobody need have it."
            )

    def _listed(self, answer: Answer) -> Sequence[object]:
        try:
            found = self._records.find(answer.value)
        except Misfit as error:
            raise SourceError(f"{self._host}: records = {self._records.text!r} under [source] {error}.") from error
        if isinstance(found, list):
            return found
        held = answer.value
        shown = f"its members are {', '.join(list(held)[:_FEW])}" if isinstance(held, dict) else f"it is {_kind(held)}"
        where = repr(self._records.text) if self._records.text else "its top"
        raise SourceError(
            f"{self._host}: the answer has no list of records at {where}; {shown}. Correct records under [source]."
        )

    def _row(self, record: object, number: int) -> list[Cell]:
        row: list[Cell] = []
        for column, member in self._members.items():
            try:
                cell = member.cell(record)
            except Misfit as error:
                raise SourceError(
                    f"{self._host}: record {number}: the column {column!r} ({member.text}) {error}. Correct it in "
                    "columns under [source]."
                ) from error
            if cell is not ABSENT:
                self._unseen.discard(column)
            row.append(None if cell is ABSENT else cell)  # type: ignore[arg-type]  # ABSENT is no cell
        return row

    def _mark(self, row: Sequence[Cell]) -> str | None:
        """What tells a record from all others: its key; without one, all that is read of it."""
        found = row[self._key] if self._key is not None else repr(row)
        return None if found is None else str(found)


def _kind(held: object) -> str:
    return "a list" if isinstance(held, list) else "a single value"

"""A REST API as source, over real sockets: how it pages, what proves it whole, what is refused."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.rest_servers import Api, People, Request, Said, serving

from scimsync.adapters.clock_system import SystemClock
from scimsync.adapters.source_asking import Access
from scimsync.adapters.source_pages import Paging, Question
from scimsync.adapters.source_rest import RestSource
from scimsync.errors import ConfigError, SourceEmpty, SourceError

SECRET = "s3cret-of-the-api"
COLUMNS = {"id": "id", "name": "name", "boss": "supervisor.id?"}
PAGE = Paging(kind="page", size=10, size_parameter="limit")
OFFSET = Paging(kind="offset", size=10, size_parameter="limit")
CURSOR = Paging(kind="cursor", next="meta.cursor")
LINK = Paging(kind="link")
NEXT = Paging(kind="next", next="meta.next")


class Hurried(SystemClock):
    """Waits for nothing, and says that it did."""

    def __init__(self) -> None:
        self.waited = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.waited

    async def sleep(self, seconds: float) -> None:
        self.waited += max(0.0, seconds)


def _people(count: int) -> list[dict[str, Any]]:
    return [{"id": f"E{n}", "name": f"Person {n}", "supervisor": {"id": "E0"} if n else None} for n in range(count)]


def _source(address: str, paging: Paging = PAGE, **more: Any) -> RestSource:
    given = {
        "question": Question(url=f"{address}/people"),
        "key": "id",
        "columns": COLUMNS,
        "records": "data.employees",
        "paging": paging,
        "total": "meta.total",
        "requests_per_minute": 0,
        "clock": Hurried(),
        "rng": random.Random(1),
        **more,
    }
    return RestSource(**given)


def _read(source: RestSource) -> list[tuple[object, ...]]:
    return [tuple(row) for batch in source.read().batches for row in batch.rows]


def _refused(source: RestSource) -> str:
    with pytest.raises(SourceError) as caught:
        _read(source)
    assert SECRET not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def people() -> Iterator[People]:
    api = People(_people(45))
    api.page = 10
    with serving(api):
        yield api


@pytest.mark.parametrize("paging", [PAGE, OFFSET, CURSOR, LINK, NEXT], ids=lambda paging: paging.kind)
@pytest.mark.parametrize("total", ["meta.total", ""])
@pytest.mark.parametrize("count", [45, 40, 10, 1])
def test_every_kind_of_paging_gives_everybody(people: People, paging: Paging, total: str, count: int) -> None:
    people.records = _people(count)
    source = _source(people.address, paging, total=total)
    assert _read(source) == [(f"E{n}", f"Person {n}", "E0" if n else None) for n in range(count)]
    assert source.read().proven is bool(total)


def test_a_listing_without_pages_is_one_answer(people: People) -> None:
    people.page = 1_000
    assert len(_read(_source(people.address, Paging()))) == 45
    assert len(people.asked) == 1


def test_a_listing_that_leads_on_is_not_taken_for_one_without_pages(people: People) -> None:
    assert 'Set paging = "link"' in _refused(_source(people.address, Paging(), total="", assume=True))


def test_without_a_total_a_listing_is_proven_only_where_somebody_said_so(people: People) -> None:
    assert not _source(people.address, total="").read().proven
    assert _source(people.address, total="", assume=True).read().proven


def test_refusals_with_429_are_waited_out(people: People) -> None:
    people.throttles = 2
    assert len(_read(_source(people.address))) == 45


def test_who_refuses_for_ever_is_asked_five_times(people: People) -> None:
    people.throttles = 1
    said = _refused(_source(people.address))
    assert "after 5 tries" in said
    assert len(people.asked) == 5


def test_trouble_on_the_way_is_tried_again_and_then_told(people: People) -> None:
    class Failing(People):
        def answer(self, request: Request) -> Said:
            return Said({}, 503) if request.query.get("page") == "3" else super().answer(request)

    with serving(Failing(_people(45))) as address:
        said = _refused(_source(address))
    assert "could not be read after 5 tries: status 503" in said


@pytest.mark.parametrize("paging", [PAGE, OFFSET, CURSOR, NEXT], ids=lambda paging: paging.kind)
def test_a_page_that_comes_twice_is_refused(paging: Paging) -> None:
    class Repeating(People):
        def shown(self, start: int, size: int, number: int) -> list[dict[str, Any]]:
            return super().shown(10 if number == 3 else start, size, number)

    api = Repeating(_people(45))
    api.page = 10
    with serving(api) as address:
        assert "page 3 holds nobody who was not on an earlier page" in _refused(_source(address, paging))
        assert "the API repeats itself" in _refused(_source(address, paging, total="", assume=True))


def test_an_api_that_does_not_know_the_parameter_is_found_out(people: People) -> None:
    said = _refused(_source(people.address, Paging(kind="page", parameter="seite"), total="", assume=True))
    assert "it may call its parameter otherwise than 'seite'" in said


def test_a_record_that_slips_onto_the_next_page_is_refused() -> None:
    class Moving(People):
        def shown(self, start: int, size: int, number: int) -> list[dict[str, Any]]:
            return super().shown(start - (number > 2), size, number)

    with serving(Moving(_people(45))) as address:
        assert "a record on page 3 came twice" in _refused(_source(address))


def test_a_cut_in_the_middle_is_refused() -> None:
    class Cut(People):
        def shown(self, start: int, size: int, number: int) -> list[dict[str, Any]]:
            return super().shown(start, size, number)[: 4 if number == 2 else None]

    api = Cut(_people(45))
    api.page = 10
    with serving(api) as address:
        assert "says that there are 45 records, and 39 came" in _refused(_source(address))
        assert "says that there are 45 records, and 39 came" in _refused(_source(address, CURSOR))
        assert "page 2 is short (4 records)" in _refused(_source(address, total="", assume=True))


def test_an_end_that_comes_too_early_is_refused() -> None:
    class Cut(People):
        def shown(self, start: int, size: int, number: int) -> list[dict[str, Any]]:
            return [] if number > 2 else super().shown(start, size, number)

    with serving(Cut(_people(45))) as address:
        assert "says that there are 45 records, and 20 came" in _refused(_source(address))


def test_a_total_that_moves_is_refused() -> None:
    class Moving(People):
        def total(self, number: int) -> int:
            return 45 + (number > 2)

    with serving(Moving(_people(45))) as address:
        assert "the total moved from 45 to 46 on page 3" in _refused(_source(address))


def test_a_total_that_only_counts_its_page_does_not_end_the_listing() -> None:
    class Counting(People):
        def total(self, number: int) -> int:
            return 10

    api = Counting(_people(40))
    with serving(api) as address:
        assert "says that there are 10 records, and 40 came" in _refused(_source(address))


@pytest.mark.parametrize("total", ["meta.amount", "header:X-Total-Count", "meta.cursor"])
def test_a_total_that_is_not_there_is_refused_at_once(people: People, total: str) -> None:
    assert "does not say how many records there are" in _refused(_source(people.address, total=total))


def test_a_total_may_stand_in_a_header_and_the_list_may_be_the_answer() -> None:
    class Headed(Api):
        def answer(self, request: Request) -> Said:
            return Said(_people(3), headers={"X-Total-Count": "3"})

    with serving(Headed()) as address:
        source = _source(address, Paging(), records="", total="header:X-Total-Count")
        assert len(_read(source)) == 3


def test_an_end_that_is_answered_with_404_is_an_end_where_the_total_is_met() -> None:
    class Ending(People):
        def answer(self, request: Request) -> Said:
            return Said({}, 404) if request.query["page"] == "5" else super().answer(request)

    with serving(Ending(_people(40))) as address:
        assert len(_read(_source(address))) == 40
        assert "refuses to be read: status 404" in _refused(_source(address, total=""))


@pytest.mark.parametrize("there", ["http://elsewhere.example/people?offset=10", "//elsewhere.example/x", "http://[/"])
@pytest.mark.parametrize("paging", [LINK, NEXT], ids=lambda paging: paging.kind)
def test_a_next_page_on_another_host_is_refused(people: People, paging: Paging, there: str) -> None:
    people.following = lambda request, end, size: there  # type: ignore[method-assign]
    assert "no credentials went there" in _refused(_source(people.address, paging, access=Access(token=SECRET)))


def test_a_redirect_to_another_host_is_refused_and_one_on_this_host_is_followed() -> None:
    other = People(_people(5))

    class Sending(People):
        there = ""

        def answer(self, request: Request) -> Said:
            if request.path == "/people":
                return Said({}, 302, {"Location": f"{self.there}/moved"})
            return super().answer(request)

    api = Sending(_people(5))
    with serving(other) as elsewhere, serving(api) as address:
        assert len(_read(_source(address, access=Access(token=SECRET)))) == 5
        api.there = elsewhere
        said = _refused(_source(address, access=Access(token=SECRET)))
    assert "which was not followed, and no credentials went there" in said
    assert other.asked == []


ACCESS = [
    Access(token=SECRET),
    Access(username="reader", password=SECRET),
    Access(header="X-API-Key", header_value=SECRET),
    Access(parameters={"api_key": SECRET}),
]
NAMES = ["bearer", "basic", "header", "parameter"]


@pytest.mark.parametrize("access", ACCESS, ids=NAMES)
@pytest.mark.parametrize("paging", [PAGE, LINK], ids=lambda paging: paging.kind)
def test_who_has_the_secret_is_let_in(people: People, paging: Paging, access: Access) -> None:
    people.secret = SECRET
    source = _source(people.address, paging, access=access)
    assert len(_read(source)) == 45
    assert SECRET not in repr(source)
    assert SECRET not in source.name


@pytest.mark.parametrize("access", ACCESS, ids=NAMES)
def test_a_wrong_secret_is_refused_and_never_shown(people: People, access: Access) -> None:
    people.secret = "another"
    assert "(401)" in _refused(_source(people.address, access=access))


def test_what_an_api_says_of_a_refusal_does_not_repeat_the_secret(people: People) -> None:
    class Telling(People):
        def answer(self, request: Request) -> Said:
            return Said({"detail": f"no right for {request.query['api_key']} {request.headers['x-own']}"}, 403)

    with serving(Telling()) as address:
        access = Access(parameters={"api_key": SECRET})
        said = _refused(_source(address, access=access, headers={"X-Own": f"{SECRET}2"}))
    assert "no right for ***" in said


class Tokens(People):
    """Gives tokens to an OAuth client, each of which is good for so many requests."""

    good_for = 2

    def __init__(self) -> None:
        super().__init__(_people(45))
        self.page, self.given, self.left = 10, 0, 0

    def refusal(self, request: Request) -> Said | None:
        if request.path == "/token":
            return None
        self.left -= 1
        is_good = self.left >= 0 and request.headers.get("authorization") == f"Bearer {SECRET}-{self.given}"
        return None if is_good else Said({}, 401)

    def answer(self, request: Request) -> Said:
        if request.path != "/token":
            return super().answer(request)
        if b"client_secret=right" not in request.body:
            return Said({"error": "invalid_client"}, 401)
        self.given, self.left = self.given + 1, self.good_for
        return Said({"access_token": f"{SECRET}-{self.given}", "token_type": "Bearer", "expires_in": 3600})


def _client(address: str, secret: str) -> Access:
    return Access(client_id="hr", client_secret=secret, token_url=f"{address}/token", client_auth="post")


def test_a_token_is_asked_for_and_renewed_where_it_ends_early() -> None:
    with serving(api := Tokens()) as address:
        assert len(_read(_source(address, access=_client(address, "right")))) == 45
    assert api.given == 3


def test_a_client_with_a_wrong_secret_is_refused() -> None:
    with serving(Tokens()) as address:
        said = _refused(_source(address, access=_client(address, "wrong")))
    assert "refuses client hr (401 invalid_client)" in said


def test_html_instead_of_json_is_told_as_such() -> None:
    class Portal(Api):
        def answer(self, request: Request) -> Said:
            return Said(b"<html>Sign in</html>", headers={"Content-Type": "text/html"})

    with serving(Portal()) as address:
        assert "the answer is 'text/html' and not JSON" in _refused(_source(address))


@pytest.mark.parametrize("content", [b"", b"{", b"null", b'{"data": {"employees": {}}}', b"[1]", b'"x"'])
def test_an_answer_that_is_not_what_was_described_is_refused(content: bytes) -> None:
    class Odd(Api):
        def answer(self, request: Request) -> Said:
            return Said(content)

    with serving(Odd()) as address:
        assert "\n" not in _refused(_source(address))


def test_where_the_records_are_not_the_members_of_the_answer_are_named(people: People) -> None:
    assert "its members are data, meta" in _refused(_source(people.address, records="data.people"))


def test_an_api_without_anybody_is_no_company_without_people() -> None:
    with serving(People()) as address, pytest.raises(SourceEmpty):
        _read(_source(address))


def test_an_answer_beyond_the_cap_is_refused(people: People) -> None:
    said = _refused(_source(people.address, reply_bytes=500))
    assert "larger than 500 bytes" in said


def test_an_answer_that_trickles_is_given_up(people: People) -> None:
    class Slow(People):
        def answer(self, request: Request) -> Said:
            time.sleep(0.5)
            return super().answer(request)

    with serving(Slow(_people(5))) as address:
        assert "no complete answer within 0.1 s" in _refused(_source(address, exchange_s=0.1))


def test_nobody_at_the_address_is_told(unused_tcp: int) -> None:
    assert "could not be read" in _refused(_source(f"http://127.0.0.1:{unused_tcp}"))


@pytest.fixture
def unused_tcp() -> int:
    with serving(People()) as address:
        return int(urlsplit(address).port or 0)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("supervisor", "holds an object; name one of its members"),
        ("name.first", "leads to 'first' through a value without members"),
        ("mails", "holds a list; say which"),
        ("mails.value", "leads to 'value' through a list"),
        ("mails[type=home].value", "2 elements have that"),
        ("title", "no record has the member 'title'"),
    ],
)
def test_a_column_that_is_no_cell_is_told_with_its_path(people: People, path: str, said: str) -> None:
    mails = [{"type": "work", "value": "w"}, {"type": "home", "value": "1"}, {"type": "home", "value": "2"}]
    people.records = [{**person, "mails": mails} for person in _people(5)]
    told = _refused(_source(people.address, columns={"id": "id", "x": path}))
    assert said in told
    assert "Person" not in told


def test_members_are_found_by_path_index_and_choice(people: People) -> None:
    mails = [{"type": "work", "value": "w"}, {"type": "home", "value": "h"}]
    people.records = [{"id": 7, "a.b": {"/c": True}, "mails": mails, "pay": 1.5, "none": None, "empty": ""}]
    columns = {
        "id": "id", "quoted": '"a.b"./c', "first": "mails[0].value", "home": "mails[type=home].value",
        "other": "mails[type=other].value?", "far": "mails[9].value?", "pay": "pay", "none": "none.x.y", "empty": "empty.x",
    }  # fmt: skip
    assert _read(_source(people.address, columns=columns)) == [(7, True, "w", "h", None, None, 1.5, None, None)]


@pytest.mark.parametrize("path", ["a..b", ".a", "a.", "a[", "a[x]", '"a', "a[=]b"])
def test_a_path_that_is_none_is_a_fault_of_the_configuration(people: People, path: str) -> None:
    with pytest.raises(ConfigError):
        _read(_source(people.address, columns={"id": "id", "x": path}))


def test_a_post_that_asks_is_sent_again_after_trouble_and_pages_in_its_body() -> None:
    class Search(People):
        tries = 0

        def answer(self, request: Request) -> Said:
            self.tries += 1
            if self.tries == 2:
                return Said({}, 502)
            body = json.loads(request.body)
            assert body["active"] is True
            query = {"page": str(body["page"]), "limit": str(body["limit"])}
            return super().answer(Request(request.method, request.path, query, request.headers))

    with serving(api := Search(_people(25))) as address:
        question = Question(url=f"{address}/people", method="POST", body={"active": True})
        paging = Paging(kind="page", size=10, size_parameter="limit", in_body=True)
        assert len(_read(_source(address, paging, question=question))) == 25
    assert {request.method for request in api.asked} == {"POST"}


def test_a_reading_that_is_given_up_ends_its_thread_and_its_connections(people: People) -> None:
    before = threading.active_count()
    reading = _source(people.address).read()
    next(iter(reading.batches))
    reading.batches.close()  # type: ignore[attr-defined]
    assert [thread for thread in threading.enumerate() if thread.name == "scimsync source"] == []
    assert threading.active_count() <= before + 1


def test_only_one_page_is_in_memory(people: People) -> None:
    people.records = _people(3_000)
    people.page = 100
    reading = _source(people.address, LINK).read()
    assert len(people.asked) == 1
    assert sum(len(batch.rows) for batch in reading.batches) == 3_000

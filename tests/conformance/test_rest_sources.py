"""REST APIs that nobody here wrote as HR: json-server by Link and by pages, datasette by the next URL and by a cursor.

json-server takes a person of number 0 for one without a number, so they begin at 1.
"""

from __future__ import annotations

import contextlib
import socket
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any

import httpx2
import pytest
from tests.hurry import hurry
from tests.providers import Server, needs_providers, start
from tests.servers import Firm, Provider, firm, person

from scimsync.errors import SourceError

pytestmark = needs_providers

COLUMNS = 'columns = { id = "id", login = "login", name = "name", status = "status", title = "title" }\n'
LINK = 'parameters = { _page = "1", _limit = "10" }\npaging = "link"\n'
PAGE = 'paging = "page"\npage_parameter = "_page"\npage_size_parameter = "_limit"\npage_size = 10\n'
COUNTED = 'total = "header:X-Total-Count"\n'
ROWS = 'parameters = { _shape = "objects", _size = "10" }\nrecords = "rows"\ntotal = "filtered_table_rows_count"\n'
NEXT = 'paging = "next"\nnext = "next_url"\n'
CURSOR = 'paging = "cursor"\nnext = "next"\npage_parameter = "_next"\n'


class Api:
    """An HR system, and how its people change."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def source(self, url: str) -> str:
        raise NotImplementedError

    def hire(self, number: int) -> None:
        raise NotImplementedError

    def change(self, number: int, **values: str) -> None:
        raise NotImplementedError

    def leave(self, number: int) -> None:
        raise NotImplementedError


class JsonServer(Api):
    paging = LINK

    def source(self, url: str) -> str:
        return f'url = "{url}/employees"\ntoken = "file:hr-token"\n{COUNTED}{self.paging}'

    def hire(self, number: int) -> None:
        assert self.server.ask("POST", "/employees", person(number), **_JSON).status_code == 201

    def change(self, number: int, **values: str) -> None:
        assert self.server.ask("PATCH", f"/employees/{number}", values, **_JSON).status_code == 200

    def leave(self, number: int) -> None:
        assert self.server.ask("DELETE", f"/employees/{number}").status_code == 200


class JsonServerByPages(JsonServer):
    paging = PAGE


class Datasette(Api):
    paging = NEXT

    def source(self, url: str) -> str:
        return f'url = "{url}/hr/employees.json"\n{ROWS}{self.paging}'

    def _write(self, words: str, *values: Any) -> None:
        with contextlib.closing(sqlite3.connect(self.server.home / "hr.db")) as database, database:
            database.execute(words, values)

    def hire(self, number: int) -> None:
        self._write("INSERT INTO employees VALUES (?, ?, ?, ?, ?)", *person(number).values())

    def change(self, number: int, **values: str) -> None:
        for column, value in values.items():
            self._write(f"UPDATE employees SET {column} = ? WHERE id = ?", value, number)

    def leave(self, number: int) -> None:
        self._write("DELETE FROM employees WHERE id = ?", number)


class DatasetteByCursor(Datasette):
    paging = CURSOR


_JSON = {"Content-Type": "application/json"}
KINDS = (JsonServer, JsonServerByPages, Datasette, DatasetteByCursor)


@contextlib.contextmanager
def company(folder: Path, kind: type[Api], number: int = 22) -> Iterator[tuple[Api, Firm]]:
    """So many people in an HR system, and the firm that keeps accounts for them."""
    name = "json-server" if issubclass(kind, JsonServer) else "datasette"
    with start(name) as server, firm(folder, Provider()) as found:
        api = kind(server)
        for n in range(1, number + 1):
            api.hire(n)
        ask(found, api, server.url)
        yield api, found


def ask(given: Firm, api: Api, url: str) -> None:
    """Have the API be the source, at an address."""
    secret = given.folder / "hr-token"
    if not secret.exists():
        secret.touch(mode=0o600)
        secret.write_text(api.server.token or "nothing")
    file = given.folder / "scimsync.toml"
    _, _, rest = file.read_text().partition("[target]")
    head = f'[source]\nkind = "rest"\nname = "hr"\nkey = "id"\nrequests_per_minute = 0\n{COLUMNS}'
    file.write_text(f"{head}{api.source(url)}[target]{rest}")


def accounts(given: Firm) -> dict[str, tuple[bool, str]]:
    return {user["externalId"]: (user["active"], user["title"]) for user in given.provider.users.values()}


@pytest.mark.parametrize("kind", KINDS)
def test_day_by_day_the_directory_becomes_what_the_api_says(tmp_path: Path, kind: type[Api]) -> None:
    with company(tmp_path, kind) as (api, house):
        _, report = house.sync()
        assert report.clean
        assert accounts(house) == {str(n): (True, "T") for n in range(1, 23)}
        house.quiet()
        api.change(3, title="Lead")
        api.change(7, status="left")
        api.leave(20)
        api.hire(23)
        made, report = house.sync()
        assert {change.key for change in made.changes} == {"3", "7", "20", "23"}
        assert report.clean
        assert accounts(house) == {str(n): (n not in {7, 20}, "Lead" if n == 3 else "T") for n in range(1, 24)}
        house.quiet()


@pytest.mark.parametrize("kind", [JsonServer, DatasetteByCursor])
def test_an_api_that_dies_in_the_middle_of_a_listing_makes_nobody_a_leaver(tmp_path: Path, kind: type[Api]) -> None:
    with company(tmp_path, kind) as (api, house):
        house.sync()
        before, asked = accounts(house), len(house.provider.asked)
        api.change(3, title="Lead")
        with dying(api.server.url, after=2_500) as url:
            ask(house, api, url)
            with hurry(), pytest.raises(SourceError, match="could not be read after"):
                house.plan()
        assert accounts(house) == before
        assert {one.method for one in house.provider.asked[asked:]} <= {"GET"}
        ask(house, api, api.server.url)
        made, _ = house.sync()
        assert [change.key for change in made.changes] == ["3"]


@contextlib.contextmanager
def dying(url: str, *, after: int) -> Iterator[str]:
    """The way to a server that dies after so many bytes of its answers, for good; gives its address."""
    beyond, left = httpx2.URL(url), [after]

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            if left[0] <= 0:
                return
            with socket.create_connection((beyond.host, beyond.port or 80)) as there:
                threading.Thread(target=self.ask, args=(there,), daemon=True).start()
                while left[0] > 0 and (some := there.recv(min(4096, left[0]))):
                    self.request.sendall(some)
                    left[0] -= len(some)
                for end in (self.request, there):
                    with contextlib.suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)

        def ask(self, there: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while some := self.request.recv(4096):
                    there.sendall(some)

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()

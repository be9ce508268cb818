"""What the benchmark of sources reads: the same invented people, as each kind has them, behind real servers."""

from __future__ import annotations

import csv
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from benchmarks import world
from benchmarks.source_side import PAGE, QUERY
from scimsync.cli.sample import COLUMNS, rows
from scimsync.simulator.people import people

_TARGET = """
[target]
dialect = "generic"
api_url = "http://127.0.0.1:9"
token = "file:secret"
[attributes]
userName = "lower(email)"
"""
#: attribute of the directory -> column
ATTRIBUTES = {
    "employeeNumber": "employee_id", "givenName": "first_name", "sn": "last_name", "mail": "email",
    "title": "job_title", "ou": "department", "o": "division", "telephoneNumber": "phone", "mobile": "mobile",
    "c": "country", "description": "skill_list", "manager": "manager_id", "employeeType": "status",
}  # fmt: skip
Row = Sequence[str | None]


@dataclass(frozen=True, slots=True)
class Stand:
    """A source that is ready to be read: its `[source]`, and what the bare library needs to know."""

    source: str
    given: Mapping[str, Any] = field(default_factory=dict)


#: makes a source of rows in a folder
Maker = Callable[[Path, Sequence[Row]], AbstractContextManager[Stand]]


@contextmanager
def standing(kind: str, folder: Path, count: int) -> Iterator[Path]:
    """A folder with a configuration and what the bare library needs, for as long as the servers behind them live."""
    folder.mkdir()
    secret = folder / "secret"
    secret.touch(mode=0o600)
    with MAKERS[kind](folder, list(rows(people(world.SEED, count)))) as stand:
        secret.write_text(str(stand.given.get("password", "nothing")), encoding="utf-8")
        key = "id" if kind == "scim" else "employee_id"
        text = f'[source]\nkey = "{key}"\n{stand.source}{_TARGET}'
        (folder / "scimsync.toml").write_text(text, encoding="utf-8")
        (folder / "bare.json").write_text(json.dumps({"count": count, **stand.given}), encoding="utf-8")
        yield folder


# --- files --------------------------------------------------------------------------------------------


def _write_csv(file: Path, given: Sequence[Row]) -> None:
    with file.open("w", encoding="utf-8", newline="") as sink:
        writer = csv.writer(sink, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(given)


@contextmanager
def _csv(folder: Path, given: Sequence[Row]) -> Iterator[Stand]:
    _write_csv(folder / "hr.csv", given)
    yield Stand('kind = "csv"\npath = "hr.csv"\n')


@contextmanager
def _jsonl(folder: Path, given: Sequence[Row]) -> Iterator[Stand]:
    with (folder / "hr.jsonl").open("w", encoding="utf-8") as sink:
        sink.writelines(json.dumps(dict(zip(COLUMNS, row, strict=True))) + "\n" for row in given)
    yield Stand('kind = "jsonl"\npath = "hr.jsonl"\n')


@contextmanager
def _parquet(folder: Path, given: Sequence[Row]) -> Iterator[Stand]:
    import duckdb

    _write_csv(folder / "hr.csv", given)
    scan = f"read_csv('{folder / 'hr.csv'}', all_varchar = true, header = true)"
    with duckdb.connect() as bench:
        bench.execute(f"COPY (SELECT * FROM {scan}) TO '{folder / 'hr.parquet'}' (FORMAT parquet)")
    yield Stand('kind = "parquet"\npath = "hr.parquet"\n')


@contextmanager
def _xlsx(folder: Path, given: Sequence[Row]) -> Iterator[Stand]:
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("People")
    sheet.append(COLUMNS)
    for row in given:
        sheet.append(list(row))
    book.save(folder / "hr.xlsx")
    yield Stand('kind = "excel"\npath = "hr.xlsx"\n')


@contextmanager
def _ods(folder: Path, given: Sequence[Row]) -> Iterator[Stand]:
    from tests.sheets import write_ods

    write_ods(folder / "hr.ods", [COLUMNS, *given])
    yield Stand('kind = "ods"\npath = "hr.ods"\n')


@contextmanager
def _sftp(folder: Path, given: Sequence[Row]) -> Iterator[Stand]:
    from tests.places import PASSWORD, USER, ssh_server

    served = folder / "served"
    served.mkdir()
    _write_csv(served / "hr.csv", given)
    (served / "hr.csv.done").touch()  # without it we would wait whether the file grows
    with ssh_server(served) as server:
        source = (
            f'kind = "csv"\npath = "{server.url("/hr.csv")}"\nhost_key = "{server.fingerprint}"\n'
            f'password = "file:secret"\nready = "done"\n'
        )
        yield Stand(source, {"port": server.port, "user": USER, "password": PASSWORD})


@contextmanager
def _s3(folder: Path, given: Sequence[Row]) -> Iterator[Stand]:
    from tests.places import PASSWORD, USER, s3_server

    _write_csv(folder / "hr.csv", given)
    with s3_server() as bucket:
        bucket.put("hr.csv", (folder / "hr.csv").read_bytes())
        source = (
            f'kind = "csv"\npath = "{bucket.url("hr.csv")}"\nendpoint = "{bucket.endpoint}"\n'
            f'storage_region = "us-east-1"\nusername = "{USER}"\npassword = "file:secret"\n'
        )
        access = {
            "access_key_id": USER, "secret_access_key": PASSWORD, "region": "us-east-1",
            "endpoint": bucket.endpoint, "client_options": {"allow_http": True},
        }  # fmt: skip
        yield Stand(source, {"bucket": bucket.name, "access": access, "password": PASSWORD})


# --- databases and directories ------------------------------------------------------------------------


@contextmanager
def _sqlite(folder: Path, given: Sequence[Row]) -> Iterator[Stand]:
    world.furnish(folder, len(given))
    yield Stand(f'kind = "sql"\nurl = "sqlite:///{folder / "hr.db"}"\nquery = "{QUERY}"\n')


@contextmanager
def _postgresql(folder: Path, given: Sequence[Row]) -> Iterator[Stand]:
    import psycopg
    from tests.postgres import postgres_url

    with postgres_url() as url:
        with psycopg.connect(url) as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE employee ({', '.join(f'{c} text' for c in COLUMNS)})".encode())
            with cursor.copy(b"COPY employee FROM STDIN") as copy:
                for row in given:
                    copy.write_row(row)
        yield Stand(f'kind = "sql"\nurl = "{url}"\nquery = "{QUERY}"\n', {"url": url})


@contextmanager
def _mariadb(folder: Path, given: Sequence[Row]) -> Iterator[Stand]:
    from sqlalchemy import make_url
    from tests.mariadb import PASSWORD, USER, cursor_of, mariadb_url

    with mariadb_url() as url:
        with cursor_of(url) as cursor:
            cursor.execute(f"CREATE TABLE employee ({', '.join(f'{c} VARCHAR(200)' for c in COLUMNS)})")
            marks = ", ".join(["%s"] * len(COLUMNS))
            cursor.executemany(f"INSERT INTO employee VALUES ({marks})", given)
        connect = {
            "host": "127.0.0.1", "port": make_url(url).port, "user": USER, "password": PASSWORD, "database": "people",
            "charset": "utf8mb4",
        }  # fmt: skip
        yield Stand(f'kind = "sql"\nurl = "{url}"\nquery = "{QUERY}"\n', {"connect": connect})


@contextmanager
def _ldap(folder: Path, given: Sequence[Row]) -> Iterator[Stand]:
    from tests.slapd import PASSWORD, PEOPLE, READER, Slapd, person

    def entry(row: Row) -> Any:
        held = dict(zip(COLUMNS, row, strict=True))
        values = {attribute: held[column] for attribute, column in ATTRIBUTES.items()}
        boss = held["manager_id"]
        manager = f"uid={boss},{PEOPLE}" if boss else None
        return person(str(held["employee_id"]), **{**values, "manager": manager})

    with Slapd(folder, map(entry, given)) as server:
        names = "".join(f'{column} = "{attribute}"\n' for attribute, column in ATTRIBUTES.items())
        source = (
            f'kind = "ldap"\nurl = "{server.url}"\nbase = "{PEOPLE}"\nusername = "{READER}"\n'
            f'password = "file:secret"\npage_size = {PAGE}\nreferences = ["manager"]\n[source.columns]\n{names}'
        )
        known = {"url": server.url, "user": READER, "password": PASSWORD, "base": PEOPLE}
        yield Stand(source, {**known, "attributes": list(ATTRIBUTES)})


# --- what is asked over HTTP --------------------------------------------------------------------------


class _Listing(BaseHTTPRequestHandler):
    """Pages of records that are JSON already, so that the server is cheap beside whoever asks it."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    records: ClassVar[Sequence[bytes]]

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: int(values[-1]) for name, values in parse_qs(parts.query).items() if values[-1].isdigit()}
        body = self._scim(query) if parts.path == "/Users" else self._page(query)
        self.send_response(200 if parts.path in {"/Users", "/people"} else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _page(self, query: Mapping[str, int]) -> bytes:
        start, end = query.get("offset", 0), query.get("offset", 0) + query.get("limit", PAGE)
        host, port = self.server.server_address[:2]
        following = f"http://{host!s}:{port}/people?limit={end - start}&offset={end}"
        there = json.dumps(following if end < len(self.records) else None).encode()
        total = len(self.records)
        return b'{"data": [%s], "next": %s, "total": %d}' % (b", ".join(self.records[start:end]), there, total)

    def _scim(self, query: Mapping[str, int]) -> bytes:
        start = query.get("startIndex", 1) - 1
        page = self.records[start : start + query.get("count", 100)]
        told = b'"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": %d, '
        told += b'"startIndex": %d, "itemsPerPage": %d, "Resources": [%s]'
        return b"{" + told % (len(self.records), start + 1, len(page), b", ".join(page)) + b"}"


@contextmanager
def _listed(records: Sequence[object]) -> Iterator[str]:
    handler = type("Handler", (_Listing,), {"records": [json.dumps(record).encode() for record in records]})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def _rest(folder: Path, given: Sequence[Row]) -> Iterator[Stand]:
    with _listed([dict(zip(COLUMNS, row, strict=True)) for row in given]) as url:
        names = "".join(f'{column} = "{column}"\n' for column in COLUMNS)
        source = (
            f'kind = "rest"\nurl = "{url}/people"\nrecords = "data"\npaging = "next"\nnext = "next"\ntotal = "total"\n'
            f'parameters = {{ limit = "{PAGE}", offset = "0" }}\nrequests_per_minute = 0\n[source.columns]\n{names}'
        )
        yield Stand(source, {"url": url})


@contextmanager
def _scim(folder: Path, given: Sequence[Row]) -> Iterator[Stand]:
    held = [dict(zip(COLUMNS, row, strict=True)) for row in given]
    users = [
        {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "id": f"u-{one['employee_id']}",
            "externalId": one["employee_id"],
            "userName": one["email"],
            "displayName": f"{one['first_name']} {one['last_name']}",
            "active": one["status"] == "active",
            "title": one["job_title"],
            "emails": [{"type": "work", "value": one["email"], "primary": True}],
            "phoneNumbers": [{"type": "work", "value": one["phone"]}, {"type": "mobile", "value": one["mobile"]}],
            "meta": {"resourceType": "User", "version": f'W/"{one["employee_id"]}"'},
        }
        for one in held
    ]
    with _listed(users) as url:
        source = (
            f'kind = "scim"\nurl = "{url}"\ntoken = "file:secret"\nrequests_per_minute = 0\n[source.columns]\n'
            'id = "externalId"\nemail = "userName"\nname = "displayName"\nstatus = "active"\ntitle = "title"\n'
            "mail = 'emails[type eq \"work\"].value'\nphone = 'phoneNumbers[type eq \"work\"].value'\n"
        )
        yield Stand(source, {"url": url})


MAKERS: Mapping[str, Maker] = {
    "csv": _csv,
    "jsonl": _jsonl,
    "parquet": _parquet,
    "sqlite": _sqlite,
    "postgresql": _postgresql,
    "mariadb": _mariadb,
    "ldap": _ldap,
    "rest": _rest,
    "scim": _scim,
    "xlsx": _xlsx,
    "ods": _ods,
    "sftp": _sftp,
    "s3": _s3,
}

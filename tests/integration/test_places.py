"""Files that lie elsewhere: real servers, whole runs, and deliveries that are not finished."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncssh
import pytest
from tests.places import PASSWORD, USER, Bucket, Site, s3_server, ssh_server, web_server
from tests.servers import Firm, Provider, firm, person
from tests.sheets import write_xlsx

from scimsync.adapters.source_file import CsvSource
from scimsync.adapters.source_place import Look, PlacedSource
from scimsync.adapters.source_place_https import Https
from scimsync.adapters.source_place_objects import Objects
from scimsync.adapters.source_place_sftp import Sftp
from scimsync.config import load
from scimsync.errors import ConfigError, SourceError

CSV = b"id,name\n1,Ada\n2,Grace\n"


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with s3_server() as found:
        yield found


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with web_server(tmp_path) as found:
        yield found


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where copies are made; nothing is left there by any test."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def names(source: PlacedSource) -> list[object]:
    return [row[1] for batch in source.read().batches for row in batch.rows]


def refusal(source: PlacedSource) -> str:
    with pytest.raises(SourceError) as caught:
        names(source)
    told = str(caught.value)
    assert "\n" not in told
    assert PASSWORD not in told
    return told


def placed(url: str, place: Sftp | Objects | Https, **more: object) -> PlacedSource:
    return PlacedSource(url, place.enter, lambda path: CsvSource(path, "id"), settle=0, **more)  # type: ignore[arg-type]


def of_sftp(url: str, fingerprint: str, **more: object) -> PlacedSource:
    return placed(url, Sftp(url=url, password=PASSWORD, host_key=fingerprint), **more)


def of_bucket(bucket: Bucket, path: str, **more: object) -> PlacedSource:
    url = bucket.url(path)
    place = Objects(url=url, username=USER, password=PASSWORD, endpoint=bucket.endpoint, region="us-east-1")
    return placed(url, place, **more)


def of_site(site: Site, path: str, *, place: Https | None = None, **more: object) -> PlacedSource:
    url = site.url + path
    return placed(url, place or Https(url=url, ca_file=site.ca_file), **more)


# --- whole runs -------------------------------------------------------------------------------------

Put = Callable[[bytes], None]


def deliveries(house: Firm, source: str, put: Put, made: Callable[[list[dict[str, object]]], bytes]) -> None:
    """Day 1, again quiet, day 2 exact, cut in the middle: refused, and nobody leaves."""
    file = house.folder / "scimsync.toml"
    text = file.read_text()
    file.write_text(text.replace('kind = "csv"\npath = "hr.csv"\nkey = "id"\ncomplete = "assume"\n', source))
    people = [person(n) for n in range(1, 41)]
    put(made(people))
    house.sync()
    assert {user["externalId"] for user in house.provider.users.values()} == {str(n) for n in range(1, 41)}
    house.quiet()
    people = [{**people[0], "title": "Chief"}, *people[2:], person(41)]
    put(made(people))
    plan, report = house.sync()
    assert sorted(change.key for change in plan.changes) == ["1", "2", "41"]
    assert report.clean
    house.quiet()
    whole = made(people)
    put(whole[: len(whole) // 2 + 3])
    before = len(house.provider.asked)
    with pytest.raises(SourceError):
        house.plan()
    assert {asked.method for asked in house.provider.asked[before:]} <= {"GET"}
    assert sum(user["active"] for user in house.provider.users.values()) == 40
    said = house.command("plan", "--config", str(file))
    assert said.code == 3, said
    assert PASSWORD not in said.out + said.err


def as_csv(people: list[dict[str, object]]) -> bytes:
    lines = [",".join(people[0]), *(",".join(map(str, one.values())) for one in people)]
    return ("\n".join(lines) + "\n").encode()


def as_xlsx(folder: Path) -> Callable[[list[dict[str, object]]], bytes]:
    def made(people: list[dict[str, object]]) -> bytes:
        rows = [tuple(people[0]), *(tuple(one.values()) for one in people)]
        return write_xlsx(folder / "made.xlsx", rows).read_bytes()

    return made


def test_whole_runs_from_sftp(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with ssh_server(tmp_path / "out") as server, firm(tmp_path / "firm", Provider()) as house:
        (house.folder / "known_hosts").write_text(server.known)
        secret = house.folder / "password"
        secret.touch(mode=0o600)
        secret.write_text(PASSWORD)
        source = (
            f'kind = "csv"\npath = "{server.url("/hr.csv")}"\nkey = "id"\nready = "sha256"\n'
            'known_hosts = "known_hosts"\npassword = "file:password"\n'
        )

        def put(body: bytes) -> None:
            (tmp_path / "out" / "hr.csv").write_bytes(body)
            if body.count(b"\n") > 30:  # the cut one has the checksum of the whole
                digest = hashlib.sha256(body).hexdigest()
                (tmp_path / "out" / "hr.csv.sha256").write_text(f"{digest}  hr.csv\n")

        deliveries(house, source, put, as_csv)


def test_whole_runs_from_a_bucket(bucket: Bucket, tmp_path: Path) -> None:
    with firm(tmp_path / "firm", Provider()) as house:
        secret = house.folder / "password"
        secret.touch(mode=0o600)
        secret.write_text(PASSWORD)
        source = (
            f'kind = "excel"\npath = "{bucket.url("out/hr.xlsx")}"\nkey = "id"\nusername = "{USER}"\n'
            f'password = "file:password"\nendpoint = "{bucket.endpoint}"\nstorage_region = "us-east-1"\n'
        )
        deliveries(house, source, lambda body: bucket.put("out/hr.xlsx", body), as_xlsx(tmp_path))


def test_whole_runs_from_https(site: Site, tmp_path: Path) -> None:
    with firm(tmp_path / "firm", Provider()) as house:
        source = (
            f'kind = "excel"\npath = "{site.url}/hr.xlsx"\nkey = "id"\ntoken = "file:token"\n'
            f"ca_file = {json.dumps(str(site.ca_file))}\n"
        )
        site.authorization = "Bearer canary-token"
        deliveries(house, source, lambda body: site.files.update({"/hr.xlsx": body}), as_xlsx(tmp_path))


# --- the copy ---------------------------------------------------------------------------------------


def test_the_copy_is_ours_alone_and_has_no_name_when_it_is_read(site: Site, temporary: Path) -> None:
    site.files["/hr.csv"] = CSV
    seen: list[tuple[int, int]] = []

    def make(path: Path) -> CsvSource:
        seen.append((path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777))
        return CsvSource(path, "id")

    url = f"{site.url}/hr.csv"
    reading = PlacedSource(url, Https(url=url, ca_file=site.ca_file).enter, make).read()
    assert seen == [(0o600, 0o700)]
    assert list(temporary.iterdir()) == []
    assert [row[1] for batch in reading.batches for row in batch.rows] == ["Ada", "Grace"]
    assert "ETag" in reading.delivery
    assert "2026-11-27T10:00:00" in reading.delivery


def test_what_a_killed_run_left_behind_is_removed_by_the_next(site: Site, temporary: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (temporary / f"scimsync-place-{gone.pid}-x").mkdir()
    mine = temporary / f"scimsync-place-{os.getpid()}-x"
    mine.mkdir()
    site.files["/hr.csv"] = CSV
    names(of_site(site, "/hr.csv"))
    assert list(temporary.iterdir()) == [mine], "another read of this process is left alone"
    mine.rmdir()


def test_a_fault_in_the_file_is_told_by_its_address(site: Site) -> None:
    site.files["/hr.csv"] = CSV + b"3\n"
    assert f"{site.url}/hr.csv?***, line 4: 1 cells" in refusal(of_site(site, "/hr.csv?sig=secret"))


# --- sftp -------------------------------------------------------------------------------------------


def test_a_server_whose_key_nobody_vouches_for_is_told_nothing(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "hr.csv").write_bytes(CSV)
    with ssh_server(tmp_path / "out") as server, ssh_server(tmp_path / "out") as other:
        url = server.url("/hr.csv")
        assert names(of_sftp(url, server.fingerprint)) == ["Ada", "Grace"]
        logins = server.logins
        for place in (
            Sftp(url=url, password=PASSWORD, host_key=other.fingerprint),
            Sftp(url=url, password=PASSWORD),
        ):
            assert "a host key that nobody vouches for" in refusal(placed(url, place))
        known = tmp_path / "known_hosts"
        known.write_text(other.known)
        place = Sftp(url=url, password=PASSWORD, known_hosts=known)
        assert "a host key that nobody vouches for" in refusal(placed(url, place))
        assert server.logins == logins, "no password was sent"
        known.write_text(server.known)
        assert names(placed(url, place)) == ["Ada", "Grace"]


def test_a_wrong_password_or_path_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with ssh_server(tmp_path / "out") as server:
        url = server.url("/hr.csv")
        assert "there is no such file" in refusal(of_sftp(url, server.fingerprint))
        place = Sftp(url=url, password="wrong", host_key=server.fingerprint)
        assert "does not let 'reader' in. Check username, password" in refusal(placed(url, place))
    assert "Check host and port" in refusal(of_sftp(url, server.fingerprint))


def test_a_private_key_lets_us_in_where_nobody_else_can_read_it(tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    (tmp_path / "authorized").write_bytes(key.export_public_key())
    secret = tmp_path / "id"
    secret.touch(mode=0o600)
    secret.write_bytes(key.export_private_key())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "hr.csv").write_bytes(CSV)
    with ssh_server(tmp_path / "out", tmp_path / "authorized") as server:
        url = server.url("/hr.csv")
        place = Sftp(url=url, key_file=secret, host_key=server.fingerprint)
        assert names(placed(url, place)) == ["Ada", "Grace"]
        secret.chmod(0o644)
        assert "chmod 600" in refusal(placed(url, place))


def test_a_file_that_still_grows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    file = tmp_path / "out" / "hr.csv"
    file.write_bytes(CSV)
    with ssh_server(tmp_path / "out") as server:
        url = server.url("/hr.csv")
        place = Sftp(url=url, password=PASSWORD, host_key=server.fingerprint)
        source = PlacedSource(url, place.enter, lambda path: CsvSource(path, "id"), settle=1.5)
        stop = threading.Event()

        def grow() -> None:
            while not stop.wait(0.05):
                with file.open("ab") as end:
                    end.write(b"3,Linus\n")

        writer = threading.Thread(target=grow)
        writer.start()
        try:
            assert "it is still being written" in refusal(source)
        finally:
            stop.set()
            writer.join()
        assert "Linus" in names(source)


def test_a_delivery_waits_for_the_file_that_says_it_is_done(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    file, done = tmp_path / "out" / "hr.csv", tmp_path / "out" / "hr.csv.done"
    file.write_bytes(CSV)
    with ssh_server(tmp_path / "out") as server:
        source = of_sftp(server.url("/hr.csv"), server.fingerprint, ready="done")
        assert "there is no hr.csv.done beside it" in refusal(source)
        done.touch()
        assert names(source) == ["Ada", "Grace"]
        os.utime(file, (done.stat().st_mtime + 60,) * 2)
        assert "it is newer than hr.csv.done" in refusal(source)


# --- every place ------------------------------------------------------------------------------------


def test_a_checksum_beside_the_file_proves_the_delivery(bucket: Bucket) -> None:
    source = of_bucket(bucket, "sum/hr.csv", ready="sha256")
    bucket.put("sum/hr.csv", CSV)
    assert "there is no hr.csv.sha256 beside it" in refusal(source)
    bucket.put("sum/hr.csv.sha256", b"no checksum")
    assert "holds no checksum" in refusal(source)
    bucket.put("sum/hr.csv.sha256", hashlib.sha256(CSV).hexdigest().encode() + b"  hr.csv\n")
    reading = source.read()
    assert reading.proven
    assert "bytes" in reading.delivery
    assert [row[1] for batch in reading.batches for row in batch.rows] == ["Ada", "Grace"]
    bucket.put("sum/hr.csv", CSV[: CSV.index(b"2")])
    assert "its SHA-256 is" in refusal(source)


def test_a_bucket_that_has_nothing_or_more_than_is_allowed_says_so(bucket: Bucket) -> None:
    assert "there is no such file" in refusal(of_bucket(bucket, "none.csv"))
    bucket.put("large.csv", CSV)
    assert "it has 22 bytes, and 10 are allowed" in refusal(of_bucket(bucket, "large.csv", most=10))
    assert not of_bucket(bucket, "large.csv").read().proven


def test_a_broken_answer_of_a_web_server_is_refused(site: Site) -> None:
    site.files["/hr.csv"] = CSV
    site.cut = CSV.index(b"2")
    assert "broke off" in refusal(of_site(site, "/hr.csv"))


def test_a_server_that_does_not_know_head_is_asked_with_get(site: Site) -> None:
    site.knows_head = False
    site.files["/hr.csv"] = CSV
    assert names(of_site(site, "/hr.csv")) == ["Ada", "Grace"]
    assert "there is no such file" in refusal(of_site(site, "/none.csv"))
    assert "no hr.csv.done" in refusal(of_site(site, "/hr.csv", ready="done"))


def test_what_lets_us_in_is_shown_to_no_other_host(site: Site, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with web_server(tmp_path / "other") as other:
        both = tmp_path / "both.pem"
        both.write_bytes(site.ca_file.read_bytes() + other.ca_file.read_bytes())
        site.moved["/hr.csv"] = f"{other.url}/real.csv"
        other.files["/real.csv"] = CSV
        for given in ({"token": PASSWORD}, {"username": USER, "password": PASSWORD}):
            url = f"{site.url}/hr.csv"
            place = Https(url=url, ca_file=both, header="X-Key", header_value=PASSWORD, **given)
            assert names(of_site(site, "/hr.csv", place=place)) == ["Ada", "Grace"]
        assert all("Authorization" in headers and "X-Key" in headers for _, _, headers in site.asked)
        assert other.asked
        assert not any("Authorization" in headers or "X-Key" in headers for _, _, headers in other.asked)
        site.moved["/hr.csv"] = other.url.replace("https", "http") + "/real.csv"
        assert "is not https" in refusal(of_site(site, "/hr.csv", place=place))
        site.moved["/hr.csv"] = f"{site.url}/hr.csv"
        assert "from address to address" in refusal(of_site(site, "/hr.csv", place=place))


def test_a_certificate_that_nobody_vouches_for_is_refused(site: Site) -> None:
    site.files["/hr.csv"] = CSV
    told = refusal(of_site(site, "/hr.csv", place=Https(url=f"{site.url}/hr.csv")))
    assert "certificate is not trusted" in told
    assert "ca_file" in told
    assert site.asked == []


def test_looks_differ_in_what_both_know() -> None:
    assert Look(size=1).differs(Look(size=2))
    assert not Look(size=1).differs(Look(tag="x"))
    assert Look(size=0).differs(Look(size=1))


# --- the configuration ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "more", "told"),
    [
        ("ftp://host/hr.csv", "", "begins with ftp:, which is not fetched; write sftp://"),
        ("http://host/hr.csv", "", "can be read and changed on the way"),
        ("S3:/bucket/hr.csv", "", "names no object"),
        ("s3://bucket", "", "names no object: write s3://BUCKET/PATH"),
        ("https://host/", "", "names no file"),
        ("https://u:p@host/hr.csv", "", "holds a password"),
        ("sftp://host:x/hr.csv", "", "a port is a number"),
        ("sftp://host/hr.csv", "", "[source] host_key is missing: sftp:// needs the key of its server"),
        ("s3://b/hr.csv", 'endpoint = "http://minio.example.com"', "[source] endpoint must be https"),
        ("hr.csv", 'sheet = "People"', "[source] sheet does not fit kind = 'csv'; it is for excel, ods"),
    ],
)
def test_an_address_is_never_taken_for_a_file_of_this_machine(path: str, more: str, told: str, tmp_path: Path) -> None:
    with firm(tmp_path / "firm", Provider()) as house:
        file = house.folder / "scimsync.toml"
        text = file.read_text()
        file.write_text(text.replace('path = "hr.csv"\n', f'path = "{path}"\n{more}\n'))
        with pytest.raises(ConfigError) as caught:
            load(file)
        assert told in str(caught.value)

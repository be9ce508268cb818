"""Spreadsheets, and files that lie elsewhere: their keys of the source, and what a path may be."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from scimsync.config.addresses import is_local
from scimsync.config.keys import Section
from scimsync.config.keys import key as _key
from scimsync.config.keys import like as _like
from scimsync.config.keys import text as _text
from scimsync.config.settings import PlaceSettings, SheetSettings

SHEETS = frozenset({"excel", "ods"})
FILES = frozenset({"csv", "jsonl", "parquet"}) | SHEETS
FINGERPRINT = r"^SHA256:[A-Za-z0-9+/]{43}=?$"
#: the beginnings of addresses at which a file may lie
SCHEMES = ("sftp", "s3", "gs", "az", "https")
SHEET_KEYS = ("sheet", "header_row", "skip_last")
PLACE_KEYS = ("ready", "settle", "known_hosts", "host_key", "key_file", "endpoint", "storage_region", "most_megabytes")
#: the keys of access that a place of files understands
ACCESS_KEYS = ("username", "password", "token", "header", "header_value", "ca_file")


class Sheets(Section):
    """The keys of spreadsheets."""

    sheet: str = _text("The name of the sheet. Default: the only visible one.", example="People")
    header_row: int = _key("The row that names the columns, as the spreadsheet counts.", 1, example=3, ge=1)
    skip_last: int = _key("So many rows at the end are no people: totals, notes.", 0, example=1, ge=0)


class Places(Section):
    """The keys of files that lie elsewhere."""

    ready: str = _like(
        r"^(stable|done|sha256)$",
        "What says that a file at an address is whole: `stable`, its size and time did not change while we looked; "
        "`done`, an empty file FILE.done beside it, not older; `sha256`, a file FILE.sha256 of `sha256sum` beside it, "
        "which also proves the reading.",
        "stable",
        example="sha256",
    )
    settle: int = _key(
        "Seconds between the two looks at a file on SFTP, whose writer we cannot see.", 5, example=30, ge=0, le=600
    )
    known_hosts: str = _text(
        "The file of known hosts (as of OpenSSH) in which the key of an SFTP server stands. This or `host_key` is "
        "needed for sftp://: a host that nobody vouches for is refused.",
        example="known_hosts",
    )
    host_key: str = _like(
        FINGERPRINT,
        "The fingerprint of the key of an SFTP server, as `ssh-keygen -lf` shows it.",
        example="SHA256:uNiVztksCsDhcc0u9e8BrzO0hWzRxyhOxgJTgFVK4Iw",
    )
    key_file: str = _text(
        "For sftp://, the private key that lets us in (`password` is its passphrase then); for gs://, the JSON key of "
        "a service account. A file that nobody else can read.",
        example="id_ed25519",
    )
    endpoint: str = _text(
        "Where the objects are served, instead of the cloud's own address: MinIO, Ceph, Azurite. https, or http on "
        "this machine.",
        example="https://minio.example.com",
    )
    storage_region: str = _text("The region of an s3:// bucket.", example="eu-central-1")
    most_megabytes: int = _key("A larger file at an address is refused.", 4096, example=100, ge=1)


def sheet_of(given: Sheets, kind: str) -> SheetSettings | None:
    """Which part of a spreadsheet holds people; None for a source that is none."""
    if kind not in SHEETS:
        return None
    return SheetSettings(name=given.sheet, header_row=given.header_row, skip_last=given.skip_last)


def is_address(path: str) -> bool:
    """Whether a path is an address and no file of this machine.

    Examples:
        >>> [is_address(p) for p in ("s3://bucket/hr.csv", "S3:/bucket/hr.csv", "hr.csv", "C:/hr.csv")]
        [True, True, False, False]
    """
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", path) is not None


def address_fault(path: str) -> str:
    """Why a file cannot be fetched from an address, to stand behind the name of the key; "" where it can.

    Examples:
        >>> address_fault("ftp://host/hr.csv")
        'begins with ftp:, which is not fetched; write sftp://, s3://, gs://, az://, https:// or a file of this machine'
        >>> address_fault("sftp://host/out/hr.csv"), address_fault("http://127.0.0.1:8000/hr.csv")
        ('', '')
    """
    scheme = path.partition(":")[0].lower()
    try:
        parts = urlsplit(path)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is no address: a port is a number, and the host stands behind //"
    if scheme not in SCHEMES and not (scheme == "http" and is_local(path)):
        known = ", ".join(f"{name}://" for name in SCHEMES)
        more = "; what http sends can be read and changed on the way" if scheme == "http" else ""
        return f"begins with {scheme}:, which is not fetched{more}; write {known} or a file of this machine"
    if not host or len(parts.path) < 2:
        return f"names no file: write {scheme}://HOST/PATH" if scheme in {"sftp", "https", "http"} else (
            f"names no object: write {scheme}://BUCKET/PATH"
        )  # fmt: skip
    if parts.password is not None:
        return 'holds a password, which everybody sees; write username and password = "env:NAME" under [source]'
    if scheme == "sftp" and (parts.query or parts.fragment):
        return "has a ? or # in its path; write them as %3F and %23"
    return ""


def place_faults(place: PlaceSettings, path: str) -> list[tuple[str, str]]:
    """Key and what is wrong with it, of an address and how it is read."""
    scheme = path.partition(":")[0].lower()
    found = []
    if scheme == "sftp" and not place.known_hosts and not place.host_key:
        said = (
            "is missing: sftp:// needs the key of its server, by host_key (a fingerprint that its administrator tells"
            " you) or known_hosts (a file); a host that nobody vouches for is not trusted with the people"
        )
        found.append(("host_key", said))
    if place.endpoint and not (place.endpoint.startswith("https://") or is_local(place.endpoint)):
        found.append(("endpoint", "must be https: the key of the storage would travel in clear"))
    return found

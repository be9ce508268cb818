"""Objects in a bucket (S3 and what speaks like it, Google Cloud Storage, Azure), by obstore.

An object appears whole or not at all; its ETag and version say which delivery it is.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NoReturn
from urllib.parse import unquote, urlsplit

from scimsync import files
from scimsync.adapters.source_place import Look, brief, piped, refuse, shown
from scimsync.errors import SourceError
from scimsync.values import Secretive

_FETCH_S, _PIECE = 1800.0, 1 << 20


class Objects(Secretive, frozen=True, kw_only=True):
    """One object, and who we are there; without a name and a key, whoever this machine is to the cloud."""

    url: str
    username: str = ""
    password: str = ""
    token: str = ""
    key_file: Path | None = None
    endpoint: str = ""
    region: str = ""
    ca_file: Path | None = None

    @contextmanager
    def enter(self) -> Iterator[_Bucket]:
        """Make ready to ask; nothing is asked yet.

        Raises:
            SourceError: obstore is missing, or what is given does not fit the cloud.
        """
        where = shown(self.url)
        try:
            import obstore.exceptions  # noqa: PLC0415 - an extra
            import obstore.store  # noqa: PLC0415
        except ImportError as exc:
            refuse(where, "objects are fetched by obstore", "Run: pip install 'scimsync[objects]'", exc)
        try:
            yield _Bucket(self, obstore, self._store(obstore.store))
        except files.Foreign as fault:
            refuse(where, f"key_file {self.key_file}: {fault.strerror}", f"{fault.cure}.")
        except OSError as fault:
            refuse(
                where, f"a file of keys or certificates cannot be read: {brief(fault)}", "Check key_file and ca_file."
            )

    def _store(self, stores: Any) -> Any:  # noqa: ANN401 - of obstore
        parts = urlsplit(self.url)
        bucket = parts.netloc
        options: dict[str, Any] = {
            "timeout": "1800s", "read_timeout": "60s", "connect_timeout": "15s", "user_agent": "scimsync",
            "allow_http": self.endpoint.startswith("http://"),
        }  # fmt: skip
        if self.ca_file is not None:
            options["root_certificate"] = self.ca_file.read_bytes()
        patience: dict[str, Any] = {"max_retries": 3}
        shared = {"client_options": options, "retry_config": patience}
        if parts.scheme == "s3":
            given = {
                "access_key_id": self.username, "secret_access_key": self.password, "session_token": self.token,
                "region": self.region, "endpoint": self.endpoint,
            }  # fmt: skip
            return stores.S3Store(bucket, **_set(given), **shared)
        if parts.scheme == "gs":
            key = files.read_secret(self.key_file).decode() if self.key_file else ""
            given = {"service_account_key": key, "bearer_token": self.token, "base_url": self.endpoint}
            return stores.GCSStore(bucket, **_set(given), **shared)
        given = {
            "account_name": self.username, "account_key": self.password, "token": self.token, "endpoint": self.endpoint
        }  # fmt: skip
        return stores.AzureStore(bucket, **_set(given), **shared)


def _set(given: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in given.items() if value}


class _Bucket:
    """A bucket that can be asked."""

    grows = False

    def __init__(self, place: Objects, library: Any, store: Any) -> None:  # noqa: ANN401 - of obstore
        self._library, self._store = library, store
        self._where, self._path = shown(place.url), unquote(urlsplit(place.url).path).lstrip("/")

    def look(self, beside: str = "") -> Look | None:
        """What the bucket says of an object."""
        try:
            return _look(self._library.head(self._store, self._path + beside))
        except (self._library.exceptions.NotFoundError, FileNotFoundError):
            return None
        except Exception as fault:  # noqa: BLE001 - whatever it is, it is said
            self._refuse(fault)

    def fetch(self, beside: str, sink: BinaryIO, most: int) -> Look:
        """Fetch an object."""
        try:
            found = self._library.get(self._store, self._path + beside)
            pieces = found.stream(min_chunk_size=_PIECE)
            piped(self._where, map(memoryview, pieces), sink, most, time.monotonic() + _FETCH_S)
            return _look(found.meta)
        except Exception as fault:  # noqa: BLE001 - as above
            self._refuse(fault)

    def _refuse(self, fault: Exception) -> NoReturn:
        faults = self._library.exceptions
        if isinstance(fault, SourceError):
            raise fault
        if isinstance(fault, faults.PermissionDeniedError | faults.UnauthenticatedError | PermissionError):
            step = "Check username (the id of the key), password (the key) or key_file, and what the key may read."
            refuse(self._where, "the storage does not let us read this object", step)
        if isinstance(fault, faults.NotFoundError | FileNotFoundError):
            refuse(self._where, "there is no such object", "Check path under [source], and whether the export ran.")
        step = "Check the bucket, storage_region and endpoint under [source], and run again."
        refuse(self._where, f"the storage cannot be read: {brief(fault)}", step, None)


def _look(meta: Any) -> Look:  # noqa: ANN401 - of obstore
    return Look(
        size=meta["size"],
        time=meta["last_modified"].timestamp(),
        tag=(meta.get("e_tag") or "").strip('"'),
        version=meta.get("version") or "",
    )

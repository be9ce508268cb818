"""Read people from another SCIM directory, by the reading of a target. Fits `scimsync.engine.ports.Source`.

A sweep is read up to three times until it adds up (`target_sweep`), and goes to a file without a name meanwhile, so
that nothing is believed of a directory that could not be read whole.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import BinaryIO
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct, field

from scimsync.adapters.source_asking import Access, Loop, check_address
from scimsync.adapters.source_columns import batched, check_columns, check_key, owned_by
from scimsync.adapters.source_text import Placed
from scimsync.adapters.target_http import Clock
from scimsync.adapters.target_scim import ScimTarget
from scimsync.adapters.target_wire import OBJECT, TargetSettings
from scimsync.errors import ConfigError, InvalidPath, SourceError, TargetError
from scimsync.model.outcomes import Sweep
from scimsync.model.records import Cell, Reading
from scimsync.scim.dialect import Dialect
from scimsync.scim.schema import Kind, Place

_ROW = msgspec.json.Decoder(list[str | int | float | bool | None])


class ScimSource(Struct, frozen=True, kw_only=True):
    """All people of one directory, active or not."""

    #: the SCIM base
    url: str
    dialect: Dialect
    key: str
    #: column -> SCIM path
    columns: Mapping[str, str]
    access: Access = field(default_factory=Access)
    requests_per_minute: int | None = None
    exchange_s: float = 60.0
    reply_bytes: int = 64 * 1024 * 1024
    clock: Clock
    rng: random.Random

    @property
    def name(self) -> str:
        """Host and path of the directory."""
        parts = urlsplit(self.url)
        return f"SCIM directory {parts.hostname or ''}{parts.path}"

    def read(self) -> Reading:
        """Read the directory to its end.

        Raises:
            SourceError: It cannot be reached, refuses us, does not add up in three readings, or is empty.
            ConfigError: The address is none, or a column is no SCIM path of one value.
        """
        check_address(self.url)
        host, columns = urlsplit(self.url).netloc, tuple(self.columns)
        check_columns(f"{host}: [source] columns", columns)
        check_key(host, columns, self.key)
        places = self._places()
        with ExitStack() as stack:
            spool = stack.enter_context(tempfile.TemporaryFile())
            with Loop() as loop:
                swept = loop.run(self._sweep(places, spool))
            if swept.incomplete:
                raise SourceError(
                    f"{host}: the directory does not add up: {swept.incomplete}. Nothing of it is used: run again."
                )
            batches = owned_by(stack.pop_all(), batched(host, _rows(spool)))
        next(batches)
        # whoever is not listed is inactive there, and absence would say the same of somebody who left
        return Reading(columns=columns, batches=batches, proven=not swept.unlisted, live=True)

    def _places(self) -> list[Place]:
        faults, places = [], []
        for column, path in self.columns.items():
            try:
                place = self.dialect.users.resolve(path)
            except InvalidPath as error:
                faults.append(f"[source] columns: {column}: {error}")
                continue
            if place.kind is Kind.LIST:
                faults.append(
                    f"[source] columns: {column}: {path} is a list; choose an element, such as "
                    f'{path}[type eq "work"].value'
                )
            places.append(place)
        if faults:
            raise ConfigError(*faults)
        return places

    async def _sweep(self, places: Sequence[Place], spool: BinaryIO) -> Sweep:
        target = ScimTarget(self._settings(), clock=self.clock, rng=self.rng)

        def take(resources: Sequence[bytes]) -> None:
            for raw in resources:
                body = OBJECT.decode(raw)
                spool.write(msgspec.json.encode([place.read(body) for place in places]) + b"\n")

        try:
            return await target.sweep(tuple(dict.fromkeys(["id", *(place.root for place in places)])), take)
        except TargetError as error:
            said = str(error).replace("The target", "The source").replace("api_url", "url")
            raise SourceError(said) from error
        finally:
            await target.close()

    def _settings(self) -> TargetSettings:
        who = self.access
        if not (who.client_id or who.token or who.username or who.header):
            raise ConfigError("[source] needs token; or client_id, client_secret and token_url; or username; or header")
        return TargetSettings(
            api_url=self.url.rstrip("/").removesuffix(self.dialect.base_path),
            section="source",
            dialect=self.dialect,
            client_id=who.client_id,
            client_secret=who.client_secret,
            token_url=who.token_url,
            scopes=who.scopes,
            audience=who.audience,
            client_auth=who.client_auth,
            token=who.token,
            username=who.username,
            password=who.password,
            header=who.header,
            header_value=who.header_value,
            requests_per_minute=self.requests_per_minute,
            exchange_s=self.exchange_s,
            reply_bytes=self.reply_bytes,
            ca_file=who.ca_file,
        )


def _rows(spool: BinaryIO) -> Iterator[Placed]:
    spool.seek(0)
    for number, line in enumerate(spool, 1):
        row: list[Cell] = list(_ROW.decode(line))
        yield number, row

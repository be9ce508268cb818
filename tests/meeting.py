"""Both sides of a run and its past as a few dictionaries, brought together on a real DuckDB."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.factories import MANAGER, USERS, make_reading, mapped, place

from scimsync.model.accounts import Pair
from scimsync.model.outcomes import Link
from scimsync.model.plans import Finding
from scimsync.model.policy import Mapped, Rekey
from scimsync.scim.schema import Value
from scimsync.workbench.accounts import AccountSpool
from scimsync.workbench.agreed import lay_outcomes, write_agreed
from scimsync.workbench.bench import Workbench
from scimsync.workbench.comparing import Comparison
from scimsync.workbench.correlating import Correlation
from scimsync.workbench.mapping import check_mapping, stage_desired, stage_phones
from scimsync.workbench.past import stage_base, stage_links
from scimsync.workbench.records import stage_records

MAPPING = {"userName": "lower(email)", "externalId": "id", "title": "job", "active": "active", MANAGER: "ref(boss)"}
MATCH = ("externalId", "userName")


def record(key: str, **more: Any) -> dict[str, Any]:
    return {"id": key, "email": f"{key}@x", "job": "Clerk", "active": True, "boss": None, **more}


def account(key: str, **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": f"u-{key}",
        "userName": f"{key}@x",
        "externalId": key,
        "title": "Clerk",
        "active": True,
    }
    return {**body, "meta": {"version": "7"}, **more}


class Meeting:
    """Both sides and the past of one run, compared."""

    def __init__(
        self, folder: Path, records: Sequence[dict[str, Any]], accounts: Sequence[dict[str, Any]], *,
        links: Sequence[tuple[str, str]] = (), base: Path | None = None, complete: bool = True,
        only: Sequence[str] = (), mapping: Sequence[Mapped] | None = None, match: Sequence[str] = MATCH,
        rekey: Rekey = Rekey.HOLD, parted: Sequence[tuple[str, str]] = (),
    ) -> None:  # fmt: skip
        self.folder = folder
        self.attributes = list(mapping or [mapped(path, expression) for path, expression in MAPPING.items()])
        self.bench = Workbench(folder)
        reading = make_reading(records)
        stage_records(self.bench, reading, key="id")
        expressions = check_mapping(self.bench, self.attributes, reading.columns)
        stage_phones(self.bench, expressions.values(), lambda *_: None)
        self.staged = stage_desired(self.bench, self.attributes, expressions, key="id")
        spool = AccountSpool(self.bench, USERS, self.attributes)
        spool.take([json.dumps(found).encode() for found in accounts])
        spool.load()
        stage_links(self.bench, (Link(*link) for link in links), parted)
        stage_base(self.bench, base, self.attributes)
        self.comparison = Comparison(self.bench, self.attributes)
        self.correlation = Correlation(self.bench, self.attributes, [place(path) for path in match], rekey=rekey)
        self.findings: list[Finding] = self.correlation.run(complete=complete, only=only)
        self.comparison.resolve()

    @property
    def pairing(self) -> dict[str, str]:
        return {str(key): str(found) for key, found in self.bench.rows("SELECT key, id FROM pairing")}

    @property
    def joiners(self) -> list[str]:
        return [pair.key for pair in self.comparison.joiners()]

    @property
    def leavers(self) -> list[str]:
        return [leaver.key for leaver in self.comparison.leavers()]

    @property
    def pairs(self) -> dict[str, Pair]:
        return {pair.key: pair for pair in self.comparison.pairs()}

    @property
    def doubts(self) -> list[tuple[str, str]]:
        return [(finding.code, finding.subject) for finding in self.findings]

    def agreed(self, *settled: tuple[str, str, Value]) -> Path:
        path = self.folder / "agreed.parquet"
        write_agreed(self.comparison, path, settled)
        return path

    def based(self, *values: tuple[str, str, Value], accounts: dict[str, str] | None = None) -> Path:
        path = self.folder / f"base-{len(list(self.folder.glob('base-*')))}.parquet"
        lay_outcomes(self.bench, self.agreed(), values, accounts or {}, path)
        return path

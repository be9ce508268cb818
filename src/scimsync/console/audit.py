"""The audit chain: search it, read one record with its proof, prove all of it, hand it to others."""

from __future__ import annotations

from datetime import date, datetime

from starlette.responses import Response, StreamingResponse

from scimsync.console.asking import Asked, Page
from scimsync.console.roles import Right
from scimsync.errors import ConfigError
from scimsync.model.audit import Kind
from scimsync.services import evidence
from scimsync.services.evidence import Wanted

#: records that a search shows
SIZE, MOST = 50, 1000


def _audit(asked: Asked) -> Response:
    given = {name: asked.query.get(name, "").strip() for name in ("user", "run", "kind")}
    limit = max(1, asked.number("limit", SIZE, MOST))
    wrong, records = "", []
    try:
        records = evidence.latest(asked.store, given["user"], given["run"], limit, kind=given["kind"])
    except ConfigError as error:
        wrong = str(error)
    return asked.page(
        "audit.html.j2",
        records=list(reversed(records)),
        given=given,
        limit=limit,
        most=MOST,
        wrong=wrong,
        kinds=[kind.value for kind in Kind],
        size=asked.store.head().size,
        verified=None,
    )


def _record(asked: Asked) -> Response:
    number = asked.given["seq"]
    seq = int(number) if number.isascii() and number.isdigit() and len(number) < 16 else 0
    found = evidence.record(asked.store, seq)
    if found is None:
        return asked.sorry(404, "There is no such record", f"The chain has {asked.store.head().size:,} records.")
    proof = evidence.prove(asked.settings, asked.store, seq) if asked.query.get("proof") == "1" else None
    return asked.page("record.html.j2", record=found, proof=proof, size=asked.store.head().size)


def _verify(asked: Asked) -> Response:
    found = evidence.verify_state(asked.settings, None, "")
    return asked.page("verified.html.j2", found=found)


def _export(asked: Asked) -> Response:
    form = asked.query.get("form", "jsonl")
    if form not in {"jsonl", "ocsf"}:
        raise ConfigError("An export is jsonl or ocsf.")
    text = asked.query.get("since", "")
    try:
        since = datetime.combine(date.fromisoformat(text), datetime.min.time()) if text else None
    except ValueError as error:
        raise ConfigError(f"{text!r} is no day; write 2026-11-28.") from error
    wanted = Wanted(form=form, run=asked.query.get("run", ""), since=since, values=asked.query.get("values") == "1")
    name = "audit.jsonl" if form == "jsonl" else "audit.ocsf.jsonl"
    return StreamingResponse(
        evidence.export(asked.settings, asked.store, wanted),
        media_type="application/x-ndjson",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


PAGES = (
    Page(path="/audit", handler=_audit, right=Right.AUDIT),
    Page(path="/audit/verify", handler=_verify, right=Right.AUDIT, method="POST"),
    Page(path="/audit/export", handler=_export, right=Right.AUDIT),
    Page(path="/audit/{seq}", handler=_record, right=Right.AUDIT),
)

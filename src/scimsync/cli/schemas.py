"""schema pin, schema diff."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from scimsync.cli import interrupting
from scimsync.cli.codes import HAS_CHANGES
from scimsync.cli.running import show, show_json
from scimsync.config import load
from scimsync.core.drifting import Baseline
from scimsync.errors import ConfigError, TargetError
from scimsync.model.outcomes import Document, Pin
from scimsync.model.plans import Severity
from scimsync.scim.drift import PLAIN, SCHEMAS, config_facts, plain_baseline
from scimsync.scim.published import schemas_from_json
from scimsync.scim.schema import Catalog
from scimsync.services import schemas, state
from scimsync.services.schemas import SchemaDiff
from scimsync.showing.words import counted

#: columns that paths are given at most; a URN takes what it needs
_WIDEST = 36
_WORDS = {Severity.ERROR: ("blocks", "red"), Severity.WARNING: ("warns", "yellow"), Severity.INFO: ("informs", "blue")}


def pin(config: Path, source: Path | None, *, written: Sequence[str] = (), as_json: bool) -> int:
    """The schema pin command; returns the exit code."""
    settings = load(config)
    given = None
    if source is not None:
        documents = read_baseline(source, settings.target.dialect.users)
        given = {name: Document(body) for name, body in documents.items()}
    with state.open_store(settings) as store:
        made = interrupting.run(schemas.pin_schema(settings, store, given, written))
    if as_json:
        documents = {name: document.body for name, document in made.documents.items()}
        told = {"target": made.target, "at": made.at.isoformat(), "actor": made.actor, "documents": documents}
        show_json({**told, "left_out": list(made.left_out)})
    else:
        show(_pin_lines(made))
    return 0


def _pin_lines(made: Pin) -> Iterator[str]:
    yield click.style(f"Pinned the schema of {made.target}", bold=True) + f"  {made.at:%Y-%m-%d %H:%M} UTC"
    for name, document in made.documents.items():
        yield f"  {name:<22} {_summary(name, document)}"
    for path in made.left_out:
        yield f"{path} is mapped and not among them: nothing is written to it (else: schema pin --write '{path}')"
    yield "Every run compares with it. Look at what drifted with: scimsync schema diff"


def _summary(name: str, document: Document) -> str:
    if name == PLAIN:
        return f"{len(document.body)} paths"
    if name == SCHEMAS:
        schemas = schemas_from_json(document.body)
        return f"{sum(len(s.attributes) for s in schemas)} attributes in " + ", ".join(s.name or s.id for s in schemas)
    listed = document.body.get("Resources")
    if isinstance(listed, list):
        return ", ".join(str(item.get("name", "")) for item in listed if isinstance(item, Mapping))
    return ", ".join(f"{name} {claim}" for name, claim in config_facts(document.body).items())


def diff(config: Path, baseline: Path | None, *, as_json: bool, detailed: bool) -> int:
    """The schema diff command; returns the exit code."""
    settings = load(config)
    given = None
    if baseline is not None:
        given = Baseline(name=str(baseline), documents=read_baseline(baseline, settings.target.dialect.users))
    with state.open_store(settings) as store:
        found = interrupting.run(schemas.diff_schema(settings, store, given))
    if as_json:
        show_json(_document(found))
    else:
        show(_diff_lines(found))
    if any(ruling.blocks for ruling in found.rulings):
        return TargetError.exit_code
    return HAS_CHANGES if detailed and found.rulings else 0


def _diff_lines(found: SchemaDiff) -> Iterator[str]:
    if not found.rulings:
        yield f"No drift in the schema of {found.target}, compared with {found.baseline}."
        return
    width = min(_WIDEST, max(len(ruling.drift.path) for ruling in found.rulings))
    for ruling in found.rulings:
        word, colour = _WORDS[ruling.severity]
        mark, path = click.style(f"{word:<7}", fg=colour), f"{ruling.drift.path:<{width}}"
        yield f"{mark}  {path}  {ruling.drift.what}; {ruling.hint}"
    number = counted(len(found.rulings), "drift")
    yield f"{number} against {found.baseline}. Record the schema as it is now with: scimsync schema pin"


def _document(found: SchemaDiff) -> dict[str, object]:
    drifts = [
        {
            "path": ruling.drift.path,
            "kind": ruling.drift.kind.value,
            "before": ruling.drift.before,
            "after": ruling.drift.after,
            "severity": ruling.severity.value,
            "blocks": ruling.blocks,
            "hint": ruling.hint,
        }
        for ruling in found.rulings
    ]
    return {"target": found.target, "baseline": found.baseline, "drifts": drifts}


def read_baseline(file: Path, catalog: Catalog) -> Mapping[str, Mapping[str, object]]:
    """Read a baseline: a Schema document, a list of them, a ListResponse, or the plain form `{path: type}`.

    Raises:
        ConfigError: It is none of these, or names what there is not.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read ({error.__class__.__name__}). It must be UTF-8 text.") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file}: not JSON ({error})") from error
    if isinstance(found, dict) and found and all(isinstance(held, str) for held in found.values()):
        try:
            plain_baseline(found, catalog)
        except ConfigError as error:
            raise ConfigError(*(f"{file}: {fault}" for fault in error.faults)) from error
        return {PLAIN: found}
    listed = {"Resources": found} if isinstance(found, list) else found
    schemas = schemas_from_json(listed) if isinstance(listed, dict) else ()
    if not schemas or not all(schema.id and schema.attributes for schema in schemas):
        raise ConfigError(
            f"{file}: neither SCIM Schema documents nor a plain baseline. Write the answer of /Schemas, or "
            '{"title": "string", "phoneNumbers.value": "string"}'
        )
    return {SCHEMAS: listed if "Resources" in listed else {"Resources": [listed]}}

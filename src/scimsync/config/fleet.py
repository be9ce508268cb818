"""The fleet file as it is written, and as it is read: many organisations, each with a configuration and a state.

An organisation has a configuration file of its own, or shares one (`extends`) and says what is different with it
(`overrides`). The second kind gets a state of its own without a word: a file named after it, or a schema of the
database that is shared. Either kind is a configuration for every other command, as `fleet.toml:NAME`.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scimsync.config import reading
from scimsync.config.keys import RULE_NAME, Section
from scimsync.config.keys import key as _key
from scimsync.config.keys import like as _like
from scimsync.config.keys import section as _section
from scimsync.config.keys import text as _text
from scimsync.config.members import Fleet, Member
from scimsync.config.reading import Parsed
from scimsync.config.references import References
from scimsync.config.schema import Generator, inlined
from scimsync.config.words import hint
from scimsync.core import scheduling
from scimsync.errors import ConfigError

#: how the schema calls itself; no address, because nothing is fetched
ID = "urn:scimsync:fleet"
#: where the state of organisations lies that share a configuration, unless they say otherwise
_STATES = ".scimsync"


class Together(Section):
    """What holds for the whole fleet."""

    at_once: int = _key(
        "How many organisations one process works on at a time. Each may take the memory that `[state] memory` says.",
        2,
        example=4,
        ge=1,
    )
    url: str = _text(
        "The PostgreSQL database through which workers share the work; or env:NAME. Needed for `scimsync worker` "
        "alone.",
        example="env:FLEET_DATABASE_URL",
    )
    db_schema: str = _like(
        RULE_NAME,
        "The schema in that database that holds what workers share.",
        "scimsync-fleet",
        example="fleet-eu",
    )


Label = Annotated[str, _key("What the label says.", ..., example="eu")]


class Organisation(Section):
    """One organisation of the fleet; several are written one below the other."""

    name: str = _like(
        RULE_NAME, "What the organisation is called, in small letters, digits and hyphens.", ..., example="berlin"
    )
    config: str = _text(
        "Its configuration file. Instead of `extends`. Needed without `extends`.", example="berlin/scimsync.toml"
    )
    extends: str = _text(
        "A configuration file that several organisations share. Its state is kept apart for each: in a file or a "
        "schema named after the organisation. Needed without `config`.",
        example="base.toml",
    )
    overrides: dict[str, Any] = _key(
        "With `extends`: what is different here, by section and key, as in the configuration file. Default: nothing.",
        {},
        example={"target": {"client_id": "env:BERLIN_ID"}},
    )
    schedule: str = _text(
        "When workers synchronise it, in the five fields of cron, UTC. Default: when somebody asks.",
        example="15 * * * *",
    )
    labels: dict[str, Label] = _key(
        "What `--select` chooses by; names and values are free. Default: none.", {}, example={"region": "eu"}
    )


class FleetDocument(BaseModel):
    """A fleet of organisations that scimsync keeps."""

    model_config = ConfigDict(extra="forbid", strict=True, title="scimsync fleet")

    fleet: Together = _section()
    organisation: list[Organisation] = Field([], description=Organisation.__doc__)


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema of a fleet file; nobody changes it."""
    found = FleetDocument.model_json_schema(schema_generator=Generator)
    whole: dict[str, Any] = inlined(found, found.pop("$defs"))  # type: ignore[assignment]
    organisation = whole["properties"]["organisation"]["items"]
    organisation["oneOf"] = [{"required": ["config"]}, {"required": ["extends"]}]
    organisation["dependentRequired"] = {"overrides": ["extends"]}
    return {"$schema": Generator.schema_dialect, "$id": ID} | whole


def read(file: Path) -> Fleet:
    """The fleet file; the configurations of its organisations are read when they are asked for.

    Raises:
        ConfigError: It cannot be read, or its form is wrong; with every fault.
    """
    _, written = _written(file)
    faults = [f"{file.name}: {fault}" for fault in _judge(written)]
    references = References(file, faults)
    url = references.resolve("[fleet] url", written.fleet.url) if written.fleet.url else ""
    unset = faults.pop() if written.fleet.url and not url else ""
    if faults:
        raise ConfigError(*faults)
    return Fleet(
        file=file,
        at_once=written.fleet.at_once,
        url=url,
        unset=unset,
        db_schema=written.fleet.db_schema,
        members=tuple(
            Member(name=one.name, labels=one.labels, schedule=one.schedule, config=one.config, extends=one.extends)
            for one in written.organisation
        ),
    )


def _written(file: Path) -> tuple[Mapping[str, Any], FleetDocument]:
    """A fleet file as it stands there; read once, as long as it does not change: each leg of a worker asks for it."""
    try:
        found = file.stat()
        return _parsed(file, found.st_mtime_ns, found.st_size, found.st_ino)
    except FileNotFoundError:
        raise ConfigError(
            f"{file}: there is no such file. Make one with: scimsync fleet add NAME --fleet {file}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read ({error.__class__.__name__}). It must be UTF-8 text.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file.name}: not TOML: {error}") from error


@lru_cache(maxsize=4)
def _parsed(file: Path, *_: int) -> tuple[Mapping[str, Any], FleetDocument]:
    raw = tomllib.loads(file.read_text(encoding="utf-8"))
    try:
        return raw, FleetDocument.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(*(f"{file.name}: {fault}" for fault in _faults(error, raw))) from None


def parse_member(file: Path, name: str) -> Parsed:
    """The configuration of one organisation, as if it stood in a file of its own.

    Raises:
        ConfigError: There is no such organisation, or a file cannot be read.
    """
    known = read(file).members
    if not any(one.name == name for one in known):
        raise ConfigError(f"{file.name} has no organisation {name!r}{hint(name, [one.name for one in known])}")
    raw, _ = _written(file)
    written = next(each for each in raw["organisation"] if each.get("name") == name)
    if "config" in written:
        return reading.parse(file.parent / written["config"], name=f"{file.name}:{name} ({written['config']})")
    base = reading.parse(file.parent / written["extends"])
    merged = _merged(base.raw, written.get("overrides", {}))
    _part(merged, base.raw, written.get("overrides", {}), name)
    return Parsed(
        file=file.parent / f"{file.name}:{name}", text=base.text, raw=merged, name=f"{file.name}:{name}", first=""
    )


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are merged key by key; whatever else is written replaces what was there."""
    found = copy.deepcopy(dict(base))
    for key, value in over.items():
        before = found.get(key)
        found[key] = _merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return found


def _part(merged: dict[str, Any], base: Mapping[str, Any], over: Mapping[str, Any], name: str) -> None:
    """Keep apart what two organisations must never share: state, artifacts, metrics."""
    state, own = merged.setdefault("state", {}), over.get("state", {})
    if not isinstance(state, dict) or not isinstance(own, dict):
        return  # what is wrong with that is told when it is read
    url = str(state.get("url", "sqlite:"))
    if "url" not in own and "db_schema" not in own:
        if url.startswith("sqlite"):
            state["url"] = f"sqlite:///{_STATES}/{name}/state.db"
        else:
            state["db_schema"] = name
    if "artifacts" not in own:
        shared = base.get("state", {}).get("artifacts", "") if isinstance(base.get("state", {}), dict) else ""
        state["artifacts"] = f"{shared}/{name}" if shared else f"{_STATES}/{name}/artifacts"
    metrics = merged.get("metrics", {})
    if isinstance(metrics, dict) and "textfile" not in over.get("metrics", {}):
        written = str(metrics.get("textfile", ""))
        if written.endswith(".prom"):
            metrics["textfile"] = f"{written.removesuffix('.prom')}-{name}.prom"


def _judge(written: FleetDocument) -> list[str]:
    """What is wrong with a document of the right form."""
    faults, seen = [], set[str]()
    for number, one in enumerate(written.organisation, 1):
        where = f"[[organisation]] {number} ({one.name})"
        if one.name in seen:
            faults.append(f"{where}: another organisation has this name; each needs its own")
        seen.add(one.name)
        if bool(one.config) == bool(one.extends):
            faults.append(f"{where}: give either config (a file of its own) or extends (a shared one)")
        if one.overrides and not one.extends:
            faults.append(f"{where}: overrides go with extends; write them into {one.config or 'its config'}")
        if one.schedule and (fault := scheduling.fault(one.schedule)):
            faults.append(f'{where} schedule = {one.schedule!r}: {fault}; write for instance "15 * * * *"')
    return faults


def _faults(error: ValidationError, raw: Mapping[str, Any]) -> list[str]:
    """What pydantic found, in our words; no value is repeated."""
    told = []
    for found in error.errors(include_url=False, include_context=False, include_input=False):
        place, kind = [step for step in found["loc"] if step != "[key]"], found["type"]
        head, last = str(place[0]), str(place[-1])
        where = f"[{head}]"
        if head == "organisation" and len(place) > 1 and isinstance(place[1], int):
            given = raw["organisation"][place[1]]
            named = given.get("name") if isinstance(given, dict) else None
            where = f"[[organisation]] {place[1] + 1}" + (f" ({named})" if isinstance(named, str) else "")
        known = Together.model_fields if head == "fleet" else Organisation.model_fields
        if kind == "extra_forbidden" and len(place) == 1:
            told.append(f"{where} is not a section{hint(head, FleetDocument.model_fields)}")
        elif kind == "extra_forbidden":
            told.append(f"{where} {last} is not a setting{hint(last, known)}")
        elif kind == "missing":
            told.append(f"{where} {last} is missing: {Organisation.model_fields[last].description}")
        else:
            key = str(place[2 if head == "organisation" else 1]) if len(place) > (head == "organisation") + 1 else ""
            field = known.get(key)
            told.append(f"{where} {key}: {field.description if field else 'write a list of tables: [[organisation]]'}")
    return told

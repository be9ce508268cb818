"""Check a configuration with every secret it refers to; tell each value that holds, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from scimsync.config import WRITING, Settings
from scimsync.config.places import Place, lines
from scimsync.config.references import References
from scimsync.config.sources import is_joined
from scimsync.errors import ConfigError
from scimsync.model.events import EventKind

#: what the file is called in which editors find the JSON Schema
SCHEMA_FILE = "scimsync.schema.json"
#: what stands for a secret
MASK = "***"
_SECRETS = frozenset({"client_secret", "token", "password", "header_value", "secret", "old_secret"})
#: references of which it may be shown what they lead to
_NAMES = frozenset({"client_id", "username"})
_REFERABLE = _SECRETS | _NAMES | {"url"}
#: where what is referred to may be shown
_LOOKED_UP = frozenset({"environment", "secret file", "credential", "exec"})
_BY_REGION = frozenset({"api_url", "login_url"})
_BY_DIALECT = frozenset({"concurrency", "operations_per_patch", "characters", "request_bytes", "default_roles"})


def schema() -> dict[str, Any]:
    """The JSON Schema of the configuration (draft 2020-12)."""
    from scimsync.config.schema import schema as made  # noqa: PLC0415 - loads pydantic

    return made()


def fleet_schema() -> dict[str, Any]:
    """The JSON Schema of a fleet file (draft 2020-12)."""
    from scimsync.config.fleet import schema as made  # noqa: PLC0415 - loads pydantic

    return made()


class Origin(Struct, frozen=True):
    """Where a value comes from."""

    #: `file`, `default`, `dialect`, `region`, `environment`, `secret file`, `credential` or `exec`
    kind: str
    #: the line of the configuration; 0 where it does not stand there
    line: int = 0
    #: of the variable, the secret file or the dialect
    name: str = ""
    #: whether a reference leads nowhere
    lost: bool = False

    def __str__(self) -> str:
        """In words."""
        match self.kind:
            case "file":
                return f"line {self.line}"
            case "environment":
                return f"line {self.line}, environment variable {self.name}" + ", which is not set" * self.lost
            case "secret file":
                return f"line {self.line}, file {self.name}" + ", which cannot be read" * self.lost
            case "credential":
                return f"line {self.line}, credential {self.name}" + ", which is not there" * self.lost
            case "exec":
                return f"line {self.line}, printed by {self.name}" + ", which printed nothing" * self.lost
            case "dialect":
                return f"dialect {self.name}"
            case "region":
                return f"region, line {self.line}"
        return self.kind


class Effective(Struct, frozen=True, kw_only=True):
    """One key, and the value that holds. Secrets are masked."""

    section: str
    #: of several tables of one name, from 1; 0 where there is one only
    number: int = 0
    key: str
    value: object
    origin: Origin


def check(file: Path) -> Settings:
    """Read a configuration as a run would, with every secret that it refers to.

    Raises:
        ConfigError: With every fault.
    """
    from scimsync.config import opening, reading  # noqa: PLC0415 - loads pydantic

    parsed = opening.parse(file)
    faults: list[str] = []
    try:
        reading.settings(parsed, secrets=WRITING | ({"events", "alarm", "console"} & parsed.raw.keys()))
    except ConfigError as error:
        faults += error.faults
    try:  # where only secrets are missing, the key of the audit chain can be looked at all the same
        found = reading.settings(parsed, secrets=frozenset())
        faults += [f"{file.name}: {fault}" for fault in _key_faults(found)]
    except ConfigError as error:
        faults += [fault for fault in error.faults if fault not in faults]
    if faults:
        raise ConfigError(*faults)
    return found


def _key_faults(settings: Settings) -> Iterator[str]:
    """What is wrong with the key of the audit chain, where one is named."""
    if settings.audit.makes:
        return
    from scimsync.bootstrap import make_key  # noqa: PLC0415 - loads the adapters

    key = make_key(settings)
    try:
        if key.read() is None:
            yield f"[audit] key: there is no key in {key}. Make it with: scimsync audit key"
    except ConfigError as error:
        yield from error.faults


def effective(file: Path) -> tuple[Effective, ...]:
    """Every value that holds, in the order of the documentation. Keys that nothing is said for are left out.

    Raises:
        ConfigError: With every fault of the file, but for secrets that are missing.
    """
    from scimsync.config import opening, reading  # noqa: PLC0415 - loads pydantic
    from scimsync.config.document import Document  # noqa: PLC0415

    parsed = opening.parse(file)
    settings = reading.settings(parsed, secrets=frozenset())
    teller = _Teller(_in_first(lines(parsed.text), parsed.first), References(file, []), settings, parsed.first)
    return tuple(teller.all(Document.model_validate(parsed.raw).model_dump()))


def _in_first(at: Mapping[Place, int], first: str) -> dict[Place, int]:
    """Lines, with those of the first source where it stands in [source] itself."""
    if not first:
        return {**at}
    return {(place[0], *place[2:]) if place[:2] == ("source", first) else place: line for place, line in at.items()}


class _Teller:
    """Goes through a document and says of each key what holds, and whence."""

    def __init__(self, at: Mapping[Place, int], references: References, settings: Settings, first: str = "") -> None:
        #: what the first source is called where each has a table of its own
        self.first = first
        self.lines, self.references, self.settings = at, references, settings
        self.judged = _judged(settings)

    def all(self, document: Mapping[str, Any]) -> Iterator[Effective]:
        for section, table in document.items():
            if section == "source":
                joined = {name: each for name, each in table.items() if is_joined(name)}
                yield from self._table((section,), {key: each for key, each in table.items() if key not in joined})
                for name, each in joined.items():
                    yield from self._table((section, name), each)
            elif isinstance(table, list):
                for index, each in enumerate(table):
                    yield from self._table((section, index), each)
            elif table is not None:
                yield from self._table((section,), table)

    def _table(self, place: Place, table: Mapping[str, object]) -> Iterator[Effective]:
        section = str(place[0])
        for key, written in table.items():
            value, origin = self.judged.get((place, key), written), self._origin((*place, key), written)
            if key in _SECRETS and written and section != "attributes":
                value = MASK
            elif key in _NAMES and origin.kind in _LOOKED_UP:
                value = self.references.resolve("", str(written)) or written
            elif isinstance(value, dict):
                value = {name: held for name, held in value.items() if held is not None and held != {}}
            if value not in ("", None, []) or origin.line:
                number = int(place[1]) + 1 if len(place) > 1 and section != "source" else 0
                yield Effective(section=self._shown(place), number=number, key=key, value=value, origin=origin)

    def _shown(self, place: Place) -> str:
        """What the table is called in which a key stands."""
        name = str(place[1]) if len(place) > 1 else self.first
        return f"source.{name}" if place[0] == "source" and name else str(place[0])

    def _origin(self, place: Place, written: object) -> Origin:
        line, section, key = self.lines.get(place, 0), place[0], place[-1]
        if not line and section == "target" and key in _BY_REGION and ("target", "region") in self.lines:
            return Origin("region", self.lines["target", "region"])
        if not line and section == "target" and key in _BY_DIALECT:
            return Origin("dialect", name=self.settings.target.dialect.name)
        if not line or key not in _REFERABLE or section == "attributes":
            return Origin("file" if line else "default", line)
        kind, _, name = str(written).partition(":")
        lost = not self.references.resolve("", str(written))
        if kind == "env":
            return Origin("environment", line, name, lost)
        if kind in {"credential", "exec"}:
            return Origin(kind, line, name if kind == "credential" else name.split(" ")[0], lost)
        return (
            Origin("secret file", line, str(self.references.beside(name)), lost)
            if kind == "file"
            else Origin("file", line)
        )


def _judged(settings: Settings) -> Mapping[tuple[Place, str], object]:
    """Values that are not those of the file: paths are whole, addresses hold no secret, the dialect has its say."""
    source, target, state, groups = settings.source, settings.target, settings.state, settings.groups
    audit = settings.audit
    texts = {
        ("source", "url"): masked(source.url),
        ("source", "path"): _shown(source.path),
        ("target", "api_url"): target.api_url,
        ("target", "login_url"): target.login_url,
        ("target", "token_url"): masked(target.token_url),
        ("target", "ca_file"): target.ca_file,
        ("state", "url"): masked(state.url),
        ("state", "artifacts"): state.artifacts,
        ("metrics", "textfile"): settings.textfile,
        ("audit", "key"): f"keyring:{audit.keyring}" if audit.keyring else f"file:{audit.key_file}",
        ("audit", "checkpoints"): audit.checkpoints,
        ("groups", "path"): _shown(groups.path) if groups else "",
        ("groups", "nesting_path"): _shown(groups.nesting_path) if groups else "",
    }
    found: dict[tuple[Place, str], object] = {
        ((section,), key): str(value) for (section, key), value in texts.items() if value
    }
    for key in ("concurrency", "operations_per_patch", "characters", "request_bytes"):
        found[("target",), key] = getattr(target.dialect, key)
    found[("target",), "default_roles"] = sorted(target.dialect.default_roles)
    for one in source.joined:
        found |= {(("source", one.name), "url"): masked(one.url)} if one.url else {}
        found |= {(("source", one.name), "path"): _shown(one.path)} if one.path else {}
    for webhook in settings.webhooks:
        parts, place = urlsplit(webhook.url), ("webhook", webhook.number - 1)
        found[place, "url"] = f"{parts.scheme}://{parts.netloc}/{MASK}"
        found[place, "events"] = [kind.value for kind in EventKind if kind in webhook.kinds or not webhook.kinds]
    return found


def _shown(path: Path | str | None) -> str:
    """A file of this machine, or an address without what may be secret in it."""
    return masked(path) if isinstance(path, str) else str(path or "")


def masked(url: str) -> str:
    """A URL without what may be secret in it: the password, and what stands behind `?` or `#`.

    Examples:
        >>> masked("postgresql://reader:word@host/hr?sslmode=require"), masked("sqlite:////srv/hr.db")
        ('postgresql://reader:***@host/hr?***', 'sqlite:////srv/hr.db')
        >>> masked("postgresql://reader:wo/rd@host/hr"), masked("word")
        ('postgresql://***', '***')
    """
    scheme, marks, rest = url.partition("://")
    if not url or not marks:
        return MASK if url else ""
    place, slash, path = rest.partition("/")
    path, query, _ = path.replace("#", "?").partition("?")
    if "@" in path or "@" in rest.partition("?")[2] or "?" in place or "#" in place:
        return f"{scheme}://{MASK}"
    before, at, host = place.rpartition("@")
    user, colon, _ = before.partition(":")
    return f"{scheme}://{user}{colon and f':{MASK}'}{at}{host}{slash}{path}{query and f'?{MASK}'}"

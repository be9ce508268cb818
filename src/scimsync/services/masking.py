"""A configuration that may be shown to a stranger: its shape, and of its texts only what can be nobody's.

Nothing is masked because it looks dangerous; what is not known to be harmless is. Harmless are numbers, spans, sizes
and shares, the closed words of the configuration, names of columns and paths, and expressions without their literals.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from scimsync.scim.regions import GENESYS_REGIONS
from scimsync.services import configuring

MASK = configuring.MASK
#: keys whose texts are names of columns and attributes, times of day, zones
_NAMES = frozenset(
    "key columns column valid_from valid_until join match attributes references recall cron zone start end days dates "
    "scopes leave_removes naming member delimiter separator encoding null_values sheet leavers_apart".split()
)
#: keys whose texts are expressions
_EXPRESSIONS = frozenset({"value", "query", "nesting", "where", "main", "on_leave", "sql", "count", "rings_first"})
_PLAIN = re.compile(r"\d+(?:\.\d+)? ?(?:%|ms|[smhdKMGT]?B?|[KMGT]iB)|env:[A-Z_][A-Z0-9_]*|stable|done|sha256")
_LITERAL = re.compile(
    r"'(?:[^']|'')*'?|\$(\w*)\$.*?(?:\$\1\$|\Z)|--[^\n]*|/\*.*?(?:\*/|\Z)|\b\d{4,}\b|\S*@\S*", re.DOTALL
)
_NAME = re.compile(r"[A-Za-z_][\w.:\[\] \"$-]*|[\d*/,a-z-]+(?: [\d*/,a-z-]+){4}|\d\d:\d\d|.|\\t|")


def masked_file(file: Path) -> Mapping[str, Any]:
    """A configuration as it is written, judged or not, masked.

    Raises:
        ConfigError: It cannot be read, or is not TOML.
    """
    from scimsync.config import reading  # noqa: PLC0415 - loads pydantic

    return masked(reading.parse(file).raw)


def masked(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """A document, masked.

    Examples:
        >>> masked({"policy": {"protected": ["ada@example.com"], "authority": "ask"}, "limits": {"disable": "5%"}})
        {'policy': {'protected': ['***'], 'authority': 'ask'}, 'limits': {'disable': '5%'}}
        >>> masked({"attributes": {"active": "status = 'Ada Roe'"}, "source": {"url": "postgresql://hr.example/hr"}})
        {'attributes': {'active': "status = '***'"}, 'source': {'url': 'postgresql://***'}}
    """
    found: dict[str, object] = {}
    for section, table in raw.items():
        if section == "attributes" and isinstance(table, Mapping):
            found[section] = {_path(path): _expression(value) for path, value in table.items()}
        else:
            found[section if section in _keys() else MASK] = _table(table, section)
    return found


def _table(value: object, key: str) -> object:
    if isinstance(value, Mapping):
        named = {name: _table(each, name) for name, each in value.items() if name in _keys()}
        others = [_table(each, key) for name, each in value.items() if name not in _keys()]
        return named | {f"{MASK}{number or ''}": each for number, each in enumerate(others)}
    if isinstance(value, list):
        return [_table(each, key) for each in value]
    if not isinstance(value, str):
        return value
    if key in _EXPRESSIONS:
        return _expression(value)
    if key == "url" or key.endswith("_url"):
        return (
            value if value.startswith("env:") else f"{value.partition('://')[0]}://{MASK}" if "://" in value else MASK
        )
    harmless = value in _words() or _PLAIN.fullmatch(value) or (key in _NAMES and _NAME.fullmatch(value))
    return value if harmless else MASK


def _expression(value: object) -> object:
    if isinstance(value, Mapping):
        return _table(value, "value")
    return _LITERAL.sub(lambda found: f"'{MASK}'" if found[0].startswith("'") else MASK, str(value))


def _path(path: str) -> str:
    return path if _NAME.fullmatch(path) else MASK


@cache
def _keys() -> frozenset[str]:
    """Every key that the configuration has."""
    return frozenset(name for node in _nodes(configuring.schema()) for name in node.get("properties", {}))


@cache
def _words() -> frozenset[str]:
    """Every word of a closed list, and the regions, which are public."""
    closed = (word for node in _nodes(configuring.schema()) for word in [*node.get("enum", []), node.get("const")])
    shipped = {file.stem for file in (Path(__file__).parents[1] / "scim" / "dialects").glob("*.toml")}
    return frozenset({str(word) for word in closed if word} | {*GENESYS_REGIONS} | shipped | {"genesys", "generic"})


def _nodes(node: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(node, Mapping):
        yield node
    for each in node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ():
        yield from _nodes(each)

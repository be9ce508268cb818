"""The JSON Schema against the reader: whatever one of them says about the form of a document, the other says too."""

from __future__ import annotations

import copy
import json
import re
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import jsonschema_rs
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from tests.unit.test_config_faults import GOOD, toml

from scimsync.cli import starting
from scimsync.config import LOG_FORMATS, LOG_LEVELS, document, load
from scimsync.config.document import Document
from scimsync.config.keys import AuthorityWord
from scimsync.config.mapping import MappingReader
from scimsync.config.schema import ID, schema
from scimsync.errors import ConfigError
from scimsync.model.policy import Authority, BadValue, Leavers, Limits, LoginExchange, Nested, Others, Rekey
from scimsync.scim.genesys import GENESYS

ROOT = Path(__file__).parents[2]
SCHEMA = schema()
VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
#: every key of every section, so that each can be changed
FULL: dict[str, Any] = GOOD | {
    "correlation": {"match": ["externalId"], "rekey": "follow"},
    "attributes": {"userName": "a", "active": {"value": "true", "authority": "ask"}, "title": "t"},
    "limits": {"disable": 3, "enable": "5%", "clear": {"title": 4, "default": "3%"}, "window": "12h"},
    "state": {"url": "sqlite:///x.db", "artifacts": "a", "memory": "3GB"},
    "metrics": {"textfile": "x.prom"},
    "log": {"format": "json", "level": "debug"},
    "audit": {"key": "file:x", "checkpoints": "c"},
    "policy": {"authority": "ask", "leavers": "keep", "protected": ["x"], "on_bad_value": "person", "exchange": "hold"},
}


def errors(found: Mapping[str, object]) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(found)]


def is_read(found: Mapping[str, object]) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scimsync.toml"
        text = "".join(f"{toml(name)} = {toml(table)}\n" for name, table in found.items())
        file.write_text(text, encoding="utf-8")
        try:
            load(file, secrets=False)
        except ConfigError:
            return False
    return True


def nodes(node: Any, path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every key and section of the schema."""
    for name, held in node.get("properties", {}).items():
        yield f"{path}/{name}", held
        yield from nodes(held, f"{path}/{name}")
    if isinstance(each := node.get("additionalProperties"), dict):
        yield f"{path}/*", each
        yield from nodes(each, path)
    for part in [node.get("items"), *node.get("anyOf", [])]:
        if isinstance(part, dict):
            yield from nodes(part, path)


NODES = dict(nodes(SCHEMA))


# --- what editors get ---------------------------------------------------------------------------


def test_it_is_a_schema_with_a_title_and_names_no_host() -> None:
    assert jsonschema_rs.meta.is_valid(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["$id"] == ID
    assert ID.startswith("urn:")
    assert SCHEMA["title"] == "scimsync configuration"
    assert "$ref" not in json.dumps(SCHEMA)


@pytest.mark.parametrize("path", NODES)
def test_each_key_and_section_has_a_sentence_to_hover_over(path: str) -> None:
    said = NODES[path]["description"]
    assert re.fullmatch(r"[A-Z](?s:.{11,})[.]", said), said


@pytest.mark.parametrize("path", [path for path, node in NODES.items() if "examples" in node])
def test_each_example_and_default_is_valid(path: str) -> None:
    node = NODES[path]
    for held in [*node["examples"], *([node["default"]] if "default" in node else [])]:
        jsonschema_rs.validate(node, held)


def test_each_key_has_an_example() -> None:
    several = {"/webhook", "/rule", "/approval", "/schedule", "/blackout", "/alarm"}
    tables = [path for path, node in NODES.items() if node.get("type") != "object" and path not in several]
    assert [path for path in tables if not NODES[path].get("examples")] == []


def test_the_words_are_those_of_the_product() -> None:
    words = {
        "/policy/authority": Authority, "/policy/leavers": Leavers, "/policy/on_bad_value": BadValue,
        "/policy/exchange": LoginExchange, "/correlation/rekey": Rekey, "/groups/nested": Nested,
        "/groups/others": Others,
    }  # fmt: skip
    for path, enum in words.items():
        assert NODES[path]["enum"] == [word.value for word in enum], path
    assert get_args(AuthorityWord) == tuple(word.value for word in Authority)
    assert (NODES["/log/format"]["enum"], NODES["/log/level"]["enum"]) == (list(LOG_FORMATS), list(LOG_LEVELS))


def test_the_limits_by_default_are_those_of_the_product() -> None:
    assert MappingReader(GENESYS, []).limits(document.Limits(), set()) == Limits()


# --- documents that there are -------------------------------------------------------------------


def written() -> Iterator[tuple[str, str]]:
    """Every piece of configuration in the documents."""
    for page in PAGES:
        blocks = re.findall(r"^( *)```toml\n(.*?)^\1```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        for number, (indent, block) in enumerate(blocks):
            text = re.sub(rf"^{indent}", "", block, flags=re.MULTILINE)
            if set(tomllib.loads(text)) & set(SCHEMA["properties"]):
                yield f"{page.name} {number}", text
    for file in sorted((ROOT / "examples").rglob("*.toml")):
        if "[source]" in file.read_text(encoding="utf-8"):
            yield file.name, file.read_text(encoding="utf-8")


WRITTEN = dict(written())


def test_there_are_documents_to_look_at() -> None:
    assert len(WRITTEN) >= 8


@pytest.mark.parametrize("name", WRITTEN)
def test_every_configuration_in_the_documents_is_valid(name: str) -> None:
    found = tomllib.loads(WRITTEN[name])
    if "kind" not in found.get("source", {}):  # a section, or a part of one, that stands alone
        found = GOOD | found | {"source": {**GOOD["source"], **found.get("source", {})}}
    assert errors(found) == []


@pytest.mark.parametrize("source", ["csv", "sql", "postgres"])
@pytest.mark.parametrize("where", [{"simulator": True}, {"region": "mypurecloud.de"}, {}])
def test_every_variant_of_init_is_valid_beside_its_schema(source: str, where: dict[str, Any], tmp_path: Path) -> None:
    starting.init(tmp_path, starting.Options(source=source, **where))
    text = (tmp_path / "scimsync.toml").read_text(encoding="utf-8")
    named = re.match(r"#:schema \./(.*)\n", text)
    assert named
    assert json.loads((tmp_path / named[1]).read_text(encoding="utf-8")) == SCHEMA
    assert errors(tomllib.loads(text)) == []


@pytest.mark.parametrize(
    "broken",
    [
        {name: table for name, table in FULL.items() if name != "attributes"},
        FULL | {"attributes": {}},
        FULL | {"attributes": {"title": {"authority": "ask"}}},
        FULL | {"source": {"kind": "sql", "key": "id", "url": "sqlite:///x.db"}},
        FULL | {"source": {"kind": "csv", "key": "id"}},
        FULL | {"target": {}},
        FULL | {"target": {"region": "us-east-1", "client_secret": "word"}},
        FULL | {"target": {"region": "us-east-1", "workers": 0}},
        FULL | {"target": {"region": "us-east-1", "token": "env:X", "client_id": "me"}},
        FULL | {"target": {"region": "us-east-1", "username": "me", "header": "X-Key"}},
        FULL | {"target": {"region": "us-east-1", "token": "env:X", "scopes": []}},
        FULL | {"target": {"api_url": "https://a.example", "login_url": "https://b.example", "token_url": "https://c"}},
        FULL | {"target": {"api_url": "https://a.example"}},
        FULL | {"groups": {"column": "a", "query": "b"}},
        FULL | {"limits": {"disable": "many"}},
        FULL | {"limits": {"clear": {"title": -1}}},
        FULL | {"limits": {"window": "a day"}},
        FULL | {"webhook": {"url": "https://x"}},
        FULL | {"webhook": [{"url": "https://x", "secret": "env:X", "events": ["prov:pach"]}]},
        FULL | {"audit": {"key": "word"}},
        FULL | {"colour": {}},
    ],
)
def test_what_is_broken_is_refused_by_both(broken: dict[str, Any]) -> None:
    assert errors(broken)
    assert not is_read(broken)


# --- documents that there might be --------------------------------------------------------------

WORDS = st.sampled_from([
    "x", "", "5%", " 5.5 % ", "5%\n", "-1%", "0", "1d", "36h", "1 w", "512mb", "x.prom", "env:X", "file:x", "keyring:k",
    "keyring:", "sql", "csv", "ask", "hold", "keep", "id", "debug", "json", "us-east-1", "mypurecloud.de", "generic",
    "https://x.example.com", "prov:patch", "urn:ietf:params:scim:event:prov:create:full:notice", "٥%", "UTC",
])  # fmt: skip
SCALARS = WORDS | st.integers(-2, 10**6) | st.booleans() | st.floats(-1, 9)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2), max_leaves=3
)
KEYS = st.sampled_from(sorted({path.rpartition("/")[2] for path in NODES} | {"valus", "title"}))


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A good document, and up to three changes anywhere in it."""
    found = copy.deepcopy(FULL)
    for _ in range(draw(st.integers(0, 3))):
        table: Any = found
        for _ in range(draw(st.integers(0, 2))):
            below = table if isinstance(table, list) else list(table.values())
            tables = [held for held in below if isinstance(held, dict | list) and held]
            table = draw(st.sampled_from(tables)) if tables else table
        if isinstance(table, list):
            table.append(draw(VALUES))
        elif table and draw(st.booleans()):
            table.pop(draw(st.sampled_from(sorted(table))))
        else:
            table[draw(KEYS)] = draw(VALUES)
    return found


@given(documents())
@example(FULL)
def test_what_the_schema_refuses_the_reader_refuses(found: dict[str, Any]) -> None:
    if said := errors(found):
        assert not is_read(found), said


@given(documents())
def test_what_the_models_refuse_the_schema_refuses(found: dict[str, Any]) -> None:
    """But for whole numbers with a point, which are whole numbers to JSON Schema."""
    assume(not re.search(r"\d\.0\b", json.dumps(found)))
    try:
        Document.model_validate(found)
    except ValueError:
        assert errors(found)

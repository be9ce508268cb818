"""docs/dialects.md is what the program knows: its entries, and the dialects that come with it."""

from __future__ import annotations

import json
from pathlib import Path

from scimsync.scim.dialect_entries import ENTRIES, Entry
from scimsync.scim.dialect_file import CODED, dialect_of, parse_dialect, shipped
from scimsync.scim.generic import GENERIC

PAGE = Path(__file__).parents[2] / "docs" / "dialects.md"
FORMS = {
    "bool": "true or false", "int": "whole number, 0 for none", "positive": "whole number from 1", "first": "0 or 1",
    "text": "text", "paths": "list of paths", "seconds": "list of seconds",
}  # fmt: skip


def row(entry: Entry) -> str:
    words = ", ".join(f"`{word}`" for word in entry.words)
    form = f"list of {words}" if entry.kind == "list" else words or FORMS[entry.kind]
    held = getattr(GENERIC, entry.field)
    standard = "any" if held is None else f"`{json.dumps(entry.written(held))}`"
    ground = GENERIC.grounds[entry.field]
    return f"| `{entry.name}` | {form} | {standard}, {ground.certainty.value} | {entry.about} |"


def test_the_entries_of_the_page_are_those_of_the_program() -> None:
    table = "\n".join(["| Entry | Values | `generic` | What it says |", "|---|---|---|---|", *map(row, ENTRIES)])
    assert table in PAGE.read_text(encoding="utf-8"), f"\n{table}"


def test_every_shipped_dialect_is_on_the_page() -> None:
    rows = [f"| `{name}` | {dialect_of(name).title} |" for name in shipped() if name not in CODED]
    text = PAGE.read_text(encoding="utf-8")
    assert [line for line in rows if line not in text] == []


def test_the_file_on_the_page_is_one() -> None:
    text = PAGE.read_text(encoding="utf-8").split("```toml\n", 1)[1].split("```", 1)[0]
    made = parse_dialect(text, "acme.toml")
    assert (made.name, made.page_size, made.concurrency) == ("acme", 50, "compare")
    assert made.users.resolve("acme:badge").urn == "urn:acme:scim:1.0:User"

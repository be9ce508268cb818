"""docs/dialects.md is what the program knows: its entries, and the dialects that come with it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from scimsync.scim import dialect_file
from scimsync.scim.dialect_entries import ENTRIES, Entry
from scimsync.scim.dialect_file import CODED, dialect_of, entries_of, parse_dialect, shipped
from scimsync.scim.generic import GENERIC
from scimsync.scim.grounds import Ground

PAGE = Path(__file__).parents[2] / "docs" / "dialects.md"
FORMS = {
    "bool": "true or false", "int": "whole number, 0 for none", "positive": "whole number from 1", "first": "0 or 1",
    "text": "text", "paths": "list of paths", "seconds": "list of seconds",
}  # fmt: skip


MADE = re.compile(r"(<!-- shipped: [^\n]*-->\n)(.*?)(<!-- end of shipped -->)", re.DOTALL)
#: a title and, in brackets, the address of the page
ADDRESS = re.compile(r"([^;:()\s][^;:()]*) \((https://\S+)\)")


def shown() -> str:
    """The dialects that come with the program, as the page lists them."""
    names = [name for name in shipped() if name not in CODED]
    lines = ["| `dialect` | What it is | Rests on |", "|---|---|---|"]
    for name in names:
        dialect = dialect_of(name)
        kinds = sorted({ground.certainty.value for _, _, ground in told(name)})
        lines.append(f"| `{name}` | {dialect.title} | {', '.join(kinds)} |")
    for name in names:
        lines += ["", f"### {name}", "", *remarks(name), "| Entry | Value | Whence |", "|---|---|---|"]
        for entry, value, ground in told(name):
            source = ADDRESS.sub(r"[\1](\2)", ground.source).replace("|", "\\|")
            lines.append(f"| `{entry.name}` | `{json.dumps(value)}` | {ground.certainty.value}: {source} |")
    return "\n".join(lines)


def remarks(name: str) -> list[str]:
    """What the comments at the top of a file say, as a paragraph."""
    text = (Path(dialect_file.__file__).parent / "dialects" / f"{name}.toml").read_text(encoding="utf-8")
    said = [line.removeprefix("#").strip() for line in text.partition("name ")[0].splitlines()]
    return [" ".join(said), ""] if said else []


def told(name: str) -> list[tuple[Entry, object, Ground]]:
    """What a file says: entries, values as they stand there, grounds."""
    dialect = dialect_of(name)
    return [
        (entry, entry.written(getattr(dialect, entry.field)), ground)
        for entry in ENTRIES
        if (ground := dialect.grounds[entry.field]) != GENERIC.grounds[entry.field]
    ]


def write() -> None:
    """Write the list of the page anew."""
    text = PAGE.read_text(encoding="utf-8")
    found = MADE.search(text)
    assert found
    PAGE.write_text(f"{text[: found.end(1)]}\n{shown()}\n\n{text[found.start(3) :]}", encoding="utf-8")


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


def test_what_the_page_says_of_them_is_what_the_files_say() -> None:
    found = MADE.search(PAGE.read_text(encoding="utf-8"))
    assert found
    assert found[2].strip() == shown(), "run: python tests/docs/test_dialects_page.py"
    assert {entry.name for name in shipped() for entry, _, _ in told(name)} >= {
        entry for name in shipped() if name not in CODED for entry in entries_of(dialect_of(name))
    }


def test_the_file_on_the_page_is_one() -> None:
    text = PAGE.read_text(encoding="utf-8").split("```toml\n", 1)[1].split("```", 1)[0]
    made = parse_dialect(text, "acme.toml")
    assert (made.name, made.page_size, made.concurrency) == ("acme", 50, "compare")
    assert made.users.resolve("acme:badge").urn == "urn:acme:scim:1.0:User"


if __name__ == "__main__":
    write()

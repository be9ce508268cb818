"""Lays the pages out for the generator of the site, in four parts, and checks what came of it.

What a page links to outside docs (an example, a tool) is laid beside it as a file, so that every link leads somewhere
without network. `--settle SITE` puts the one script that the generator would load from an address beside the pages,
follows each link, and finds nothing that asks an address.
"""

from __future__ import annotations

import html.parser
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parents[1]
#: part of the site -> pages of docs, in their order; what stands in none of them is reference
PARTS = {
    "Learn": "first-day from-the-tutorial glossary architecture".split(),
    "How-to": (
        "deciding first-sync from-provisioning deploying releases troubleshooting console schedule alarms webhooks "
        "library simulator sources/databases sources/ldap sources/rest sources/scim sources/sheets sources/places "
        "sources/joined sources/deltas"
    ).split(),
    "Reference": "commands configuration errors/README metrics logs audit dialects platform simulator-facts".split(),
    "Why": "promises limits threat-model privacy proof benchmarks simulator-conformance decisions/README".split(),
}
#: what lets a search run in pages that are read from the disk, where browsers start no workers
SHIM = "https://unpkg.com/iframe-worker/shim"
OURS = ROOT / "tools/site/iframe-worker-1.0.4.js"
LINK = re.compile(r"(\]\()([^)\s]+)(\))")
FENCE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)


def lay_out(to: Path) -> None:
    """Copy every page, with its links as the site has them, and write the navigation."""
    pages = {ROOT / "README.md": "index.md", ROOT / "CHANGELOG.md": "changes.md", ROOT / "SECURITY.md": "security.md",
             ROOT / "CONTRIBUTING.md": "contributing.md"}  # fmt: skip
    pages |= {page: page.relative_to(ROOT / "docs").as_posix() for page in sorted((ROOT / "docs").rglob("*.md"))}
    for page, name in pages.items():
        _copy(page, name, pages, to)
    for picture in (ROOT / "docs").rglob("*.png"):
        _put(picture, to / picture.relative_to(ROOT / "docs"))
    (to.parent / "docs.yml").write_text(_navigation(pages), encoding="utf-8")


def _copy(page: Path, name: str, pages: dict[Path, str], to: Path) -> None:
    def led(found: re.Match[str]) -> str:
        address, mark, anchor = found[2].partition("#")
        if not address or re.match(r"[a-z]+:", address):
            return found[0]
        there = (page.parent / unquote(address)).resolve()
        if there in pages:
            target = pages[there]
        elif there.is_relative_to(ROOT / "docs") and there.is_file():
            target = there.relative_to(ROOT / "docs").as_posix()
        else:
            target = _file(there, to)
        up = "../" * name.count("/")
        return f"{found[1]}{up}{target}{mark}{anchor}{found[3]}"

    text = page.read_text(encoding="utf-8")
    parts = FENCE.split(text)
    whole = "".join(part if at % 2 else LINK.sub(led, part) for at, part in enumerate(parts))
    (to / name).parent.mkdir(parents=True, exist_ok=True)
    (to / name).write_text(whole, encoding="utf-8")


def _file(there: Path, to: Path) -> str:
    """Something outside docs: the file itself as text; of a folder a list of what is in it."""
    name = f"files/{there.relative_to(ROOT).as_posix()}"
    if there.is_dir():
        listed = sorted(each for each in there.rglob("*") if each.is_file() and "__pycache__" not in each.parts)
        lines = [
            f"- [{each.relative_to(there).as_posix()}]({each.relative_to(there).as_posix()}.txt)" for each in listed
        ]
        for each in listed:
            _put(each, to / f"{name}/{each.relative_to(there).as_posix()}.txt")
        page = to / f"{name}/index.md"
        page.write_text("\n".join([f"# {there.relative_to(ROOT).as_posix()}", "", *lines, ""]), encoding="utf-8")
        return f"{name}/index.md"
    _put(there, to / f"{name}.txt")
    return f"{name}.txt"


def _put(what: Path, where: Path) -> None:
    where.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(what, where)


def _navigation(pages: dict[Path, str]) -> str:
    named = {name.removesuffix(".md") for name in pages.values()}
    placed = {name for names in PARTS.values() for name in names}
    lines = ["INHERIT: ../tools/docs.yml", "docs_dir: pages", "site_dir: site", "nav:", "  - index.md"]
    for part, names in PARTS.items():
        lines += [f"  - {part}:", *(f"    - {name}.md" for name in names if name in named)]
        if part == "Reference":
            rest = sorted(named - placed - {"index", "changes", "security", "contributing"})
            single = [name for name in rest if "/" not in name]
            lines += [f"    - {name}.md" for name in single]
            codes = [name for name in rest if name.startswith("errors/")]
            lines += ["    - Codes:", *(f"      - {name}.md" for name in codes)]
        if part == "Why":
            decisions = [name for name in sorted(named) if name.startswith("decisions/0")]
            lines += ["    - Decisions:", *(f"      - {name}.md" for name in decisions)]
            lines += [f"    - {name}.md" for name in ("security", "contributing", "changes") if name in named]
    return "\n".join(lines) + "\n"


class _Page(html.parser.HTMLParser):
    """What a page of the site links to, loads, and can be led to."""

    def __init__(self) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loads: set[str] = set()
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.add(given["href"])
        if tag in {"script", "img", "iframe", "source"} and given.get("src"):
            self.loads.add(given["src"])
        if tag == "link" and given.get("rel") in {"stylesheet", "icon", "preload", "preconnect"}:
            self.loads.add(given.get("href", ""))


def settle(site: Path) -> None:
    """Let no page load anything from an address."""
    _put(OURS, site / "assets" / OURS.name)
    (site / "404.html").unlink(missing_ok=True)  # of a server; on a disk nobody is led there
    for file in site.rglob("*.html"):
        up = "../" * (len(file.relative_to(site).parts) - 1)
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace(SHIM, f"{up}assets/{OURS.name}"), encoding="utf-8")


def faults(site: Path) -> Iterator[str]:
    """Links that lead nowhere, and what a page would ask an address for."""
    pages = {}
    for file in sorted(site.rglob("*.html")):
        pages[file] = read = _Page()
        read.feed(file.read_text(encoding="utf-8"))
    for file, read in pages.items():
        for address in read.loads | read.links:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                if address in read.loads and parts.scheme != "data":
                    yield f"{file.relative_to(site)}: loads {address}"
                continue
            there = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            if there.is_dir():
                there /= "index.html"
            if not there.exists():
                yield f"{file.relative_to(site)}: {address} leads nowhere"
            elif parts.fragment and there in pages and unquote(parts.fragment) not in pages[there].anchors:
                yield f"{file.relative_to(site)}: {address} has no such heading"


def main() -> None:
    """Lay out, or check."""
    if sys.argv[1] == "--settle":
        site = Path(sys.argv[2]).resolve()
        settle(site)
        found = [*faults(site)]
        sys.stderr.write("".join(f"{fault}\n" for fault in found))
        sys.exit(bool(found))
    lay_out(Path(sys.argv[1]).resolve())


if __name__ == "__main__":
    main()

"""`make docs`, opened from the disk in a real browser: its search finds, and it asks no address.

Played where the generator is: in a soak, and wherever `make docs` was said. That every page stands in a part of the
site and that no link leads away is held everywhere, by tests/meta/test_tools.py and tests/docs/test_pages.py.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
BIN = Path(os.environ.get("SCIMSYNC_DOCS_BIN", ROOT / ".venv/docs/bin"))
#: the text of what stands in shadow trees, too, where the search shows itself
SHOWN = "[...document.querySelectorAll('*')].filter(e => e.shadowRoot).map(e => e.shadowRoot.textContent).join(' ')"

if (BIN / "zensical").exists():

    def test_the_site_is_built_without_a_warning_its_search_finds_and_it_asks_no_address() -> None:
        built = subprocess.run(
            ["tools/docs", BIN, sys.executable], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert built.returncode == 0, built.stderr
        assert "No issues found" in built.stdout + built.stderr
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
            page, asked, said = browser.new_page(), [], []
            page.on("request", lambda request: asked.append(request.url))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.goto((ROOT / "build/site/index.html").as_uri())
            page.click(".md-search__button")
            for words, title in (("412", "conflict"), ("leavers", "The end of leavers")):
                page.keyboard.press("Control+A")
                page.keyboard.type(words)
                page.wait_for_function(f"/\\d+ results?/.test({SHOWN}) && {SHOWN}.includes({title!r})", timeout=20_000)
            browser.close()
        assert [each for each in asked if not each.startswith("file:")] == []
        assert said == []

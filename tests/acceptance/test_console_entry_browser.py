"""In and out of the console by a provider that others wrote, in a real browser, across sites as it is in life."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from playwright.sync_api import Browser, expect, sync_playwright
from tests.browser import SWITCHES
from tests.consoles import Shown, shown
from tests.integration.test_console_entry import configured
from tests.oidc import Others, others

#: switches of these tests that would hide what a person sees, or lead elsewhere
_UNFIT = ("--headless", "--virtual-time-budget", "--enable-logging", "--host-resolver-rules")
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def provider() -> Iterator[Others]:
    with others() as found:
        yield found


@pytest.fixture(scope="module")
def place(provider: Others, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ID", "SECRET"):
            patch.setenv(f"SCIMSYNC_TEST_{name}", "x")
        settings = configured(tmp_path_factory.mktemp("entry"), provider.issuer)
        with shown(SimpleNamespace(file=settings.file), settings) as found:  # type: ignore[arg-type]
            yield found


@pytest.fixture(scope="module")
def browser(place: Shown) -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program, "the tests need Chromium: apt-get install chromium"
    with sync_playwright() as play:
        yield play.chromium.launch(
            executable_path=program, args=[one for one in SWITCHES if not one.startswith(_UNFIT)]
        )


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_somebody_comes_in_at_the_provider_to_the_page_they_wanted_and_goes_out_there_too(
    browser: Browser, place: Shown, provider: Others, scripts: bool
) -> None:
    provider.person("00u1", preferred_username="ada@example.com", groups=["leads"])
    context = browser.new_context(java_script_enabled=scripts)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{place.address}/quarantine")
    page.get_by_role("link", name=re.compile("Sign in at localhost")).click()
    page.wait_for_url(re.compile(r"^http://localhost:"))
    page.locator("input[name=sub]").first.fill("00u1")
    page.get_by_role("button", name=re.compile("Authorize|Sign in|Allow", re.IGNORECASE)).first.click()
    page.wait_for_url(f"{place.address}/quarantine")
    expect(page.get_by_text("ada@example.com, approver")).to_be_visible()
    held = {one["name"]: one for one in context.cookies(place.address)}
    assert held[place.opened.console.cookie]["sameSite"] == "Strict"
    assert [name for name in held if name.endswith("-begun")] == []
    assert not [text for text in said if "Content Security Policy" in text or "Content-Security-Policy" in text]
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("link", name=re.compile("Sign out at localhost")).click()
    page.wait_for_url(re.compile(r"^http://localhost:.*end_session"))
    page.goto(f"{place.address}/quarantine")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    context.close()

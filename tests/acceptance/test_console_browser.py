"""The story of a morning in a real browser: by keyboard alone, at three widths, light and dark, with scripts off."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from tests.browser import SWITCHES
from tests.consoles import Shown, shown
from tests.runs import house

from scimsync.console.roles import Role
from scimsync.services.reviewing import Filter

#: where `make test` installs axe-core, beside the SDKs of Genesys Cloud
AXE = Path(os.environ.get("SCIMSYNC_SDKS") or Path(sys.prefix) / "sdks") / "node/node_modules/axe-core/axe.min.js"
SCRIPT = "<script>document.title='harmed'</script>"
PATIENCE_MS = 60_000
#: switches of these tests that would hide what a person sees
_UNFIT = ("--headless", "--virtual-time-budget", "--enable-logging")


@dataclass
class Seen:
    """What a context of the browser asked for and said."""

    context: BrowserContext
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def page(self) -> Page:
        page = self.context.new_page()
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        return page


@pytest.fixture(scope="module")
def browser(place: Shown) -> Iterator[Browser]:
    """After the house: Playwright keeps a loop of its own in this thread, in which no run can be made."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program, "the tests need Chromium: apt-get install chromium"
    switches = [switch for switch in SWITCHES if not switch.startswith((*_UNFIT, "--host-resolver-rules"))]
    with sync_playwright() as play:
        yield play.chromium.launch(executable_path=program, args=switches)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    with house(tmp_path_factory.mktemp("morning"), users=40) as home:
        home.settle()
        movers, (leaver, held) = home.active(3), home.active(2, 8)
        for someone in movers:
            home.set(someone, job_title="Lead")
        home.set(movers[0], first_name=SCRIPT)
        home.set(leaver, status="inactive")
        home.set(held, phone="ask at reception")
        home.plan()
        with shown(home) as found:
            yield found


def seen(browser: Browser, place: Shown, **more: object) -> Seen:
    """A new context in which an admin is signed in."""
    context = browser.new_context(**more)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    ((name, value),) = place.visitor(Role.ADMIN).cookies.items()
    context.add_cookies([{"name": name, "value": value, "url": place.address}])
    return Seen(context)


def press_to(page: Page, name: str, most: int = 60) -> None:
    """Go on by the tabulator until something of this name has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        label = page.evaluate(
            "() => { const e = document.activeElement; return (e.labels && e.labels[0] || e).textContent.trim() }"
        )
        if re.match(name, label):
            return
    raise AssertionError(f"the keyboard does not reach {name}")


def test_a_morning_by_keyboard_alone_and_no_request_leaves_the_machine(  # noqa: PLR0915 - it is one story
    browser: Browser, place: Shown
) -> None:
    link = f"/enter?token={place.opened.console.sessions.invite()}"
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    morning = Seen(context)
    page = morning.page()
    page.goto(place.address + link)
    page.keyboard.press("Enter")  # the button has the focus
    page.wait_for_url(place.address + "/")
    expect(page.get_by_text("something waits")).to_be_visible()

    press_to(page, "a plan of 4 changes waits")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Plan")
    assert page.title() != "harmed"
    expect(page.locator("#changes li")).to_have_count(4)

    press_to(page, "Words")
    page.keyboard.type("lead script")
    expect(page.locator("#changes li")).to_have_count(1)
    assert "q=lead%20script" in page.url
    press_to(page, "E0")
    page.keyboard.press("Enter")
    drawer = page.locator(".drawer")
    expect(drawer).to_be_focused()
    expect(drawer).to_contain_text(SCRIPT)
    expect(drawer).to_contain_text("HR changed it")
    page.keyboard.press("Escape")
    expect(page.locator("a.whom")).to_be_focused()

    page.reload()
    press_to(page, "Apply …")
    page.keyboard.press("Enter")
    press_to(page, "Apply 4 changes")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/works/"))
    see = page.get_by_role("link", name="See what came of it")
    expect(see).to_be_focused(timeout=PATIENCE_MS)
    page.keyboard.press("Enter")
    expect(page.locator("#h-ended")).to_be_visible()
    expect(page.locator("#changes .pill.done")).to_have_count(4)

    press_to(page, "Take it back …")
    page.keyboard.press("Enter")
    press_to(page, "Plan to take it back")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/runs/"), timeout=PATIENCE_MS)  # the plan opens by itself
    expect(page.get_by_text("It takes back")).to_be_visible()

    page.goto(place.address + "/people")
    page.keyboard.type(place.home.active(1)[0].employee_id)
    expect(page.locator("#found tbody tr")).to_have_count(1)
    press_to(page, "E0")
    page.keyboard.press("Enter")
    expect(page.locator(".story table")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator(".timeline")).to_contain_text("Lead")
    context.close()
    assert not [url for url in morning.asked if not url.startswith(place.address + "/")]
    assert not [line for line in morning.said if not line.startswith("info")], morning.said


def paths(place: Shown) -> list[str]:
    run = max(place.home.runs(), key=lambda one: one.tally["changes"]).id
    key = place.home.active(1)[0].employee_id
    first = place.opened.console.reviews.opened(place.store, run).index.page(Filter(), 0, 1).rows[0]
    return ["/", "/runs", f"/runs/{run}", f"/runs/{place.home.runs()[0].id}", f"/runs/{run}/changes/{first.n}",
            "/people?q=e", f"/person/story?key={key}", f"/person?key={key}", "/audit", "/audit/1?proof=1",
            "/mapping", "/mapping/attribute?path=title", "/settings", "/nothing"]  # fmt: skip


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (768, "dark"), (1440, "light")])
def test_every_page_fits_its_width_and_axe_finds_nothing(
    browser: Browser, place: Shown, width: int, scheme: str
) -> None:
    if not AXE.is_file():
        pytest.skip("install axe-core: tools/sdks PYTHON FOLDER")
    axe = AXE.read_text(encoding="utf-8")
    eyes = seen(browser, place, viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = eyes.page()
    inspector = eyes.context.new_cdp_session(page)
    for path in paths(place):
        page.goto(place.address + path)
        if "/person?" in path:
            page.wait_for_selector(".story table")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        if width == 1440:  # what axe looks at is the same there, but for the widths
            continue
        inspector.send("Runtime.evaluate", {"expression": axe})
        found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
        assert [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found] == [], path
    eyes.context.close()


def test_whoever_has_no_scripts_reads_everything_and_makes_a_plan(browser: Browser, place: Shown) -> None:
    eyes = seen(browser, place, java_script_enabled=False)
    page = eyes.page()
    for path in paths(place)[:-1]:
        answer = page.goto(place.address + path)
        assert answer is not None
        assert answer.status == 200, path
        assert page.locator("h1").count() == 1, path
    page.goto(place.address + "/")
    page.get_by_role("button", name="Make a plan").click()
    page.wait_for_url(re.compile("/works/"))
    page.get_by_role("link", name="Read the plan").click(timeout=PATIENCE_MS)  # the page looks again by itself
    assert page.locator("h1").inner_text().startswith("Plan")
    eyes.context.close()

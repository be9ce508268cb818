"""The story of a morning in a real browser: by keyboard alone, at three widths, light and dark, with scripts off."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from tests.browser import SWITCHES
from tests.consoles import Shown, shown
from tests.runs import house
from tests.soak import WHOLE

from scimsync.console.roles import Role
from scimsync.services import evidence
from scimsync.services.acting import this_person
from scimsync.services.reviewing import Filter
from scimsync.services.working import _Watch

#: where `make test` installs axe-core, beside the SDKs of Genesys Cloud
_NODE = Path(os.environ.get("SCIMSYNC_SDKS") or Path(sys.prefix) / "sdks") / "node/node_modules"
AXE = _NODE / "axe-core/axe.min.js"
VALIDATOR = _NODE / "html-validate/bin/html-validate.mjs"
SCRIPT = "<script>document.title='harmed'</script>"
PATIENCE_MS = 15_000
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
def browser(place: Shown, morning: Shown) -> Iterator[Browser]:
    """After the houses: Playwright keeps a loop of its own in this thread, in which no run can be made."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program, "the tests need Chromium: apt-get install chromium"
    switches = [switch for switch in SWITCHES if not switch.startswith((*_UNFIT, "--host-resolver-rules"))]
    with sync_playwright() as play:
        yield play.chromium.launch(executable_path=program, args=switches)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    with house(tmp_path_factory.mktemp("pages"), users=40) as home:
        home.configure(authority="ask")
        home.settle()
        home.configure(authority="ask", more='[[approval]]\nname = "every"\nevery = true\n')
        movers, (leaver, held, edited, bad) = home.active(3), home.active(4, 8)
        home.set(edited, job_title="Trainer")
        home.edit(edited, "title", SCRIPT)
        home.set(bad, email="no address")
        for someone in movers:
            home.set(someone, job_title="Lead")
        home.set(movers[0], first_name=SCRIPT)
        home.set(leaver, status="inactive")
        home.set(held, phone="ask at reception")
        home.plan()
        with shown(home) as found:
            yield found


def seen(browser: Browser, place: Shown, role: Role = Role.ADMIN, name: str = "", **more: object) -> Seen:
    """A new context in which somebody is signed in."""
    context = browser.new_context(**more)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    ((name, value),) = place.visitor(role, name).cookies.items()
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


def go(page: Page, name: str) -> None:
    """Go to something by the tabulator, and press it."""
    press_to(page, name)
    page.keyboard.press("Enter")


def write(page: Page, label: str, text: str) -> None:
    """Go to a field by the tabulator, and write into it."""
    press_to(page, label)
    page.keyboard.type(text)


def choose(page: Page, label: str, word: str) -> None:
    """Go to a list by the tabulator, and choose what begins so."""
    write(page, label, word)


class Gate:
    """Holds a run after its first change, until a test has seen how far it is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._open = threading.Event()
        self._advance = _Watch.advance
        monkeypatch.setattr(_Watch, "advance", lambda watch, steps=1: self._pass(watch, steps))

    def _pass(self, watch: _Watch, steps: int) -> None:
        self._advance(watch, steps)
        if watch._work.kind == "apply" and watch._work.done:
            assert self._open.wait(PATIENCE_MS / 1000)

    def let_go(self) -> None:
        self._open.set()


@pytest.fixture(scope="module")
def morning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """A house in which access is taken from somebody by two, and one title was edited by hand; writes take a moment."""
    with house(tmp_path_factory.mktemp("story"), users=40) as home:
        home.configure(authority="ask")
        home.settle()
        home.configure(authority="ask", more='[[approval]]\nname = "leavers"\nmore_than = { disable = 0 }\n')
        (one, two, three, edited), (leaver,) = home.active(4), home.active(1, 9)
        for someone in (one, two, three):
            home.set(someone, job_title="Lead")
        home.set(leaver, status="inactive")
        home.set(edited, job_title="Trainer")
        home.edit(edited, "title", "Chief of Everything")
        home.plan()
        with shown(home) as found:
            yield found


def test_the_story_of_a_morning_by_keyboard_alone_and_no_request_leaves_the_machine(  # noqa: PLR0915 - it is one story
    morning: Shown, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = morning.home
    (_, spared, _, edited), (leaver,) = home.active(4), home.active(1, 9)
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    ada = Seen(context)
    page = ada.page()
    page.goto(f"{morning.address}/enter?token={morning.opened.console.sessions.invite()}")
    page.keyboard.press("Enter")  # the button has the focus
    page.wait_for_url(morning.address + "/")
    expect(page.get_by_text("something waits")).to_be_visible()

    # a plan waits; it is read, and one person is left out of it
    go(page, "a plan of 4 changes waits for approval")
    expect(page.locator("#changes li")).to_have_count(5)  # and the conflict, which changes nothing
    write(page, "Words", spared.employee_id)
    expect(page.locator("#changes li")).to_have_count(1)
    go(page, spared.employee_id)
    drawer = page.locator(".drawer")
    expect(drawer).to_be_focused()
    expect(drawer).to_contain_text("HR changed it")
    page.keyboard.press("Escape")
    expect(page.locator("a.whom")).to_be_focused()
    page.keyboard.press("Enter")
    expect(drawer).to_be_focused()
    go(page, "Leave this person out …")
    write(page, "Why", "is on a course")
    go(page, "Make a plan without them")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Plan")
    expect(page.locator("#changes li")).to_have_count(4)
    first = page.url.rpartition("/")[2]

    # who proposed it cannot apply it before somebody else approved it, and does not approve it
    go(page, "Apply …")
    go(page, "Apply 3 changes")
    expect(page.get_by_role("alert")).to_contain_text("waits for an approval")
    assert home.writes() == 0
    page.goto(f"{morning.address}/runs/{first}")
    expect(page.locator(".approvals")).to_contain_text("1 more approval")
    assert not page.get_by_text("Approve or reject").count()

    # somebody else, at another machine, does
    others = seen(browser, morning, Role.APPROVER, "cleo", viewport={"width": 1440, "height": 900})
    second = others.page()
    second.goto(morning.address)
    go(second, "a plan of 3 changes waits for approval")
    expect(second.locator(".approvals")).to_contain_text("leavers")
    go(second, "Approve or reject …")
    write(second, "What you looked at", "read all three")
    go(second, "Approve")
    expect(second.locator(".approvals")).to_contain_text("It is approved")
    assert not second.get_by_text("Apply …").count()

    # it is applied; how far it is moves as it goes on, for whoever looks
    page.reload()
    expect(page.locator(".approvals")).to_contain_text("read all three")
    go(page, "Apply …")
    gate = Gate(monkeypatch)
    go(page, "Apply 3 changes")
    page.wait_for_url(re.compile("/works/"))
    expect(page.get_by_text(re.compile("[1-3] of 3"))).to_be_visible()
    second.goto(f"{morning.address}/runs/{first}")
    go(second, "See how far it is")
    expect(second.get_by_role("progressbar")).to_be_visible()
    gate.let_go()
    see = page.get_by_role("link", name="See what came of it")
    expect(see).to_be_focused()
    expect(second.get_by_role("link", name="See what came of it")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#changes .pill.done")).to_have_count(3)
    assert not home.account(leaver)["active"]
    assert home.account(spared).get("title") != "Lead"

    # a conflict is decided for ever, and whom it is about is planned for at once
    page.goto(morning.address)
    go(page, "1 conflict is held")
    expect(page.locator(".inbox")).to_contain_text("Chief of Everything")
    go(page, "Decide …")
    choose(page, "For", "this attribute")
    write(page, "Why", "titles are made by HR")
    go(page, "Decide")
    page.wait_for_url(re.compile(r"/runs/"))  # the plan opens by itself
    expect(page.locator("#changes")).to_contain_text("Trainer")
    go(page, "Apply …")
    go(page, "Apply 1 change")
    expect(see).to_be_focused()
    assert home.account(edited)["title"] == "Trainer"
    page.goto(morning.address + "/conflicts")
    expect(page.get_by_text("0 conflicts wait")).to_be_visible()
    expect(page.get_by_text("HR wins, for everybody")).to_be_visible()

    # a person is looked for and synchronised by hand
    home.set(spared, job_title="Lead of Courses")
    page.goto(morning.address + "/people")
    page.keyboard.type(spared.employee_id)
    expect(page.locator("#found tbody tr")).to_have_count(1)
    go(page, spared.employee_id)
    expect(page.locator(".story table")).to_contain_text("Lead of Courses")
    go(page, "Synchronise now …")
    page.wait_for_url(re.compile(r"/runs/"))
    expect(page.locator("#changes li")).to_have_count(1)
    go(page, "Apply …")
    go(page, "Apply 1 change")
    expect(see).to_be_focused()
    assert home.account(spared)["title"] == "Lead of Courses"

    # what was approved is taken back: a plan, read and applied as any
    page.goto(f"{morning.address}/runs/{first}")
    go(page, "Take it back …")
    go(page, "Plan to take it back")
    page.wait_for_url(re.compile(r"/runs/(?!" + first + ")"))
    expect(page.get_by_text(f"It takes back {first}")).to_be_visible()
    go(page, "Apply …")
    go(page, "Apply 3 changes")
    expect(see).to_be_focused()
    assert home.account(leaver)["active"]
    assert home.account(edited)["title"] == "Trainer"

    told = [record.document for record in evidence.latest(morning.store, "", "", 100, kind="approval")]
    assert [(one["action"], one["actor"]) for one in told] == [("left out", this_person().name), ("approved", "cleo")]
    for eyes in (ada, others):
        eyes.context.close()
        assert not [url for url in eyes.asked if not url.startswith(morning.address + "/")]
        assert not [line for line in eyes.said if not line.startswith("info")], eyes.said


def paths(place: Shown) -> list[str]:
    run = max(place.home.runs(), key=lambda one: one.tally["changes"]).id
    key = place.home.active(1)[0].employee_id
    first = place.opened.console.reviews.opened(place.store, run).index.page(Filter(), 0, 1).rows[0]
    return ["/", "/runs", f"/runs/{run}", f"/runs/{place.home.runs()[0].id}", f"/runs/{run}/changes/{first.n}",
            f"/runs/{run}/findings/record.bad-phone", f"/runs/{run}/approvals", "/conflicts", "/conflicts/export",
            "/quarantine", "/people?q=e", f"/person/story?key={key}", f"/person?key={key}", "/audit", "/audit/1?proof=1",
            "/mapping", "/mapping/attribute?path=title", "/settings", "/nothing"]  # fmt: skip


@pytest.mark.parametrize("width", [360, 768, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
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
        if width == 1440 and not WHOLE:  # what axe looks at is the same there, but for the widths
            continue
        inspector.send("Runtime.evaluate", {"expression": axe})
        found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
        assert [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found] == [], path
    eyes.context.close()


def test_every_page_is_valid_html(place: Shown, tmp_path: Path) -> None:
    if not VALIDATOR.is_file():
        pytest.skip("install html-validate: tools/sdks PYTHON FOLDER")
    visitor = place.visitor()
    for number, path in enumerate(["/login", "/enter", *paths(place)]):
        (tmp_path / f"{number}.html").write_text(visitor.get(path).text, encoding="utf-8")
    done = subprocess.run(
        ["node", str(VALIDATOR), "--preset", "standard", "--formatter", "text", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


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

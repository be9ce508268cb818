"""Pictures of each page of the console for the documents, taken in a real browser on the simulator and on invented
people: `tools/pictures PYTHON`."""

from __future__ import annotations

import base64
import re
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright
from tests.browser import SWITCHES
from tests.consoles import Client, Shown, shown
from tests.runs import House, house

from scimsync.console.roles import Role
from scimsync.services import visiting

#: of WebP, from 0 to 100
QUALITY = 55
#: pixels of the longest picture; what is below is more of the same
TALLEST = 1600


@dataclass(frozen=True)
class Picture:
    """One picture: the page that it shows, its address, and how wide and in which colours it is taken."""

    page: str
    #: where that differs from the page; {run} is the plan that waits, {key} somebody whom it changes, {work} an apply
    address: str = ""
    width: int = 1180
    dark: bool = False


#: name -> picture; those that want the plan applied stand last
PICTURES = {
    "enter": Picture("/enter"),
    "login": Picture("/login"),
    "overview": Picture("/"),
    "overview-dark": Picture("/", dark=True),
    "runs": Picture("/runs"),
    "review": Picture("/runs/{run}", "/runs/{run}?action=update", width=1440),
    "review-dark": Picture("/runs/{run}", dark=True),
    "phone": Picture("/runs/{run}", "/runs/{run}?action=update", width=360),
    "change": Picture("/runs/{run}/changes/{n}", "/runs/{run}/changes/{n}"),
    "findings": Picture("/runs/{run}/findings/{code}", "/runs/{run}/findings/record.bad-phone"),
    "approvals": Picture("/runs/{run}/approvals"),
    "conflicts": Picture("/conflicts"),
    "conflicts-phone": Picture("/conflicts", width=360, dark=True),
    "decisions": Picture("/conflicts/export"),
    "quarantine": Picture("/quarantine"),
    "people": Picture("/people", "/people?q=ma"),
    "person": Picture("/person", "/person?key={key}"),
    "story": Picture("/person/story", "/person/story?key={key}"),
    "mapping": Picture("/mapping"),
    "attribute": Picture("/mapping/attribute", "/mapping/attribute?path=title"),
    "audit": Picture("/audit"),
    "record": Picture("/audit/{seq}", "/audit/1?proof=1"),
    "settings": Picture("/settings"),
    "account": Picture("/account"),
    "work": Picture("/works/{work}"),
    "run": Picture("/runs/{run}", width=1440),
}
#: pages for which nobody need be signed in
_OPEN = frozenset({"/enter", "/login"})
RULES = """\
[[approval]]
name = "leavers"
more_than = { disable = 2 }
settled = "0"
[[schedule]]
name = "nightly"
cron = "30 2 * * *"
zone = "Europe/Berlin"
"""


def furnished(home: House) -> tuple[str, str]:
    """Let a morning begin in a house; the plan that waits, and somebody whom it changes."""
    limits = {"disable": "5%", "create": "20%", "update": "50%"}
    home.configure(authority="ask", limits=limits)
    home.settle()
    home.configure(authority="ask", limits=limits, more=RULES)
    movers, leavers, (held, *edited) = home.active(9), home.active(3, 20), home.active(4, 30)
    for someone in movers:
        home.set(someone, job_title="Team Lead", department="Field Service")
    for someone in leavers:
        home.set(someone, status="inactive")
    home.set(held, email="no address")
    home.set(home.active(1, 40)[0], phone="ask at reception")
    for someone, title in zip(edited, ("Trainer", "Coach", "Team Assistant"), strict=True):
        home.set(someone, job_title=title)
        home.edit(someone, "title", "Chief of Everything")
    home.hire(*(home.newcomer(n) for n in range(4)))
    return home.plan().id, movers[0].employee_id


def take(folder: Path) -> None:
    """Take all of them."""
    with tempfile.TemporaryDirectory() as made, house(Path(made), users=200) as home:
        run, key = furnished(home)
        with shown(home) as place:
            settings, roles = home.settings(), [role.value for role in Role]
            for name, role in (("ada", "admin"), ("cleo", "approver")):
                visiting.save_user(settings, place.store, name, role, "a long enough password", roles)
            admin = place.visitor(Role.ADMIN, "ada")
            admin.get("/settings")
            admin.post("/settings/tokens", name="nightly report", days="90", scope="see")
            (conflict, *_) = admin.get("/api/v1/conflicts").json()["conflicts"]
            answer = {"wins": "directory", "scope": "person", "one": "yes", "reason": "is a chief by contract"}
            begun = admin.post("/conflicts/decide", key=conflict["key"], path="title", seen=run, **answer)
            _ended(admin, begun.headers["location"].rpartition("/")[2])
            given = {"run": run, "key": key, "n": "3", "work": ""}
            with sync_playwright() as play:
                program = shutil.which("chromium") or "chromium"
                unfit = ("--headless", "--virtual", "--host", "--enable")
                switches = [one for one in SWITCHES if not one.startswith(unfit)]
                browser = play.chromium.launch(executable_path=program, args=switches)
                for name, picture in PICTURES.items():
                    if name == "work":
                        given["work"] = _applied(place, home, admin, run)
                    _taken(browser, place, picture, given, folder / f"console-{name}.webp")
                    if name == "work":
                        _ended(admin, given["work"])
                browser.close()


def _applied(place: Shown, home: House, admin: Client, run: str) -> str:
    """Approve the plan and begin to apply it; the work, which waits long enough to be seen."""
    cleo = place.visitor(Role.APPROVER, "cleo")
    cleo.get("/")
    digest = cleo.get(f"/api/v1/runs/{run}").json()["digest"]
    cleo.post(f"/runs/{run}/approve", digest=digest, reason="read all of it")
    home.fault({"on": "patch", "kind": "hang", "seconds": 8.0, "skip": 5, "times": 4})
    return str(admin.post(f"/runs/{run}/apply", digest=digest).headers["location"].rpartition("/")[2])


def _ended(admin: Client, work: str) -> None:
    while not admin.get(f"/api/v1/works/{work}").json()["has_ended"]:
        time.sleep(0.2)


def _taken(browser: Browser, place: Shown, picture: Picture, given: dict[str, str], file: Path) -> None:
    context = browser.new_context(
        viewport={"width": picture.width, "height": 900}, color_scheme="dark" if picture.dark else "light"
    )
    if picture.page not in _OPEN:
        ((name, value),) = place.visitor(Role.ADMIN, "ada").cookies.items()
        context.add_cookies([{"name": name, "value": value, "url": place.address}])
    page = context.new_page()
    page.goto(place.address + (picture.address or picture.page).format(**given, code="", seq="1"))
    _prepare(page, picture, file.stem)
    height = min(TALLEST, int(page.evaluate("document.documentElement.scrollHeight")))
    page.set_viewport_size({"width": picture.width, "height": max(420, height)})
    shot = context.new_cdp_session(page).send(
        "Page.captureScreenshot", {"format": "webp", "quality": QUALITY, "optimizeForSpeed": False}
    )
    file.write_bytes(base64.b64decode(shot["data"]))
    context.close()


def _prepare(page: Page, picture: Picture, name: str) -> None:
    """What a person does on the page before the picture."""
    if picture.page == "/person":
        page.wait_for_selector(".story table")
    if picture.page == "/mapping/attribute":
        page.locator("textarea").fill("upper(job_title)")
        page.get_by_role("button", name="Try it on the records").click()
        page.get_by_text("[attributes]").wait_for()
    if picture.page == "/runs/{run}":
        page.wait_for_selector(".approvals")
    if name == "console-review":
        page.locator("a.whom").nth(1).click()
        page.wait_for_selector(".drawer")
    if picture.page == "/works/{work}":
        page.get_by_text(re.compile("[1-9][0-9]* of [0-9]+,")).wait_for()
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")


if __name__ == "__main__":
    take(Path(sys.argv[1]))

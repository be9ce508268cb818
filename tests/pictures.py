"""Pictures of the console for the documents, taken in a real browser on the simulator: `tools/pictures PYTHON`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright
from tests.browser import SWITCHES
from tests.consoles import shown
from tests.runs import house

from scimsync.console.roles import Role

#: name -> address, width, colour scheme; {run} is the plan that waits, {key} somebody whom it changes
PICTURES = {
    "console-overview": ("/", 1180, "light"),
    "console-review": ("/runs/{run}", 1440, "light"),
    "console-review-dark": ("/runs/{run}?action=update", 1180, "dark"),
    "console-phone": ("/runs/{run}?action=update", 360, "light"),
    "console-conflicts": ("/conflicts", 1180, "light"),
    "console-person": ("/person?key={key}", 1180, "light"),
    "console-mapping": ("/mapping/attribute?path=title", 1180, "light"),
    "console-audit": ("/audit", 1180, "light"),
}


def take(folder: Path) -> None:
    """Take all of them."""
    with tempfile.TemporaryDirectory() as made, house(Path(made), users=200) as home:
        home.configure(authority="ask", limits={"disable": "5%", "create": "20%", "update": "50%"})
        home.settle()
        movers, leavers, (held, edited) = home.active(9), home.active(3, 20), home.active(2, 30)
        for someone in movers:
            home.set(someone, job_title="Team Lead", department="Field Service")
        for someone in leavers:
            home.set(someone, status="inactive")
        home.set(held, phone="ask at reception")
        home.set(edited, job_title="Trainer")
        home.edit(edited, "title", "Chief of Everything")
        home.hire(*(home.newcomer(n) for n in range(4)))
        run, key = home.plan().id, movers[0].employee_id
        with shown(home) as place, sync_playwright() as play:
            program = shutil.which("chromium") or "chromium"
            switches = [
                one for one in SWITCHES if not one.startswith(("--headless", "--virtual", "--host", "--enable"))
            ]
            browser = play.chromium.launch(executable_path=program, args=switches)
            ((name, value),) = place.visitor(Role.ADMIN).cookies.items()
            for picture, (address, width, scheme) in PICTURES.items():
                context = browser.new_context(
                    viewport={"width": width, "height": 900},
                    color_scheme=scheme,  # type: ignore[arg-type]
                )
                context.add_cookies([{"name": name, "value": value, "url": place.address}])
                page = context.new_page()
                page.goto(place.address + address.format(run=run, key=key))
                if "person" in picture:
                    page.wait_for_selector(".story table")
                if picture == "console-review":
                    page.locator("a.whom").nth(5).click()
                    page.wait_for_selector(".drawer")
                    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 560)")
                page.screenshot(path=folder / f"{picture}.png")
                context.close()


if __name__ == "__main__":
    take(Path(sys.argv[1]))

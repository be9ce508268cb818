"""In and out of the console by a provider that others wrote, in a real browser, across sites as it is in life."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from msgspec.structs import replace
from playwright.sync_api import Browser, expect, sync_playwright
from tests.browser import SWITCHES
from tests.consoles import Client, Shown, shown
from tests.integration.test_console_entry import configured
from tests.oidc import Others, others

from scimsync.services import evidence, visiting

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


PASSWORD = "a long enough password"


def test_a_passkey_is_made_signs_in_and_is_gone_with_another_password(browser: Browser, place: Shown) -> None:
    settings, store = place.opened.console.settings, place.store
    visiting.save_user(settings, store, "vera", "auditor", PASSWORD, ["auditor"])
    here = place.address.replace("127.0.0.1", "localhost")
    context = browser.new_context()
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    devices = context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    device = devices.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]
    page.goto(f"{here}/account")
    page.get_by_label("Name").fill("vera")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in by password").click()
    page.wait_for_url(f"{here}/account")
    page.get_by_label("Where it is").fill("laptop")
    page.get_by_role("button", name="Make a passkey").click()
    expect(page.get_by_role("rowheader", name="laptop")).to_be_visible()
    assert len(devices.send("WebAuthn.getCredentials", {"authenticatorId": device})["credentials"]) == 1
    page.get_by_role("button", name="Make a passkey").click()  # a device makes no second one
    expect(page.get_by_role("status")).to_contain_text("The browser gave no passkey")
    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{here}/audit")
    page.get_by_role("button", name="Sign in by a passkey").click()
    page.wait_for_url(f"{here}/audit")
    expect(page.get_by_text("vera, auditor")).to_be_visible()
    (session,) = [held.visitor for held in place.opened.console.sessions._held.values() if held.visitor.name == "vera"]
    assert session.proof == "passkey"
    (kept,) = store.passkeys("vera")
    assert (kept.used is not None, kept.count > 0) == (True, True)
    assert not [text for text in said if "Content Security Policy" in text]
    # a device that was copied counts less than it should, and is refused
    store.save_passkey(replace(kept, count=10_000))
    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{here}/login")
    page.get_by_role("button", name="Sign in by a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("This passkey proves nothing here")
    store.save_passkey(replace(kept, count=0))
    # not without the person: a finger that is not theirs
    devices.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": False})
    page.get_by_role("button", name="Sign in by a passkey").click()
    expect(page.get_by_role("status")).to_contain_text("The browser gave no passkey")
    devices.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": True})
    visiting.save_user(settings, store, "vera", "auditor", "another long password", ["auditor"])
    page.get_by_role("button", name="Sign in by a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("This passkey is nobody's here")
    told = [record.document["action"] for record in evidence.latest(store, "", "", 9, kind="console")]
    assert "passkey made" in told
    context.close()


def test_what_a_browser_answered_once_answers_nothing_again_and_for_nobody_else(place: Shown) -> None:
    client = Client(place.address.replace("127.0.0.1", "localhost"))
    origin = {"origin": client.address}
    assert client.ask("POST", "/login/passkey/begin", headers=origin).json()["rpId"] == "localhost"
    sealed = dict(client.cookies)
    for said in ("", "{}", "[]", '{"id": "x"}', "not json"):
        again = Client(client.address, dict(sealed))
        answer = again.ask("POST", "/login/passkey", data={"credential": said, "to": "/"}, headers=origin)
        assert (answer.status_code, "passkey" in answer.text) == (403, True)
        words = "This passkey is nobody" if said == "" else "was no answer"
        assert words in answer.text
    number = Client(place.address)
    assert number.ask("POST", "/login/passkey/begin", headers={"origin": place.address}).status_code == 404
    assert "passkey" not in number.get("/login").text

"""Who gets into the console at a provider of OpenID Connect, as whom, and as what; and who does not."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from tests.consoles import Client, Shown, faults_of, shown
from tests.oidc import CLIENT, SECRET, Others, Wayward, others, wayward

from scimsync.config import WRITING, Settings, load
from scimsync.console.sessions import TRIES
from scimsync.errors import ConfigError
from scimsync.model.decisions import Actor
from scimsync.services import evidence, visiting

SOURCE = """
[source]
kind = "csv"
path = "hr.csv"
key = "id"
[target]
dialect = "genesys"
region = "us-east-1"
client_id = "env:SCIMSYNC_TEST_ID"
client_secret = "env:SCIMSYNC_TEST_SECRET"
[attributes]
userName = "login"
"""
ROLES = 'viewer = ["staff"]\noperator = ["hr-it"]\napprover = ["leads"]\nadmin = ["admins"]'


def configured(folder: Path, issuer: str, *, console: str = "", oidc: str = "", roles: str = ROLES) -> Settings:
    secret = folder / "oidc_secret"
    if not secret.exists():
        secret.touch(mode=0o600)
        secret.write_text(SECRET)
    file = folder / "scimsync.toml"
    file.write_text(
        f'{SOURCE}\n[console]\n{console}\n[console.oidc]\nissuer = "{issuer}"\nclient_id = "{CLIENT}"\n'
        f'client_secret = "file:oidc_secret"\n{oidc}\n[console.oidc.roles]\n{roles}\n'
    )
    return load(file, secrets={"console"})


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ID", "SECRET"):
        monkeypatch.setenv(f"SCIMSYNC_TEST_{name}", "x")


@pytest.fixture(scope="module")
def provider() -> Iterator[Others]:
    with others() as found:
        yield found


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Callable[..., Shown]]:
    """Serves a console that lets in whom a provider names."""
    with contextlib.ExitStack() as stack:

        def serve(issuer: str, **more: str) -> Shown:
            settings = configured(tmp_path, issuer, **more)
            return stack.enter_context(shown(SimpleNamespace(file=settings.file), settings))  # type: ignore[arg-type]

        yield serve


@pytest.fixture
def odd() -> Iterator[Wayward]:
    with wayward(claims={"groups": ["leads"]}) as found:
        yield found


def come(place: Shown, provider: Any, subject: str = "00u1", *, client: Client | None = None, **more: str) -> Client:
    """Sign in at the provider as a browser does; the client, with the page that it ends on as `ended`."""
    client = client or place.stranger
    begun = client.get("/login/oidc?to=/runs")
    assert begun.status_code == 303, begun.text
    back = provider.agree(begun.headers["location"], subject, **more)
    assert back.startswith(f"{place.address}/login/oidc/back?")
    client.ended = client.get(back.removeprefix(place.address), **{"sec-fetch-site": "cross-site"})  # type: ignore[attr-defined]
    return client


def said(client: Client) -> tuple[int, str]:
    """Status and sentence of the page on which signing in ended."""
    answer: httpx2.Response = client.ended  # type: ignore[attr-defined]
    found = re.search(r'role="alert">([^<]*)<', answer.text)
    return answer.status_code, found[1].replace("&#39;", "'") if found else ""


def words(page: httpx2.Response) -> str:
    """A page without its tags."""
    return re.sub(r"<[^>]*>", "", page.text)


# --- at a provider that others wrote ----------------------------------------------------------------


def test_whoever_the_provider_names_comes_in_with_what_their_groups_give_and_is_the_same_the_next_time(
    provider: Others, at: Callable[..., Shown]
) -> None:
    provider.person("00u1", preferred_username="ada@example.com", groups=["leads", "hr-it", "choir"])
    place = at(provider.issuer)
    assert place.opened.entrance == "/login"  # there are admins at the provider, so no link lets in
    assert f"Sign in at {provider.issuer.removeprefix('http://')}" in place.stranger.get("/login").text
    ada = come(place, provider)
    assert said(ada) == (200, "")
    assert 'content="0; url=/runs"' in ada.ended.text  # a page, or the strict cookie would not come along
    page = ada.get("/runs")
    assert page.status_code == 200
    assert "ada@example.com, operator, approver" in words(page)
    assert ada.get("/settings").status_code == 403
    (visitor,) = [held.visitor for held in place.opened.console.sessions._held.values()]
    assert (visitor.person.subject, visitor.person.proof) == (f"{provider.issuer}#00u1", "oidc")
    (told,) = [record.document for record in evidence.latest(place.store, "", "", 9, kind="console")]
    assert (told["action"], told["detail"]) == ("signed in", "operator, approver")
    assert told["actor"] == f"ada@example.com <{provider.issuer}#00u1>"
    # she marries, and is taken out of a group: another name, the same person, another role
    provider.person("00u1", preferred_username="a.lovelace@example.com", groups=["staff"])
    again = come(place, provider)
    assert "a.lovelace@example.com, viewer" in words(again.get("/runs"))
    assert again.get("/mapping").status_code == 403
    assert "operator" in ada.get("/runs").text  # what a session may is what held when it began
    assert Actor.read(str(told["actor"])).is_same(Actor(f"a.lovelace@example.com <{provider.issuer}#00u1>", "oidc"))


def test_who_belongs_to_nothing_that_gives_a_role_is_told_so_and_is_not_in(
    provider: Others, at: Callable[..., Shown]
) -> None:
    place = at(provider.issuer)
    provider.person("00u2", preferred_username="bo", groups=["choir", "Admins"])
    status, why = said(bo := come(place, provider, "00u2"))
    assert (status, "none of your 2 groups gives you a role here" in why) == (403, True)
    assert bo.get("/runs").status_code == 401
    provider.person("00u3", preferred_username="cy")
    status, why = said(come(place, provider, "00u3"))
    assert (status, "says nothing of you under 'groups'" in why) == (403, True)
    # this provider forgets to say in answer to what it says no
    assert said(come(place, provider, "00u3", action="deny"))[1].startswith(
        "This is no answer to what this browser asked"
    )


def test_a_session_from_a_provider_is_as_any_other_and_ends_here_and_if_one_likes_there(
    provider: Others, at: Callable[..., Shown]
) -> None:
    provider.person("00u1", preferred_username="ada", groups=["admins"])
    place = at(provider.issuer)
    ada = come(place, provider)
    cookies = {c.split("=")[0]: c for c in ada.ended.headers.get_list("set-cookie")}
    session, begun = cookies[place.opened.console.cookie], cookies[f"{place.opened.console.cookie}-begun"]
    assert "HttpOnly" in session
    assert "samesite=strict" in session.lower()
    assert "max-age=0" in begun.lower()
    assert ada.get("/settings").status_code == 200
    left = ada.post("/logout")
    assert left.status_code == 200
    assert faults_of(left.text) == []
    there = re.search(r'href="(http[^"]+end_session[^"]+)"', left.text)
    assert there
    assert "post_logout_redirect_uri=" in there[1]
    assert ada.get("/settings").status_code == 401


def test_the_answer_of_one_browser_opens_nothing_in_another_and_nothing_twice(
    provider: Others, at: Callable[..., Shown]
) -> None:
    provider.person("00u1", preferred_username="ada", groups=["admins"])
    place = at(provider.issuer)
    mine, theirs = place.stranger, place.stranger
    back = provider.agree(mine.get("/login/oidc").headers["location"], "00u1").removeprefix(place.address)
    # somebody is sent a link with a code of somebody else, to come in as them without knowing it
    assert place.stranger.get(back).status_code == 403
    theirs.get("/login/oidc")
    theirs.ended = theirs.get(back)  # type: ignore[attr-defined]
    assert said(theirs)[1] == "This is no answer to what this browser asked. Begin again."
    assert mine.get(back).status_code == 200
    mine.ended = mine.get(back)  # type: ignore[attr-defined]
    assert said(mine)[0] in {403, 502}  # the code was used
    # the cookie of another process, or one of another kind, is nothing
    for sealed in ("", "x", place.opened.console.pending.seal("passkey", state="s", nonce="n", verifier="v", to="/")):
        client = Client(place.address, {f"{place.opened.console.cookie}-begun": sealed})
        assert client.get(back).status_code == 403


# --- at one that misbehaves -------------------------------------------------------------------------


def test_what_is_said_of_somebody_holds_for_us_now_and_in_answer_to_what_was_asked(
    odd: Wayward, at: Callable[..., Shown]
) -> None:
    place, sound = at(odd.issuer), dict(odd.claims)
    for wrong in (
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "another-client"},
        {"aud": ["another-client"]},
        {"aud": None},
        {"aud": [CLIENT, "another-client"], "azp": "another-client"},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": 1},
        {"exp": None},
        {"exp": "soon"},
        {"iat": 99999999999},
        {"nbf": 99999999999},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 256},
        {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
    ):
        odd.claims = {**sound, **wrong}
        client = come(place, odd)
        assert said(client)[0] == 403, wrong
        assert client.get("/runs").status_code == 401, wrong
        place.opened.console.patience.succeeded("oidc 127.0.0.1")
    odd.claims = sound
    assert said(come(place, odd))[0] == 200


def test_only_a_key_of_the_provider_signs_and_new_ones_are_taken_at_once(
    odd: Wayward, at: Callable[..., Shown], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scimsync.adapters.identity_authlib.PAUSE_S", 0.0)
    place = at(odd.issuer)
    assert said(come(place, odd))[0] == 200
    odd.keys = ["one", "two"]
    assert said(come(place, odd))[0] == 200
    assert odd.asked.count("/jwks") == 2
    odd.keys = ["two"]
    assert said(come(place, odd))[0] == 200
    assert (odd.asked.count("/jwks"), odd.asked.count("/.well-known/openid-configuration")) == (2, 1)
    odd.hidden = "three"
    status, why = said(come(place, odd))
    assert (status, "No key of" in why) == (403, True)
    odd.hidden, odd.algorithm = "", "HS256"  # our secret, which the provider has too, is no key of its own
    assert said(come(place, odd))[0] == 403


def test_what_a_provider_says_of_itself_must_be_about_itself_and_lead_nowhere_in_clear(
    odd: Wayward, at: Callable[..., Shown], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scimsync.adapters.identity_authlib.PAUSE_S", 0.0)
    visitor = at(odd.issuer).stranger
    for about, words in (
        ({"issuer": "https://login.microsoftonline.com/{tenantid}/v2.0"}, "must be the same letter by letter"),
        ({"issuer": None}, "calls itself none"),
        ({"token_endpoint": "http://id.example.com/token"}, "names no token_endpoint that is reached by https"),
        ({"jwks_uri": "file:///etc/passwd"}, "names no jwks_uri"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "names no authorization_endpoint"),
    ):
        odd.about = about
        answer = visitor.get("/login/oidc")
        assert (answer.status_code, words in answer.text) == (502, True), answer.text
    odd.about = {}
    assert visitor.get("/login/oidc").status_code == 303


def test_while_the_provider_is_down_local_users_come_in_and_everybody_is_told_why(
    odd: Wayward, at: Callable[..., Shown]
) -> None:
    odd.broken = {"/.well-known/openid-configuration": 503}
    place = at(odd.issuer)
    visiting.save_user(place.opened.console.settings, place.store, "root", "admin", "a long enough password", ["admin"])
    for _ in range(3):
        answer = place.stranger.get("/login/oidc")
        assert answer.status_code == 502
        assert "answered 503" in answer.text
        assert "Local users sign in below as ever." in answer.text
        assert faults_of(answer.text) == []
    assert odd.asked == ["/.well-known/openid-configuration"]  # and is not asked by each visitor
    root = place.stranger
    assert root.post("/login", name="root", password="a long enough password", to="/").status_code == 303
    assert root.get("/settings").status_code == 200


def test_a_provider_that_falls_silent_between_there_and_back_is_told_of(odd: Wayward, at: Callable[..., Shown]) -> None:
    place = at(odd.issuer)
    odd.broken = {"/token": 500}
    assert said(come(place, odd))[0] == 502
    odd.broken = {}
    odd.about = {"jwks_uri": f"{odd.address}/nowhere"}
    status, why = said(come(at(odd.issuer), odd))
    assert (status, bool(why)) == (502, True)


def test_who_guesses_codes_has_to_wait(odd: Wayward, at: Callable[..., Shown]) -> None:
    place = at(odd.issuer)
    begun = place.stranger
    state = odd.agree(begun.get("/login/oidc").headers["location"]).rpartition("state=")[2]
    answers = []
    for n in range(TRIES + 1):  # each time with what the first browser had begun
        guesser = Client(place.address, dict(begun.cookies))
        answers.append(guesser.get(f"/login/oidc/back?code=guess-{n}&state={state}").status_code)
    assert answers == [403] * TRIES + [429]


def test_an_answer_of_another_provider_is_not_taken_for_one_of_this(odd: Wayward, at: Callable[..., Shown]) -> None:
    odd.about = {"authorization_response_iss_parameter_supported": True}
    place = at(odd.issuer)
    assert said(come(place, odd, iss=odd.issuer))[0] == 200
    for wrong in ({"iss": "https://evil.example"}, {}):
        assert said(come(place, odd, **wrong)) == (
            403,
            "This answer is not of the provider that was asked. Begin again.",
        )


# --- habits of Entra, Okta and Keycloak -------------------------------------------------------------


@pytest.mark.parametrize(
    "missing", [{"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://graph"}}}, {"hasgroups": True}]
)  # fmt: skip
def test_groups_that_entra_leaves_out_because_they_are_many_are_told_of_and_let_nobody_in(
    odd: Wayward, at: Callable[..., Shown], missing: dict[str, object]
) -> None:
    odd.claims = {"groups": None, **missing}
    status, why = said(come(at(odd.issuer), odd))
    assert (status, "more groups than" in why, 'claim = "roles"' in why.replace("&#34;", '"')) == (403, True, True)


@pytest.mark.parametrize(
    ("claims", "oidc", "roles"),
    [
        ({"roles": ["Scimsync.Approver"]}, 'claim = "roles"', 'approver = ["Scimsync.Approver"]'),  # Entra, of the app
        ({"groups": ["5c1e-guid"]}, "", 'approver = ["5c1e-guid"]'),  # Entra: ids and no names
        ({"realm_access": {"roles": ["lead"]}}, 'claim = "realm_access.roles"', 'approver = ["lead"]'),  # Keycloak
        ({"groups": ["/firm/leads"]}, "", 'approver = ["/firm/leads"]'),  # Keycloak: whole paths
        (
            {"https://firm.example/roles": "lead"},
            'claim = "https://firm.example/roles"',
            'approver = ["lead"]',
        ),  # Auth0
    ],
    ids=["entra-roles", "entra-ids", "keycloak-roles", "keycloak-paths", "one-text"],
)
def test_roles_are_found_where_providers_put_them(
    odd: Wayward, at: Callable[..., Shown], claims: dict[str, object], oidc: str, roles: str
) -> None:
    odd.claims = claims
    place = at(odd.issuer, oidc=oidc, roles=roles)
    assert place.opened.entrance.startswith("/enter?token=")  # nobody at the provider is admin: the link lets one in
    assert "ada@example.com, approver" in words(come(place, odd).get("/runs"))


def test_what_okta_says_only_at_its_address_of_user_data_counts_if_it_is_about_the_same_person(
    odd: Wayward, at: Callable[..., Shown]
) -> None:
    odd.claims = {"groups": None}
    odd.userinfo = {"sub": "00u1", "groups": ["leads"], "preferred_username": "ignored: what is signed stands before"}
    place = at(odd.issuer)
    assert "ada@example.com, approver" in words(come(place, odd).get("/runs"))
    odd.userinfo = {"sub": "somebody else", "groups": ["admins"]}
    assert said(come(place, odd))[0] == 403


def test_hostile_names_and_words_of_a_provider_are_shown_and_harm_nothing(
    odd: Wayward, at: Callable[..., Shown]
) -> None:
    odd.claims |= {"preferred_username": "<script>alert(1)</script> (os) \u202edef <https://id.example#root>"}
    place = at(odd.issuer)
    page = come(place, odd, "a/b> <x").get("/runs")
    assert "<script>alert" not in page.text
    assert "\u202e" not in page.text
    (visitor,) = [held.visitor for held in place.opened.console.sessions._held.values()]
    assert visitor.person.subject == f"{odd.issuer}#a/b%3E%20%3Cx"
    assert Actor.read(visitor.person.text) == visitor.person
    client = place.stranger
    client.get("/login/oidc")
    state = odd.agree(client.get("/login/oidc").headers["location"]).rpartition("state=")[2]
    text = client.get(f"/login/oidc/back?state={state}&error=<b>x&error_description=%0d%0a<img src=x>").text
    assert "did not let you in" in text
    assert "<b>x" not in text
    assert "<img" not in text


# --- with and without local users --------------------------------------------------------------------


def test_local_users_may_be_forbidden_beside_a_provider(odd: Wayward, at: Callable[..., Shown]) -> None:
    place = at(odd.issuer, console="local_users = false")
    settings = place.opened.console.settings
    visiting.save_user(settings, place.store, "root", "admin", "a long enough password", ["admin"])
    page = place.stranger.get("/login").text
    assert 'type="password"' not in page
    assert "/login/oidc?to=%2F" in page
    answer = place.stranger.post("/login", name="root", password="a long enough password", to="/")
    assert (answer.status_code, "Nobody signs in by a password here." in answer.text) == (403, True)


@pytest.mark.parametrize(
    ("issuer", "console", "oidc", "words"),
    [
        ("http://id.example.com", "", "", "issuer must be https: secrets would travel in clear to id.example.com"),
        ("id.example.com", "", "", "issuer is not an address"),
        ("https://login.microsoftonline.com/common/v2.0", "", "", "issuer is of no tenant"),
        ("https://id.example.com", 'trusted_proxies = ["proxy.local"]', "", "is no address and no network"),
        ("https://id.example.com", "", 'client_auth = "jwt"', "client_auth = 'jwt' is none of basic, post"),
        ("https://id.example.com", "", "colour = 1", "colour is not a setting"),
    ],
)
def test_what_is_wrong_with_the_section_is_said_in_a_sentence(
    tmp_path: Path, issuer: str, console: str, oidc: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        configured(tmp_path, issuer, console=console, oidc=oidc)


def test_a_configuration_in_which_nobody_could_sign_in_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "scimsync.toml"
    file.write_text(f"{SOURCE}\n[console]\nlocal_users = false\n")
    with pytest.raises(ConfigError, match=re.escape("without [console.oidc] nobody could sign in")):
        load(file, secrets=WRITING)
    with pytest.raises(ConfigError, match="roles names no group"):
        configured(tmp_path, "https://id.example.com", roles="admin = []")
    with pytest.raises(ConfigError, match="roles: wizard is none of viewer"):
        configured(tmp_path, "https://id.example.com", roles='wizard = ["x"]')


def test_no_secret_of_signing_in_is_kept_or_shown(odd: Wayward, at: Callable[..., Shown]) -> None:
    place = at(odd.issuer)
    client = come(place, odd)
    settings = place.opened.console.settings
    shown_of = [repr(settings), client.ended.text, client.get("/runs").text]
    kept = [path.read_bytes() for path in settings.file.parent.rglob("*") if path.is_file() and path.suffix == ".db"]
    for secret in (SECRET, "canary-access-token"):
        assert not any(secret in text for text in shown_of)
        assert not any(secret.encode() in data for data in kept)

"""Carrying alarms: real mail servers and real HTTP receivers; what each is told, and that no trouble is raised."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import Sequence
from email import message_from_string, policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from aiosmtpd.smtp import AuthResult, LoginPassword
from tests.servers import heard

from scimsync.adapters.alarm_apprise import AppriseSender
from scimsync.adapters.alarm_chat import ChatSender
from scimsync.adapters.alarm_mail import MailSender
from scimsync.adapters.webhook_http import HttpSender
from scimsync.engine.ports import Sender
from scimsync.errors import ConfigError
from scimsync.model.events import Receipt
from scimsync.simulator import tls
from scimsync.testing import VirtualClock

ALARM = {
    "kind": "run-failed",
    "subject": "nightly",
    "over": False,
    "since": "2026-10-25T00:30:00+00:00",
    "at": "2026-10-25T00:31:00+00:00",
    "directory": "api.mypurecloud.de",
    "title": "scimsync: run-failed (nightly)",
    "text": "A run of nightly failed: the source was <refused> & nothing else.",
}
HEADERS = {"webhook-id": "alarm_1_run.failed_nightly_3"}


def sent(sender: Sender) -> Receipt:
    async def once() -> Receipt:
        try:
            return await sender.send(HEADERS, json.dumps(ALARM).encode())
        finally:
            await sender.close()

    return asyncio.run(once())


class Post(Sink):
    def __init__(self, refuses: Sequence[str] = ()) -> None:
        super().__init__()
        self.refuses, self.mails = refuses, list[str]()

    async def handle_RCPT(  # noqa: N802 - its name
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if address in self.refuses:
            return "550 canary knows nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - its name
        self.mails.append(envelope.content.decode())
        return "250 OK"


class Free(Controller):
    """Takes a free port."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


def mailed(
    handler: Post, *, wanted: str = "off", login: tuple[str, str] = ("", ""), context: ssl.SSLContext | None = None,
    **more: Any,
) -> Receipt:  # fmt: skip
    controller = Free(handler, hostname="127.0.0.1", port=0, **more)
    controller.start()
    try:
        sender = MailSender(
            ("127.0.0.1", controller.port),
            tls=wanted,
            login=login,
            sender="scimsync@example.com",
            to=["a@example.com", "b@example.com"],
            context=context,
        )
        return sent(sender)
    finally:
        controller.stop()


def test_a_mail_says_what_is_wrong_to_everybody_and_is_answered_by_no_machine() -> None:
    post = Post()
    assert mailed(post) == Receipt(status=200)
    mail = message_from_string(post.mails[0], policy=policy.default)
    assert (mail["Subject"], mail["To"]) == ("scimsync: run-failed (nightly)", "a@example.com, b@example.com")
    assert (mail["Auto-Submitted"], mail["Date"]) == ("auto-generated", "Sun, 25 Oct 2026 00:31:00 +0000")
    assert mail["Message-ID"] == "<alarm_1_run.failed_nightly_3@example.com>"
    assert mail.get_content().splitlines() == [ALARM["text"], "", "Directory: api.mypurecloud.de"]


def test_a_mail_goes_under_tls_with_our_name_and_a_foreign_certificate_gets_no_password(tmp_path: Path) -> None:
    authority, certificate, key = tls.make_certificates(tmp_path)
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate, key)
    asked: list[LoginPassword] = []

    def authenticator(server: Any, session: Any, envelope: Any, mechanism: str, data: LoginPassword) -> AuthResult:
        asked.append(data)
        return AuthResult(success=data == LoginPassword(b"me", b"canary"))

    closed = {"tls_context": served, "require_starttls": True, "auth_required": True, "authenticator": authenticator}
    ours = ssl.create_default_context(cafile=str(authority))
    post = Post()
    assert mailed(post, wanted="starttls", login=("me", "canary"), context=ours, **closed) == Receipt(status=200)
    wrong = mailed(post, wanted="starttls", login=("me", "other"), context=ours, **closed)
    assert (wrong.status, "canary" in wrong.detail) == (0, False)
    before = len(asked)
    foreign = mailed(post, wanted="starttls", login=("me", "canary"), **closed)
    assert foreign == Receipt(detail="the mail cannot be sent (SSLCertVerificationError)")
    assert (len(asked), len(post.mails)) == (before, 1)


def test_a_server_without_tls_gets_no_mail_where_tls_is_wanted() -> None:
    post = Post()
    receipt = mailed(post, wanted="starttls", login=("me", "canary"))
    assert receipt == Receipt(detail="the mail cannot be sent (SMTPNotSupportedError)")
    assert post.mails == []


def test_a_recipient_who_is_refused_does_not_make_the_others_hear_it_twice() -> None:
    receipt = mailed(Post(refuses=["b@example.com"]))
    assert receipt == Receipt(status=200, detail="the mail server refused 1 of 2 recipients")
    receipt = mailed(Post(refuses=["a@example.com", "b@example.com"]))
    assert receipt == Receipt(detail="the mail cannot be sent (SMTPRecipientsRefused)")


def test_a_mail_server_that_is_away_is_a_receipt() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    sender = MailSender(("127.0.0.1", port), tls="off", login=("", ""), sender="a@b.org", to=["c@d.org"])
    assert sent(sender) == Receipt(detail="the mail cannot be sent (ConnectionRefusedError)")


def chat(url: str, form: str) -> ChatSender:
    return ChatSender(HttpSender(url, VirtualClock(), allow_private=True), form)


def test_slack_is_told_in_its_own_form_and_no_letter_becomes_a_mark() -> None:
    with heard(200) as (url, bodies):
        assert sent(chat(url, "slack")).status == 200
    text = json.loads(bodies[0][1])["text"]
    assert text.splitlines()[0] == "*scimsync: run-failed (nightly)*"
    assert "the source was &lt;refused&gt; &amp; nothing else" in text


def test_teams_is_told_by_an_adaptive_card() -> None:
    with heard(202) as (url, bodies):
        assert sent(chat(url, "teams")).status == 202
    (attachment,) = json.loads(bodies[0][1])["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert [block["text"] for block in attachment["content"]["body"]] == [
        ALARM["title"],
        ALARM["text"],
        "Directory: api.mypurecloud.de",
    ]


def test_a_chat_that_refuses_is_a_receipt() -> None:
    with heard(404) as (url, _):
        assert sent(chat(url, "slack")) == Receipt(status=404, detail="answered 404")


@pytest.mark.filterwarnings("ignore:'imghdr'")  # of Apprise
def test_any_address_of_apprise_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with heard(200) as (url, bodies):
        sender = AppriseSender(url.replace("http://", "json://").replace("/hook", "/canary"), "[[alarm]] 1")
        assert sent(sender) == Receipt(status=200)
    told = json.loads(bodies[0][1])
    assert (told["title"], told["type"]) == (ALARM["title"], "failure")
    with heard(500) as (url, _):
        assert sent(AppriseSender(url.replace("http://", "json://"), "x")) == Receipt(
            detail="Apprise could not send it"
        )
    assert "canary" not in caplog.text
    with pytest.raises(ConfigError, match=r"\[\[alarm\]\] 1: url is no address that Apprise knows"):
        AppriseSender("pigeon://canary", "[[alarm]] 1")

"""Carry alarms by mail, over SMTP."""

from __future__ import annotations

import asyncio
import json
import smtplib
import ssl
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime

from scimsync.model.events import Receipt

#: for each step of the conversation
TIMEOUT_S = 10.0
#: for one mail as a whole: less than a message is ours
DEADLINE_S = 45.0


class MailSender:
    """Fits the Sender port for the recipients of one alarm.

    Args:
        server: host and port of the mail server.
        tls: `starttls`, `implicit`, or `off`.
        login: user and password; none where the user is "".
        sender: whom mails are from.
        to: whom they are to.
        context: how certificates are checked; there is no switch to leave that out.
    """

    def __init__(
        self,
        server: tuple[str, int],
        *,
        tls: str,
        login: tuple[str, str],
        sender: str,
        to: Sequence[str],
        context: ssl.SSLContext | None = None,
    ) -> None:
        (self._host, self._port), self._tls, self._login = server, tls, login
        self._sender, self._to = sender, list(to)
        self._context = context or ssl.create_default_context()

    async def send(self, headers: Mapping[str, str], body: bytes) -> Receipt:
        """Send one mail. Whatever goes wrong is a Receipt; no text of the server stands in it."""
        mail = _mail(json.loads(body), headers["webhook-id"], self._sender, self._to)
        try:
            async with asyncio.timeout(DEADLINE_S):
                refused = await asyncio.to_thread(self._carry, mail)
        except TimeoutError:
            return Receipt(detail=f"the mail server gave no complete answer within {DEADLINE_S:g} s")
        except smtplib.SMTPResponseException as error:
            return Receipt(detail=f"the mail server refused it ({type(error).__name__}, {error.smtp_code})")
        except (smtplib.SMTPException, OSError, ValueError) as error:
            return Receipt(detail=f"the mail cannot be sent ({type(error).__name__})")
        if refused:  # who got it would get it again
            return Receipt(status=200, detail=f"the mail server refused {refused} of {len(self._to)} recipients")
        return Receipt(status=200)

    def _carry(self, mail: EmailMessage) -> int:
        """Hand it to the server; how many recipients it refused, where it did not refuse all."""
        if self._tls == "implicit":
            server: smtplib.SMTP = smtplib.SMTP_SSL(self._host, self._port, timeout=TIMEOUT_S, context=self._context)
        else:
            server = smtplib.SMTP(self._host, self._port, timeout=TIMEOUT_S)
        with server:
            if self._tls == "starttls":
                server.starttls(context=self._context)
            if self._login[0]:
                server.login(*self._login)
            return len(server.send_message(mail))

    async def close(self) -> None:
        """Nothing is kept open."""


def _mail(alarm: Mapping[str, str], name: str, sender: str, to: Sequence[str]) -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = alarm["title"], sender, ", ".join(to)
    mail["Date"] = format_datetime(datetime.fromisoformat(alarm["at"]))
    mail["Message-ID"] = f"<{name}@{sender.rpartition('@')[2]}>"  # the same when it is sent again
    mail["Auto-Submitted"] = "auto-generated"  # nobody's absence note answers it (RFC 3834)
    mail.set_content(f"{alarm['text']}\n\nDirectory: {alarm['directory']}\n")
    return mail

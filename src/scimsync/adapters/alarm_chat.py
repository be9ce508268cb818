"""Carry alarms to the incoming webhooks of Slack (and of what speaks its language) and of Teams."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from scimsync.adapters.webhook_http import HttpSender
from scimsync.model.events import Receipt


class ChatSender:
    """Fits the Sender port: says what an event says in the words of a chat.

    Args:
        sender: carries it to the address.
        form: `slack` or `teams`.
    """

    def __init__(self, sender: HttpSender, form: str) -> None:
        self._sender, self._form = sender, _FORMS[form]

    async def send(self, headers: Mapping[str, str], body: bytes) -> Receipt:  # noqa: ARG002 - chats check none
        """Send one alarm once."""
        return await self._sender.send({}, json.dumps(self._form(json.loads(body))).encode())

    async def close(self) -> None:
        """Let go of connections."""
        await self._sender.close()


def _slack(alarm: Mapping[str, str]) -> dict[str, object]:
    """As docs.slack.dev has it; `&`, `<` and `>` are letters there, and not marks."""
    return {"text": _safe(f"*{alarm['title']}*\n{alarm['text']}\nDirectory: {alarm['directory']}")}


def _safe(words: str) -> str:
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _teams(alarm: Mapping[str, str]) -> dict[str, object]:
    """An adaptive card, as a workflow of Teams takes it."""
    lines = [
        {"type": "TextBlock", "text": alarm["title"], "weight": "bolder", "wrap": True},
        {"type": "TextBlock", "text": alarm["text"], "wrap": True},
        {"type": "TextBlock", "text": f"Directory: {alarm['directory']}", "isSubtle": True, "wrap": True},
    ]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": lines,
    }
    kind = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": kind, "contentUrl": None, "content": card}]}


_FORMS: Mapping[str, Callable[[Mapping[str, str]], dict[str, object]]] = {"slack": _slack, "teams": _teams}

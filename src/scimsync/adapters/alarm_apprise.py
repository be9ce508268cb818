"""Carry alarms to any address that Apprise knows (extra `alarms`)."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping

import apprise

from scimsync.errors import ConfigError
from scimsync.model.events import Receipt

#: for one alarm as a whole: less than a message is ours
DEADLINE_S = 45.0


class AppriseSender:
    """Fits the Sender port for one address.

    Args:
        url: the address as Apprise writes it; a secret.
        shown: what messages call it.

    Raises:
        ConfigError: It is no address that Apprise knows.
    """

    def __init__(self, url: str, shown: str) -> None:
        logging.getLogger("apprise").disabled = True  # it would log addresses that hold a secret
        self._apprise = apprise.Apprise(asset=apprise.AppriseAsset(app_id="scimsync", app_desc="", app_url=""))
        if not self._apprise.add(url):
            raise ConfigError(f"{shown}: url is no address that Apprise knows; see the list of Apprise")

    async def send(self, headers: Mapping[str, str], body: bytes) -> Receipt:  # noqa: ARG002 - addresses are all it has
        """Send one alarm once. Why one cannot be sent, Apprise does not say."""
        alarm = json.loads(body)
        kind = apprise.NotifyType.SUCCESS if alarm["over"] else apprise.NotifyType.FAILURE
        words = f"{alarm['text']}\nDirectory: {alarm['directory']}"
        try:
            async with asyncio.timeout(DEADLINE_S):
                sent = await asyncio.to_thread(self._apprise.notify, body=words, title=alarm["title"], notify_type=kind)
        except TimeoutError:
            return Receipt(detail=f"no complete answer within {DEADLINE_S:g} s")
        except Exception as error:  # noqa: BLE001 - of a hundred senders each has its own
            return Receipt(detail=f"it cannot be sent ({type(error).__name__})")
        return Receipt(status=200) if sent else Receipt(detail="Apprise could not send it")

    async def close(self) -> None:
        """Nothing is kept open."""

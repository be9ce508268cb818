"""Signatures of webhooks, as Standard Webhooks defines them (v1, HMAC-SHA256), in both directions.

What is signed is `id.timestamp.body` over the raw bytes. Several signatures may stand side by side, so
that a secret can be changed without losing a message. The scheme of the specification with public keys
(v1a) is neither made nor taken.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime

#: how far the time of a message may be from ours, either way
TOLERANCE_S = 300
#: what a key should have at the least, in bytes (Standard Webhooks: 24 to 64)
LEAST_KEY = 24
_PREFIX = "whsec_"
_MOST_SIGNATURES = 16
_LONGEST_ID = 256


def key_of(secret: str) -> bytes:
    """The key that a secret stands for: base64 behind `whsec_`, else the text itself.

    Raises:
        ValueError: There is nothing, or what is behind `whsec_` is not base64.
    """
    if not secret.startswith(_PREFIX):
        key = secret.encode()
    else:
        try:
            packed = secret.removeprefix(_PREFIX).rstrip("=")
            key = base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("what stands behind whsec_ is not base64") from None
    if not key:
        raise ValueError("the secret is empty")
    return key


def sign(keys: Sequence[bytes], message: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers of one try: the id stays from try to try, the time is that of the try.

    Without a key there is no signature.
    """
    stamp = str(int(at.timestamp()))
    headers = {"webhook-id": message, "webhook-timestamp": stamp}
    signatures = [_signature(key, message.encode(), stamp.encode(), body) for key in keys]
    return headers | ({"webhook-signature": " ".join(signatures)} if signatures else {})


def verify(keys: Sequence[bytes], headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
    """The id of a message that is genuine and fresh; None for every other, whatever is wrong with it.

    Total: nothing is raised. All signatures are compared with all keys, in constant time.
    A message that is sent twice verifies twice: whoever asks must remember the ids.

    Args:
        keys: The keys that are good now.
        headers: By name in lower case.
        body: The bytes as they came.
        now: The time of the receiver.
    """
    message, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not _is_id(message) or not _is_fresh(stamp, now):
        return None
    given = [part.encode("utf-8", "surrogatepass") for part in headers.get("webhook-signature", "").split(" ")]
    genuine = False
    for key in keys:
        wanted = _signature(key, message.encode(), stamp.encode(), body).encode()
        for signature in given[:_MOST_SIGNATURES]:
            genuine |= hmac.compare_digest(wanted, signature)
    return message if genuine else None


def _signature(key: bytes, message: bytes, stamp: bytes, body: bytes) -> str:
    digest = hmac.digest(key, b".".join((message, stamp, body)), hashlib.sha256)
    return "v1," + base64.b64encode(digest).decode()


def _is_id(message: str) -> bool:
    return 0 < len(message) <= _LONGEST_ID and message.isascii() and message.isprintable()


def _is_fresh(stamp: str, now: datetime) -> bool:
    """Whether a time in whole seconds since 1970 is near enough. `isdigit` alone takes other scripts' digits."""
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        return False
    return abs(now.timestamp() - int(stamp)) <= TOLERANCE_S

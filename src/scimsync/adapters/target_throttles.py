"""What an answer says of a limit, in whatever dress: pure reading of status, headers and words.

Seen in the field: 429, 420, and 403 or 400 that mean the same; a wait as seconds, milliseconds, a span of time or a
date, in `Retry-After` (RFC 9110 §10.2.3) or in a header of the vendor's; limits as `RateLimit-*` (the drafts of the
IETF up to 06), `RateLimit` and `RateLimit-Policy` (from 07), `X-RateLimit-*`, `X-Rate-Limit-*` and their like.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from scimsync.adapters.target_limits import LONGEST_BACKOFF_S, Announced, retry_after

#: answers that mean "too many" and nothing else
_ALWAYS = frozenset({420, 429})
#: answers that may mean it
_PERHAPS = frozenset({400, 403})
#: words of an error that say so (documented: GitHub, Google, AWS)
_WORDS = re.compile(rb"rate.?limit|throttl|too.?many.?requests", re.IGNORECASE)
_SPAN = re.compile(r"(?:(\d{1,4})h)?(?:(\d{1,5})m(?!s))?(?:(\d{1,9}(?:\.\d{1,9})?)s)?(?:(\d{1,9}(?:\.\d{1,9})?)ms)?")
#: numbers beyond these are moments, in seconds and in milliseconds since 1970, and no spans
_EPOCH_S, _EPOCH_MS = 10**9, 10**12
#: seconds that a window of a limit may have to tell a rate
_LONGEST_WINDOW_S = 3600


def is_throttle(status: int, headers: Mapping[str, str], content: bytes) -> bool:
    """Whether an answer says that too much was asked, and nothing of the request itself.

    Examples:
        >>> is_throttle(429, {}, b""), is_throttle(403, {"retry-after": "7"}, b""), is_throttle(403, {}, b"no role")
        (True, True, False)
    """
    if status in _ALWAYS:
        return True
    if status not in _PERHAPS:
        return False
    told = any("retryafter" in name for name, _ in _named(headers))
    return told or is_spent(headers) or _WORDS.search(content[:2000]) is not None


def is_spent(headers: Mapping[str, str]) -> bool:
    """Whether nothing is left of a limit.

    Examples:
        >>> is_spent({"X-RateLimit-Remaining": "0"}), is_spent({"RateLimit": '"default";r=0;t=9'}), is_spent({})
        (True, True, False)
    """
    return any(
        (name.startswith("ratelimitremaining") and text.strip() == "0")
        or (name == "ratelimit" and _parameter(text, "r") == "0")
        for name, text in _named(headers)
    )


def wait_of(headers: Mapping[str, str], values: Sequence[str], now: datetime) -> float | None:
    """How many seconds an answer asks to wait.

    Args:
        headers: Its headers.
        values: Every `Retry-After` in them; it counts before all others.
        now: The wall clock that a moment is measured against, aware.

    Returns:
        Seconds, or None where it does not say.

    Examples:
        >>> from datetime import UTC
        >>> noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
        >>> wait_of({}, ["7"], noon), wait_of({"retry-after-ms": "1500"}, [], noon), wait_of({}, [], noon)
        (7.0, 1.5, None)
        >>> wait_of({"x-ratelimit-reset": "1767268830"}, [], noon), wait_of({"ratelimit": "a;r=0;t=9"}, [], noon)
        (30.0, 9.0)
    """
    asked = retry_after(values, now)
    if asked is None and len(values) == 1:
        asked = _read(values[0], now)
    if asked is not None or len(values) > 1:
        return asked
    found = [seconds for seconds in _told(headers, now) if seconds is not None]
    return min(found, default=None)


def in_milliseconds(values: Sequence[str]) -> float | None:
    """The seconds of a `Retry-After` that is too long to be believed, were it milliseconds; None for another.

    Examples:
        >>> in_milliseconds(["2000"]), in_milliseconds(["60"]), in_milliseconds(["86400"])
        (2.0, None, None)
    """
    text = values[0].strip(" \t") if len(values) == 1 else ""
    seconds = int(text) / 1000 if text.isascii() and text.isdigit() and len(text) <= 7 else 0.0
    return seconds if 1 <= seconds <= LONGEST_BACKOFF_S else None


def policy_of(headers: Mapping[str, str]) -> Announced | None:
    """Requests a minute that a policy grants: `100;w=60` or `"default";q=100;w=60`, the narrowest of several.

    Examples:
        >>> policy_of({"RateLimit-Policy": '"burst";q=10;w=1, "hour";q=6000;w=3600'})
        Announced(allowed=100, count=0, reset_s=0.0)
    """
    rates = []
    for name, text in _named(headers):
        for part in text.split(",") if name in {"ratelimitpolicy", "ratelimitlimit"} else ():
            quota, window = _parameter(part, "q") or part.split(";")[0].strip(), _parameter(part, "w")
            if _is_whole(quota) and _is_whole(window) and 1 <= int(window) <= _LONGEST_WINDOW_S:
                rates.append(int(quota) * 60 // int(window))
    return Announced(min(rates)) if rates and min(rates) > 0 else None


def _named(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Headers with their names in one spelling: small, without `x-` and lines."""
    for name, text in headers.items():
        yield name.lower().removeprefix("x-").replace("-", "").replace("_", ""), text


def _told(headers: Mapping[str, str], now: datetime) -> Iterator[float | None]:
    for name, text in _named(headers):
        if name == "ratelimit":
            yield _read(_parameter(text, "t"), now)
        elif "retryafter" in name:
            yield _read(f"{text.strip()}ms" if name.endswith("ms") else text, now)
        elif "ratelimit" in name and "reset" in name:
            yield _read(text, now)


def _read(text: str, now: datetime) -> float | None:
    """Seconds from a number, a span, a moment since 1970, or a date."""
    text = text.strip()
    if _is_whole(text, longest=16) and int(text) >= _EPOCH_S:
        moment = int(text) / (1000 if int(text) >= _EPOCH_MS else 1)
        seconds = moment - now.timestamp()
        return seconds if 0 < seconds <= 366 * 86400 else None
    found = _SPAN.fullmatch(text) if text and text.isascii() else None
    if found is not None:
        hours, minutes, seconds_, thousandths = (float(part or 0) for part in found.groups())
        return hours * 3600 + minutes * 60 + seconds_ + thousandths / 1000
    if re.fullmatch(r"\d{1,6}\.\d{1,9}", text, re.ASCII):
        return float(text)
    return retry_after([text], now)


def _parameter(text: str, name: str) -> str:
    """The value of a parameter of a structured field: `"default";r=5;t=9`."""
    found = re.search(rf"(?:^|[;,\s]){name}\s*=\s*\"?(\d+)", text, re.ASCII)
    return found[1] if found else ""


def _is_whole(text: str, longest: int = 7) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= longest

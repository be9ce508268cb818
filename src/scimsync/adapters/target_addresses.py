"""The address of one resource. An id is any text (RFC 7643 §3.1), and travels percent-encoded."""

from __future__ import annotations

from urllib.parse import quote

#: characters of an id
LONGEST_ID = 256


def resource_url(kind: str, identity: str) -> str | None:
    """The address of a resource below its endpoint; None for an id that could lead elsewhere, or is none.

    Examples:
        >>> resource_url("https://h/Users", "auth0|7/x")
        'https://h/Users/auth0%7C7%2Fx'
        >>> resource_url("https://h/Users", "../Groups/1") is None
        True
    """
    steps = identity.replace("\\", "/").split("/")
    # a server in between may take the encoding away and walk the steps
    if not 0 < len(identity) <= LONGEST_ID or not identity.isprintable() or {".", ".."} & set(steps):
        return None
    return f"{kind}/{quote(identity, safe='')}"

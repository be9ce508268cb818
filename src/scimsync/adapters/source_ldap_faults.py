"""What the result codes of LDAP mean, and what to do next: one sentence for each."""

from __future__ import annotations

import re
from typing import NoReturn

import ldap

from scimsync.errors import SourceError

_LIMIT = (
    "The answer is cut, so nothing of it is used: a cut list would look as if people had left. Let an administrator"
    " raise the limit for this user (OpenLDAP: limits ... size=unlimited size.prtotal=unlimited time=unlimited), or"
    " set a narrower base or filter under [source]."
)
#: result -> what it means, and what to do next
_SAID: dict[type[ldap.LDAPError], tuple[str, str]] = {
    ldap.SIZELIMIT_EXCEEDED: ("the server gives no more entries (size limit)", _LIMIT),
    ldap.TIMELIMIT_EXCEEDED: ("the server works no longer for one search (time limit)", _LIMIT),
    ldap.ADMINLIMIT_EXCEEDED: ("the server does no more for one search (administrative limit)", _LIMIT),
    ldap.PARTIAL_RESULTS: ("the server gave a part only", _LIMIT),
    ldap.REFERRAL: (
        "what is below base is on another server",
        "Write that server in url under [source], or check base.",
    ),
    ldap.SERVER_DOWN: (
        "there is no connection to the server",
        "Check that host and port in url under [source] can be reached from here, and run again.",
    ),
    ldap.CONNECT_ERROR: (
        "the connection could not be made",
        "Check url under [source], and that the server offers TLS.",
    ),
    ldap.TIMEOUT: ("the server does not answer", "Run again; a filter on attributes without index takes long."),
    ldap.BUSY: ("the server is busy", "Run again later."),
    ldap.UNAVAILABLE: ("the server is not ready", "Run again later."),
    ldap.INVALID_CREDENTIALS: (
        "user or password is wrong",
        "Check username (a distinguished name; for Active Directory also user@domain) and password under [source].",
    ),
    ldap.INVALID_DN_SYNTAX: ("a name is no distinguished name", "Check base and username under [source]."),
    ldap.NO_SUCH_OBJECT: (
        "there is no such entry, or this user may not see it",
        "Check base under [source], and what this user may read.",
    ),
    ldap.INSUFFICIENT_ACCESS: (
        "this user may not read that",
        "Let an administrator grant the user read access below base.",
    ),
    ldap.INAPPROPRIATE_AUTH: ("this way of saying who we are is refused", "Set username and password under [source]."),
    ldap.STRONG_AUTH_REQUIRED: ("the server wants TLS", "Write ldaps:// in url under [source], or starttls = true."),
    ldap.CONFIDENTIALITY_REQUIRED: (
        "the server wants TLS",
        "Write ldaps:// in url under [source], or starttls = true.",
    ),
    ldap.OPERATIONS_ERROR: (
        "the server refuses the search",
        "Active Directory does so to whom it does not know: set username and password under [source].",
    ),
    ldap.UNWILLING_TO_PERFORM: (
        "the server will not do that",
        "Ask its administrator whether this user may search in pages.",
    ),
    ldap.UNAVAILABLE_CRITICAL_EXTENSION: (
        "the server gives no pages (paged results, RFC 2696)",
        "Without them a reading cannot be known to be whole; let its administrator allow them to this user.",
    ),
    ldap.FILTER_ERROR: ("the filter is not one", "Correct filter under [source], for instance (objectClass=person)."),
    ldap.PROTOCOL_ERROR: (
        "the server does not understand us",
        "Check that url under [source] leads to LDAP version 3.",
    ),
}
#: what Active Directory means by the number behind `data` (documented)
_SUBCODES = {
    "525": "there is no such user",
    "52e": "user or password is wrong",
    "530": "the user may not log on at this time",
    "531": "the user may not log on from here",
    "532": "the password has expired",
    "533": "the user is disabled",
    "701": "the user has expired",
    "773": "the password must be changed first",
    "775": "the user is locked",
}


def refuse(where: str, what: str, fault: ldap.LDAPError) -> NoReturn:
    """Say where, what, and what to do next, once for every complaint of LDAP.

    Raises:
        SourceError: Always.
    """
    meaning, step = next(
        (said for kind, said in _SAID.items() if isinstance(fault, kind)),
        ("the server answers something else than success", "Check url, base and filter under [source], and run again."),
    )
    told = reason(fault)
    if isinstance(fault, ldap.INVALID_CREDENTIALS) and (code := re.search(r"\bdata ([0-9a-f]+)", told)):
        meaning = _SUBCODES.get(code[1], meaning)
    message = f"{where}: {what}: {meaning} ({told}). {step}"
    raise SourceError(message) from None


def reason(fault: Exception) -> str:
    """The words of the server or library, flat."""
    told = fault.args[0] if fault.args and isinstance(fault.args[0], dict) else {}
    words = [str(told.get("desc", "")), str(told.get("info", ""))] if told else [str(fault)]
    flat = ": ".join(" ".join(word.split()) for word in words if word.strip())
    return (flat or type(fault).__name__)[:300]

"""Values of LDAP as cells: what an attribute holds by its syntax, names compared by RFC 4514, keys that are bytes."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from uuid import UUID

import ldap
import ldap.dn
from ldap.schema.models import AttributeType

from scimsync.model.records import Cell

_SYNTAX = "1.3.6.1.4.1.1466.115.121.1."
_TIME, _TRUTH, _WHOLE = _SYNTAX + "24", _SYNTAX + "7", frozenset({_SYNTAX + "27", "1.2.840.113556.1.4.906"})
#: bytes that are no text: octets, pictures, certificates, sounds
_BYTES = frozenset(_SYNTAX + number for number in ("4", "5", "8", "9", "10", "23", "28", "40"))
#: attributes of times and numbers, where the schema is not shown
_KNOWN_TIMES = frozenset({"createtimestamp", "modifytimestamp", "whencreated", "whenchanged", "pwdchangedtime"})
_KNOWN_WHOLE = frozenset({"useraccountcontrol", "accountexpires", "usnchanged", "uidnumber", "gidnumber"})
GUIDS = frozenset({"objectguid", "ms-ds-consistencyguid"})
_SIDS = frozenset({"objectsid"})
#: never read, whoever asks: what lets somebody in
SECRETS = frozenset(
    "userpassword unicodepwd dbcspwd lmpwdhistory ntpwdhistory supplementalcredentials sambantpassword "
    "sambalmpassword krbprincipalkey ms-mcs-admpwd mslaps-password authpassword pwdhistory".split()
)
#: words and numbers for one kind of naming attribute (RFC 4514 and RFC 4519)
_KINDS = {
    "commonname": "cn", "2.5.4.3": "cn", "surname": "sn", "2.5.4.4": "sn", "countryname": "c", "2.5.4.6": "c",
    "localityname": "l", "2.5.4.7": "l", "stateorprovincename": "st", "2.5.4.8": "st", "streetaddress": "street",
    "2.5.4.9": "street", "organizationname": "o", "2.5.4.10": "o", "organizationalunitname": "ou", "2.5.4.11": "ou",
    "domaincomponent": "dc", "0.9.2342.19200300.100.1.25": "dc", "userid": "uid", "0.9.2342.19200300.100.1.1": "uid",
}  # fmt: skip
_IS_BINARY = 2  # LDAP_AVA_BINARY
_TIMES = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(?:(\d\d)(\d\d)?)?(?:[.,](\d+))?(Z|[+-]\d\d(?:\d\d)?)")
#: days before Windows begins to count in 1601, and what it writes where an account never expires
_WINDOWS = datetime(1601, 1, 1)  # noqa: DTZ001 - UTC without zone, as all times here
_NEVER = frozenset({0, 2**63 - 1})
_LAST = int((datetime.max - _WINDOWS).total_seconds())  # noqa: DTZ901


def same_name(name: str) -> bytes:
    """A mark that two distinguished names share exactly if they name one entry (RFC 4514), whatever their spelling.

    Blanks around parts, capitals, escapes and the order within a part of several values do not count.

    Raises:
        ValueError: It is no distinguished name.
    """
    try:
        parts = ldap.dn.str2dn(name)
    except ldap.LDAPError:
        message = "no distinguished name"
        raise ValueError(message) from None
    form = [[_part(*part[0])] if len(part) == 1 else sorted(_part(*each) for each in part) for part in parts]
    return hashlib.sha256(repr(form).encode()).digest()[:16]


@lru_cache(maxsize=4096)  # the units and domains of a directory are few, and stand in every name
def _part(word: str, value: str, flags: int) -> tuple[str, str]:
    """One part of a name in the form in which parts are compared."""
    if flags & _IS_BINARY and len(value) >= 2 and ord(value[1]) == len(value) - 2:
        value = value[2:]  # a text in its BER form: #0403666f6f
    plain = unicodedata.normalize("NFKC", value).casefold()
    kind = word.lower()
    return _KINDS.get(kind, kind), " ".join(plain.split())


def reader(name: str, schema: Mapping[str, AttributeType]) -> tuple[type, Callable[[bytes], Cell]]:
    """How one value of an attribute is read, and what comes of it; what cannot be read raises ValueError.

    Args:
        name: The attribute, without options, in lower case.
        schema: What the directory knows; empty where it does not tell.
    """
    syntax = _syntax(name, schema)
    if name in GUIDS:
        return str, _guid
    if name in _SIDS:
        return str, _sid
    if syntax == _TIME or (not syntax and name in _KNOWN_TIMES):
        return datetime, time_of
    if syntax == _TRUTH:
        return bool, _truth
    if syntax in _WHOLE or (not syntax and name in _KNOWN_WHOLE):
        return int, int
    return str, _bytes if syntax in _BYTES else _text


def is_bytes(name: str, schema: Mapping[str, AttributeType]) -> bool:
    """Whether an attribute holds bytes that no cell can hold."""
    return _syntax(name, schema) in _BYTES and name not in GUIDS | _SIDS


def _syntax(name: str, schema: Mapping[str, AttributeType]) -> str:
    """The number of the syntax of an attribute, which may be that of the one it is derived from; "" for unknown."""
    for _ in range(9):
        found = schema.get(name)
        if found is None or found.syntax:
            break
        name = found.sup[0].lower() if found.sup else ""
    return str(found.syntax) if found and found.syntax else ""


def _text(value: bytes) -> str:
    return value.decode()


def _bytes(value: bytes) -> str:
    """Some servers keep text where their schema says octets."""
    text = value.decode()
    if not text.isprintable():
        message = "bytes"
        raise ValueError(message)
    return text


def _truth(value: bytes) -> bool:
    words = {b"true": True, b"false": False}
    if (said := words.get(value.lower())) is None:
        message = "neither TRUE nor FALSE"
        raise ValueError(message)
    return said


def _guid(value: bytes) -> str:
    return str(UUID(bytes_le=value))


def _sid(value: bytes) -> str:
    if len(value) < 8 or len(value) != 8 + 4 * value[1]:
        message = "no security identifier"
        raise ValueError(message)
    parts = (int.from_bytes(value[n : n + 4], "little") for n in range(8, len(value), 4))
    return "-".join(map(str, ("S", value[0], int.from_bytes(value[2:8], "big"), *parts)))


def time_of(value: bytes) -> datetime:
    """A generalized time (RFC 4517) in UTC, without zone.

    Raises:
        ValueError: It is none.
    """
    found = _TIMES.fullmatch(value.decode("ascii", "replace"))
    if found is None:
        message = "no generalized time"
        raise ValueError(message)
    year, month, day, hour, minute, second, part, zone = found.groups()
    share = int(part) / 10 ** len(part) if part else 0.0
    unit = timedelta(seconds=1) if second else timedelta(minutes=1) if minute else timedelta(hours=1)
    local = datetime(*map(int, (year, month, day, hour, minute or 0)), tzinfo=timezone(_offset(zone)))  # type: ignore[misc,arg-type]
    whole = local + timedelta(seconds=int(second or 0)) + unit * share  # a leap second is the next
    return whole.astimezone(timezone.utc).replace(tzinfo=None)  # noqa: UP017


def _offset(zone: str) -> timedelta:
    if zone == "Z":
        return timedelta()
    sign = -1 if zone[0] == "-" else 1
    return sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5] or 0))


def expires(value: int) -> datetime | None:
    """When an account of Active Directory expires (`accountExpires`), in UTC; None for never.

    Raises:
        ValueError: It is no time.
    """
    seconds = value // 10_000_000
    if seconds < 0:
        message = "a time before all times"
        raise ValueError(message)
    return None if value in _NEVER or seconds >= _LAST else _WINDOWS + timedelta(seconds=seconds)


def is_disabled(value: int) -> bool:
    """Whether an account of Active Directory is disabled (`userAccountControl`)."""
    return bool(value & 2)

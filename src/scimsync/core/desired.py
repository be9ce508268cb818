"""What HR wants of one person, value by value: the same readings as the workbench makes of whole tables.

`workbench.mapping` says the same in SQL; a law holds the two together (tests/laws/test_one_person.py).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

from msgspec import Struct, field

from scimsync.core.lifecycle import ACTIVE
from scimsync.model.phones import PhoneReader, Unread
from scimsync.model.plans import Finding, Severity
from scimsync.model.policy import Mapped
from scimsync.scim.schema import Attribute, Kind, Place, Value, compared, entries

#: white space of Unicode, and what is as invisible
SPACE = (
    "\t\n\v\f\r \x1c\x1d\x1e\x1f\x85\xa0\u1680"
    + "".join(map(chr, range(0x2000, 0x2010)))
    + ("\u2028\u2029\u202f\u205f\u2060\u3000\ufeff")
)


class ValueFault(Struct, frozen=True):
    """Why a value of the source is none that can be written."""

    code: str
    summary: str
    hint: str

    def finding(self, subject: str, detail: str, *, row: int | None = None, path: str = "") -> Finding:
        """The finding about it: with a path where the person goes on without the value."""
        return Finding(
            severity=Severity.ERROR,
            code=self.code,
            subject=subject,
            summary=self.summary,
            detail=detail,
            hint=self.hint,
            row=row,
            holds=True,
            path=path,
        )


BAD_LEVEL = ValueFault(
    "record.bad-level", "a level is not a number from 0 to 5", "write levels as 0 to 5, for instance Billing:4"
)
BAD_PHONE = ValueFault(
    "record.bad-phone",
    "a phone number cannot be read",
    "write it with country code (+1...), or give e164 the country as second argument",
)
#: what is known to be wrong with a number -> the fault
PHONE_FAULTS: Mapping[str, ValueFault] = {
    Unread.NO_COUNTRY: ValueFault(
        "record.phone-country",
        "a phone number has no country code, and no country is given",
        "give e164 the country as second argument: a column, e164(phone, country), or one for all, e164(phone, 'DE')",
    ),
    Unread.UNKNOWN_COUNTRY: ValueFault(
        "record.phone-country",
        "a phone number has no country code, and the country that is given is none",
        "give e164 the country as its ISO code of two letters, as second argument: DE, not Germany or DEU",
    ),
    Unread.UNKNOWN_CODE: ValueFault(
        "record.phone-country", "a phone number begins with the code of no country", "correct it in the source"
    ),
    Unread.IMPOSSIBLE: ValueFault(
        "record.bad-phone", "a phone number is too long or too short for its country", "correct it in the source"
    ),
}
ACTIVE_UNKNOWN = ValueFault(
    "record.active-unknown",
    "the mapping of active gives neither true nor false",
    "fill the status in the source, or name its word in the mapping: one_of(status, 'active', ['left'])",
)
BAD_DATE = ValueFault(
    "record.bad-date", "a date is none", "write it as 2026-11-30 in the source; until then what it decides stays as is"
)
UNMAPPABLE = ValueFault(
    "record.unmappable",
    "an expression of the mapping fails on this record",
    "mend the record, or use TRY_CAST in the expression",
)
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8}")
_MOMENT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[ T][0-9:.,]+ ?(Z|[+-][0-9:]+)?")
#: the level of a skill or language, the one number in a list that has bounds
_LEVEL, _HIGHEST = "proficiency", 5.0


class Desired(Struct, frozen=True, kw_only=True):
    """What HR wants of one person."""

    #: path -> value, of every mapped attribute; None where there is none, or a bad one
    values: Mapping[str, Value]
    bad: Mapping[str, ValueFault] = field(default_factory=dict)

    @property
    def leaves(self) -> bool:
        """Whether HR says that this person is there no more."""
        return self.values.get(ACTIVE) is False


def read_desired(attributes: Sequence[Mapped], given: Sequence[object], phone: PhoneReader) -> Desired:
    """Read the values of one person.

    Args:
        attributes: The mapping.
        given: A value for each attribute, as a program gives it: text, number, boolean, date, None, or a list of
            objects or texts for a whole list.
        phone: Reads phone numbers that are not in E.164 yet.
    """
    values: dict[str, Value] = {}
    bad: dict[str, ValueFault] = {}
    for mapped, one in zip(attributes, given, strict=True):
        read = _read(mapped.place, one, phone)
        values[mapped.path] = None if isinstance(read, ValueFault) else read
        if isinstance(read, ValueFault):
            bad[mapped.path] = read
        elif read is None and mapped.path == ACTIVE:
            bad[mapped.path] = ACTIVE_UNKNOWN
    for mapped in attributes:  # a part of an element is none where the element has no `value`
        main = next((other for other in attributes if is_main(other, mapped)), None)
        if main is not None and values[main.path] is None:
            values[mapped.path] = None
    return Desired(values=values, bad=bad)


def is_main(other: Mapped, mapped: Mapped) -> bool:
    """Whether one mapped attribute is the `value` of the element of which another is a part."""
    element = mapped.place.element
    return other is not mapped and other.place.leaf.name == "value" and bool(element) and element == other.place.element


def tidy(text: object) -> str | None:
    """A text without blanks around it; None where nothing is left."""
    return None if text is None else str(text).strip(SPACE) or None


def _read(place: Place, given: object, phone: PhoneReader) -> Value | ValueFault:
    if given is None:
        return None
    match place.kind:
        case Kind.LIST:
            return _list(place, given)
        case Kind.BOOLEAN:
            return given if isinstance(given, bool) else UNMAPPABLE
        case Kind.DECIMAL:
            return float(given) if isinstance(given, int | float) else UNMAPPABLE
        case Kind.PHONE:
            return _phone(given, phone)
        case Kind.DATE:
            return _day(given)
        case _:
            return tidy(given)


def _phone(given: object, phone: PhoneReader) -> Value | ValueFault:
    number = tidy(given)
    if number is None or _E164.fullmatch(number):
        return number
    read = phone(number, "")
    return PHONE_FAULTS[read] if isinstance(read, Unread) else read or BAD_PHONE


def _day(given: object) -> Value:
    """A day as it is written; a moment with a zone is the day that it is in UTC, and what is none stays as it is."""
    text = tidy(given.isoformat() if isinstance(given, date) else given)
    moment = _MOMENT.fullmatch(text or "")
    try:
        if text and _DAY.fullmatch(text):
            return date.fromisoformat(text).isoformat()
        if text and moment and moment[2]:
            return datetime.fromisoformat(text.replace(" +", "+").replace(" -", "-")).astimezone(UTC).date().isoformat()
        return date.fromisoformat(moment[1]).isoformat() if moment else text
    except (ValueError, OverflowError):
        return text


def _list(place: Place, given: object) -> Value | ValueFault:
    kept = compared(place.attribute)
    elements = []
    for element in given if isinstance(given, list | tuple) else ():
        members = element if isinstance(element, Mapping) else {kept[0].name: element}
        try:
            elements.append({sub.name: _member(sub, members.get(sub.name)) for sub in kept})
        except ValueError:
            return UNMAPPABLE
    levels = [level for element in elements if isinstance(level := element.get(_LEVEL), float)]
    if not all(0 <= level <= _HIGHEST for level in levels):
        return BAD_LEVEL
    return entries(elements, place.attribute)


def _member(sub: Attribute, given: object) -> str | float | bool | None:
    """One member of an element, of the type that the schema gives it."""
    text = "" if given is None else str(given).lower() if isinstance(given, bool) else str(given)
    match sub.type:
        case "decimal":  # a level that is not given is 0
            number = float(text or 0)
            if not math.isfinite(number):
                raise ValueError(sub.name)
            return number
        case "integer":
            return int(text) if text else None
        case "boolean":
            if text not in {"", "true", "false"}:
                raise ValueError(sub.name)
            return text == "true" if text else None
        case _:
            return text or None

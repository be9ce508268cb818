"""What can be wrong with one value, and the finding that says so.

What a provider takes (lengths, counts, forms) is data of its dialect.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from msgspec import Struct

from scimsync.model.plans import Finding, Severity
from scimsync.scim.dialect import Dialect
from scimsync.scim.forms import phone_form
from scimsync.scim.schema import Attribute, Kind, Place, Value

#: controls, and what is as invisible and turns or joins what stands around it (zero width, direction, a mark inside)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
#: a local part and a domain of at least two labels (RFC 5321 §4.1.2 without quoting and address literals)
_EMAIL = re.compile(
    r"(?=.{3,254}$)(?=[^@]{1,64}@)[^\s@.\"(),:;<>\[\\\]]+(?:\.[^\s@.\"(),:;<>\[\\\]]+)*"
    r"@(?:(?!-)[\w-]{1,63}(?<![-_])\.)+(?!-)[\w-]{2,63}(?<![-_])"
)
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}(?:;ext=[0-9]{1,15})?")
#: what a spreadsheet writes where a formula failed, in English and in languages that have words of their own
_FAILED = frozenset(
    "#N/A #REF! #VALUE! #DIV/0! #NAME? #NUM! #NULL! #SPILL! #CALC! #NV #BEZUG! #WERT! #ZAHL! #N/D #VALEUR! #NOM? "
    "#NOMBRE! #VALORE! #NOME? #RIF! #¡REF! #¡VALOR! #¡NUM! #¿NOMBRE? #¡DIV/0!".split()
)
_DATE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:T(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
#: code -> what it means, what to do
_WORDS: Mapping[str, tuple[str, str]] = {
    "operation.invalid": ("an operation cannot be sent as it is", "see the page of this code"),
    "operation.too-large": ("a change is larger than one request may be", "shorten what the detail names"),
    "record.incomplete": ("a value that every account or element needs is missing", "fill it in the source"),
    "record.too-long": ("a text is longer than the directory takes", "shorten it in the source, or with left() in the "
                        "mapping; the limit is [target] characters"),
    "record.too-many": ("a list has more elements than the directory takes", "take some of them from the source"),
    "record.bad-date": ("a date is none", "write it as YYYY-MM-DD"),
    "record.bad-email": ("an e-mail address is none", "correct it in the source: name@domain, nothing around it"),
    "record.bad-phone": ("a phone number cannot be read", "write it with country code (+1...), or map it with e164"),
    "record.phone-country": (
        "a phone number begins with the code of no country", "correct it in the source, or give e164 the country",
    ),
    "record.bad-level": ("a number is out of range", "correct it in the source"),
    "record.control-characters": (
        "a text holds control characters", "take line breaks, tabs and the like out of it in the source",
    ),
    "record.failed-formula": (
        "a text is what a spreadsheet writes where a formula failed",
        "mend the formula, or name the word in [source] null_values",
    ),
    "record.not-canonical": ("a value is none of those that the schema lists", "take one of those"),
    "record.duplicate-element": ("a list names one thing twice", "keep one of the two in the source"),
    "record.reserved-element": (
        "a list names an element that the directory keeps for itself", "take it from the source, or from the mapping",
    ),
    "record.duplicate-login": ("several people want the same login", "give each of them a login of its own"),
    "record.duplicate-external-id": (
        "several people want the same externalId", "give each of them a value of its own in the source",
    ),
    "reference.self": ("a person refers to themselves", "name another person in the source, or nobody"),
    "role.unknown": ("the directory has no role of this name", "make it in Genesys Cloud, or correct the source"),
    "division.unknown": (
        "the directory has no division of this name", "make it in Genesys Cloud, or correct the source",
    ),
    "skill.unknown": ("the directory has no skill of this name", "make it in Genesys Cloud, or correct the source"),
    "language.unknown": (
        "the directory has no language of this name", "make it in Genesys Cloud, or correct the source",
    ),
    "location.unknown": (
        "the directory has no location of this name", "make it in Genesys Cloud, or correct the source",
    ),
    "team.unknown": ("the directory has no work team of this name", "make it in Genesys Cloud, or correct the source"),
}  # fmt: skip


class Fault(Struct, frozen=True):
    """One thing that is wrong, with the path it is wrong at."""

    code: str
    path: str
    detail: str = ""
    hint: str = ""
    #: the deltas that it spoils
    spoils: tuple[str, ...] = ()

    def finding(self, subject: str, row: int | None, path: str = "") -> Finding:
        """The finding about one person; with `path` only that value is left out."""
        summary, hint = _WORDS[self.code]
        return Finding(
            severity=Severity.ERROR,
            code=self.code,
            subject=subject,
            summary=summary,
            detail=f"{self.path}: {self.detail}" if self.detail else self.path,
            hint=self.hint or hint,
            row=row,
            holds=True,
            path=path,
        )


def value_fault(place: Place, value: Value, held: Value, dialect: Dialect) -> Fault | None:
    """The first thing that is wrong with a value; of a list, with what it does not hold already."""
    if value is None:
        needed = place.needed or (place.leaf.required and place.path.filter is None)
        return Fault("record.incomplete", place.short) if needed else None
    if not isinstance(value, tuple):
        return text_fault(place, place.leaf, value, dialect, place.short)
    there = {place.normal((entry,)) for entry in held} if isinstance(held, tuple) else set()
    fresh = [dict(entry) for entry in value if place.normal((entry,)) not in there]
    keys = [identity for entry in value if (identity := place.identity(entry)) is not None]
    most = dialect.elements.get(place.root, 0)
    if most and len(value) > most:
        return Fault("record.too-many", place.short, f"{len(value)}, at most {most}")
    fault = next(filter(None, (element_fault(place, element, dialect) for element in fresh)), None)
    if fault is None and len(place.attribute.sub_attributes) > 1 and len(set(keys)) < len(keys):
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        return Fault("record.duplicate-element", place.short, ", ".join(twice)) if place.key != "value" else None
    return fault


def element_fault(place: Place, element: Mapping[str, object], dialect: Dialect) -> Fault | None:
    """The first thing that is wrong with one element of a list, or with the members of a complex value."""
    held = {name.lower(): value for name, value in element.items()}
    if place.is_reserved(element):
        return Fault("record.reserved-element", place.short, str(held[place.key.lower()]))
    for sub in place.attribute.sub_attributes:
        value, path = held.get(sub.name.lower()), f"{place.short}.{sub.name}"
        if sub.required and value in (None, ""):
            return Fault("record.incomplete", path)
        if value is not None and sub.mutability != "readOnly":
            fault = text_fault(place, sub, value, dialect, path)
            if fault is not None:
                return fault
    return None


def text_fault(place: Place, leaf: Attribute, value: object, dialect: Dialect, path: str) -> Fault | None:  # noqa: PLR0911 - one line for each rule
    """The first thing that is wrong with a single value, by the definition of its attribute and the dialect."""
    if not _is_of(leaf.type, value):
        return Fault("operation.invalid", path, f"it takes a {leaf.type}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        least, most = dialect.ranges.get(leaf.name, (value, value))
        return None if least <= value <= most else Fault("record.bad-level", path, f"from {least:g} to {most:g}")
    if not isinstance(value, str):
        return None
    if code := _of_any_text(value):
        return Fault(code, path)
    if dialect.characters and len(value) > dialect.characters:
        return Fault("record.too-long", path, f"{len(value)} characters, at most {dialect.characters}")
    words = {word.lower() for word in leaf.canonical_values}
    if words and value.lower() not in words:
        return Fault("record.not-canonical", path, f"one of {', '.join(leaf.canonical_values)}")
    name = place.attribute.name
    is_email = (name == "userName" and dialect.login_is_email) or (name == "emails" and leaf.name == "value")
    if is_email and not _EMAIL.fullmatch(value):
        return Fault("record.bad-email", path)
    is_phone = name == "phoneNumbers" and leaf.name == "value" and dialect.phones_are_e164
    if is_phone and not _PHONE.fullmatch(phone_form(value)):
        return Fault("record.bad-phone", path)
    if (leaf.type == "dateTime" or place.kind is Kind.DATE) and not _is_date(value):
        return Fault("record.bad-date", path)
    return None


def _of_any_text(value: str) -> str:
    """What is wrong with a text, whatever it is for; "" where nothing is."""
    if _CONTROL.search(value):
        return "record.control-characters"
    return "record.failed-formula" if "#" in value and value.strip().upper() in _FAILED else ""


def _is_of(type_: str, value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match type_:
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return is_number and float(value).is_integer()  # type: ignore[arg-type]
        case "decimal":
            return is_number
        case "complex":
            return isinstance(value, Mapping)
    return isinstance(value, str)


def _is_date(value: str) -> bool:
    if not _DATE.fullmatch(value):
        return False
    try:
        date.fromisoformat(value[:10])
    except ValueError:
        return False
    return True

"""Phone numbers as people write them, to E.164; the library is asked once for each distinct number."""

from __future__ import annotations

import re

import phonenumbers

from scimsync.model.phones import Unread

#: an extension and nothing else
_ALONE = re.compile(r"\W*(?:x|ext\w*|durchwahl|dw|poste|anexo|int|#)[\s.:=#]*[0-9]+\W*", re.IGNORECASE)
#: digits below which a number that names no country may as well be an extension
_SHORT = 7
#: how a spreadsheet or a program writes a number that it took for a quantity
_DECIMAL = re.compile(r"^(\+?[0-9]{7,})\.0$")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


def read_phone(number: str, region: str) -> str | Unread | None:
    """Read a number as it is dialled in a region.

    Args:
        number: As written by people. One that is E.164 already is held to more: it must have its area code.
        region: ISO 3166 code of the country, upper case; "" where only international form is readable.

    Returns:
        E.164, with `;ext=` where the number has an extension; None where it is no phone number, or may be an extension
        alone: the library makes a number of both, `47110` in Germany becomes +4947110 (observed). What is wrong with
        it, where that is the country or the length.
    """
    if _ALONE.fullmatch(number):
        return None
    number = _DECIMAL.sub(r"\1", number)
    try:
        parsed = phonenumbers.parse(number, region or None)
    except phonenumbers.NumberParseException as error:
        lost = error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE
        return _of_country(number, region) if lost else None
    if _may_be_extension(number) and not _is_whole(number, region, parsed):
        return None
    if (other := _with_plus(number, region, parsed)) is not None:
        if phonenumbers.is_valid_number(parsed):
            return None
        parsed = other
    length = phonenumbers.is_possible_number_with_reason(parsed)
    good = {phonenumbers.ValidationResult.IS_POSSIBLE}
    if not _E164.fullmatch(number):  # how it was always read
        good.add(phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY)
    if length not in good:
        return Unread.IMPOSSIBLE
    text = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return f"{text};ext={parsed.extension}" if parsed.extension else text


def _of_country(number: str, region: str) -> Unread | None:
    """What is wrong with a text that could be a number if its country were known."""
    if "+" in number:
        return Unread.UNKNOWN_CODE
    if _may_be_extension(number):
        return None
    return Unread.UNKNOWN_COUNTRY if region else Unread.NO_COUNTRY


def _may_be_extension(number: str) -> bool:
    return "+" not in number and sum(one.isdigit() for one in number) < _SHORT


def _is_whole(number: str, region: str, parsed: phonenumbers.PhoneNumber) -> bool:
    """Whether a short number is one of its region, dialled as there is dialled between towns."""
    return phonenumbers.is_valid_number(parsed) and _digits(number).startswith(_trunk(region))


def _with_plus(number: str, region: str, parsed: phonenumbers.PhoneNumber) -> phonenumbers.PhoneNumber | None:
    """The other number that it is with a `+`, which spreadsheets take away; None where it is none of its country.

    4915112345678 is a number in the German town 4915 and the mobile phone +4915112345678 (observed).
    """
    trunk, digits = _trunk(region), _digits(number)
    if "+" in number or not trunk or digits.startswith(trunk) or not digits.startswith(str(parsed.country_code)):
        return None
    found = phonenumbers.parse(f"+{digits}")
    is_other = phonenumbers.is_valid_number(found) and found.national_number != parsed.national_number
    return found if is_other else None


def _trunk(region: str) -> str:
    """What is dialled before a number between towns."""
    country = phonenumbers.PhoneMetadata.metadata_for_region(region)
    return (country.national_prefix if country is not None else None) or ""


def _digits(number: str) -> str:
    return "".join(filter(str.isdigit, number))

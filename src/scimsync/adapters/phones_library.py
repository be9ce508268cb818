"""Phone numbers as people write them, to E.164; the library is asked once for each distinct number."""

from __future__ import annotations

import re

import phonenumbers

from scimsync.model.phones import Unread

#: an extension and nothing else
_ALONE = re.compile(r"\W*(?:x|ext\w*|durchwahl|dw|poste|anexo|int|#)[\s.:=#]*[0-9]+\W*", re.IGNORECASE)
#: digits below which a number that names no country may as well be an extension
_SHORT = 7
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
    try:
        parsed = phonenumbers.parse(number, region or None)
    except phonenumbers.NumberParseException as error:
        lost = error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE
        return _of_country(number, region) if lost else None
    if _may_be_extension(number) and not _is_whole(number, region, parsed):
        return None
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
    country = phonenumbers.PhoneMetadata.metadata_for_region(region)
    trunk = (country.national_prefix if country is not None else None) or ""
    return phonenumbers.is_valid_number(parsed) and "".join(filter(str.isdigit, number)).startswith(trunk)

"""Phone numbers as people write them, to E.164; the library is asked once for each distinct number."""

from __future__ import annotations

import re

import phonenumbers

#: an extension and nothing else
_ALONE = re.compile(r"\W*(?:x|ext\w*|durchwahl|dw|poste|anexo|int|#)[\s.:=#]*[0-9]+\W*", re.IGNORECASE)
#: digits below which a number that names no country may as well be an extension
_SHORT = 7


def read_phone(number: str, region: str) -> str | None:
    """Read a number as it is dialled in a region.

    Args:
        number: As written by people.
        region: ISO 3166 code of the country, upper case; "" where only international form is readable.

    Returns:
        E.164, with `;ext=` where the number has an extension; None where it is no phone number, or may be an extension
        alone: the library makes a number of both, `47110` in Germany becomes +4947110 (observed).
    """
    if _ALONE.fullmatch(number):
        return None
    try:
        parsed = phonenumbers.parse(number, region or None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(parsed):
        return None
    if "+" not in number and sum(one.isdigit() for one in number) < _SHORT and not _is_whole(number, region, parsed):
        return None
    text = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return f"{text};ext={parsed.extension}" if parsed.extension else text


def _is_whole(number: str, region: str, parsed: phonenumbers.PhoneNumber) -> bool:
    """Whether a short number is one of its region, dialled as there is dialled between towns."""
    country = phonenumbers.PhoneMetadata.metadata_for_region(region)
    trunk = (country.national_prefix if country is not None else None) or ""
    return phonenumbers.is_valid_number(parsed) and "".join(filter(str.isdigit, number)).startswith(trunk)

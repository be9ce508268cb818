"""Phone numbers as people write them, to E.164; the library is asked once for each distinct number."""

from __future__ import annotations

import phonenumbers


def read_phone(number: str, region: str) -> str | None:
    """Read a number as it is dialled in a region.

    Args:
        number: As written by people.
        region: ISO 3166 code of the country, upper case; "" where only international form is readable.

    Returns:
        E.164, with `;ext=` where the number has an extension; None where it is no phone number.
    """
    try:
        parsed = phonenumbers.parse(number, region or None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(parsed):
        return None
    text = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return f"{text};ext={parsed.extension}" if parsed.extension else text

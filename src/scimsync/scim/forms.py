"""Forms of single values in which they are met and compared: booleans as text, phone numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping

#: the forms in which booleans are met on the wire; any other is unknown
TRUTHS: Mapping[str, bool] = {"true": True, "1": True, "false": False, "0": False}


def truth(found: object) -> bool | None:
    """A boolean, also where it travels as text or number; None where it says neither.

    Examples:
        >>> [truth(found) for found in (True, "False", 1, "0", "", None, "perhaps")]
        [True, False, True, False, None, None, None]
    """
    return TRUTHS.get(str(found).strip().lower())


def phone_form(text: str) -> str:
    """A phone number as E.164 with `;ext=`, as far as the text alone allows (RFC 3966 read loosely).

    Examples:
        >>> phone_form("tel:+1-317-555-0100;ext=42")
        '+13175550100;ext=42'
    """
    number = _SCHEME.sub("", _SEPARATORS.sub("", text.casefold()))
    return _EXTENSION.sub(r";ext=\1", number)


_EXTENSION = re.compile(r"(?:;ext=|,?ext|(?<=[0-9])x)([0-9]+)$")
_SCHEME = re.compile(r"^(?:tel:)+")
_SEPARATORS = re.compile(r"[\s().\-/]+")

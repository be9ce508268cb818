"""Why a text is no phone number that can be dialled from everywhere."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TypeAlias


class Unread(StrEnum):
    """What is wrong with a number, where more is known than that it cannot be read."""

    NO_COUNTRY = "no-country"  #: it has no country code, and no country is given
    UNKNOWN_COUNTRY = "unknown-country"  #: it has no country code, and the country that is given is none
    UNKNOWN_CODE = "unknown-code"  #: it begins with the code of no country
    IMPOSSIBLE = "impossible"  #: no number of its country is so long, or so short


#: phone library: (number as written, region or "") -> E.164; None where it is no number, or what is wrong with it
PhoneReader: TypeAlias = Callable[[str, str], str | Unread | None]

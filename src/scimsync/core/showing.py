"""What a group shows of its members, held against what we know: a list may end early, or be empty.

A list that is cut proves nothing about whoever is not in it. What then counts is our own memory: whom the directory
took from us is a member until we take them out, seen or not.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet

from scimsync.core.grouping import Left
from scimsync.model.policy import Providing, Shows

#: lengths besides multiples of ten and of twenty-five at which lists are cut
_ROUND = frozenset({16, 32, 64, 128, 256, 512, 999, 1023, 1024, 2047, 2048, 4096})
#: below so many members no list is cut
_FEW = 10


def looks_cut(shown: int) -> bool:
    """Whether a list of members has a length at which lists are cut; an empty one counts."""
    return shown == 0 or (shown >= _FEW and (shown % 10 == 0 or shown % 25 == 0 or shown in _ROUND))


def seems_hidden(shown: int, *, moved: bool, compared: bool) -> bool:
    """Whether members who were taken and are not shown seem to be in the group all the same.

    Args:
        shown: How many members it shows.
        moved: Its version moved with the write. It need not, where they were members before (RFC 7644 §3.5.2.1).
        compared: It has no version, so nothing could move.
    """
    return moved or shown == 0 or (looks_cut(shown) and (compared or shown % 100 == 0))


def is_cut(shown: int, cut: int | None) -> bool:
    """Whether a list that was found to be cut may still be.

    Args:
        shown: How many members it shows.
        cut: How many it showed when it was found to be cut; None where that is not known.
    """
    if cut is None:
        return looks_cut(shown)
    if not looks_cut(cut):  # it hides some for another reason than their number, so a number proves nothing
        return True
    return shown == cut or (shown > cut and looks_cut(shown))


def is_known_cut(shown: int, providing: Providing) -> bool:
    """Whether the dialect says that a list of such a length need not be whole."""
    if providing.shows is Shows.HIDDEN:
        return True
    return providing.shows is Shows.CAPPED and shown >= providing.cap


def has_shifted(before: AbstractSet[str], batch: Left, after: AbstractSet[str], gone: Collection[str]) -> bool:
    """Whether those who are seen no more may have made room in a list that is cut, for those who were just added."""
    came = set(batch.add) & after
    return bool(before & after) and len(gone) <= len(came) and len(after) >= len(before) and looks_cut(len(after))


def membership(resource: Mapping[str, object], group: str) -> bool | None:
    """Whether an account says that it is in a group (`groups`, RFC 7643 §4.1.2); None where it shows no groups."""
    listed = resource.get("groups")
    values = [one.get("value") for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    return group in map(str, values) if values else None

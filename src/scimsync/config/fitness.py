"""Which places of a record can be mapped. Needs nothing but the dialect, so that programs may ask, too."""

from __future__ import annotations

from scimsync.config.words import hint
from scimsync.scim.dialect import Dialect
from scimsync.scim.schema import Kind, Place


def unfit(place: Place, dialect: Dialect) -> str | None:
    """Why a place cannot be mapped: not to be written, or nothing that one value can fill; None where it can."""
    if why := dialect.refusal(place):
        return f"{place.short} cannot be mapped: {why}"
    if place.path.filter is not None and not place.selector:
        return f'{place.short}: only filters of the form [type eq "work"] can be mapped'
    if place.path.filter is not None and place.leaf is place.attribute:
        return f"{place.short}: name the part that is meant, for instance {place.short}.value"
    for name, wanted in place.selector.items():
        sub = place.attribute.sub(name)
        known = sub.canonical_values if sub else ()
        if known and str(wanted).lower() not in {word.lower() for word in known}:
            listed = f"{hint(str(wanted), known)}. It takes {', '.join(known)}"
            return f"{place.short}: {wanted} is no {name} of {place.attribute.name}{listed}"
    whole = place.attribute.type == "complex" and place.leaf is place.attribute and not place.attribute.multi_valued
    if whole or (place.kind is Kind.LIST and place.attribute.name in {"emails", "phoneNumbers"}):
        example = f'{place.short}[type eq "work"].value' if place.attribute.multi_valued else f"{place.short}.…"
        return f"{place.short}: name one part of it, for instance {example}"
    if place.attribute.multi_valued and place.path.filter is None and place.path.attribute.sub:
        return f"{place.short}: a list is mapped as a whole or by [filter], not by .{place.leaf.name}"
    return None


def is_same(left: Place, right: Place) -> bool:
    """Whether two paths name one thing: `[type eq "work"]` and `[type eq "Work"]` do."""
    same = left.root.lower() == right.root.lower() and left.leaf.name == right.leaf.name
    return same and {k: str(v).lower() for k, v in left.selector.items()} == {
        k: str(v).lower() for k, v in right.selector.items()
    }

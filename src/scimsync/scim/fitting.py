"""Values in another form than their schema gives them: read as far as they mean one thing, left out where they do not.

Met in other people's directories: e-mail addresses as plain texts, a manager as text, ids as numbers, lists in lists,
`{}` or "" where a list should be. One such account must stop nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from scimsync.scim.forms import truth
from scimsync.scim.schema import Attribute, Catalog, element_key

_NUMBERS = frozenset({"decimal", "integer"})


class Oddities(Struct):
    """The short paths of what was met in another form."""

    #: what could not be read, and counts as absent
    lost: set[str] = field(default_factory=set)
    #: what was read all the same
    read: set[str] = field(default_factory=set)


def fitted(resource: Mapping[str, object], catalog: Catalog) -> tuple[dict[str, object], Oddities]:
    """A resource in which each value has the form of its schema, and what was odd. Names are spelled as there.

    Examples:
        >>> from scimsync.scim.generic import GENERIC
        >>> found = {"id": 7, "emails": ["a@x.org"], "title": {"en": "Boss"}}
        >>> made, odd = fitted(found, GENERIC.users)
        >>> made, odd.read, odd.lost
        ({'id': '7', 'emails': [{'value': 'a@x.org'}], 'title': None}, {'emails'}, {'title'})
    """
    made, odd = dict(resource), Oddities()
    _fit_all(made, catalog.core.attributes, "", odd)
    for schema in catalog.extensions:
        held = made.get(schema.id)
        if held is None:
            continue
        short = catalog.shorten(f"{schema.id}:")
        if isinstance(held, Mapping):
            made[schema.id] = inner = dict(held)
            _fit_all(inner, schema.attributes, short, odd)
        else:
            made[schema.id] = None
            if held not in ("", []):
                odd.lost.add(short.rstrip(":"))
    return made, odd


def _fit_all(holder: dict[str, object], attributes: tuple[Attribute, ...], prefix: str, odd: Oddities) -> None:
    for attribute in attributes:
        if holder.get(attribute.name) is not None:
            form = _Form(odd, f"{prefix}{attribute.name}")
            holder[attribute.name] = form.fit(holder[attribute.name], attribute)


class _Form(Struct, frozen=True):
    odd: Oddities
    path: str

    def fit(self, found: object, attribute: Attribute) -> object:
        if attribute.multi_valued:
            return self._list(found, attribute)
        return self._one(found, attribute)

    def _list(self, found: object, attribute: Attribute) -> object:
        if not isinstance(found, list):
            if found in ("", {}):
                return None
            self.odd.read.add(self.path)
        fitted = (self._one(element, attribute) for element in self._elements(found))
        return [element for element in fitted if element is not None]

    def _elements(self, found: object) -> Iterator[object]:
        for element in found if isinstance(found, list) else [found]:
            if isinstance(element, list):
                self.odd.read.add(self.path)
                yield from self._elements(element)
            elif element is not None:
                yield element

    def _one(self, found: object, attribute: Attribute) -> object:
        if isinstance(found, list) and not attribute.multi_valued:
            if len(found) > 1:
                return self._lose()
            if not found:
                return None
            self.odd.read.add(self.path)
            return self._one(found[0], attribute)
        if attribute.sub_attributes:
            return self._complex(found, attribute)
        if isinstance(found, dict | list):
            return self._lose() if found else None
        return self._simple(found, attribute)

    def _complex(self, found: object, attribute: Attribute) -> object:
        if isinstance(found, dict):
            made = dict(found)
            for sub in attribute.sub_attributes:
                if made.get(sub.name) is not None:
                    made[sub.name] = self.fit(made[sub.name], sub)
            return made
        plain = attribute.sub("value") or attribute.sub(element_key(attribute) if attribute.multi_valued else "value")
        if found in ("", None) or plain is None or isinstance(found, bool):
            return None if found in ("", None) else self._lose()
        self.odd.read.add(self.path)
        return {plain.name: self._simple(found, plain)}

    def _simple(self, found: object, attribute: Attribute) -> object:
        """A text, number or boolean; as it came where SQL reads it, too."""
        if attribute.type in _NUMBERS:
            return found if not isinstance(found, str) or _is_number(found) else self._lose(found)
        if attribute.type == "boolean":
            return found if truth(found) is not None else self._lose(found)
        if isinstance(found, bool):
            return str(found).lower()
        return str(found) if isinstance(found, int | float) else found

    def _lose(self, found: object = None) -> object:
        """Count as absent; an empty text says nothing that could be lost."""
        if found != "":
            self.odd.lost.add(self.path)
        return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

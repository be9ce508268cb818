"""Names on the wire have no case (RFC 7643 §2.1): bring those that are known to the spelling of a catalog.

Everything that reads a resource then needs one spelling only. What is well spelled stays as it came, and
costs one search for names in its text; only an answer with an odd name is taken apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from scimsync.scim.schema import Attribute, Catalog

#: name in lower case -> the name as it should be, and what is known below it
_Names: TypeAlias = "dict[str, tuple[str, _Names]]"

_NAME = re.compile(rb'"([^"\\]+)"\s*:')
#: the same where letters may be written as numbers
_ESCAPED = re.compile(rb'"((?:[^"\\]|\\.)+)"\s*:')
#: names that are remembered as well spelled, so that a server with a name for each person fills no memory
_MOST_REMEMBERED = 10_000
_COMMON = ("value", "display", "type", "primary", "$ref")
_META = ("resourceType", "created", "lastModified", "location", "version")
_LIST = ("schemas", "totalResults", "startIndex", "itemsPerPage", "nextCursor")
#: what the documents say in which a provider describes itself (RFC 7643 §5 to §7), at whatever depth
_WORDS = (
    *("Resources", *_LIST, "id", "meta", *_META, "name", "description", "attributes", "subAttributes", "type"),
    *("multiValued", "required", "caseExact", "mutability", "returned", "uniqueness", "canonicalValues"),
    *("referenceTypes", "endpoint", "schema", "schemaExtensions", "documentationUri", "patch", "bulk", "filter"),
    *("changePassword", "sort", "etag", "authenticationSchemes", "supported", "maxResults", "maxOperations"),
    *("maxPayloadSize", "primary", "specUri", "pagination", "cursor", "index"),
)


class Spelling:
    """The names of one catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self._resource = _attributes(catalog.core.attributes)
        for schema in catalog.extensions:
            self._resource |= _named([schema.id], _attributes(schema.attributes))
        self._resource |= _named(["schemas", "id", "externalId", "displayName"], {})
        self._resource |= _named(["meta"], _named(_META, {})) | _named(["members"], _named(_COMMON, {}))
        self._listing = _named(_LIST, {}) | _named(["Resources"], self._resource)
        self._known: dict[str, set[str]] = {}
        self._learn(self._listing)
        self._fine: set[bytes] = set()

    def _learn(self, names: _Names) -> None:
        for lowered, (spelled, below) in names.items():
            self._known.setdefault(lowered, set()).add(spelled)
            self._learn(below)

    def is_odd(self, content: bytes) -> bool:
        """Whether some name in a text of JSON may be a known one in another spelling."""
        fresh = set((_ESCAPED if b"\\u" in content else _NAME).findall(content)) - self._fine
        fine = {name for name in fresh if self._is_fine(name)}
        if len(self._fine) < _MOST_REMEMBERED:
            self._fine |= fine
        return len(fine) < len(fresh)

    def _is_fine(self, name: bytes) -> bool:
        text = name.decode(errors="replace")
        known = self._known.get(text.lower())
        return "\\" not in text and (known is None or text in known)

    def resource(self, found: object) -> object:
        """A resource with its names as the catalog has them."""
        return _respelled(found, self._resource)

    def listing(self, found: object) -> object:
        """A ListResponse (RFC 7644 §3.4.2), and the resources in it."""
        return _respelled(found, self._listing)


def document(found: object) -> object:
    """What a provider says about itself (RFC 7644 §4); a bare array counts as a ListResponse."""
    return _respelled({"Resources": found} if isinstance(found, list) else found, _DOCUMENT)


def _attributes(attributes: Iterable[Attribute]) -> _Names:
    found: _Names = {}
    for attribute in attributes:
        below = _attributes(attribute.sub_attributes)
        if below:
            below = _named(_COMMON, {}) | below
        found |= _named([attribute.name], below)
    return found


def _named(names: Iterable[str], below: _Names) -> _Names:
    return {name.lower(): (name, below) for name in names}


_DOCUMENT: _Names = {}
_DOCUMENT |= _named(_WORDS, _DOCUMENT)


def _respelled(found: object, names: _Names) -> object:
    if isinstance(found, list):
        return [_respelled(element, names) for element in found]
    if not isinstance(found, Mapping) or not names:
        return found
    made: dict[str, object] = {}
    for name, held in found.items():
        spelled, below = names.get(name.lower(), (name, {}))
        if made.get(spelled) is not None and (spelled != name or held is None):
            continue  # the name as it should be stands there too, or the other one says more
        made[spelled] = _respelled(held, below)
    return made

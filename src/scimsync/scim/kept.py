"""The form in which files and tables keep a value."""

from __future__ import annotations

from collections.abc import Mapping

from scimsync.errors import ProtocolError
from scimsync.scim.grammar import Scalar
from scimsync.scim.schema import Value


def value_to_json(value: Value) -> object:
    """The form in which files and tables keep a value: a list becomes a list of objects.

    Examples:
        >>> value_to_json(((("primary", True), ("value", "a@example.com")),))
        [{'primary': True, 'value': 'a@example.com'}]
    """
    return [dict(entry) for entry in value] if isinstance(value, tuple) else value


def value_from_json(found: object) -> Value:
    """Read what `value_to_json` wrote: an equal value of the same types.

    Raises:
        ProtocolError: It wrote no such thing.
    """
    if isinstance(found, list):
        return tuple(tuple((str(name), _scalar(held)) for name, held in _object(e).items()) for e in found)
    return _scalar(found)


def _object(found: object) -> Mapping[str, object]:
    if isinstance(found, dict):
        return found
    raise ProtocolError(f"an element of a kept list is a JSON object, not {type(found).__name__}")


def _scalar(found: object) -> Scalar:
    if found is None or isinstance(found, str | bool | int | float):
        return found
    raise ProtocolError(f"a kept value is a JSON scalar or a list of objects, not {type(found).__name__}")

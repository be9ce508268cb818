"""Paths and filters of RFC 7644 §3.4.2.2 and §3.5.2 as small frozen trees.

The grammar itself is scim2-models', which also applies the errata; this module is the only one that
knows that library. It is imported on the first parse, because loading it takes longer than most commands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TypeAlias

from msgspec import Struct

from scimsync.errors import InvalidFilter, InvalidPath

Scalar: TypeAlias = str | int | float | bool | None


class AttributePath(Struct, frozen=True):
    """`urn:attribute.sub`, urn and sub-attribute optional. Names keep their spelling; they have no case."""

    urn: str | None
    attribute: str
    sub: str | None = None

    def __str__(self) -> str:
        """The path as RFC 7644 writes it."""
        head = f"{self.urn}:{self.attribute}" if self.urn else self.attribute
        return f"{head}.{self.sub}" if self.sub else head


class Comparison(Struct, frozen=True):
    """`attribute op value`; the operator in lower case."""

    attribute: AttributePath
    operator: str
    value: Scalar


class Present(Struct, frozen=True):
    """`attribute pr`."""

    attribute: AttributePath


class Logical(Struct, frozen=True):
    """Two or more terms joined by `and` or by `or`."""

    operator: str
    terms: tuple[Filter, ...]


class Not(Struct, frozen=True):
    """`not (term)`."""

    term: Filter


class ValueFilter(Struct, frozen=True):
    """`attribute[filter]` inside a filter: some element of the attribute meets the inner filter."""

    attribute: AttributePath
    inner: Filter


Filter: TypeAlias = Comparison | Present | Logical | Not | ValueFilter


class Path(Struct, frozen=True):
    """The target of a PATCH operation: an attribute, of it some elements, of them a sub-attribute."""

    attribute: AttributePath
    filter: Filter | None = None
    sub: str | None = None

    def __str__(self) -> str:
        """The path as RFC 7644 writes it."""
        if self.filter is None:
            return str(self.attribute)
        tail = f".{self.sub}" if self.sub else ""
        return f"{self.attribute}[{render_filter(self.filter)}]{tail}"


#: nearly all paths that people write: `urn:attribute.sub`, or `urn:attribute[name eq "text"].sub`
_NAME = r"\$?[A-Za-z][A-Za-z0-9_$-]*"
_PLAIN = re.compile(
    r"(?:(?P<urn>urn:[A-Za-z0-9][A-Za-z0-9-]*(?::[A-Za-z0-9][A-Za-z0-9_.-]*)+):)?"
    rf"(?P<attribute>{_NAME})"
    rf'(?:\[(?!(?i:not|and|or) )(?P<name>{_NAME}) eq "(?P<value>[^"\\\x00-\x1f]*)"\])?'
    rf"(?:\.(?P<sub>{_NAME}))?",
    re.ASCII,
)


def _plain_path(found: re.Match[str]) -> Path:
    urn, attribute, name, value, sub = found.group("urn", "attribute", "name", "value", "sub")
    if name is None:
        return Path(AttributePath(urn, attribute, sub))
    return Path(AttributePath(urn, attribute), Comparison(AttributePath(None, name), "eq", value), sub)


@lru_cache(maxsize=4096)
def parse_path(text: str) -> Path:
    """Read a PATCH path.

    Raises:
        InvalidPath: The text is not a path of RFC 7644 §3.5.2.

    Examples:
        >>> parse_path('emails[type eq "work"].value').sub
        'value'
    """
    if plain := _PLAIN.fullmatch(text):
        return _plain_path(plain)
    from scim2_models import Path as Parsed  # noqa: PLC0415 - 0.5 s of import, only for paths that are not plain
    from scim2_models.exceptions import SCIMException  # noqa: PLC0415

    try:
        tree = Parsed(text).ast
    except RecursionError:
        raise InvalidPath(text, "it is nested too deeply") from None
    except (ValueError, SCIMException) as error:
        raise InvalidPath(text, _empty_brackets(text) or _first_line(error)) from error
    if tree is None:
        raise InvalidPath(text, "it is empty")
    converted = _convert(tree)
    if isinstance(converted, AttributePath):
        return Path(converted)
    if isinstance(converted, _Selected):
        return Path(converted.attribute, converted.inner, converted.sub)
    raise InvalidPath(text, "this is a filter, not a path")


@lru_cache(maxsize=4096)
def parse_filter(text: str) -> Filter:
    """Read a filter.

    Raises:
        InvalidFilter: The text is not a filter of RFC 7644 §3.4.2.2.
    """
    from scim2_models import ScimFilter  # noqa: PLC0415 - as above
    from scim2_models.exceptions import SCIMException  # noqa: PLC0415

    try:
        tree = ScimFilter(text).ast
    except RecursionError:
        raise InvalidFilter(text, "it is nested too deeply") from None
    except (ValueError, SCIMException) as error:
        raise InvalidFilter(text, _first_line(error)) from error
    converted = _convert(tree)
    if isinstance(converted, _Selected):
        return ValueFilter(converted.attribute, converted.inner)
    if isinstance(converted, AttributePath):
        raise InvalidFilter(text, "an attribute alone is not a filter")
    return converted


class _Selected(Struct, frozen=True):
    attribute: AttributePath
    inner: Filter
    sub: str | None


def _empty_brackets(text: str) -> str:
    """What was probably meant by `groups[].value`, which is popular and no path of any RFC."""
    return f"[] holds no filter; did you mean {text.replace('[]', '')}?" if "[]" in text else ""


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else "not understood"


def _convert(tree: object) -> Filter | AttributePath | _Selected:
    from scim2_models.path import expressions as nodes  # noqa: PLC0415 - as above

    match tree:
        case nodes.AttrPath():
            return AttributePath(tree.uri, tree.attr, tree.sub_attr)
        case nodes.ValuePath():
            return _Selected(_attribute(tree.attr_path), _filter(tree.val_filter), tree.sub_attr)
        case nodes.Comparison():
            return Comparison(_attribute(tree.attr_path), tree.op.value, tree.value)
        case nodes.Present():
            return Present(_attribute(tree.attr_path))
        case nodes.LogicalExpr():
            return Logical(tree.op.value, tuple(_filter(term) for term in tree.terms))
        case nodes.Not():
            return Not(_filter(tree.expr))
    raise TypeError(type(tree).__name__)


def _attribute(tree: object) -> AttributePath:
    converted = _convert(tree)
    if isinstance(converted, AttributePath):
        return converted
    raise TypeError(type(tree).__name__)


def _filter(tree: object) -> Filter:
    converted = _convert(tree)
    if isinstance(converted, _Selected):
        return ValueFilter(converted.attribute, converted.inner)
    if isinstance(converted, AttributePath):
        raise TypeError(type(tree).__name__)
    return converted


def render_value(value: Scalar) -> str:
    """Write a comparison value as JSON, the way filters want it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(value)


def render_filter(tree: Filter) -> str:
    """Write a filter as text that `parse_filter` reads back to the same tree."""
    match tree:
        case Comparison():
            return f"{tree.attribute} {tree.operator} {render_value(tree.value)}"
        case Present():
            return f"{tree.attribute} pr"
        case Not():
            return f"not ({render_filter(tree.term)})"
        case ValueFilter():
            return f"{tree.attribute}[{render_filter(tree.inner)}]"
        case Logical():
            parts = (f"({render_filter(t)})" if isinstance(t, Logical) else render_filter(t) for t in tree.terms)
            return f" {tree.operator} ".join(parts)


def equality(tree: Filter | None) -> dict[str, Scalar] | None:
    """The `{name: value}` of a filter that is made of `eq` and `and` only; None for any other.

    Names are lower-cased. Such a filter says what a missing element would have to look like
    (`emails[type eq "work"]`), so an element can be added where the filter selects none.
    """
    match tree:
        case Comparison(attribute, "eq", value) if attribute.sub is None:
            return {attribute.attribute.lower(): value}
        case Logical("and", terms):
            merged: dict[str, Scalar] = {}
            for term in terms:
                part = equality(term)
                if part is None:
                    return None
                merged |= part
            return merged
    return None


def matches(tree: Filter, element: Mapping[str, object], *, exact: frozenset[str] = frozenset()) -> bool:
    """Whether an element (a JSON object) meets a filter; RFC 7644 §3.4.2.2.

    Args:
        tree: The filter.
        element: The object; names are looked up without case.
        exact: Lower-cased names whose text compares with case (`caseExact`).
    """
    match tree:
        case Comparison(AttributePath(_, name, None), "eq", str(wanted)) if isinstance(
            held := lookup(element, name), str
        ):
            return (
                held == wanted if name.lower() in exact else held.casefold() == wanted.casefold()
            )  # nearly all filters
        case Logical("and", terms):
            return all(matches(term, element, exact=exact) for term in terms)
        case Logical(_, terms):
            return any(matches(term, element, exact=exact) for term in terms)
        case Not(term):
            return not matches(term, element, exact=exact)
        case Present(attribute):
            return any(value not in (None, "", [], {}) for value in _values(attribute, element))
        case ValueFilter(attribute, inner):
            return any(
                isinstance(value, Mapping) and matches(inner, value, exact=exact)
                for value in _values(attribute, element)
            )
        case Comparison(attribute, operator, wanted):
            case_exact = attribute.attribute.lower() in exact
            found = [v for v in _values(attribute, element) if not isinstance(v, Mapping)]
            if operator == "ne":
                return not any(_compare(value, "eq", wanted, case_exact) for value in found)
            return any(_compare(value, operator, wanted, case_exact) for value in found or [None])


def _values(path: AttributePath, element: Mapping[str, object]) -> list[object]:
    """The values a path names, multi-valued ones spread out, complex ones read at `value`."""
    found = _spread(lookup(element, path.attribute))
    name = path.sub or "value"
    return [
        inner for value in found for inner in (_spread(lookup(value, name)) if isinstance(value, Mapping) else [value])
    ] + ([value for value in found if isinstance(value, Mapping)] if path.sub is None else [])


def _spread(value: object) -> list[object]:
    return value if isinstance(value, list) else [] if value is None else [value]


def lookup(element: Mapping[str, object], name: str) -> object:
    """Read a member of a JSON object; attribute names have no case (RFC 7643 §2.1)."""
    if name in element:
        return element[name]
    lowered = name.lower()
    return next((value for key, value in element.items() if key.lower() == lowered), None)


def _compare(value: object, operator: str, wanted: Scalar, case_exact: bool) -> bool:  # noqa: FBT001
    if isinstance(value, bool) or isinstance(wanted, bool) or value is None or wanted is None:
        return operator == "eq" and value is wanted
    if isinstance(value, str) and isinstance(wanted, str):
        left, right = (value, wanted) if case_exact else (value.casefold(), wanted.casefold())
        return _ordered(left, operator, right)
    if isinstance(value, int | float) and isinstance(wanted, int | float):
        return _ordered(value, operator, wanted)
    return False


def _ordered(left: str | float, operator: str, right: str | float) -> bool:
    match operator:
        case "eq":
            return left == right
        case "co":
            return str(right) in str(left)
        case "sw":
            return str(left).startswith(str(right))
        case "ew":
            return str(left).endswith(str(right))
        case "gt":
            return left > right  # type: ignore[operator]
        case "ge":
            return left >= right  # type: ignore[operator]
        case "lt":
            return left < right  # type: ignore[operator]
        case "le":
            return left <= right  # type: ignore[operator]
    return False

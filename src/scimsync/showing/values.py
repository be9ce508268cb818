"""Values as HTML that cannot break out of its place; the templates of a door, with those that all doors share."""

from __future__ import annotations

from importlib.resources import files

import msgspec
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from scimsync.model.durations import duration_text
from scimsync.model.outcomes import Outcome
from scimsync.model.plans import LOGIN, Delta, Reason, Verdict
from scimsync.scim.schema import Entry, Value
from scimsync.showing.words import counted


def environment(package: str) -> Environment:
    """The templates of a door, which find those beside this file, too. Every value is escaped.

    Args:
        package: Where the door has its folder `templates`.
    """
    found = Environment(
        loader=ChoiceLoader([PackageLoader(package, "templates"), PackageLoader(__package__, "templates")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "shown": shown,
        "value": shown_value,
        "became": became,
        "because": because,
        "duration": duration,
        "counted": counted,
        "json_value": json_value,
    }
    return found


def look() -> str:
    """The style sheet that every page begins with."""
    return (files(__package__) / "templates" / "look.css").read_text(encoding="utf-8")


def shown(text: str) -> Markup:
    """A text that cannot break out of its place: escaped, its direction kept inside, odd characters as codes.

    Examples:
        >>> shown("<b>")
        Markup('&lt;b&gt;')
        >>> shown("a" + chr(7) + "b")
        Markup('a<span class="ctl">U+0007</span>b')
    """
    if text.isprintable():
        return escape(text) if text.isascii() else Markup("<bdi>{}</bdi>").format(text)
    parts = (escape(c) if c.isprintable() else Markup('<span class="ctl">U+{:04X}</span>').format(ord(c)) for c in text)
    joined = Markup().join(parts)
    return joined if text.isascii() else Markup("<bdi>{}</bdi>").format(joined)


def shown_value(value: Value) -> Markup:
    """One value of an attribute."""
    if value is None or value in ("", ()):
        return Markup('<span class="none">none</span>')
    if isinstance(value, tuple):
        return Markup(", ").join(_entry(entry) for entry in value)
    return shown(value if isinstance(value, str) else _plain(value))


def json_value(value: object) -> Markup:
    """A value as a document has it, in one line."""
    if value is None or value in ("", [], {}):
        return Markup('<span class="none">none</span>')
    return shown(value if isinstance(value, str) else msgspec.json.encode(value).decode())


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


def _entry(entry: Entry) -> Markup:
    members = sorted(entry, key=lambda pair: pair[0] != "name")
    return Markup(" ").join(shown_value(value) for _, value in members if value is not None)


_BECAUSE = {Reason.PARKED: " parked, to make room", Reason.ENDED: f" {Reason.ENDED.value}"}


def became(delta: Delta, new: bool) -> Markup:  # noqa: FBT001 - a filter of the template
    """Before and after of one attribute."""
    before, after = delta.sides.current, delta.sides.desired
    if delta.verdict in {Verdict.AWAIT, Verdict.DEFER} and delta.path != LOGIN:
        return Markup("<ins>the account of {}, once it exists</ins>").format(shown(str(delta.awaits)))
    if isinstance(before, tuple) or isinstance(after, tuple):
        return _list_became(before if isinstance(before, tuple) else (), after if isinstance(after, tuple) else ())
    waits = "" if delta.awaits is None else f" once {delta.awaits} has given it up"
    waits = _BECAUSE.get(delta.reason, waits)
    if new:
        return Markup("<ins>{}</ins>{}").format(shown_value(after), waits)
    return Markup("<del>{}</del> <ins>{}</ins>{}").format(shown_value(before), shown_value(after), waits)


def _list_became(before: tuple[Entry, ...], after: tuple[Entry, ...]) -> Markup:
    old, new = set(before), set(after)
    added = [Markup('<ins class="add">{}</ins>').format(_entry(e)) for e in sorted(new - old, key=repr)]
    removed = [Markup('<del class="gone">{}</del>').format(_entry(e)) for e in sorted(old - new, key=repr)]
    return Markup(", ").join([*added, *removed])


def because(outcome: Outcome) -> Markup:
    """Why a change did not simply happen."""
    races = f"lost {counted(outcome.races, 'version race')}" if outcome.races else ""
    parts = (Markup("<code>{}</code>").format(outcome.code) if outcome.code else "", shown(outcome.detail), races)
    return Markup(" · ").join(part for part in parts if part)


def duration(seconds: float) -> str:
    """A duration, with milliseconds where it is short."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 10 else duration_text(seconds)

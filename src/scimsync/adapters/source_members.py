"""Where a value stands in a JSON document: `supervisor.id`, `emails[0].value`, `emails[type=work].value`."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from scimsync.model.records import Cell

_STEP = re.compile(
    r'(?P<dot>\.)?(?:"(?P<quoted>[^"]+)"|(?P<name>[^."\[\]]+))'
    r"|\[(?P<index>\d{1,6})\]"
    r'|\[(?P<member>[^\]=]+)=(?:"(?P<text>[^"]*)"|(?P<word>[^\]"]*))\]'
)
#: what no text of a database can hold: NUL, half a pair of surrogates
_UNFIT = re.compile("[\0\ud800-\udfff]")
_PLAIN = frozenset({str, int, float, bool, type(None)})


class _Absent:
    """There is no such member; null is another thing."""


ABSENT: Final = _Absent()


class Misfit(ValueError):
    """What stands there cannot be a cell, or a path leads through what it cannot lead through."""


class _Chosen(Struct, frozen=True):
    """The element of a list whose member says so."""

    member: str
    value: str


class Member(Struct, frozen=True):
    """A path in a JSON document. A `?` at its end says that no record need have it.

    Raises:
        ValueError: The text is no path.
    """

    text: str
    steps: tuple[str | int | _Chosen, ...]
    optional: bool = False

    @classmethod
    def of(cls, text: str) -> Member:
        """Read a path; an empty one is the document itself."""
        bare, steps, at = text.removesuffix("?"), list[str | int | _Chosen](), 0
        while at < len(bare):
            found = _STEP.match(bare, at)
            is_name = found is not None and (found["name"] or found["quoted"]) is not None
            if found is None or (is_name and bool(found["dot"]) != bool(steps)):
                raise ValueError(f"{text!r} is no path of members, as supervisor.id or emails[type=work].value")
            if found["index"] is not None:
                steps.append(int(found["index"]))
            elif found["member"] is not None:
                steps.append(_Chosen(found["member"], found["text"] or found["word"] or ""))
            else:
                steps.append(found["quoted"] or found["name"])
            at = found.end()
        return cls(text, tuple(steps), text.endswith("?"))

    def find(self, document: object) -> object:
        """What stands there; `ABSENT` where a member is missing, None where something on the way is nothing.

        Raises:
            Misfit: The path leads through a text, or through a list without saying which element.
        """
        held = document
        for step in self.steps:
            if held is None or (isinstance(held, str) and not held):
                return None
            held = _step(held, step)
            if isinstance(held, _Absent):
                return ABSENT
        return held

    def cell(self, document: object) -> Cell | _Absent:
        """What stands there, as a cell.

        Raises:
            Misfit: It is an object, a list, or a text that no database can hold.
        """
        held = self.find(document)
        if type(held) not in _PLAIN and not isinstance(held, _Absent):
            what = "an object; name one of its members" if isinstance(held, dict) else "a list; say which, as [0]"
            raise Misfit(f"holds {what}")
        if isinstance(held, str) and _UNFIT.search(held):
            raise Misfit("holds an escape \\u that is no character (NUL or half a surrogate pair)")
        return held  # type: ignore[return-value]  # its type is one of _PLAIN, or it is ABSENT


def _step(held: object, step: str | int | _Chosen) -> object:
    if isinstance(step, str):
        if isinstance(held, dict):
            return held.get(step, ABSENT)
        what = "a list; say which element, as [0]" if isinstance(held, list) else "a value without members"
        raise Misfit(f"leads to {step!r} through {what}")
    if not isinstance(held, list):
        raise Misfit("chooses an element where no list stands")
    if isinstance(step, int):
        return held[step] if step < len(held) else ABSENT
    chosen = [one for one in held if isinstance(one, dict) and str(one.get(step.member)) == step.value]
    if len(chosen) > 1:
        raise Misfit(f"chooses by {step.member} = {step.value!r}, and {len(chosen)} elements have that")
    return chosen[0] if chosen else ABSENT

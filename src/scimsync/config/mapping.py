"""[attributes] and [limits]: what is mapped where, under whose authority, and how much of it may change."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from datetime import timedelta

from scimsync.config.document import Attribute
from scimsync.config.document import Limits as Written
from scimsync.config.fitness import is_same, unfit
from scimsync.config.words import hint
from scimsync.errors import InvalidPath
from scimsync.model.plans import LOGIN
from scimsync.model.policy import OUTAGE, Authority, Limit, Limits, Mapped, counted_for_leavers
from scimsync.scim.dialect import Dialect
from scimsync.scim.schema import Place

_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1)}


class MappingReader:
    """Reads the sections whose keys are SCIM paths; the dialect says which paths there are."""

    def __init__(self, dialect: Dialect, faults: list[str]) -> None:
        self.dialect, self.faults = dialect, faults

    def place(self, where: str, path: str) -> Place | None:
        """The place that a path names; None where there is none, which is a fault."""
        try:
            return self.dialect.users.resolve(path)
        except InvalidPath as error:
            self.faults.append(f"{where} {error}")
            return None

    def attributes(
        self, written: Mapping[str, str | Attribute], authority: Authority, *, creates: bool = True
    ) -> list[Mapped]:
        """The managed attributes, each once; `creates` where accounts may be made, so that the login is needed."""
        found: dict[str, Mapped] = {}
        for path, given in written.items():
            place = self.place("[attributes]", path)
            if place is None:
                continue
            if fault := unfit(place, self.dialect):
                self.faults.append(f"[attributes] {fault}")
            elif any(is_same(place, other.place) for other in found.values()):
                self.faults.append(f"[attributes] {path} is mapped twice")
            else:
                found[place.short] = _mapped(place, given, authority)
        if creates and written and LOGIN in self.dialect.required and LOGIN not in found and LOGIN not in written:
            self.faults.append(
                f"[attributes] {LOGIN} is not mapped: nobody new could get an account. Map the login, for instance "
                f'{LOGIN} = "lower(trim(email))"; where nobody shall get one, set [limits] create = 0'
            )
        return list(found.values())

    def limits(self, written: Written, mapped: Set[str]) -> Limits:
        """All limits; those of single attributes by short path."""
        standard = Limits()
        clears = self._clears(written.clear, mapped) if isinstance(written.clear, dict) else {"default": written.clear}
        clear = clears.pop("default", str(standard.clear))
        return Limits(
            disable=_limit(written.disable, standard.disable),
            enable=_limit(written.enable, standard.enable),
            create=_limit(written.create, standard.create),
            update=_limit(written.update, standard.update),
            delete=_limit(written.delete, standard.delete),
            source_rows_drop=_limit(written.source_rows_drop, standard.source_rows_drop),
            group_loss=_limit(written.group_loss, standard.group_loss),
            group_gain=_limit(written.group_gain, standard.group_gain),
            ring_errors=_limit(written.ring_errors, standard.ring_errors),
            clear=_limit(clear, standard.clear),
            clears={path: _limit(given, standard.clear) for path, given in clears.items()},
            window=span(written.window),
            leavers_window=_leavers_window(written),
        )

    def _clears(self, written: Mapping[str, int | str], mapped: Set[str]) -> dict[str, int | str]:
        found: dict[str, int | str] = {}
        for path, given in written.items():
            place = None if path == "default" else self.place("[limits.clear]", path)
            if place is not None and place.short not in mapped:
                self.faults.append(f"[limits.clear] {path} is not mapped{hint(path, mapped)}")
            if path == "default" or place is not None:
                found[place.short if place else path] = given
        return found


def _mapped(place: Place, given: str | Attribute, authority: Authority) -> Mapped:
    if isinstance(given, str):
        return Mapped(place=place, expression=given, authority=authority)
    own = Authority(given.authority) if given.authority else authority
    return Mapped(place=place, expression=given.value, authority=own)


def _leavers_window(written: Written) -> timedelta:
    """How long leavers count."""
    if written.leavers_window is not None:
        return span(written.leavers_window)
    return counted_for_leavers(span(written.window))


def _limit(given: int | str, standard: Limit) -> Limit:
    """A number of people, or a share with the floor of the standard."""
    if isinstance(given, int):
        return Limit(count=given)
    return Limit(share=float(given.strip(" \t%")) / 100, floor=standard.floor)


def outage(given: str) -> timedelta:
    """How long a target that is down is waited for.

    Examples:
        >>> outage("stop").total_seconds(), outage("wait 30m").total_seconds(), outage("wait 2 h").total_seconds()
        (120.0, 1800.0, 7200.0)
    """
    found = re.fullmatch(r"\s*wait\s+(\d+)\s*([mh])\s*", given)
    return int(found[1]) * (timedelta(hours=1) if found[2] == "h" else timedelta(minutes=1)) if found else OUTAGE


def span(given: int | str) -> timedelta:
    """Days or hours as a length of time."""
    found = re.fullmatch(r"\s*(\d+)\s*([dh])\s*", str(given))
    return int(found[1]) * _UNITS[found[2]] if found else timedelta()

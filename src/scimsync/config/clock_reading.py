"""[[schedule]], [[blackout]] and [[alarm]]: what is written, to what the rest of the house is handed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, time
from difflib import get_close_matches
from zoneinfo import ZoneInfo, available_timezones

from scimsync.config import clockwork
from scimsync.config.addresses import is_local, webhook_fault
from scimsync.config.clockwork import DAYS, MAIL, MAIL_NEEDS
from scimsync.config.faults import Faults
from scimsync.config.mapping import span
from scimsync.config.places import Place
from scimsync.config.references import References
from scimsync.config.settings import AlarmSettings
from scimsync.config.words import hint
from scimsync.core import scheduling
from scimsync.model.alarms import AlarmKind
from scimsync.model.policy import Depth
from scimsync.model.schedules import Blackout, Schedule

_SERVER = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")
_MAILBOX = re.compile(r"[!-~]+@[A-Za-z0-9.-]+")


def zone_fault(zone: str) -> str:
    """What is wrong with a time zone, to stand behind it; "" where it is one."""
    try:
        ZoneInfo(zone)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        near = get_close_matches(zone, available_timezones(), n=1, cutoff=0.6)
        return "is no time zone" + (f"; did you mean {near[0]}?" if near else "; write one as Europe/Berlin or UTC")
    return ""


def schedules(written: Sequence[clockwork.Schedule], zone: str, told: Faults) -> tuple[Schedule, ...]:
    """When runs are wanted.

    Args:
        written: The sections.
        zone: The time zone of those that name none.
        told: Takes what is wrong.
    """
    for number, given in enumerate(written, 1):
        where, place = f"[[schedule]] {number}", ("schedule", number - 1)
        _check_name("schedule", number, [one.name for one in written], told)
        fault = scheduling.fault(given.cron) if given.cron and (*place, "cron") not in told.places else ""
        if fault:
            shown = '; write for instance "30 2 * * *", each night at half past two'
            told.tell((*place, "cron"), f"{where} cron = {given.cron!r}: {fault}{shown}")
        _check_zone(where, place, given.zone, told)
    return tuple(
        Schedule(
            name=given.name,
            cron=given.cron,
            zone=given.zone or zone,
            depth=Depth(given.depth) if given.depth else None,
            longest=span(given.longest),
            applies_approved=given.applies_approved,
        )
        for given in written
    )


def blackouts(written: Sequence[clockwork.Blackout], zone: str, told: Faults) -> tuple[Blackout, ...]:
    """When runs may take access away, and do nothing else; the arguments as of `schedules`."""
    found = []
    for number, given in enumerate(written, 1):
        where, place = f"[[blackout]] {number}", ("blackout", number - 1)
        _check_name("blackout", number, [one.name for one in written], told)
        _check_zone(where, place, given.zone, told)
        days, dates = set[int](), set[date]()
        for word in given.days:
            if word.lower() in DAYS:
                days.add(DAYS.index(word.lower()))
            else:
                told.tell(
                    (*place, "days"), f"{where} days: {word!r} is none of {', '.join(DAYS)}{hint(word[:3], DAYS)}"
                )
        for word in given.dates:
            try:
                dates.add(date.fromisoformat(word))
            except ValueError:
                told.tell((*place, "dates"), f"{where} dates: {word!r} is no day; write for instance 2026-12-24")
        if not given.days and not given.dates:
            days = set(range(7))
        sound = not {(*place, key) for key in ("start", "end")} & told.places
        found.append(
            Blackout(
                name=given.name,
                days=frozenset(days),
                dates=frozenset(dates),
                start=time.fromisoformat(given.start) if sound else time(),
                end=time.fromisoformat(given.end) if sound else time(),
                zone=given.zone or zone,
            )
        )
    return tuple(found)


def alarms(
    written: Sequence[clockwork.Alarm], told: Faults, references: References, *, secrets: bool
) -> tuple[AlarmSettings, ...]:
    """Where people are told what is wrong.

    Args:
        written: The sections.
        told: Takes what is wrong.
        references: Follows references to secrets.
        secrets: Whether they are needed.
    """
    found: list[AlarmSettings] = []
    for number, given in enumerate(written, 1):
        where, place = f"[[alarm]] {number}", ("alarm", number - 1)
        if (*place, "kind") not in told.places:
            _check_kind(where, place, given, told)
        host, port = _server(where, place, given, told)
        _check_mailboxes(where, place, given, told)
        url = references.resolve(f"{where} url", given.url) if secrets and given.url else ""
        if url and (fault := _url_fault(given, url)):
            told.tell((*place, "url"), f"{where} url {fault}")
        made = AlarmSettings(
            number=number,
            kind=given.kind,
            written="|".join([given.kind, given.url, given.server, *sorted(given.to)]),
            url=url,
            host=host,
            port=port,
            tls=given.tls,
            username=references.resolve(f"{where} username", given.username) if secrets and given.username else "",
            password=references.resolve(f"{where} password", given.password) if secrets and given.password else "",
            sender=given.sender,
            to=tuple(given.to),
            about=_about(where, place, given, told),
            silence=span(given.silence),
            allow_private=given.allow_private,
        )
        if any(made.name == other.name for other in found):
            told.tell((*place, "kind"), f"{where} is the same as another; join what they are about in one")
        found.append(made)
    return tuple(found)


def _check_name(section: str, number: int, names: Sequence[str], told: Faults) -> None:
    """Tell of a name that one before it has."""
    name = names[number - 1]
    if name and name in names[: number - 1]:
        other = next(f"{name}-{n}" for n in range(2, len(names) + 2) if f"{name}-{n}" not in names)
        said = f"[[{section}]] {number} name = {name!r}: [[{section}]] {names.index(name) + 1} has it; write {other!r}"
        told.tell((section, number - 1, "name"), said)


def _check_zone(where: str, place: Place, zone: str, told: Faults) -> None:
    if zone and (fault := zone_fault(zone)):
        told.tell((*place, "zone"), f"{where} zone = {zone!r} {fault}")


def _check_kind(where: str, place: Place, given: clockwork.Alarm, told: Faults) -> None:
    """Tell of keys that do not fit the kind, and of those that it needs."""
    mail = given.kind == "mail"
    for key in ("url",) if mail else MAIL:
        if getattr(given, key):
            told.tell((*place, key), f"{where} {key} does not fit kind = {given.kind!r}; take it away")
    for key in MAIL_NEEDS if mail else ("url",):
        if not getattr(given, key) and (*place, key) not in told.places:
            told.tell((*place, key), f'{where} {key} is missing: kind = "{given.kind}" needs it')


def _server(where: str, place: Place, given: clockwork.Alarm, told: Faults) -> tuple[str, int]:
    """Host and port of the mail server."""
    standard = 465 if given.tls == "implicit" else 587
    if given.kind != "mail" or not given.server:
        return "", standard
    found = _SERVER.fullmatch(given.server)
    port = int(found.group(2) or standard) if found else 0
    if found is None or not 0 < port < 65536:
        told.tell((*place, "server"), f"{where} server is no host and port; write for instance smtp.example.com:587")
        return "", standard
    host = found.group(1).strip("[]")
    if given.tls == "off" and not is_local(f"http://{found.group(1)}"):
        told.tell((*place, "tls"), f'{where} tls = "off" goes to a server of this machine only; write "starttls"')
    return host, port


def _check_mailboxes(where: str, place: Place, given: clockwork.Alarm, told: Faults) -> None:
    for key, mailboxes in (("sender", [given.sender] if given.sender else []), ("to", given.to)):
        for mailbox in mailboxes:
            if not _MAILBOX.fullmatch(mailbox):
                told.tell((*place, key), f"{where} {key}: {mailbox!r} is no mail address; write oncall@example.com")


def _url_fault(given: clockwork.Alarm, url: str) -> str:
    """Why nothing can be sent there, to stand behind its name; the address is a secret."""
    if given.kind == "apprise":
        return "" if "://" in url else "is no address of Apprise: it begins as mailto:// does"
    return webhook_fault(url, private=given.allow_private)


def _about(where: str, place: Place, given: clockwork.Alarm, told: Faults) -> frozenset[AlarmKind]:
    known = {kind.value: kind for kind in AlarmKind}
    for word in given.about:
        if word not in known:
            told.tell((*place, "about"), f"{where} about: {word!r} is none of {', '.join(known)}{hint(word, known)}")
    return frozenset(known[word] for word in given.about if word in known)

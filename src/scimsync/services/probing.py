"""Find out by experiment how a provider behaves, and write its dialect."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from scimsync import bootstrap_probing
from scimsync.config import Settings, TargetSettings, bare_target, load
from scimsync.core import first_mapping as mapping
from scimsync.core.probing_bodies import PREFIX, login_of
from scimsync.core.probing_dangers import Danger, dangers
from scimsync.engine import probing, probing_groups, probing_writing
from scimsync.errors import ConfigError
from scimsync.model.probing import Findings, Found, Probed
from scimsync.scim.dialect import Dialect
from scimsync.scim.dialect_entries import ENTRIES
from scimsync.scim.dialect_file import write_dialect
from scimsync.scim.generic import GENERIC
from scimsync.scim.grounds import observed

__all__ = [
    "Danger", "Probed", "Subject", "dangers", "dialect_text", "first_mapping", "generic_value", "in_order", "moved",
    "plan_of", "probe", "subject", "token", "untried",
]  # fmt: skip

#: requests that a probe sends at most: one that reads, and one that writes
READS, WRITES = 120, 500
#: where notes lie, beside the configuration
_FOLDER = ".scimsync"


class Subject(Struct, frozen=True):
    """Who is probed, with what, and where it is noted what is made."""

    target: TargetSettings
    folder: Path
    settings: Settings | None = None


def subject(url: str, token: str, config: Path | None) -> Subject:
    """Who is probed: an address and a token, or the target of a configuration.

    Args:
        url: The SCIM base, or a host below which it is; "" for that of the configuration.
        token: A reference to a token: env:NAME or file:PATH.
        config: The configuration, where no address is given.

    Raises:
        ConfigError: Neither or both are given, or one of them is wrong.
    """
    if bool(url) == (config is not None):
        raise ConfigError("probe: give either an address, or --config FILE")
    if config is not None:
        settings = load(config, secrets=frozenset({"target"}))
        return Subject(settings.target, config.absolute().parent / _FOLDER, settings)
    return Subject(bare_target(url, token), Path.cwd() / _FOLDER)


def plan_of(first: str) -> str:
    """What a probe that writes will make, for the question whether it may."""
    return (
        f"account {login_of(first)}, which is changed, made inactive and deleted; up to {_MOST_MORE} more of such a "
        f"name, one after the other, each deleted at once; and where groups are served, two groups {PREFIX}..., "
        "with that account as their only member. Nobody else is written."
    )


_MOST_MORE = 20


async def probe(
    subject: Subject, *, writes: bool, say: Callable[[str], None] = lambda _: None, first: str = ""
) -> Probed:
    """Probe a provider.

    Args:
        subject: Who.
        writes: Whether an account may be made.
        say: Told what happens meanwhile.
        first: The first unguessable text, where it was told before.

    Raises:
        TargetError: It cannot be read, or went away.
        StoreError: It cannot be noted what is made.
    """
    texts = iter([first] if first else [])
    findings, cap = Findings(), WRITES if writes else READS
    async with bootstrap_probing.open_laboratory(subject.target, subject.folder, cap, say) as (lab, provider):
        stopped = await probing.probe(lab, findings, lambda: next(texts, "") or token(), writes=writes)
        return Probed(
            at=lab.clock.now(),
            url=provider.url,
            findings=findings,
            left=tuple(lab.left),
            cleaned=tuple(lab.cleaned),
            requests=provider.requests,
            cap=cap,
            wrote=writes,
            stopped=stopped,
        )


def token() -> str:
    """A text that nobody guesses."""
    return secrets.token_hex(8)


def dialect_text(probed: Probed, name: str, title: str = "") -> str:
    """The dialect file of what was found, each entry with its evidence."""
    day = f"{probed.at:%Y-%m-%d}"
    entries = {
        found.entry: (found.value, observed(f"{day}: {found.evidence}"))
        for found in probed.findings.found.values()
        if found.value is not None
    }
    return write_dialect(entries, name=name, title=title)


def first_mapping(probed: Probed) -> tuple[str, str]:
    """The paths by which accounts are found, and the lines of `[attributes]`, for the columns of the sample source."""
    return json.dumps(mapping.match(mapping.mapped(probed))), "\n".join(mapping.mapping_lines(probed))


async def moved(settings: Settings) -> tuple[str, ...]:
    """What a running target shows otherwise than its dialect says; by the few requests that tell most.

    Raises:
        TargetError: It cannot be read at all.
    """
    findings, folder = Findings(), settings.file.parent / _FOLDER
    async with bootstrap_probing.open_laboratory(settings.target, folder, READS, lambda _: None) as (lab, _):
        await probing.measure(lab, findings)
    return tuple(_differences(findings, settings.target.dialect))


def _differences(findings: Findings, dialect: Dialect) -> Iterator[str]:
    by_name = {entry.name: entry for entry in ENTRIES}
    for found in findings.found.values():
        entry = by_name.get(found.entry)
        if entry is None or found.value is None:
            continue
        says = entry.written(getattr(dialect, entry.field))
        if not _agrees(found, says):
            seen = f"the target shows {_word(found.value)} ({found.evidence})"
            yield f"{found.entry}: the dialect says {_word(says)}, {seen}"


def _agrees(found: Found, says: object) -> bool:
    """Whether what was seen is what a dialect says, or as good."""
    match found.entry:
        case "paging.largest":  # a larger one is no trouble
            return isinstance(found.value, int) and isinstance(says, int) and found.value >= says
        case "versions.shown":
            return found.value == says
        case "filters.attributes":
            wanted = {"userName"} if says is None else {"userName"} & set(says if isinstance(says, list) else [])
            return wanted <= set(found.value if isinstance(found.value, list) else [])
    return found.value == says


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def in_order(entries: Iterable[str]) -> list[str]:
    """Entries in the order of a dialect file."""
    there = set(entries)
    return [entry.name for entry in ENTRIES if entry.name in there]


def untried(probed: Probed) -> list[str]:
    """The entries that only a probe that writes finds out, where this one did not."""
    known = {*probed.findings.found, *probed.findings.unknown}
    return in_order({*probing_writing.TRIED, *probing_groups.TRIED} - known)


def generic_value(entry: str) -> object:
    """What `generic` says of an entry, as a file has it."""
    found = next((one for one in ENTRIES if one.name == entry), None)
    return found.written(getattr(GENERIC, found.field)) if found is not None else None

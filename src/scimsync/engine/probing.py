"""Find out by experiment how a provider behaves: read first, then write to what was made for it, then remove that."""

from __future__ import annotations

from collections.abc import Callable

from scimsync.core.probing_bodies import NOBODY, WAYS
from scimsync.engine.laboratory import CapReached, Laboratory, NotOurs
from scimsync.engine.probing_attributes import Attributes
from scimsync.engine.probing_endings import Ending
from scimsync.engine.probing_groups import Grouping
from scimsync.engine.probing_reading import Reading
from scimsync.engine.probing_writing import Writing
from scimsync.model.probing import Findings, Found


async def probe(lab: Laboratory, findings: Findings, draw: Callable[[], str], *, writes: bool) -> str:
    """Every experiment, and nothing left behind; why it ended early, or "".

    Args:
        lab: Asks, and looks after what is made.
        findings: Take what is found.
        draw: Gives a text that nobody guesses.
        writes: Whether an account may be made.

    Raises:
        TargetError: The provider cannot be read at all, or went away.
    """
    try:
        await lab.clean()
        reading = Reading(lab, findings, nobody=NOBODY)
        await reading.all()
        if writes:
            await _write(lab, findings, reading, draw)
        _announced(lab, findings)
    except (CapReached, NotOurs) as error:
        return str(error)
    finally:
        await lab.close()
    return ""


async def measure(lab: Laboratory, findings: Findings) -> None:
    """The reading experiments that cost few requests, for a look at whether something moved.

    Raises:
        TargetError: The provider cannot be read at all.
    """
    reading = Reading(lab, findings, nobody=NOBODY)
    await reading.base()
    await reading.attributes()
    await reading.largest_page()
    await reading.first_page()
    await reading.versions()
    await reading.filters(["userName"])


async def _write(lab: Laboratory, findings: Findings, reading: Reading, draw: Callable[[], str]) -> None:
    writing = Writing(lab, findings, reading, draw)
    mine = await writing.all()
    if mine is None:
        return
    attributes, ending = Attributes(writing), Ending(writing)
    await attributes.all(mine)
    await writing.twice(mine)
    await Grouping(lab, findings, writing.way or WAYS[0], draw).all(mine)
    await ending.disable(mine)
    await ending.end(mine)
    if findings.value("accounts.deleted") != "refused":
        await attributes.made_with()
    else:
        attributes.tell()


def _announced(lab: Laboratory, findings: Findings) -> None:
    entry = "service.requests_per_minute"
    if (rate := lab.provider.announced) is not None:
        findings.take(Found(entry=entry, value=rate, evidence=f"headers of the answers -> {rate} a minute"))
    findings.lack("no answer announces a limit", entry)

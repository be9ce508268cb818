"""Remove from the state what retention no longer keeps. Nothing that is needed, and never the audit chain.

First the store forgets the names of the files, then they go. Whatever is cut off in between leaves files that nobody
names; the next time they go too. So a state works at any point.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from msgspec import Struct

from scimsync.bootstrap import now, open_store
from scimsync.config import Settings
from scimsync.core import retention
from scimsync.engine.freshness import LONGEST_RUN
from scimsync.engine.ports import Store
from scimsync.errors import StoreDamaged, StoreError
from scimsync.model.outcomes import Run
from scimsync.services.state import held

#: the files that a run leaves among the artifacts
_LEFT = re.compile(r"(plan|agreed|members|groups|delivered|base-\d{8})-(?P<run>.+)\.(ndjson|parquet|json)")
#: the layers of the directory as it was read last
_MIRRORED = re.compile(r"mirror-\d{8}\.parquet")
#: a file that no run names may be that of a plan which is being made; after so long it is not
_MAKING = timedelta(days=1)


class Collected(Struct, frozen=True, kw_only=True):
    """What is gone, or would go."""

    #: ids of runs that are known by their numbers alone from now on
    runs: tuple[str, ...]
    #: name of each file -> its bytes
    files: Mapping[str, int]
    #: lines of the journal
    lines: int

    @property
    def size(self) -> int:
        """The bytes of the files."""
        return sum(self.files.values())


class Sizes(Struct, frozen=True):
    """How many bytes the state takes."""

    store: int
    artifacts: int
    files: int


def collect(settings: Settings, *, dry: bool) -> Collected:
    """Remove what retention no longer keeps; with `dry` only say what that is.

    Raises:
        StoreLocked: Somebody is at work.
        StoreDamaged: A file that is needed is missing or cannot be read; then nothing is removed.
        StoreError: The state cannot be used, or a file cannot be removed.
    """
    with open_store(settings) if dry else held(settings) as store:
        return _collect(settings, store, dry=dry)


def sizes(store: Store) -> Sizes:
    """How many bytes the state takes, in the store and as files."""
    found = dict(_files(_folder(store)))
    return Sizes(store.size(), sum(size for size, _ in found.values()), len(found))


def size_text(size: int) -> str:
    """A number of bytes for people.

    Examples:
        >>> size_text(12), size_text(3_456), size_text(7_890_123_456)
        ('12 bytes', '3.5 kB', '7.9 GB')
    """
    for power, unit in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB")):
        if size >= 1000**power:
            return f"{size / 1000**power:.1f} {unit}"
    return f"{size} bytes"


def _collect(settings: Settings, store: Store, *, dry: bool) -> Collected:
    at, runs = now(), store.runs(2**31 - 1)
    waiting = {one for source in {run.source for run in runs} for one in store.frozen(source).values()}
    kept = retention.kept(runs, settings.state.keep, at, waiting)
    over = [run for run in runs if run.id not in kept]
    alive = _alive(store, [run for run in runs if run.id in kept])
    # plans ask the journal what was written since values were last read, however few runs are kept
    asked = at - settings.target.recall - LONGEST_RUN
    silent = [run.id for run in over if retention.touched(run) < asked]
    named = [run.id for run in over if run.plan or run.agreed or run.base]
    if dry:
        lines = store.journalled(silent)
    else:
        store.forget_files(named)
        lines = store.forget_journal(silent)
    gone = dict(_removable(store, alive, kept, at))
    for name in () if dry else gone:
        _remove(store.artifact(name))
    if not dry:
        store.unbind(gone)
    return Collected(runs=tuple(named), files=gone, lines=lines)


def _alive(store: Store, kept: Iterable[Run]) -> frozenset[str]:
    """The names of the files that kept runs stand on, and the mirror of the directory.

    Raises:
        StoreDamaged: The newest base, or a layer that is there, cannot be read.
    """
    from scimsync.workbench import layers, mirror  # noqa: PLC0415 - loads DuckDB
    from scimsync.workbench.bench import Workbench  # noqa: PLC0415

    last = store.last_applied()
    newest = last.base if last is not None else ""
    found = {run.plan for run in kept}
    tops = {top for run in kept for top in (run.agreed, run.base) if top}
    with Workbench(_folder(store)) as bench:
        for top in tops:
            path = store.artifact(top)
            if top == newest or path.exists():
                found |= {*layers.needed(bench, path)}
        seen = mirror.seen_in(store.artifact(mirror.MIRROR))
        if seen is None:  # nobody can say which are needed
            return frozenset({*found, *filter(_MIRRORED.fullmatch, _files(_folder(store)))})
        with suppress(StoreDamaged):  # the next plan reads everybody anew
            found |= {*layers.needed(bench, store.artifact(seen.top))}
    return frozenset(found)


def _removable(store: Store, alive: frozenset[str], kept: frozenset[str], at: datetime) -> Iterator[tuple[str, int]]:
    """Name and bytes of the files that nothing stands on."""
    for name, (size, changed) in sorted(_files(_folder(store)).items()):
        found = _LEFT.fullmatch(name)
        if name in alive or changed > (at - _MAKING).timestamp():
            continue
        if found is None and not _MIRRORED.fullmatch(name):
            continue
        if found is not None and found["run"] in kept and not name.startswith(("agreed-", "base-")):
            continue  # the memberships of a kept run
        yield name, size


def _folder(store: Store) -> Path:
    return store.artifact("plan").parent


def _files(folder: Path) -> Mapping[str, tuple[int, float]]:
    """Name of each file -> its bytes, and when it was written."""
    found = {}
    for path in folder.iterdir():
        try:
            status = path.lstat()
        except FileNotFoundError:  # of a run that came to its end
            continue
        if path.is_file() and not path.is_symlink():
            found[path.name] = (status.st_size, status.st_mtime)
    return found


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{path} cannot be removed: {error.strerror}. What was removed before is gone.") from error

"""Go on with a state that is not the one that was left, or whose agreed values are gone."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from scimsync.bootstrap import actor, now
from scimsync.config import Settings
from scimsync.engine import binding, preceding
from scimsync.engine.ports import Store
from scimsync.engine.state import Artifacts
from scimsync.model.audit import Kind
from scimsync.model.outcomes import RunState
from scimsync.services import continuity
from scimsync.services.auditing import note, sign


class Renewed(Struct, frozen=True, kw_only=True):
    """What became of a state."""

    #: why it was not the one that was left; none where nothing told of it
    breaks: tuple[str, ...]
    #: the run that was cut short, and is closed now; "" for none
    closed: str
    #: whether something was agreed, that is no more
    forgot: bool


def renew(settings: Settings, store: Store, reason: str, notice: Callable[[str], None]) -> Renewed:
    """Go on with a state as it is: forget what was agreed, record that, and sign the chain as it is now.

    Links, journal, decisions and the audit chain stay. The caller holds the lease.

    Raises:
        ConfigError: There is no key to sign with.
    """
    found = continuity.breaks(settings, store)
    run = preceding.unfinished(store)
    if run is not None:
        store.save_run(replace(run, state=RunState.PARTIAL, finished=now()))
    last = store.last_applied()
    if last is not None:
        from scimsync.workbench.agreed import write_nothing  # noqa: PLC0415 - loads DuckDB

        name = f"base-{_number(store) + 1:08d}-{last.id}.parquet"
        write_nothing(store.artifact(name))
        binding.bind(store, name)
        store.save_run(replace(last if run is None or run.id != last.id else store.run(last.id) or last, base=name))
    at = now()
    store.accept_lost_keys(at, actor())
    note(settings, store, Kind.RENEWAL, action="renewed", reason=reason, detail="; ".join(found))
    sign(settings, store, notice)
    return Renewed(breaks=tuple(found), closed=run.id if run is not None else "", forgot=last is not None)


def _number(store: Artifacts) -> int:
    """The largest number of a base that is there."""
    names = (path.name for path in store.artifact("base").parent.glob("base-*-*.parquet"))
    return max((int(name.split("-")[1]) for name in names if name.split("-")[1].isdigit()), default=0)

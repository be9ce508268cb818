"""The directory as it was read last, kept from plan to plan.

Each account is remembered with the fingerprint of the text in which it was listed. An account that is listed in the
same text again is not decoded: its values are taken from here. Fingerprints are XXH3 with 64 bits, seeded with what was
asked for and how it is read, so that a text that was listed for another question, or would be read otherwise now, is
none that is known. That two different texts of a directory of a million people have one fingerprint happens once in
some 10^13 accounts that change.

What a run wrote is laid over it, so that it tells, without any request, how the directory must be by now.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import _duckdb as duckdb  # the compiled half alone: the other half takes longer to load than a plan to compute
import msgspec
from xxhash import xxh3_64_intdigest

from scimsync import files
from scimsync.core.lifecycle import ACTIVE
from scimsync.errors import StoreDamaged
from scimsync.model.outcomes import Outcome, Status
from scimsync.model.plans import LOGIN
from scimsync.model.policy import Mapped
from scimsync.workbench.bench import Workbench, encode, quoted, text
from scimsync.workbench.layers import Layers, write_snapshot
from scimsync.workbench.values import text_of

#: name of the artifact that says which file holds the directory, and when it was read
MIRROR = "mirror-1.json"
_WHAT = "the mirror of the directory"
_GOOD = frozenset({Status.DONE, Status.ALREADY})
#: what every account has beside its values
_OWN = (
    "id VARCHAR",
    "user_name VARCHAR",
    "is_active BOOLEAN",
    "version VARCHAR",
    "h UBIGINT",
    "seat BIGINT",
    "read_at TIMESTAMP",
)


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """When the directory was read, and where that is kept."""

    #: the name of the directory
    target: str
    #: the file of the uppermost layer
    top: str
    #: when everybody was listed, with whatever was asked for
    listed: datetime
    #: when everybody was listed with all that is mapped, but for what may be recalled
    whole: datetime
    #: when everybody was read with all that was mapped, nothing of it recalled: so fresh is every row at least
    read: datetime | None = None
    #: what was mapped then; the layers have columns of what was mapped before, too, and nothing in them
    paths: tuple[str, ...] = ()


def seen_in(path: Path) -> Seen | None:
    """What the artifact says; None where there is none, or it cannot be read."""
    with suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(path.read_bytes(), type=Seen)
    return None


class Mirror:
    """What earlier plans read of the directory.

    Args:
        bench: The tables of the run.
        path: The artifact; there may be none.
        attributes: The mapping, in the order of the columns.
        target: The name of the directory; what is kept of another is nothing.
    """

    def __init__(self, bench: Workbench, path: Path, attributes: Sequence[Mapped], target: str) -> None:
        self._bench, self._path, self._attributes, self._target = bench, path, attributes, target
        self._seed = 0
        #: the fingerprints of the accounts, in order, and which of them were met
        self._known, self._met = array("Q"), bytearray()
        #: when it was read; None where nothing is remembered
        self.seen: Seen | None = None
        self._layers: Layers | None = None
        seen = seen_in(path)
        with suppress(StoreDamaged):  # it only spares work
            if seen is not None and seen.target == target:
                self._layers = Layers(bench, path.with_name(seen.top), key="id", what=_WHAT)
                self.seen = seen

    @property
    def rows(self) -> str:
        """The SQL of its rows: `id`, `user_name`, `is_active`, `version`, `h`, `seat`, `read_at`, a column a path."""
        if self._layers is not None:
            return self._layers.rows()
        return f"(SELECT {', '.join(f'NULL::{kind} AS {name}' for name, kind in map(str.split, _OWN))} WHERE false)"

    def knows(self, path: str) -> bool:
        """Whether the values of a path are remembered."""
        mapped = self.seen.paths if self.seen is not None else ()
        return self._layers is not None and path in mapped and path in self._layers.columns

    @contextmanager
    def readable(self) -> Iterator[None]:
        """Say of what goes wrong in a block that reads the rows what to do.

        Raises:
            StoreDamaged: They cannot be read.
        """
        try:
            yield
        except (duckdb.OutOfMemoryException, duckdb.InterruptException):
            raise
        except duckdb.Error as error:
            raise StoreDamaged(
                f"state: what was kept of the directory cannot be read. Remove {self._path.name} from the artifacts "
                "folder; the next plan then reads everybody anew."
            ) from error

    @property
    def accounts(self) -> str:
        """The SQL of its rows in the form of table `accounts`; what is not remembered of a path is NULL."""
        values = [
            f"{quoted(m.path) if self.knows(m.path) else 'NULL::VARCHAR'} AS c{i}"
            for i, m in enumerate(self._attributes)
        ]
        return f"SELECT {', '.join(['id, user_name, is_active AS active, version', *values])} FROM {self.rows}"

    # --- what is listed as it was -----------------------------------------------------------

    def expect(self, asked: Iterable[str], form: str) -> None:
        """Be ready for a listing.

        Args:
            asked: What is asked for.
            form: How an account of it is read.
        """
        self._seed = xxh3_64_intdigest("\n".join([*sorted(asked), form]).encode())
        if self._layers is not None:
            query = f"SELECT h FROM {self.rows} WHERE h IS NOT NULL ORDER BY h"
            with self.readable():
                self._known.extend(h for (h,) in self._bench.rows(query) if isinstance(h, int))
        self._met = bytearray(len(self._known))

    def unknown(self, resources: Iterable[bytes]) -> list[tuple[int, bytes]]:
        """The accounts that are not listed as they were, each with its fingerprint; of the others that is noted."""
        seed, known, met, last = self._seed, self._known, self._met, len(self._known)
        left = []
        for resource in resources:
            found = xxh3_64_intdigest(resource, seed)
            place = bisect_left(known, found)
            if place < last and known[place] == found:
                met[place] = 1
            else:
                left.append((found or 1, resource))
        return left

    def met(self) -> str:
        """The SQL of the accounts that were listed as they were, in the form of table `accounts`; "" for nobody."""
        if not any(self._met):
            return ""
        missed = [h for h, met in zip(self._known, self._met, strict=True) if not met]
        self._bench.sql.execute("CREATE OR REPLACE TABLE not_met AS SELECT unnest(?::UBIGINT[]) AS h", [missed])
        return f"{self.accounts} ANTI JOIN not_met USING (h) WHERE h IS NOT NULL"

    # --- what is kept -----------------------------------------------------------------------

    def save(self, now: datetime, *, whole: bool, recalled: bool, unsure: Sequence[str] = ()) -> None:
        """Keep for the next plan what `accounts` holds now, of everybody who is there.

        Wants `decoded` (id, version, h), who was listed in a text that was not known, and `renewed`, who was read
        again. The mark of an account goes where the reading by id showed another version than the listing.

        Args:
            now: The time of this reading.
            whole: Whether everybody was listed with all that is mapped, but for what may be recalled.
            recalled: Whether some values are of an earlier reading, but of those in table `renewed`.
            unsure: Ids of accounts of which the listing may not show what is known of them: they get no mark.
        """
        sql, moment = self._bench.sql, f"{text(naive(now).isoformat())}::TIMESTAMP"
        sql.execute("CREATE OR REPLACE TABLE unsure_ids AS SELECT unnest(?::VARCHAR[]) AS id", [[*unsure]])
        values = ", ".join(f"a.c{i} AS {quoted(m.path)}" for i, m in enumerate(self._attributes))
        again = "a.id IN (SELECT id FROM renewed)"
        changed = f"d.id IS NOT NULL OR {again} OR a.id IN (SELECT id FROM unsure_ids)"
        sql.execute(
            "CREATE OR REPLACE TABLE mirrored AS SELECT a.id, a.user_name, a.active AS is_active, a.version, "
            f"CASE WHEN a.id IN (SELECT id FROM unsure_ids) OR ({again} AND (a.version = '' OR "
            "coalesce(d.version, m.version) IS DISTINCT FROM a.version)) THEN NULL ELSE coalesce(d.h, m.h) END AS h, "
            "coalesce(m.seat, d.rowid) AS seat, "
            f"CASE WHEN {again if recalled else 'true'} THEN {moment} WHEN m.version = a.version THEN m.read_at END "
            f"AS read_at, {values} FROM accounts a LEFT JOIN decoded d ON d.id = a.id "
            f"LEFT JOIN (SELECT id, version, h, seat, read_at FROM {self.rows}) m ON m.id = a.id WHERE {changed}"
        )
        sql.execute(
            f"CREATE OR REPLACE TABLE unmirrored AS SELECT id FROM {self.rows} "
            "WHERE id NOT IN (SELECT id FROM accounts)"
        )
        seen = self.seen
        self._write(
            Seen(
                target=self._target,
                top="",
                listed=now,
                whole=now if whole or seen is None else seen.whole,
                read=seen.read if recalled and seen is not None else now,
                paths=tuple(m.path for m in self._attributes),
            )
        )

    def learn(self, outcomes: Iterable[Outcome], ended: Iterable[str] = ()) -> None:
        """Lay over it what a run wrote; nothing is known of how the directory will list that.

        Whoever was edited by somebody else meanwhile, or is in trouble, has no version from then on, so that a write
        reads them first.

        Args:
            outcomes: What came of its changes.
            ended: The ids of the accounts that it deleted.
        """
        if self.seen is None or self._layers is None:
            return
        own = {name for name, _ in map(str.split, _OWN)}
        columns = [name for name in self._layers.columns if name not in own]
        found: dict[str, tuple[str, dict[str, str]]] = {}
        for outcome in outcomes:
            if outcome.account and outcome.written:
                known, written = found.get(outcome.account, (outcome.version, {}))
                written |= {path: text_of(value) for path, value in outcome.written.items()}
                is_sure = bool(known) and not outcome.races and outcome.status in _GOOD
                found[outcome.account] = (outcome.version if is_sure else "", written)
        fields = ", ".join(f"{quoted(path)} VARCHAR" for path in dict.fromkeys([*columns, LOGIN, ACTIVE]))
        with self._bench.spooled("learnt") as (path, file):
            file.write(b"{}\n")
            for account, (version, written) in found.items():
                file.write(encode({"id": account, "version": version, "written": written}) + b"\n")
            file.flush()
            self._bench.sql.execute(
                "CREATE OR REPLACE TABLE learnt AS SELECT * FROM "
                f"read_ndjson({text(str(path))}, columns = {{id: 'VARCHAR', version: 'VARCHAR', "
                f"written: 'STRUCT({fields})'}}, maximum_object_size = 67108864) WHERE id IS NOT NULL"
            )
        values = "".join(
            f", nullif(coalesce(w.written.{quoted(path)}, m.{quoted(path)}), '') AS {quoted(path)}" for path in columns
        )
        self._bench.sql.execute(
            f"CREATE OR REPLACE TABLE mirrored AS SELECT w.id, coalesce(nullif(w.written.{quoted(LOGIN)}, ''), "
            f"m.user_name) AS user_name, CASE w.written.{quoted(ACTIVE)} WHEN 'true' THEN true WHEN 'false' THEN false "
            "ELSE m.is_active END AS is_active, w.version, NULL::UBIGINT AS h, m.seat, m.read_at"
            f"{values} FROM learnt w LEFT JOIN {self._layers.rows('id IN (SELECT id FROM learnt)')} m ON m.id = w.id"
        )
        self._bench.sql.execute("CREATE OR REPLACE TABLE unmirrored AS SELECT unnest(?::VARCHAR[]) AS id", [[*ended]])
        self._bench.sql.execute("DELETE FROM mirrored WHERE id IN (SELECT id FROM unmirrored)")
        self._write(self.seen)

    def _write(self, seen: Seen) -> None:
        """Write tables `mirrored` and `unmirrored` above what is there, and say so."""
        changes = self._bench.number("SELECT (SELECT count(*) FROM mirrored) + (SELECT count(*) FROM unmirrored)")
        if self._layers is None:
            top = self._path.with_name("mirror-00000001.parquet")
            write_snapshot(self._bench, top, "mirrored", key="id")
        elif changes:
            top = self._path.with_name(f"mirror-{int(self._layers.path.name[7:15]) + 1:08d}.parquet")
            self._layers.write(top, "mirrored", gone="unmirrored")
        else:
            top = self._layers.path
        former = self._layers.stack if self._layers is not None else ()
        self._layers = Layers(self._bench, top, key="id", what=_WHAT)
        self.seen = msgspec.structs.replace(seen, top=top.name)
        files.write(self._path, [msgspec.json.encode(self.seen)])
        # whoever reads without a lease may still be at what was the newest
        kept = {layer.name for layer in (*former, *self._layers.stack)}
        for file in top.parent.glob("mirror-*.parquet"):
            if file.name not in kept:
                file.unlink(missing_ok=True)


def forget(path: Path) -> None:
    """Remove what is remembered of the directory; the next plan reads everybody."""
    path.unlink(missing_ok=True)
    for file in path.parent.glob("mirror-*.parquet"):
        file.unlink(missing_ok=True)


def naive(moment: datetime) -> datetime:
    """A moment as a TIMESTAMP without zone, which is UTC."""
    return moment.astimezone(UTC).replace(tzinfo=None)

"""What is written of a base is what changed, and says the same as if everybody were written anew, on any day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace
from tests.laws import whole_base
from tests.laws.days import Organisation
from tests.soak import WHOLE, examples

from scimsync.engine import planning, settling
from scimsync.model.outcomes import LinkDecision
from scimsync.model.policy import Policy, Rekey
from scimsync.scim.schema import Value
from scimsync.workbench import agreed
from scimsync.workbench.bench import Workbench
from scimsync.workbench.comparing import Comparison
from scimsync.workbench.layers import GONE, Layers

Triples = Sequence[tuple[str, str, Value]]


def rows(bench: Workbench, source: str, wishes: bool = False) -> dict[str, dict[str, Any]]:
    cursor = bench.sql.execute(f"SELECT * FROM {source}")
    names = [str(column[0]) for column in cursor.description or ()]
    found: dict[str, dict[str, Any]] = {}
    for row in cursor.fetchall():
        held = dict(zip(names, row, strict=True))
        key = held.pop("key")
        assert key not in found
        left = "scimsync_gone" if wishes else "scimsync_wish "
        found[key] = {name: value for name, value in held.items() if value is not None and not name.startswith(left)}
    return found


class Twins:
    """Writes whatever is agreed in both ways, and compares."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700)
        self.written = self.everybody = 0

    def twin(self, path: Path) -> Path:
        folder = path.parent / "whole"
        folder.mkdir(exist_ok=True)
        return folder / path.name

    def compare(self, bench: Workbench, path: Path, whole: Path) -> None:
        expected = rows(bench, f"read_parquet('{whole}')")
        assert rows(bench, Layers(bench, path).rows()) == expected
        self.everybody += len(expected)

    def write_agreed(
        self, comparison: Comparison, path: Path, settled: Triples, former: Path | None = None, last: Triples = (),
        changing: Sequence[str] = (),
    ) -> bool:  # fmt: skip
        bench, whole = comparison.bench, self.twin(path)
        wrote = agreed.write_agreed(comparison, path, settled, former, last, changing)
        whole_base.write_agreed(comparison, whole, settled, self.twin(former) if former else None, last)
        assert wrote or former
        self.compare(bench, path if wrote else former or path, whole)
        if wrote:
            self.written += len(rows(bench, f"read_parquet('{path}')"))
            wishes = rows(bench, f"read_parquet('{whole}')", wishes=True)
            for key, held in rows(bench, f"(SELECT * FROM read_parquet('{path}'))", wishes=True).items():
                mine = {name: value for name, value in held.items() if name.startswith("scimsync_wish ")}
                theirs = {name: v for name, v in wishes.get(key, {}).items() if name.startswith("scimsync_wish ")}
                assert mine == theirs or key not in changing
        return wrote

    def lay_outcomes(
        self, bench: Workbench, agreed_: Path, values: Iterator[tuple[str, str, Value]], accounts: Mapping[str, str],
        base: Path, former: Path | None = None,
    ) -> None:  # fmt: skip
        found = list(values)
        agreed.lay_outcomes(bench, agreed_, found, accounts, base, former)
        whole_base.lay_outcomes(bench, self.last_whole(agreed_, former), found, accounts, self.twin(base))
        self.compare(bench, base, self.twin(base))
        self.written += len(rows(bench, f"read_parquet('{base}')"))

    def last_whole(self, agreed_: Path, former: Path | None) -> Path:
        """The file of everybody that was written for a plan; where it said nothing new, the base before."""
        return self.twin(agreed_)


@pytest.fixture
def twins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Twins:
    found = Twins(tmp_path / "artifacts")
    monkeypatch.setattr(planning, "write_agreed", found.write_agreed)
    monkeypatch.setattr(settling, "lay_outcomes", found.lay_outcomes)
    return found


def mapped_otherwise(policy: Policy, rng: Random) -> Policy:
    """A mapping that lost some of its lines, or has them again."""
    lost = rng.sample(["title", "enterprise:department", "genesys:routingSkills", "enterprise:dateHire"], 2)
    kept = tuple(m for m in policy.attributes if m.place.short not in lost)
    return replace(policy, attributes=kept)


class Moody(Organisation):
    """An organisation whose mapping changes now and then."""

    @property
    def policy(self) -> Policy:
        whole = replace(super().policy, rekey=Rekey.FOLLOW)
        return mapped_otherwise(whole, Random(self.day // 3)) if self.day // 3 % 2 else whole


@pytest.mark.parametrize("seed", range(examples(3, 1)))
def test_what_changed_says_the_same_as_everybody_written_anew(seed: int, twins: Twins) -> None:
    org = Moody(twins.folder, 9000 + seed, range(300, 330))
    rng = Random(seed)
    for _ in range(8 if WHOLE else 7):  # until the mapping is whole again
        org.run()
        org.night()
        org.directory.holders = None
        known = sorted(link.key for link in org.store.links())
        for key, other in (rng.sample(known, 2), rng.sample(known, 2)):
            account, same = org.links().get(other, ""), rng.random() < 0.7
            given = LinkDecision(key=key if same else other, account=account, same=same, actor="a", source="")
            org.store.decide_link(given)
        org.plan(replace(org.policy, groups=None), tuple(rng.sample(known, 5)))
        org.directory.holders = None
    assert twins.written < twins.everybody
    assert GONE


def test_a_day_on_which_nothing_happens_leaves_the_base_and_writes_no_file_of_people(twins: Twins) -> None:
    org = Organisation(twins.folder, 1, range(400, 403))
    org.directory.harm = 0.0
    org.run()
    for _ in range(4):
        org.run()
    before = {path.name for path in twins.folder.glob("*.parquet")}
    left = org.store.last_applied()
    day = org.run()
    after = org.store.last_applied()
    assert not day.plan.changes
    assert {path.name for path in twins.folder.glob("*.parquet")} == before
    assert left is not None
    assert after is not None
    assert (after.id, after.base) == (day.plan.id, left.base)

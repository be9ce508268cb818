"""The workbench keeps its tables in memory, what is beyond the limit in a folder of its own, and leaves nothing."""

from __future__ import annotations

import stat
from pathlib import Path

from scimsync.workbench.bench import Workbench

#: about 130 MB of texts that do not shrink
_MANY = "SELECT i, md5(i::VARCHAR) || md5((i + 1)::VARCHAR) AS v FROM range(1600000) r(i)"


def test_what_is_beyond_the_limit_goes_to_a_private_folder_and_comes_back(tmp_path: Path) -> None:
    sums = "SELECT sum(hash(v) % 1000003) FROM"
    with Workbench(tmp_path, memory_limit="60MB") as bench:
        bench.sql.execute(f"CREATE TABLE many AS {_MANY}")
        (folder,) = tmp_path.glob("workbench-*")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert sum(file.stat().st_size for file in (folder / "scratch").iterdir()) > 20_000_000
        assert bench.number(f"{sums} many") == bench.number(f"{sums} ({_MANY})")
    assert list(tmp_path.iterdir()) == []


def test_a_workbench_that_fits_writes_nothing_but_its_spool(tmp_path: Path) -> None:
    with Workbench(tmp_path) as bench:
        bench.sql.execute("CREATE TABLE few AS SELECT i FROM range(1000) r(i)")
        (folder,) = tmp_path.glob("workbench-*")
        assert [path.name for path in folder.rglob("*") if path.is_file()] == []
        assert bench.number("SELECT count(*) FROM few") == 1000

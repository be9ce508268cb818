"""Memory that the system holds us to, and what a command leaves for others."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import _duckdb as duckdb
import pytest
from tests.servers import Provider, firm

from scimsync import bounds, files
from scimsync.cli import hardening
from scimsync.errors import ConfigError, SourceError, StoreError
from scimsync.workbench.bench import Workbench

LINUX = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not say what is taken")

EATS = """
import tempfile
from pathlib import Path
from scimsync import bounds
from scimsync.workbench.bench import Workbench
bounds.arm()
bounds.BESIDE = 300 << 20
with tempfile.TemporaryDirectory() as folder, Workbench(Path(folder), memory_limit="50MB") as bench:
    for work in (lambda: bench.sql.execute("SELECT length(repeat('x', 900000000))").fetchone(),
                 lambda: len(bytearray(900000000))):
        try:
            print(work())
        except Exception as error:
            print(type(error).__name__)
    print(bench.number("SELECT 1"))
"""


@LINUX
def test_what_is_evaluated_and_read_is_bounded() -> None:
    said = subprocess.run([sys.executable, "-c", EATS], capture_output=True, text=True, timeout=100, check=False)
    assert said.stdout.split() == ["OutOfMemoryException", "MemoryError", "1"], said.stderr


@LINUX
def test_a_program_that_uses_the_library_is_left_alone(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with Workbench(tmp_path):
        assert resource.getrlimit(resource.RLIMIT_DATA) == before


@LINUX
def test_the_bound_ends_with_the_work_and_a_narrower_one_of_somebody_else_stays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bounds, "_armed", [True])
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with Workbench(tmp_path), Workbench(tmp_path):
        inside = resource.getrlimit(resource.RLIMIT_DATA)
        assert inside[0] != resource.RLIM_INFINITY
        with bounds.within("100GB"):
            assert resource.getrlimit(resource.RLIMIT_DATA) == inside
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_too_little_memory_is_a_sentence() -> None:
    for error in (MemoryError(), duckdb.OutOfMemoryException("x")):
        found = hardening.told(error)
        assert isinstance(found, ConfigError)
        assert "[state] memory" in str(found)
    assert hardening.told(ValueError()) is None
    assert isinstance(hardening.told(SourceError("x")), SourceError)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "x", "/data/plan"), "/data/plan: the disk is full. Make room"),
        (OSError(errno.EDQUOT, "x"), "the quota of this user is used up"),
        (OSError(errno.EIO, "x"), "the disk reports an error"),
        (OSError(errno.EMFILE, "x", "/data"), "/data: this process may open no more files (ulimit -n)"),
        (OSError(errno.EROFS, "x"), "the file system is read-only"),
        (OSError(errno.EFBIG, "x"), "a file would be larger than is allowed here"),
        (duckdb.IOException("IO Error: Could not write file: No space left on device"), "the disk is full"),
        (duckdb.OutOfMemoryException("failed to offload data block of size 256.0 KiB"), "the disk is full"),
    ],
)
def test_trouble_of_the_disk_is_one_sentence_by_whatever_name_it_comes(error: Exception, words: str) -> None:
    found = hardening.told(error)
    assert isinstance(found, StoreError)
    assert words in str(found)
    assert "\n" not in str(found)


@pytest.mark.parametrize("kilobytes", [1, 20, 150, 400])
def test_a_disk_that_is_full_at_any_size_stops_a_run_in_a_sentence_and_the_next_goes_on(
    tmp_path: Path, kilobytes: int
) -> None:
    with firm(tmp_path, Provider()) as home:
        home.hr(*({"id": number, "title": "x" * 60} for number in range(60)))
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes << 10, before[1]))
        raised: Exception | None = None
        try:
            home.sync()
        except Exception as error:  # noqa: BLE001 - whatever it is must be known
            raised = error
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert raised is None or isinstance(hardening.told(raised), StoreError), repr(raised)
        home.sync()
        logins = [user["userName"] for user in home.provider.users.values()]
        assert (len(logins), len(set(logins))) == (60, 60)


def test_a_sync_of_the_disk_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write(tmp_path / "plan", [b"before"])
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "Input/output error")))
    with pytest.raises(OSError, match="Input/output"):
        files.write(tmp_path / "plan", [b"after"])
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("plan", b"before")]


def test_a_command_writes_no_core_and_no_keys_of_its_connections() -> None:
    code = (
        "import os, resource, ssl; from scimsync.cli.hardening import harden; harden();"
        "print(resource.getrlimit(resource.RLIMIT_CORE), ssl.create_default_context().keylog_filename)"
    )
    environ = {**os.environ, "SSLKEYLOGFILE": "/nowhere/keys"}
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environ, check=True)
    assert said.stdout.strip() == "(0, 0) None"

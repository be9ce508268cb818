"""What a stranger installs: the wheel and the sdist hold everything, are the same bytes each time, and work alone.

Here the wheel is put into an empty environment that finds the libraries of this one. `tools/installed` installs it as
a stranger would, with pip and every library anew, on each Python that it finds; `make soak` plays that.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from scimsync.cli.demonstrating import LEAST

ROOT = Path(__file__).parents[2]
WHEEL, SDIST = "scimsync-*.whl", "scimsync-*.tar.gz"


def build(tree: Path, to: Path, *, umask: int = 0o022) -> Path:
    """Build both in a folder, under a mask and a clock of its own."""
    environ = {name: value for name, value in os.environ.items() if name not in {"SOURCE_DATE_EPOCH", "PYTHONPATH"}}
    words = [sys.executable, "-m", "hatchling", "build", "-d", str(to)]
    subprocess.run(words, cwd=tree, env={**environ, "TZ": "Asia/Tokyo"}, check=True, capture_output=True, umask=umask)
    return to


def the(folder: Path, pattern: str) -> Path:
    [found] = folder.glob(pattern)
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("dist"))


def unpacked(built: Path, to: Path) -> Path:
    with tarfile.open(the(built, SDIST)) as archive:
        archive.extractall(to, filter="data")
    [tree] = to.iterdir()
    return tree


def test_the_wheel_and_the_sdist_hold_every_file_of_the_package(built: Path, tmp_path: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "src/scimsync"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    wanted = {name for name in listed if (ROOT / name).is_file()}
    assert any(name.endswith(".toml") for name in wanted)
    with zipfile.ZipFile(the(built, WHEEL)) as wheel:
        held = {f"src/{name}" for name in wheel.namelist()}
        licences = {name.rpartition("licenses/")[2] for name in wheel.namelist() if ".dist-info/licenses/" in name}
    tree = unpacked(built, tmp_path)
    assert wanted - held == set()
    assert {name for name in wanted if not (tree / name).is_file()} == set()
    vendored = {name for name in wanted if name.endswith(".LICENSE")}
    assert len(vendored) == 2
    assert {"LICENSE", *vendored} == licences


def test_two_builds_give_the_same_bytes_and_so_does_one_from_the_sdist(built: Path, tmp_path: Path) -> None:
    again = build(unpacked(built, tmp_path / "tree"), tmp_path / "dist", umask=0o077)
    assert the(again, WHEEL).read_bytes() == the(built, WHEEL).read_bytes()
    assert the(again, SDIST).read_bytes() == the(built, SDIST).read_bytes()


def test_from_the_wheel_alone_with_an_empty_home_the_demo_works(built: Path, tmp_path: Path) -> None:
    room, home = tmp_path / "room", tmp_path / "home"
    home.mkdir()
    venv.create(room, with_pip=False, symlinks=True)
    there = Path(sysconfig.get_path("purelib", "venv", vars={"base": str(room)}))
    (there / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")  # and none of its own .pth: no checkout
    words = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([sys.executable, *words, f"--prefix={room}", "--ignore-installed", the(built, WHEEL)], check=True)
    assert (room / "share/man/man1/scimsync.1").is_file()
    environ = {"HOME": str(home), "PATH": "/nowhere", "LANG": "C.UTF-8"}
    where = [room / "bin/python", "-c", "import scimsync; print(scimsync.__file__)"]
    told = subprocess.run(where, cwd=home, env=environ, capture_output=True, text=True, check=True).stdout
    assert told.startswith(str(room))
    played = subprocess.run(
        [room / "bin/scimsync", "demo", "--users", str(LEAST)],
        cwd=home,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert played.returncode == 0, played.stderr
    assert "33 changes" in played.stdout
    assert [*home.iterdir()] == []

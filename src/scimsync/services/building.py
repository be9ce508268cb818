"""Which build this is: its bytes, its Python, its libraries, the states that it knows."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Mapping
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, distribution, version
from importlib.resources import files
from pathlib import Path

from msgspec import Struct

from scimsync import bootstrap
from scimsync.config import glance


class Build(Struct, frozen=True, kw_only=True):
    """What a person who helps wants to know first."""

    version: str
    #: over the name and the content of each file of the package: the same wherever the same release is
    build: str
    python: str
    system: str
    #: library -> version, of the core and of extras that are installed
    libraries: Mapping[str, str]
    #: the revision of states that this version makes
    knows: str
    #: the revision of the state that the configuration names; "" where it is not there, or cannot be read
    holds: str


def build(config: Path) -> Build:
    """What runs here."""
    return Build(
        version=version("scimsync"),
        build=digest(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        system=f"{platform.system()} {platform.machine()}, {sys.byteorder} endian",
        libraries=_libraries(),
        knows=bootstrap.newest_revision(),
        holds=next(iter(bootstrap.glance(glance(config).state, "revision")), ""),
    )


def digest() -> str:
    """Over the name and the content of each file of the package: the same wherever the same release is."""
    root = Path(str(files("scimsync")))
    found = sha256()
    for file in sorted(each for each in root.rglob("*") if each.is_file() and "__pycache__" not in each.parts):
        found.update(f"{file.relative_to(root).as_posix()}\0".encode() + sha256(file.read_bytes()).digest())
    return found.hexdigest()


def _libraries() -> dict[str, str]:
    """Those that we ask for, where they are installed."""
    found = {}
    for wanted in distribution("scimsync").requires or ():
        _, _, when = wanted.partition(";")
        name = re.split(r"[^A-Za-z0-9._-]", wanted)[0]
        if re.search(r"extra == .dev.", when):
            continue
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return dict(sorted(found.items()))

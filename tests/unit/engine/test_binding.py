"""A file beside the store is what was written, or nothing where nothing was."""

from __future__ import annotations

from pathlib import Path

import pytest

from scimsync.engine import binding
from scimsync.errors import StoreDamaged
from scimsync.testing import MemoryStore


def test_a_file_is_proven_with_all_that_it_rests_on(tmp_path: Path) -> None:
    store = MemoryStore(tmp_path / "artifacts")
    for name, under in (("base-1", []), ("base-2", ["base-1", "base-2"])):
        store.artifact(name).write_bytes(name.encode())
        binding.bind(store, name, under)
    assert binding.proven(store, "base-2") == store.artifact("base-2")
    store.artifact("base-1").write_bytes(b"other!")
    with pytest.raises(StoreDamaged, match="base-1 is not the file that was written"):
        binding.proven(store, "base-2")
    store.artifact("base-1").unlink()
    with pytest.raises(StoreDamaged, match=r"base-1 is missing.*scimsync state renew"):
        binding.proven(store, "base-2")


def test_where_nothing_was_written_nothing_is_taken(tmp_path: Path) -> None:
    store = MemoryStore(tmp_path / "artifacts")
    binding.bind(store, "members-1")
    assert not binding.proven(store, "members-1").exists()
    store.artifact("members-1").write_bytes(b"[]")
    with pytest.raises(StoreDamaged, match="was put there by somebody else"):
        binding.proven(store, "members-1")


def test_a_file_of_an_earlier_release_is_known_by_its_name_alone(tmp_path: Path) -> None:
    store = MemoryStore(tmp_path / "artifacts")
    store.artifact("base-1").write_bytes(b"base")
    assert binding.proven(store, "base-1").read_bytes() == b"base"

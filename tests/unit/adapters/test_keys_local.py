"""The key that signs checkpoints is private, whole, and never overwritten."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
from tests.foreign import foreign

from scimsync.adapters.keys_local import FileKey, RingKey
from scimsync.errors import ConfigError

SEED = bytes(range(32))


def test_a_key_comes_back_from_a_file_that_nobody_else_may_read(tmp_path: Path) -> None:
    key = FileKey(tmp_path / "key")
    assert key.read() is None
    key.write(SEED)
    assert key.read() == SEED
    assert key.path.stat().st_mode & 0o777 == 0o600


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    FileKey(tmp_path / "key").write(SEED)
    with pytest.raises(ConfigError, match="not overwritten"):
        FileKey(tmp_path / "key").write(bytes(32))


@pytest.mark.parametrize("held", [b"", b"!!", b"AAAA", b"\xff\xfe"])
def test_what_is_no_key_is_refused_without_being_shown(tmp_path: Path, held: bytes) -> None:
    path = tmp_path / "key"
    path.touch(0o600)
    path.write_bytes(held)
    with pytest.raises(ConfigError, match="holds no key"):
        FileKey(path).read()


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    key = FileKey(tmp_path / "key")
    key.write(SEED)
    key.path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        key.read()


def test_a_key_of_another_user_is_refused(tmp_path: Path) -> None:
    key = FileKey(tmp_path / "key")
    key.write(SEED)
    with foreign(key.path), pytest.raises(ConfigError, match="belongs to user"):
        key.read()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    FileKey(tmp_path / "key").write(SEED)
    (tmp_path / "link").symlink_to(tmp_path / "key")
    with pytest.raises(ConfigError, match="cannot be read"):
        FileKey(tmp_path / "link").read()


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        FileKey(tmp_path / "none" / "key").write(SEED)


class Ring(types.ModuleType):
    """A keyring, or one that cannot be reached."""

    class errors:  # noqa: N801 - as the library names it
        class KeyringError(Exception):
            pass

    def __init__(self, *, works: bool) -> None:
        super().__init__("keyring")
        self.works, self.held = works, dict[tuple[str, str], str]()

    def get_password(self, service: str, name: str) -> str | None:
        if not self.works:
            raise self.errors.KeyringError
        return self.held.get((service, name))

    def set_password(self, service: str, name: str, text: str) -> None:
        self.held[service, name] = text


def test_a_key_comes_back_from_the_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", Ring(works=True))
    key = RingKey("prod")
    assert key.read() is None
    key.write(SEED)
    assert key.read() == SEED


def test_a_keyring_that_cannot_be_reached_says_what_to_do_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", Ring(works=False))
    with pytest.raises(ConfigError, match="file:audit-key"):
        RingKey("prod").read()


def test_without_the_package_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigError, match=r"scimsync\[keyring\]"):
        RingKey("prod").read()

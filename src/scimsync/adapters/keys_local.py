"""The key that signs checkpoints: in a file of this machine, or in the keyring of the operating system."""

from __future__ import annotations

import base64
import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct

from scimsync import files
from scimsync.errors import ConfigError

_SEED = 32
_SERVICE = "scimsync"
_HINT = "Make it with: scimsync audit key"


class FileKey(Struct, frozen=True):
    """A key in a file of mode 0600: base64 of its 32 bytes."""

    path: Path

    def read(self) -> bytes | None:
        """The key; None where there is no such file.

        Raises:
            ConfigError: Others may read it or could have written it, or it is no key.
        """
        try:
            return _seed(files.read_secret(self.path, follow=False), str(self.path))
        except FileNotFoundError:
            return None
        except files.Foreign as error:
            raise ConfigError(f"[audit] key: {self.path}: {error.strerror}. {error.cure}") from error
        except OSError as error:
            raise ConfigError(f"[audit] key: {self.path} cannot be read ({error.strerror}). {_HINT}") from error

    def write(self, seed: bytes) -> None:
        """Make the file; one that is there stays.

        Raises:
            ConfigError: It is there already, or cannot be made.
        """
        try:
            with files.create(self.path) as file:
                file.write(base64.b64encode(seed) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except FileExistsError as error:
            raise ConfigError(f"[audit] key: {self.path} is there already, and is not overwritten.") from error
        except OSError as error:
            raise ConfigError(f"[audit] key: {self.path} cannot be written ({error.strerror}).") from error

    def __str__(self) -> str:
        """Where it is."""
        return str(self.path)


class RingKey(Struct, frozen=True):
    """A key in the keyring of the operating system, under the service `scimsync`."""

    name: str

    def read(self) -> bytes | None:
        """The key; None where there is none of that name.

        Raises:
            ConfigError: There is no keyring, or what it holds is no key.
        """
        found = self._ask(lambda ring: ring.get_password(_SERVICE, self.name))
        return None if found is None else _seed(str(found).encode(), str(self))

    def write(self, seed: bytes) -> None:
        """Put the key into the keyring.

        Raises:
            ConfigError: There is no keyring.
        """
        text = base64.b64encode(seed).decode()
        self._ask(lambda ring: ring.set_password(_SERVICE, self.name, text))

    def _ask(self, question: Callable[[Any], object]) -> object:
        try:
            ring = importlib.import_module("keyring")
        except ImportError as error:
            raise ConfigError("[audit] key: the keyring needs a package: pip install 'scimsync[keyring]'") from error
        try:
            return question(ring)
        except ring.errors.KeyringError as error:
            raise ConfigError(
                f"[audit] key: {self} cannot be reached ({type(error).__name__}); a machine without a desktop often "
                'has no keyring. Keep the key in a file: key = "file:audit-key"'
            ) from error

    def __str__(self) -> str:
        """Where it is."""
        return f"the keyring, as {self.name}"


def _seed(found: bytes, where: str) -> bytes:
    try:
        seed = base64.b64decode(found.strip(), validate=True)
    except ValueError:
        seed = b""
    if len(seed) != _SEED:
        raise ConfigError(f"[audit] key: {where} holds no key that scimsync made. Move it away. {_HINT}")
    return seed

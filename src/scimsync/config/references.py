"""What the file refers to: environment variables, secret files, and paths beside it. Values are told to nobody."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

from scimsync import files


class References(Struct, frozen=True):
    """Follows the references of one file, and collects those that lead nowhere."""

    file: Path
    faults: list[str]

    def resolve(self, where: str, written: str) -> str:
        """What `env:NAME` or `file:PATH` refers to, or the text itself; "" where it leads nowhere."""
        kind, _, name = written.partition(":")
        if kind == "env":
            value = os.environ.get(name, "")
            if not value:
                self.faults.append(
                    f"{where} refers to the environment variable {name}, which is not set. export {name}=..."
                )
            return value
        return self._secret(where, self.beside(name)) if kind == "file" else written

    def _secret(self, where: str, path: Path) -> str:
        try:
            return files.read_secret(path).decode().strip()
        except files.Foreign as error:
            self.faults.append(f"{where}: {path}: {error.strerror}. {error.cure}")
        except (OSError, UnicodeDecodeError) as error:
            self.faults.append(f"{where}: {path} cannot be read ({error.__class__.__name__})")
        return ""

    def beside(self, name: str) -> Path:
        """A path, taken from the folder of the file where it is relative."""
        return (self.file.parent / Path(name).expanduser()).absolute()

    def database(self, url: str) -> str:
        """A URL; a relative SQLite path is taken from the folder of the file."""
        for prefix in ("sqlite:///", "sqlite+pysqlite:///"):
            name = url.removeprefix(prefix)
            if name != url and name and not name.startswith(("/", ":memory:", "file:")):
                return f"{prefix}{self.beside(name)}"
        return url

"""What the file refers to: environment variables, secret files, and paths beside it. Values are told to nobody."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from msgspec import Struct

from scimsync import files

#: seconds that a program may take to print a secret
_PATIENCE_S = 30


class References(Struct, frozen=True):
    """Follows the references of one file, and collects those that lead nowhere."""

    file: Path
    faults: list[str]

    def resolve(self, where: str, written: str) -> str:
        """What a reference leads to, or the text itself; "" where it leads nowhere.

        `env:NAME` is a variable, `file:PATH` a file, `credential:NAME` a credential that systemd hands over, and
        `exec:COMMAND` what a program prints. All are looked up anew each time.
        """
        kind, _, name = written.partition(":")
        if kind == "env":
            value = os.environ.get(name, "")
            if not value:
                self.faults.append(
                    f"{where} refers to the environment variable {name}, which is not set. export {name}=..."
                )
            return value
        if kind == "credential":
            return self._credential(where, name)
        if kind == "exec":
            return self._printed(where, name)
        return self._secret(where, self.beside(name)) if kind == "file" else written

    def _credential(self, where: str, name: str) -> str:
        """What systemd hands over under a name (LoadCredential= and others); it guards the folder itself."""
        folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
        if not folder or name in {"", ".", ".."} or "/" in name:
            self.faults.append(
                f"{where}: there is no credential {name!r}: systemd hands credentials to units that have "
                "LoadCredential= or SetCredentialEncrypted= alone"
                if not folder
                else f"{where}: {name!r} cannot be the name of a credential"
            )
            return ""
        try:
            found = (Path(folder) / name).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            self.faults.append(f"{where}: the credential {name} cannot be read ({error.__class__.__name__})")
            return ""
        if not found:
            self.faults.append(f"{where}: the credential {name} is empty")
        return found

    def _printed(self, where: str, command: str) -> str:
        """What a program prints, without a shell; neither that nor what it complains about is ever repeated."""
        try:
            words = shlex.split(command)
            program = words[0]
        except (ValueError, IndexError):
            self.faults.append(f"{where}: exec: {'holds an open quote' if command else 'names no program'}")
            return ""
        try:
            done = subprocess.run(  # noqa: S603 - no shell; whoever writes the configuration may run programs
                words,
                cwd=self.file.absolute().parent,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_PATIENCE_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            self.faults.append(f"{where}: {program} gave no secret within {_PATIENCE_S} seconds")
            return ""
        except OSError as error:
            self.faults.append(f"{where}: {program} cannot be run ({error.strerror})")
            return ""
        text = done.stdout.decode(errors="replace").strip()
        if done.returncode or not text:
            why = f"ended with {done.returncode}" if done.returncode else "printed nothing"
            self.faults.append(f"{where}: {program} {why}. Try it by hand, as the user that runs scimsync.")
            return ""
        return text

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

"""What a probe notes of what it makes, as a small file of ours. Fits `scimsync.engine.laboratory.Notes`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from scimsync import files
from scimsync.errors import StoreError
from scimsync.model.probing import Made


class _Note(msgspec.Struct, kw_only=True):
    endpoint: str
    name: str
    noted_at: datetime
    identity: str = ""


_NOTES = msgspec.json.Decoder(list[_Note])


class ProbeNotes:
    """The notes of the probes of one provider: `probe-<digest of its address>.json`, mode 0600.

    Args:
        folder: Where they lie; it is made with the first note.
        url: The provider.
    """

    def __init__(self, folder: Path, url: str) -> None:
        digest = hashlib.sha256(url.rstrip("/").lower().encode()).hexdigest()[:16]
        self.path = folder / f"probe-{digest}.json"

    @property
    def where(self) -> str:
        """Where they are, for people."""
        return str(self.path)

    def read(self) -> Sequence[Made]:
        """Whatever an earlier probe noted.

        Raises:
            StoreError: The notes cannot be read, or are not ours.
        """
        try:
            found = _NOTES.decode(files.read_secret(self.path, follow=False))
        except FileNotFoundError:
            return ()
        except files.Foreign as error:
            raise StoreError(f"{self.path}: {error.strerror}. {error.cure}") from error
        except (OSError, msgspec.DecodeError) as error:
            raise StoreError(
                f"{self.path}: the notes of an earlier probe cannot be read ({error.__class__.__name__}). "
                "Look for accounts named scimsync-probe-... in the target, remove them, then remove this file."
            ) from error
        return [
            Made(endpoint=one.endpoint, name=one.name, noted_at=one.noted_at, identity=one.identity) for one in found
        ]

    def write(self, made: Sequence[Made]) -> None:
        """Note, durably; no notes are no file.

        Raises:
            StoreError: They cannot be written.
        """
        try:
            if not made:
                self.path.unlink(missing_ok=True)
                return
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            files.write(self.path, [msgspec.json.encode(made), b"\n"])
        except OSError as error:
            raise StoreError(
                f"{self.path}: cannot be written ({error.strerror}), and nothing is made without a note of it"
            ) from error

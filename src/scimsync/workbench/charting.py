"""Which group people belong to, read from what was agreed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec

from scimsync.workbench.bench import Workbench, quoted, text
from scimsync.workbench.layers import Layers

#: paths by which people are grouped; the first that the mapping manages counts
PATHS = ("enterprise:department", "enterprise:division", "enterprise:organization", "enterprise:costCenter")


def chosen(mapped: Collection[str]) -> str:
    """The path to group by; "" where none is mapped."""
    return next((path for path in PATHS if path in mapped), "")


def groups(agreed: Path, path: str, keys: Sequence[str]) -> dict[str, str]:
    """The values under a path for some people.

    Args:
        agreed: A file of `write_agreed`, or a base.
        path: A managed path.
        keys: Source keys; a person whom the file does not know is left out of the answer.
    """
    with Workbench(agreed.parent) as bench, bench.spooled("keys") as (spool, file):
        file.write(b"{}\n" + b"".join(msgspec.json.encode({"k": key}) + b"\n" for key in keys))
        file.flush()
        held = Layers(bench, agreed)
        if path not in held.columns:
            return {}
        wanted = f"read_json({text(str(spool))}, format = 'newline_delimited', columns = {{k: 'VARCHAR'}})"
        query = f"SELECT key, {quoted(path)} FROM {held.rows(f'key IN (SELECT k FROM {wanted})')}"
        return {str(key): str(value) for key, value in bench.rows(query) if value}

"""The switches: where the documents of Genesys contradict each other or are silent, each reading is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

#: the words a switch takes; the first is the default
CHOICES: Mapping[str, tuple[str, ...]] = {
    "version_conflict": ("400_invalid_vers", "409_scim", "409_general_conflict", "412"),
    "version_covers": ("all", "directory"),
    "readonly_write": ("error", "ignore"),
    "remove_no_match": ("ignore", "error"),
    "empty_value": ("ignore", "clear"),
    "put_absent": ("clear", "keep"),
    "inactive_roles": ("keep", "remove"),
    "post_on_deleted": ("restore", "new_id", "conflict"),
    "unknown_reference": ("error", "ignore"),
}


@dataclass(slots=True, kw_only=True)
class Options:
    """All switches and limits of a running simulator; they may be changed at any time.

    The reference says of each whether it is documented or unknown (genesys-scim.md §4, §5, §7).
    """

    version_conflict: str = "400_invalid_vers"
    version_covers: str = "all"  #: what moves the version: all, or only fields of the directory record
    readonly_write: str = "error"
    remove_no_match: str = "ignore"
    empty_value: str = "ignore"  #: folklore: an empty text does not overwrite; `remove` clears
    put_absent: str = "clear"
    inactive_roles: str = "keep"
    post_on_deleted: str = "restore"
    unknown_reference: str = "error"
    create_on_replace: bool = False
    meta_version_quoted: bool = False
    no_op_moves_version: bool = False
    filter_finds_inactive: bool = False  #: whether `userName eq ...` and the like find inactive people
    v2_groups_filter_required: bool = False
    expensive_page_429: bool = True
    max_count: int = 0  #: resources a page at most; 0 = no limit (none is documented)
    rate_limit: int = 300  #: requests a minute and token; 0 = no limit
    login_limit: int = 300  #: token requests a minute; 0 = no limit
    expires_in: int = 86_400  #: seconds a token lives
    idle_timeout: int = 0  #: seconds after which an unused token dies (HIPAA organisations: 900); 0 = never

    def change(self, changes: Mapping[str, object]) -> None:
        """Set switches by name; texts are read (`"true"`, `"60"`). All are set, or none.

        Raises:
            ValueError: There is no such switch, or it does not take this value.
        """
        names = {field.name for field in fields(self)}
        read = {}
        for name, value in changes.items():
            if name not in names:
                raise ValueError(f"there is no option {name}; there are {', '.join(sorted(names))}")
            read[name] = _read(name, getattr(self, name), value)
        for name, value in read.items():
            setattr(self, name, value)

    def to_json(self) -> dict[str, object]:
        """All switches by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _read(name: str, held: object, value: object) -> object:
    if isinstance(held, bool):
        words = {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}
        if str(value).lower() not in words:
            raise ValueError(f"option {name} is true or false")
        return words[str(value).lower()]
    if isinstance(held, int):
        if not str(value).isdecimal():
            raise ValueError(f"option {name} is a whole number")
        return int(str(value))
    if value not in CHOICES[name]:
        raise ValueError(f"option {name} is one of {', '.join(CHOICES[name])}")
    return value

"""The dialects that were made from documents alone: each entry says on which page of the vendor it stands."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from scimsync.scim import dialect_file
from scimsync.scim.dialect_entries import ENTRIES
from scimsync.scim.dialect_file import CODED, dialect_of, shipped
from scimsync.scim.generic import GENERIC
from scimsync.scim.grounds import Certainty

#: dialect -> where its vendor's pages are
VENDORS = {
    "atlassian": ("developer.atlassian.com", "support.atlassian.com", "confluence.atlassian.com"),
    "aws": ("docs.aws.amazon.com",),
    "entra": ("learn.microsoft.com",),
    "github": ("docs.github.com",),
    "gitlab": ("docs.gitlab.com",),
    "okta": ("developer.okta.com",),
    "slack": ("docs.slack.dev", "api.slack.com"),
}
FOLDER = Path(dialect_file.__file__).parent / "dialects"


@pytest.mark.parametrize("name", [name for name in shipped() if name not in CODED])
def test_every_shipped_file_loads_and_is_called_as_it_is_named(name: str) -> None:
    dialect = dialect_of(name)
    written = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    assert (dialect.name, written["name"]) == (name, name)
    assert dialect.title
    assert dialect.users.core is GENERIC.users.core
    assert set(dialect.grounds) == set(GENERIC.grounds)


@pytest.mark.parametrize("name", VENDORS)
def test_each_entry_is_documented_on_a_page_of_the_vendor(name: str) -> None:
    dialect = dialect_of(name)
    own = [entry for entry in ENTRIES if dialect.grounds[entry.field] != GENERIC.grounds[entry.field]]
    assert own
    for entry in own:
        ground = dialect.grounds[entry.field]
        assert ground.certainty is Certainty.DOCUMENTED, entry.name
        pages = re.findall(r"([A-Z][^;:()]+) \((https://([a-z.]+)/[^\s)]*)\)", ground.source)
        assert pages, f"{entry.name} names no page with its title"
        assert {host for _, _, host in pages} <= set(VENDORS[name]), entry.name


@pytest.mark.parametrize("name", VENDORS)
def test_whoever_departs_from_the_rfc_says_so_in_an_entry(name: str) -> None:
    """A ground of the file belongs to a value of the file: none was taken over by accident."""
    dialect = dialect_of(name)
    changed = {entry.field for entry in ENTRIES if getattr(dialect, entry.field) != getattr(GENERIC, entry.field)}
    assert changed <= {field for field, ground in dialect.grounds.items() if ground != GENERIC.grounds[field]}

"""`probe --write` on the simulator under every value of every switch: each entry is right, and nobody is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.conformance.test_switches import ENDED, values
from tests.runs import house

from scimsync.model.probing import Probed
from scimsync.services import probing

WORK, MOBILE = (f'phoneNumbers[type eq "{kind}"].value' for kind in ("work", "mobile"))
#: what is found where every switch is as it is by itself; what a client with all permissions sees
TRUTH: Mapping[str, object] = {
    "service.media_type": "application/scim+json",
    "discovery.served": ["ResourceTypes", "Schemas", "ServiceProviderConfig"],
    "paging.first_index": 1,
    "paging.stable": True,
    "reading.attributes": True,
    "filters.attributes": ["emails.value", "enterprise:employeeNumber", "externalId", "userName"],
    "filters.case_exact": False,
    "versions.concurrency": "version",
    "versions.shown": "both",
    "patch.served": True,
    "patch.value_filters": True,
    "patch.keeps_others": True,
    "patch.op_case": "lower",
    "patch.paths": "explicit",
    "patch.operations": 100,
    "create.answers": "resource",
    "create.required": ["displayName", "userName"],
    "create.unique_logins": True,
    "accounts.disabled": "hidden",
    "accounts.deleted": "gone",
    "accounts.immutable": [],
    "accounts.hidden": [],
    "accounts.unkept": [],
    "accounts.normalised": [],
    "accounts.booleans": "json",
    "accounts.search_lag": [],
    "accounts.login_is_email": True,
    "accounts.phones_are_e164": True,
    "groups.served": True,
}
#: a switch and its value -> what is found otherwise; None for what cannot be found out
OTHERWISE: Mapping[tuple[str, object], Mapping[str, object]] = {
    ("etag_form", "none"): {"versions.shown": "meta"},
    ("login_form", "any"): {"accounts.login_is_email": False},
    ("phone_readback", "tel"): {"accounts.normalised": sorted([WORK, MOBILE])},
    ("max_count", 5): {"paging.largest": 5},
    ("rate_limit", 300): {"service.requests_per_minute": 300},
    ("permissions", "No Groups"): {"groups.served": None},
    ("search_lag_ms", 500): {"accounts.search_lag": [1.0, 4.0]},
}
#: a minute of waiting for nothing new
SLOW = [("search_lag_ms", 60_000)]
PLAYED = [pair for pair in [*values(), ("rate_limit", 300)] if pair not in {ENDED, *SLOW}]


def probed(folder: Path, **switches: object) -> tuple[Probed, list[str]]:
    """What a probe finds, and the logins of the directory after it."""
    with house(folder, users=12, **switches) as home:
        found = asyncio.run(probing.probe(probing.subject("", "", home.file), writes=True))
        users = home.simulator.directory.users.values()
        return found, [str(one.resource["userName"]) for one in users if not one.deleted]


@pytest.mark.parametrize(("switch", "value"), PLAYED)
def test_every_entry_is_right_and_nobody_is_left_behind(switch: str, value: object, tmp_path: Path) -> None:
    found, logins = probed(tmp_path, **{switch: value})
    wanted = {**TRUTH, **OTHERWISE.get((switch, value), {})}
    seen = {entry: one.value for entry, one in found.findings.found.items()}
    assert seen == {entry: held for entry, held in wanted.items() if held is not None}
    assert [login for login in logins if "probe" in login.lower()] == []
    assert not found.left
    assert not found.stopped


def test_every_row_of_the_table_is_played() -> None:
    assert OTHERWISE.keys() <= set(PLAYED)


def test_a_client_that_may_only_read_makes_nothing_and_finds_what_reading_tells(tmp_path: Path) -> None:
    found, logins = probed(tmp_path, permissions="Read Only")
    assert any(one.startswith("no account may be made: POST /Users -> 403") for one in found.findings.remarks)
    assert {entry.partition(".")[0] for entry in found.findings.found} >= {"discovery", "paging", "filters", "versions"}
    assert "patch.served" in found.findings.unknown
    assert [login for login in logins if "probe" in login.lower()] == []

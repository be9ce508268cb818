"""What the Platform API has beside SCIM: paths, the hints of unknown ones, and what of it is no schema of SCIM's."""

from __future__ import annotations

import pytest
from tests.factories import RFC_USERS, USERS

from scimsync.core.writing import split
from scimsync.errors import InvalidPath
from scimsync.scim.genesys import GENESYS
from scimsync.scim.messages import Operation
from scimsync.scim.platform import PLATFORM_USER, SERVED, UNSERVED


def why(path: str) -> str:
    with pytest.raises(InvalidPath) as raised:
        USERS.resolve(path)
    return raised.value.reason


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("nickName", "preferredName of a user"),
        ("preferredName", "preferredName of a user"),
        ("locale", "languagePreference"),
        ("station", "defaultstation"),
        ("queues", "/api/v2/routing/queues"),
        ("acdAutoAnswer", "acdAutoAnswer of a user"),
        ("location", "platform:location"),
        ("workTeam", "platform:team"),
        ("userType", "platform:employerInfo.employeeType"),
        ("enterprise:costCenter", "platform:customAttributes"),
        ("platform:nickName", "preferredName of a user"),
        ("platform:customAttributes.costCenter", 'platform:customAttributes[name eq "costCenter"].value'),
        ("platform:employerInfo.employeeId", "enterprise:employeeNumber"),
    ],
)
def test_a_path_that_is_not_served_says_where_the_attribute_is_and_proposes_no_other(path: str, where: str) -> None:
    told = why(path)
    assert where in told
    assert "did you mean" not in told


def test_a_slip_of_the_pen_still_gets_the_near_name() -> None:
    assert "did you mean title?" in why("titel")


def test_a_provider_without_the_platform_api_keeps_its_names() -> None:
    assert RFC_USERS.resolve("nickName").short == "nickName"
    with pytest.raises(InvalidPath):
        RFC_USERS.resolve("platform:location")


def test_what_is_kept_beside_scim_is_in_no_published_schema() -> None:
    assert {schema.id for schema in USERS.schemas} - {schema.id for schema in USERS.published.schemas} == {
        PLATFORM_USER
    }
    assert not USERS.resolve("platform:location").published
    assert USERS.resolve("title").published


def test_absent_is_unknown_beside_scim_and_empty_in_it() -> None:
    place = USERS.resolve("platform:employerInfo.employeeType")
    assert not place.is_told({})
    assert not place.is_told({PLATFORM_USER: {"location": None}})
    assert place.is_told({PLATFORM_USER: {"employerInfo": None}})
    assert USERS.resolve("title").is_told({})


def test_operations_beside_scim_come_last_and_by_their_request() -> None:
    names = ("team", "location", "employerInfo.employeeType", "invitation")
    beside = [Operation("replace", f"{PLATFORM_USER}:{name}", "x") for name in names]
    scim = [Operation("replace", "title", "Lead"), Operation("replace", "active", value=True)]
    parts = split([beside[0], scim[0], *beside[1:], scim[1]])
    assert parts == [tuple(scim), (beside[1], beside[2]), (beside[0],), (beside[3],)]


def test_every_attribute_has_its_permissions_in_the_dialect() -> None:
    needed = {name for served in SERVED for name in (*served.reading, *served.writing)}
    assert needed <= {permission.name for permission in GENESYS.permissions}
    assert not {word for other in UNSERVED for word in other.words} & {served.name.lower() for served in SERVED}

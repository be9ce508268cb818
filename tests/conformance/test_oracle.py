"""scim2-models as the oracle: random PATCH bodies on invented accounts come to the same result or the same kind of
error, and what we send to turn one account into another does that there too.

`ORACLE_EXAMPLES=10000` plays more of both. Differences on purpose are kept out of what is generated:

- `remove` with the elements as value (Entra): here only those go, there all;
- the same element twice in one value: here it is kept once, there twice;
- `remove manager.value`: here the manager is gone, there it is required;
- a bare text as manager (Entra): here accepted, there refused;
- a filter that selects nothing: here `add` always makes the element and a keyword lets `replace` do so, there one
  policy decides for both; it is set to make elements on both sides;
- `dateHire`: Genesys keeps a date alone, the oracle a time.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scim2_models import PatchOp, ResourceType, Schema, ScimPolicy, ScimProvider, ServiceProviderConfig
from scim2_models.exceptions import SCIMException
from tests.factories import USERS as CATALOG
from tests.factories import WORK_EMAIL, WORK_PHONE, make_pair, make_policy
from tests.strategies import values_of

from scimsync.core.planner import plan_pair
from scimsync.core.writing import resource, split
from scimsync.errors import ProtocolError
from scimsync.scim.genesys import GENESYS_USER
from scimsync.scim.messages import Operation, patch_body
from scimsync.scim.patch import apply
from scimsync.scim.schema import CORE_GROUP, CORE_USER, ENTERPRISE_USER, Place, Value
from scimsync.simulator import discovery
from scimsync.simulator.directory import Directory
from scimsync.simulator.entities import USERS

EXAMPLES = int(os.environ.get("ORACLE_EXAMPLES", "300"))
ACCOUNTS = 40
SERVED = (CORE_USER, CORE_GROUP, ENTERPRISE_USER, GENESYS_USER)
SKILLS = f"{GENESYS_USER}:routingSkills"
EXTERNAL = f"{GENESYS_USER}:externalIds"
#: `replace` on a filter that selects nothing makes the element, on both sides
POLICY = ScimPolicy(unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create)


def _model() -> Any:
    common = {"schemas", "id", "externalId", "meta"}  # the models of the oracle bring these along
    listed = []
    for document in discovery.schemas("").values():
        if document["id"] in SERVED:
            attributes: Any = document["attributes"]
            part = {"attributes": [a for a in attributes if a["name"] not in common]}
            listed.append(Schema.model_validate({**document, **part}))
    served = [kind for kind in discovery.resource_types("").values() if kind["schema"] in SERVED]
    kinds = [ResourceType.model_validate(kind) for kind in served]
    config = ServiceProviderConfig.model_validate(discovery.provider_config(""))
    return ScimProvider.from_discovery(listed, kinds, config).model_for("User")


MODEL = _model()


def _accounts() -> list[dict[str, Any]]:
    directory = Directory()
    directory.fill(5, ACCOUNTS)
    found = []
    for user in directory.users.values():
        account: dict[str, Any] = copy.deepcopy(dict(user.resource))
        enterprise = account.get(ENTERPRISE_USER, {})
        enterprise.pop("dateHire", None)  # a date alone, which the oracle reads as a time
        found.append(account)
    return found


PEOPLE = _accounts()

# --- operations -----------------------------------------------------------------------------------

_TEXT = st.sampled_from(["a", "b", "Ümläut", "with space"])
_TYPES = ("work", "work2", "home", "mobile", "other")
_SETTING = st.sampled_from(["add", "replace"])
_LEVEL = st.integers(0, 5).map(float)
_PHONE = st.fixed_dictionaries({"type": st.sampled_from(_TYPES), "value": st.sampled_from(["+1", "+2", "+3"])})
_SKILL = st.fixed_dictionaries({"name": st.sampled_from(["Sales", "Billing", "Refunds"]), "proficiency": _LEVEL})
_OWN_ID = st.fixed_dictionaries({"authority": st.sampled_from(["hr", "crm"]), "value": _TEXT})
_SIMPLE = (
    "title", "TITLE", "displayName", f"{CORE_USER}:title", "externalId", "userName",
    f"{ENTERPRISE_USER}:department", f"{ENTERPRISE_USER}:division", f"{ENTERPRISE_USER}:employeeNumber",
)  # fmt: skip
_WRONG = ("nickName2", "emails.nothing", "urn:example:2.0:User:title", "phoneNumbers[type eq", f"{GENESYS_USER}:hats")
_FIXED = ("id", "groups", "meta")


def _listed(path: str, item: st.SearchStrategy[dict[str, Any]], key: tuple[str, ...]) -> st.SearchStrategy[Operation]:
    lists = st.lists(item, max_size=3, unique_by=lambda found: tuple(found[name] for name in key))
    return st.builds(Operation, _SETTING, st.just(path), lists)


def _selected(path: str, attribute: str, words: tuple[str, ...], sub: str, value: Any) -> st.SearchStrategy[Operation]:
    filters = st.sampled_from([f'{path}[{attribute} eq "{word}"]' for word in words])
    return st.one_of(
        st.builds(Operation, _SETTING, filters.map(lambda f: f"{f}.{sub}"), value),
        st.builds(Operation, st.just("remove"), filters),
        st.builds(Operation, st.just("remove"), filters.map(lambda f: f"{f}.{sub}")),
    )


OPERATIONS = st.one_of(
    st.builds(Operation, _SETTING, st.sampled_from(_SIMPLE), _TEXT),
    st.builds(Operation, _SETTING, st.just("active"), st.booleans()),
    st.builds(Operation, st.just("remove"), st.sampled_from(_SIMPLE)),
    st.builds(Operation, _SETTING, st.just(f"{ENTERPRISE_USER}:manager"), st.just({"value": "m1"})),
    st.builds(Operation, _SETTING, st.just(f"{ENTERPRISE_USER}:manager.value"), _TEXT),
    st.builds(Operation, st.just("remove"), st.just(f"{ENTERPRISE_USER}:manager")),
    _listed("phoneNumbers", _PHONE, ("type", "value")),
    _listed(SKILLS, _SKILL, ("name",)),
    _listed(EXTERNAL, _OWN_ID, ("authority", "value")),
    st.builds(Operation, st.just("remove"), st.sampled_from(["phoneNumbers", SKILLS, EXTERNAL, "roles"])),
    _selected("phoneNumbers", "type", ("work", "mobile", "home"), "value", st.sampled_from(["+1", "+2"])),
    _selected(SKILLS, "name", ("Sales", "Billing"), "proficiency", _LEVEL),
    st.builds(
        Operation,
        _SETTING,
        st.none(),
        st.fixed_dictionaries(
            {}, optional={"title": _TEXT, "active": st.booleans(), ENTERPRISE_USER: st.just({"department": "X"})}
        ).filter(bool),
    ),
    st.builds(Operation, st.sampled_from(["add", "replace", "remove"]), st.sampled_from(_WRONG + _FIXED), _TEXT),
)


# --- the two sides --------------------------------------------------------------------------------


def theirs(account: dict[str, Any], operations: Sequence[Operation], policy: ScimPolicy = POLICY) -> Any:
    held = MODEL.model_validate(account)
    try:
        body = PatchOp[MODEL].model_validate(patch_body(operations))
        body.patch(held, scim_policy=policy)
    except SCIMException as error:
        return error.scim_type
    except ValidationError as error:
        return error.errors()[0]["type"].removeprefix("scim_")
    return held.model_dump()


def ours(account: dict[str, Any], operations: list[Operation]) -> Any:
    try:
        return apply(account, operations, USERS, create_on_replace=True)
    except ProtocolError as error:
        return error.scim_type


def comparable(result: Any) -> Any:
    """A resource without what says nothing (RFC 7643 §2.5: no value, null and an empty list are the same).

    The list of schemas is left out too: here an extension is declared once it holds something, there it stays.
    """
    if not isinstance(result, dict):
        return result
    parts = {name: comparable(value) for name, value in result.items() if name != "schemas"}
    return {name: value for name, value in parts.items() if value not in ({}, [], None)}


def agree(account: dict[str, Any], operations: list[Operation]) -> bool:
    """The same resource, or the same kind of error.

    The oracle reads all paths before it carries out the first operation, so of two mistakes it may name the other.
    """
    here, there = comparable(ours(account, operations)), comparable(theirs(account, operations))
    if here == there or isinstance(here, dict) or isinstance(there, dict):
        return bool(here == there)
    return there in {ours(account, [operation]) for operation in operations if not fits(account, operation)}


def fits(account: dict[str, Any], operation: Operation) -> bool:
    return isinstance(ours(account, [operation]), dict)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(PEOPLE), st.lists(OPERATIONS, min_size=1, max_size=4))
def test_patch_does_what_the_oracle_does(account: dict[str, Any], operations: list[Operation]) -> None:
    assert agree(account, operations), (ours(account, operations), theirs(account, operations))


# --- from one account to another --------------------------------------------------------------------

#: the parts of elements among the places, first the one without which an element is nothing
ELEMENTS = [
    (WORK_EMAIL, 'emails[type eq "work"].primary'),
    (WORK_PHONE, 'phoneNumbers[type eq "work"].primary'),
    ('phoneNumbers[type eq "mobile"].value', 'phoneNumbers[type eq "mobile"].primary'),
    ('phoneNumbers[type eq "Home"].value', 'phoneNumbers[type eq "Home"].primary'),
]
WRITABLE = {
    path: CATALOG.resolve(path)
    for path in (
        "userName", "displayName", "active", "externalId", "title", "enterprise:department", "enterprise:division",
        "enterprise:employeeNumber", "enterprise:manager", *(path for parts in ELEMENTS for path in parts),
        "genesys:routingSkills", "genesys:routingLanguages", "genesys:externalIds", "roles",
    )
}  # fmt: skip
#: what other hands keep in the account
FOREIGN: dict[str, Any] = {
    "emails": [{"type": "other", "value": "login@example.com"}],
    "phoneNumbers": [{"type": "work3", "value": "+13175550199"}],
}
STRICT = ScimPolicy()


def wishes(path: str) -> st.SearchStrategy[Value]:
    where = WRITABLE[path]
    telling = values_of(where).map(lambda value: None if where.normal(value) is None else value)
    return telling.filter(lambda value: value is not None) if where.leaf.required else telling


@st.composite
def accounts(draw: st.DrawFn, paths: Sequence[str]) -> dict[str, Value]:
    """Values of some places that one account can hold: no part without its element, one primary in a list."""
    values = {path: draw(wishes(path)) for path in paths}
    primaries: set[str] = set()
    for main, mark in ELEMENTS:
        if mark not in values:
            continue
        root = WRITABLE[mark].root
        if values.get(main) is None:
            values[mark] = None
        elif values[mark] is True and root in primaries:
            values[mark] = False
        elif values[mark] is True:
            primaries.add(root)
    return values


@st.composite
def moves(draw: st.DrawFn) -> tuple[dict[str, Value], dict[str, Value]]:
    """What an account holds at some places, and what it shall hold; often much stays as it is."""
    paths = draw(st.lists(st.sampled_from([*WRITABLE]), min_size=1, max_size=8, unique=True))
    paths = [path for path in WRITABLE if path in {*paths, *(main for main, mark in ELEMENTS if mark in paths)}]
    return draw(accounts(paths)), draw(accounts(paths))


def account_of(values: Mapping[str, Value]) -> dict[str, Any]:
    made: dict[str, Any] = resource((WRITABLE[path], value) for path, value in values.items())
    for name, listed in FOREIGN.items():
        made[name] = [*made.get(name, []), *listed]
    return {"id": "u1", "userName": "ada@example.com", "displayName": "Ada", **made}


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(moves(), st.sampled_from([0, 0, 1, 3]))
def test_what_we_send_turns_one_account_into_the_other(
    drawn: tuple[dict[str, Value], dict[str, Value]], most: int
) -> None:
    held, wanted = drawn
    before = account_of(held)
    found = {path: WRITABLE[path].read(before) for path in held}
    ours = {path: found[path] for path in found if path == "externalId"}  # another program's would stay
    planned = plan_pair(make_pair(wanted, found, ours), make_policy(*held))
    here = there = before
    changes = [change for change in (planned.change, planned.besides) if change is not None]
    for part in [part for change in changes for part in split(change.operations, most=most)]:
        here, there = apply(here, part, CATALOG, strict_remove=True), theirs(there, part, STRICT)
        assert comparable(here) == comparable(there), (before, part)
        assert sum(_primaries(there, name) > 1 for name in FOREIGN) == 0
    if wanted.get("active") is False:  # nothing is asked for that the directory takes from inactive people
        wanted = {path: value for path, value in wanted.items() if not WRITABLE[path].dropped}
    for after in (here, there):
        assert [path for path, value in wanted.items() if not _same(WRITABLE[path], after, value)] == []
        assert all(element in after[name] for name, listed in FOREIGN.items() for element in listed)


def _same(where: Place, account: Mapping[str, object], value: Value) -> bool:
    """Whether a place holds a value.

    A mark that is not set and one that is false are one; whoever is not shown as inactive is taken for active.
    """
    read = where.read(account)
    unset = (where.leaf.name == "primary" and not value) or (where.leaf.name == "active" and value is True)
    return where.same(read, value) or (unset and read in (None, False) and (read is None or not value))


def _primaries(account: dict[str, Any], name: str) -> int:
    return sum(element.get("primary") is True for element in account.get(name) or [])

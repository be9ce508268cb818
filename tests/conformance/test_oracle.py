"""Random PATCH bodies on invented accounts: the same result and the same kind of error as scim2-models.

`ORACLE_EXAMPLES=10000` plays more. Differences on purpose are kept out of what is generated:

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
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scim2_models import PatchOp, ResourceType, Schema, ScimPolicy, ScimProvider, ServiceProviderConfig
from scim2_models.exceptions import SCIMException

from scimsync.errors import ProtocolError
from scimsync.scim.dialect import GENESYS_USER
from scimsync.scim.messages import Operation, patch_body
from scimsync.scim.patch import apply
from scimsync.scim.schema import CORE_GROUP, CORE_USER, ENTERPRISE_USER
from scimsync.simulator import discovery
from scimsync.simulator.directory import USERS, Directory

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
    kinds = [ResourceType.model_validate(kind) for kind in discovery.resource_types("").values()]
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


def theirs(account: dict[str, Any], operations: list[Operation]) -> Any:
    resource = MODEL.model_validate(account)
    try:
        body = PatchOp[MODEL].model_validate(patch_body(operations))
        body.patch(resource, scim_policy=POLICY)
    except SCIMException as error:
        return error.scim_type
    except ValidationError as error:
        return error.errors()[0]["type"].removeprefix("scim_")
    return resource.model_dump()


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

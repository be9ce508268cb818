"""What Genesys Cloud says of our own client: its permissions in each division, and its limits (Platform API).

Both answers are documented for any token. Whatever else comes (403, 404, another form) is no error: it is told.
"""

from __future__ import annotations

import msgspec

from scimsync.adapters.target_http import Client
from scimsync.adapters.target_wire import Answer, Ask
from scimsync.model.outcomes import Rights
from scimsync.scim.messages import read_error


class _Policy(msgspec.Struct):
    domain: str = ""
    entity: str = msgspec.field(name="entityName", default="")
    actions: list[str] | None = None


class _Role(msgspec.Struct):
    policies: list[_Policy] | None = None


class _Division(msgspec.Struct):
    name: str | None = None
    id: str | None = None


class _Grant(msgspec.Struct):
    role: _Role | None = None
    division: _Division | None = None


class _Subject(msgspec.Struct):
    grants: list[_Grant]


class _Limit(msgspec.Struct):
    key: str
    value: float


class _Limits(msgspec.Struct):
    entities: list[_Limit]


_SUBJECT, _LIMITS = msgspec.json.Decoder(_Subject), msgspec.json.Decoder(_Limits, strict=False)


async def read_rights(client: Client, api_url: str, rights_url: str, limits_url: str) -> Rights:
    """Ask who we are.

    Args:
        client: Asks.
        api_url: The API host.
        rights_url: Path of the answer about us; "" where the provider has none.
        limits_url: Path of the answer about limits; "" where the provider has none.

    Raises:
        TargetError: The target cannot be reached, or refuses our credentials.
    """
    api, none = api_url.rstrip("/"), "the dialect knows no such answer"
    granted, untold, limits, unlimited = None, none, None, none
    if rights_url:
        ask = Ask(kind="describe", method="GET", url=api + rights_url, decode=_SUBJECT.decode)
        granted, untold = _granted(await client.call(ask))
    if limits_url:
        ask = Ask(kind="describe", method="GET", url=api + limits_url, decode=_LIMITS.decode)
        answer = await client.call(ask)
        unlimited = "" if isinstance(answer.value, _Limits) else _why(answer)
        if isinstance(answer.value, _Limits):
            limits = {limit.key: int(limit.value) for limit in answer.value.entities}
    return Rights(
        granted=granted, untold=untold, limits=limits, unlimited=unlimited, announced=client.pace.announced,
        learned=client.pace.learned,
    )  # fmt: skip


def _why(answer: Answer) -> str:
    """What went wrong, in the words of the target where it has some."""
    try:
        said = read_error(answer.status, msgspec.json.decode(answer.content))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return answer.why()
    return f"{answer.why()}{': ' if said.detail else ''}{said.detail}"


def _granted(answer: Answer) -> tuple[dict[str, frozenset[str]] | None, str]:
    if not isinstance(answer.value, _Subject):
        return None, _why(answer)
    if all(grant.role is None or grant.role.policies is None for grant in answer.value.grants) and answer.value.grants:
        return None, "it names our roles and not their permissions"
    found: dict[str, frozenset[str]] = {}
    for grant in answer.value.grants:
        name = (grant.division and (grant.division.name or grant.division.id)) or "*"
        policies = (grant.role and grant.role.policies) or []
        held = {f"{one.domain}:{one.entity}:{action}" for one in policies for action in one.actions or ()}
        found[name] = found.get(name, frozenset()) | held
    return found, ""

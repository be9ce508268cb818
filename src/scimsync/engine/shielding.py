"""Read the protected accounts themselves: a listing is not believed alone about whom no write may ever reach.

A listing may show a protected account under the id of another, or another under its id; late, under a login that it
has no more; without its login. So who is listed under a protected login is read by its id, and a protected login that
nobody is listed under is searched for. That is one request for each protected login.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from scimsync.core import protecting
from scimsync.engine.freshness import read_again
from scimsync.engine.plan_request import PlanPorts, PlanRequest
from scimsync.errors import FilterRefused, TargetError, TargetUnanswered
from scimsync.model.plans import LOGIN, Finding
from scimsync.workbench import shielded
from scimsync.workbench.accounts import AccountSpool
from scimsync.workbench.bench import Workbench, encode

#: protected logins that are looked after so; the others by what the listing shows
MOST_SHIELDED = 50


async def shield(ports: PlanPorts, request: PlanRequest, bench: Workbench, spool: AccountSpool) -> list[Finding]:
    """Put the protected accounts into table `accounts` as they show themselves; what is to be told.

    Args:
        ports: The directory, and who watches.
        request: The policy, and the dialect.
        bench: The tables of the run; `accounts`, `desired`, `held` and `links` are there.
        spool: What loaded the accounts.

    Raises:
        TargetError: The directory lists accounts under ids of others, so that no write would reach whom it is meant
            for; or it cannot be asked at all.
    """
    names = request.policy.protected
    if not names:
        return []
    shown = shielded.listed(bench, names)
    again = await read_again(ports.target, ports.observer, sorted(shown)[:MOST_SHIELDED], request.workers)
    for resource in again.fresh:
        body = _decoded(resource)
        account, login = str(body.get("id", "")), protecting.word(body.get(LOGIN))
        if login and login != shown.get(account):
            raise TargetError(
                f"The target lists a protected account under the id {account}, and shows another account when that is "
                "read. Ids of the listing are not those of the accounts, so nothing is written. Run again; if it "
                "stays, ask the provider."
            )
    nameless = shielded.nameless(bench)
    told = [protecting.unnamed(nameless)] if nameless else []
    if request.dialect.lists_active_only:  # a search for nobody would read all inactive accounts
        return told
    found: dict[str, bytes] = {}
    for name in shielded.unlisted(bench, names)[:MOST_SHIELDED]:
        for shows in await _named(ports, name):
            found[str(shows.get("id", ""))] = encode(shows)
    if found:
        spool.renew([*found.values()], [])
    return told


async def _named(ports: PlanPorts, name: str) -> Sequence[Mapping[str, object]]:
    """The accounts that have a login, as far as the directory can be asked."""
    try:
        replies = await ports.target.find(LOGIN, name)
    except (FilterRefused, TargetUnanswered):
        return ()
    return [
        reply.body for reply in replies if reply.body is not None and protecting.word(reply.body.get(LOGIN)) == name
    ]


def _decoded(resource: bytes) -> dict[str, object]:
    return msgspec.json.decode(resource, type=dict[str, object])

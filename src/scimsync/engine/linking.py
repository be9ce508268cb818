"""Say that a record and an account are one person, or that they are not."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from scimsync.engine.ports import Source, Target
from scimsync.engine.state import Artifacts, Links
from scimsync.errors import ConfigError, PersonUnknown, TargetUnavailable
from scimsync.model.outcomes import LinkDecision, Reply
from scimsync.workbench.bench import Workbench
from scimsync.workbench.records import stage_keys


class LinkState(Links, Artifacts, Protocol):
    """What linking asks of the state."""


class LinkRequest(Struct, frozen=True, kw_only=True):
    """What a person says."""

    key: str
    #: id or login of the account; "" to part
    account: str = ""
    #: the key that has the account by now, and gives it up
    former: str = ""
    #: the key and the account are two people, though no link says otherwise
    different: bool = False

    @property
    def same(self) -> bool:
        """Whether both are one person."""
        return bool(self.account) and not self.different


class Records(Struct, frozen=True):
    """Where the records are: the source, the column of the key, what the source is known by."""

    source: Source
    key: str
    name: str


class LinkResult(Struct, frozen=True, kw_only=True):
    """What is so from now on."""

    decision: LinkDecision
    #: login of the account; "" where it is not there any more
    login: str
    active: bool
    #: the key that had the account; "" where nobody had it
    former: str


async def decide(request: LinkRequest, records: Records, store: LinkState, target: Target, actor: str) -> LinkResult:
    """Link a record with an account, or part them. The caller holds the lease.

    Raises:
        ConfigError: The key or the account is not known, or somebody else is linked.
        SourceError: The source cannot be read.
        TargetError: The account cannot be read.
    """
    links = {link.key: link for link in store.links()}
    mine = links.get(request.key)
    if request.different:
        return await _tell_apart(request, records, store, target, actor)
    if not request.same:
        if mine is None:
            raise ConfigError(f"{request.key}: no account is linked to this key, so there is nothing to part.")
        found = await target.get(mine.account)
        decision = LinkDecision(request.key, mine.account, same=False, actor=actor, source=mine.source)
        store.decide_link(decision)
        return _said(decision, found, request.key)
    if mine is None and not _has(records, request.key, store):
        raise PersonUnknown(request.key)
    found = await _look_for(target, request.account)
    account = str((found.body or {}).get("id", ""))
    owner = store.owner_of(account)
    if owner not in {None, request.key, request.former}:
        raise ConfigError(
            f"account {account} belongs to {owner}. If {owner} and {request.key} are one person, say so: --from {owner}"
        )
    if mine is not None and mine.account != account and (await target.get(mine.account)).status != 404:
        raise ConfigError(
            f"{request.key} has another account, {mine.account}. Part them first: "
            f'scimsync link --unlink {request.key} --reason "..."'
        )
    decision = LinkDecision(request.key, account, same=True, actor=actor, source=mine.source if mine else records.name)
    store.decide_link(decision)
    return _said(decision, found, owner if owner and owner != request.key else "")


async def _tell_apart(
    request: LinkRequest, records: Records, store: LinkState, target: Target, actor: str
) -> LinkResult:
    """Remember that a record and an account of which marks say that they are one person are two."""
    if not _has(records, request.key, store):
        raise PersonUnknown(request.key)
    found = await _look_for(target, request.account)
    account = str((found.body or {}).get("id", ""))
    owner = store.owner_of(account)
    if owner == request.key:
        raise ConfigError(
            f"account {account} is that of {request.key}. To part them: "
            f'scimsync link --unlink {request.key} --reason "..."'
        )
    decision = LinkDecision(request.key, account, same=False, actor=actor, source=records.name)
    store.decide_link(decision)
    return _said(decision, found, owner or "")


def _said(decision: LinkDecision, found: Reply, former: str) -> LinkResult:
    body = found.body or {}
    login, active = str(body.get("userName") or ""), body.get("active") is not False
    return LinkResult(decision=decision, login=login, active=bool(body) and active, former=former)


def _has(records: Records, key: str, store: Artifacts) -> bool:
    with Workbench(store.artifact("link").parent) as bench:
        stage_keys(bench, records.source.read(), key=records.key)
        return bool(bench.number("SELECT count(*) FROM keys WHERE key = ?", [key]))


async def _look_for(target: Target, named: str) -> Reply:
    """The account that somebody means: by its id, or by its login."""
    reply = await target.get(named)
    if reply.ok and reply.body is not None:
        return reply
    found = await target.find("userName", named)
    if len(found) == 1:
        return found[0]
    if len(found) > 1:
        raise ConfigError(f"several accounts have the login {named}. Give the id of one of them.")
    if reply.status >= 500:
        raise TargetUnavailable(f"{target.name}: account {named} cannot be read: {reply.detail or reply.status}")
    raise ConfigError(f"{target.name}: there is no account with the id or the login {named}.")

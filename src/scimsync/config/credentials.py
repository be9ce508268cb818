"""How we show the target who we are: exactly one of four ways, and what each of them needs."""

from __future__ import annotations

import re

from msgspec.structs import replace

from scimsync.config.addresses import token_fault
from scimsync.config.faults import Faults
from scimsync.config.keys import INSTEAD, PLACED, WAYS
from scimsync.config.references import References
from scimsync.config.settings import TargetSettings
from scimsync.config.target import Target
from scimsync.scim.dialect import Dialect

_CHOICE = "token; client_id and client_secret; username and password; or header and header_value"
#: which headers are ours to set (RFC 9110 §6.6, §8, §12, §13)
_OURS = frozenset({
    "accept", "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect", "host",
    "if-match", "if-none-match", "te", "trailer", "transfer-encoding", "upgrade", "user-agent",
})  # fmt: skip
#: RFC 9110 §5.6.2
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
#: RFC 6749 §3.3
_SCOPE = re.compile(r"[!\x23-\x5b\x5d-~]+")
#: what a header may hold between its ends (RFC 9110 §5.5), but for what is not ASCII
_VALUE = re.compile(r"[ -~]*")
#: what neither a user nor a password may hold (RFC 7617 §2)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def judge(given: Target, told: Faults) -> None:
    """Tell what is wrong with how we authenticate, as far as the file alone shows it."""
    if len(_ways(given)) > 1:
        found = [key for way in WAYS.values() for key in way if key in given.model_fields_set]
        said = f"[target] has {', '.join(found)}: exactly one way to authenticate may be given: {_CHOICE}"
        told.tell(("target", found[-1]), said)
    for key in INSTEAD:
        if given.token_url and getattr(given, key):
            said = f"[target] token_url is the whole address at which tokens are given; take {key} away"
            told.tell(("target", "token_url"), said)
    if given.token_url and (fault := token_fault(given.token_url)):
        told.tell(("target", "token_url"), f"[target] token_url {fault}")
    for scope in given.scopes:
        if not _SCOPE.fullmatch(scope):
            told.tell(("target", "scopes"), '[target] scopes: each is a word of its own; write for instance ["a", "b"]')
    if given.header and not _NAME.fullmatch(given.header):
        told.tell(("target", "header"), "[target] header is not the name of a header: write for instance X-API-Key")
    elif given.header.lower() in _OURS:
        said = f"[target] header = {given.header!r} is set by scimsync itself; name the one that lets us in"
        told.tell(("target", "header"), said)


def need_place(given: Target, dialect: Dialect, told: Faults) -> None:
    """Tell what is missing where no region says where the target is, and where we get in."""
    placed = any(key in given.model_fields_set or told.knows("target", key) for key in PLACED)
    if given.api_url and placed:
        return
    if dialect.regions:
        alone = placed and not given.login_url  # whoever needs no login host needs no region
        told.tell(("target", "region"), f"[target] needs {'api_url' if alone else 'region, or api_url and login_url'}")
        return
    if not given.api_url:
        told.need("target", "api_url", given.api_url)
    if not placed and "client" in _ways(given):
        told.need("target", "token_url", given.token_url)
    elif not placed:
        told.tell(("target", "token"), f"[target] needs one way to authenticate: {_CHOICE}")


def resolved(target: TargetSettings, given: Target, told: Faults, references: References) -> TargetSettings:
    """The settings with the secrets that the file refers to; what is missing or cannot be sent is told."""
    ways = _ways(given)
    if len(ways) > 1:  # which is meant is not known
        return target
    if not ways and not told.knows("target", "token", *WAYS["basic"], *WAYS["header"]):
        ways = ["client"]
    for way in ways:
        for key in WAYS[way][:2]:  # what else belongs to a way, it can do without
            told.need("target", key, getattr(given, key))

    def read(key: str) -> str:
        return references.resolve(f"[target] {key}", getattr(given, key))

    found = replace(
        target,
        client_id=read("client_id"),
        client_secret=read("client_secret"),
        token=read("token"),
        username=read("username"),
        password=read("password"),
        header_value=read("header_value"),
    )
    if ":" in found.username or _CONTROL.search(found.username):
        told.tell(("target", "username"), "[target] username: HTTP Basic takes no colon and no control sign in a user")
    if _CONTROL.search(found.password):
        told.tell(("target", "password"), "[target] password: HTTP Basic takes no line end and no other control sign")
    if not _VALUE.fullmatch(found.header_value):
        told.tell(("target", "header_value"), "[target] header_value holds signs that no header takes: ASCII, one line")
    return found


def _ways(given: Target) -> list[str]:
    """The ways of which a key is given."""
    return [name for name, keys in WAYS.items() if any(key in given.model_fields_set for key in keys)]

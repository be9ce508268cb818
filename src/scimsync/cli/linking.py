"""link: say that a record and an account are one person, or are not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import click
from msgspec import Struct

from scimsync.cli.progress import Bar
from scimsync.cli.running import show, show_json
from scimsync.config import load
from scimsync.errors import ConfigError
from scimsync.services import linking, state
from scimsync.services.linking import LinkRequest, LinkResult


class Options(Struct, frozen=True, kw_only=True):
    """What stands on the command line."""

    config: Path
    key: str
    account: str
    unlink: bool
    different: bool
    former: str
    reason: str
    as_json: bool

    @property
    def request(self) -> LinkRequest:
        """What it means.

        Raises:
            ConfigError: It means nothing.
        """
        if self.unlink and (self.account or self.former):
            raise ConfigError("--unlink takes KEY alone: the account is the one that is linked to it.")
        if not self.unlink and not self.account:
            raise ConfigError("give KEY and ACCOUNT, or KEY with --unlink.")
        if self.different and (self.unlink or self.former):
            raise ConfigError("--different takes KEY and ACCOUNT, which are not linked, and no --unlink or --from.")
        if not self.reason.strip():
            raise ConfigError("--reason needs a text: it is kept in the audit chain for whoever reads it later.")
        return LinkRequest(key=self.key, account=self.account, former=self.former, different=self.different)


def link(options: Options) -> int:
    """The link command; returns the exit code."""
    request = options.request
    settings = load(options.config)
    with state.held(settings) as store, Bar() as bar:
        result = asyncio.run(linking.link(settings, store, request, options.reason, bar))
    if options.as_json:
        show_json(_document(result))
    else:
        show(_lines(result))
    return 0


def _document(result: LinkResult) -> dict[str, object]:
    return {
        "key": result.decision.key,
        "account": result.decision.account,
        "login": result.login,
        "linked": result.decision.same,
        "from": result.former if result.decision.same else "",
    }


def _lines(result: LinkResult) -> Iterator[str]:
    key, account = result.decision.key, result.decision.account
    shown = f"{account} ({result.login})" if result.login else f"{account} (not in the directory any more)"
    if result.decision.same:
        yield click.style(f"{key} has the account {shown}", bold=True) + (
            f"; {result.former} has it no more." if result.former else "."
        )
        yield "Nothing was written to the directory. See what follows with: scimsync plan"
        return
    yield click.style(f"{key} and the account {shown} are not one person.", bold=True)
    if result.former not in {"", key}:
        yield f"The account is that of {result.former}. Nobody is asked about these two again."
        yield "Nothing was written to the directory. See what follows with: scimsync plan"
    elif result.active:
        yield "The account stays active, and nobody has it: disable it by hand, or link it to whoever it belongs to."

"""link: say that a record and an account are one person, or are not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from scimsync import bootstrap
from scimsync.cli.progress import Bar
from scimsync.cli.running import show, show_json
from scimsync.config import load
from scimsync.engine.linking import Said, Wish
from scimsync.errors import ConfigError
from scimsync.services import applying, linking


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What stands on the command line."""

    config: Path
    key: str
    account: str
    unlink: bool
    former: str
    reason: str
    as_json: bool

    @property
    def wish(self) -> Wish:
        """What it means.

        Raises:
            ConfigError: It means nothing.
        """
        if self.unlink and (self.account or self.former):
            raise ConfigError("--unlink takes KEY alone: the account is the one that is linked to it.")
        if not self.unlink and not self.account:
            raise ConfigError("give KEY and ACCOUNT, or KEY with --unlink.")
        if not self.reason.strip():
            raise ConfigError("--reason needs a text: it is kept in the audit chain for whoever reads it later.")
        return Wish(key=self.key, account=self.account, former=self.former)


def link(given: Given) -> int:
    """The link command; returns the exit code."""
    wish = given.wish
    settings = load(given.config)
    with bootstrap.open_store(settings) as store, store.lease(bootstrap.owner()):
        with Bar() as bar:
            asyncio.run(applying.settle(settings, store, bar))
        said = asyncio.run(linking.link(settings, store, wish, given.reason))
    if given.as_json:
        show_json(_document(said))
    else:
        show(_lines(said))
    return 0


def _document(said: Said) -> dict[str, object]:
    return {
        "key": said.decision.key,
        "account": said.decision.account,
        "login": said.login,
        "linked": said.decision.same,
        "from": said.former if said.decision.same else "",
    }


def _lines(said: Said) -> Iterator[str]:
    key, account = said.decision.key, said.decision.account
    shown = f"{account} ({said.login})" if said.login else f"{account} (not in the directory any more)"
    if said.decision.same:
        yield click.style(f"{key} has the account {shown}", bold=True) + (
            f"; {said.former} has it no more." if said.former else "."
        )
        yield "Nothing was written to the directory. See what follows with: scimsync plan"
        return
    yield click.style(f"{key} and the account {shown} are not one person.", bold=True)
    if said.active:
        yield "The account stays active, and nobody has it: disable it by hand, or link it to whoever it belongs to."

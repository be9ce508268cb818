"""A fleet to play with: small providers on real sockets, one configuration that their organisations share."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.runs import Said, command
from tests.servers import Provider, account, person, serving

BASE = """
[source]
kind = "csv"
path = "hr.csv"
key = "id"
complete = "assume"
[target]
dialect = "generic"
token = "file:token"
requests_per_minute = 0
[correlation]
match = ["externalId", "userName"]
[attributes]
userName = "login"
displayName = "name"
active = "status = 'active'"
externalId = "id"
title = "title"
[limits]
disable = 1000
create = 1000
update = 1000
"""


@dataclass
class Fleet:
    """Organisations in one folder: `one`, `two`, ..., each with a provider of its own."""

    folder: Path
    providers: Mapping[str, Provider]
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def write(self, *, head: str = "", base: str = BASE, more: str = "", schedule: str = "") -> None:
        """Write the shared configuration, the secrets and the fleet file."""
        (self.folder / "base.toml").write_text(base, encoding="utf-8")
        text = f"[fleet]\n{head}\n"
        for name, provider in self.providers.items():
            (self.folder / name).mkdir(exist_ok=True)
            self.secret(name, f"canary-token-{name}")
            text += f'[[organisation]]\nname = "{name}"\nextends = "base.toml"\n'
            text += f'schedule = "{schedule}"\n' if schedule else ""
            if self.labels.get(name):
                text += "labels = { " + ", ".join(f'{k} = "{v}"' for k, v in self.labels[name].items()) + " }\n"
            text += f'[organisation.overrides.source]\npath = "{name}/hr.csv"\n'
            text += f'[organisation.overrides.target]\napi_url = "{provider.address}"\ntoken = "file:{name}/token"\n'
        (self.folder / "fleet.toml").write_text(text + more, encoding="utf-8")

    def secret(self, name: str, token: str) -> None:
        """Write the token of an organisation."""
        file = self.folder / name / "token"
        file.touch(mode=0o600)
        file.write_text(token, encoding="utf-8")

    def hr(self, name: str, *people: Mapping[str, object]) -> None:
        """Write what HR of one organisation says."""
        rows = [{**person(one["id"]), **one} for one in people]
        text = io.StringIO()
        writer = csv.DictWriter(text, list(person(0)), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        (self.folder / name / "hr.csv").write_text(text.getvalue(), encoding="utf-8")

    def command(self, *words: str, timeout: float = 120) -> Said:
        """Play an installed command to its end."""
        return command(*words, folder=self.folder, timeout=timeout)


@contextlib.contextmanager
def fleet(
    folder: Path,
    names: Sequence[str] = ("one", "two", "three"),
    people: int = 2,
    labels: Mapping[str, Mapping[str, str]] | None = None,
    kind: type[Provider] = Provider,
) -> Iterator[Fleet]:
    """A fleet in which HR gives everybody a new title."""
    with contextlib.ExitStack() as stack:
        providers = {}
        for name in names:
            providers[name] = kind(*(account(f"{name}{number}", title="Old") for number in range(people)))
            stack.enter_context(serving(providers[name]))
        found = Fleet(folder, providers, labels or {})
        found.write()
        for name in names:
            found.hr(name, *({"id": f"{name}{number}", "title": "New"} for number in range(people)))
        yield found

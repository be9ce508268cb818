"""The simulate command."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import click

from scimsync.errors import ConfigError
from scimsync.simulator.server import Announcement, Settings, serve


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What stands on the command line."""

    port: int = 0
    login_port: int | None = None
    users: int = 200
    seed: int = 1
    options: tuple[str, ...] = ()
    faults: Path | None = None
    client_id: str = ""
    client_secret: str = ""
    as_json: bool = False

    @classmethod
    def of(cls, given: Mapping[str, object]) -> Wish:
        """From click's parameters."""
        known = {f.name for f in fields(cls)}
        return cls(**{name: value for name, value in given.items() if name in known})  # type: ignore[arg-type]


def simulate(wish: Wish) -> None:
    """Run the simulator in the foreground until Ctrl-C."""
    settings = Settings(
        port=wish.port,
        login_port=wish.login_port,
        users=wish.users,
        seed=wish.seed,
        client_id=wish.client_id,
        client_secret=wish.client_secret,
        options=_options(wish.options),
        faults=_faults(wish.faults),
    )
    try:
        serve(settings, lambda ready: _announce(ready, as_json=wish.as_json))
    except ValueError as error:
        raise ConfigError(f"simulate: {error}") from error
    except OSError as error:
        raise ConfigError(f"simulate: port {wish.port} cannot be used ({error.strerror}). Try --port 0.") from error


def _options(given: tuple[str, ...]) -> dict[str, object]:
    options: dict[str, object] = {}
    for pair in given:
        name, sign, value = pair.partition("=")
        if not sign:
            raise ConfigError(f"simulate: --option {pair}: write SWITCH=VALUE, for instance rate_limit=3000")
        options[name.strip()] = value.strip()
    return options


def _faults(file: Path | None) -> tuple[Mapping[str, object], ...]:
    if file is None:
        return ()
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8")).get("fault", [])
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"simulate: {file}: {error}") from error
    if not isinstance(found, list):
        raise ConfigError(f"simulate: {file}: write each fault as [[fault]]")
    return tuple(found)


def _announce(ready: Announcement, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(asdict(ready)))
        return
    click.echo("The simulator is ready. Ctrl-C ends it.\n", err=True)
    click.echo("[target]")
    click.echo('dialect       = "genesys"')
    click.echo(f'api_url       = "{ready.api_url}"')
    click.echo(f'login_url     = "{ready.login_url}"')
    click.echo('client_id     = "env:GENESYS_CLIENT_ID"')
    click.echo('client_secret = "env:GENESYS_CLIENT_SECRET"\n')
    click.echo(f"export GENESYS_CLIENT_ID={ready.client_id}")
    click.echo(f"export GENESYS_CLIENT_SECRET={ready.client_secret}")

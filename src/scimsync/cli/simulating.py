"""The simulate command."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from msgspec import Struct
from msgspec.structs import asdict, replace

from scimsync import files
from scimsync.errors import ConfigError
from scimsync.simulator.options import explain
from scimsync.simulator.server import Announcement, Settings, serve


class Options(Struct, frozen=True, kw_only=True):
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
    options_file: Path | None = None
    show_options: bool = False
    source: Path | None = None
    snapshots: Path | None = None
    tls: bool = False
    ca_file: Path | None = None

    @classmethod
    def of(cls, given: Mapping[str, object]) -> Options:
        """From click's parameters."""
        known = set(cls.__struct_fields__)
        return cls(**{name: value for name, value in given.items() if name in known})  # type: ignore[arg-type]


def simulate(options: Options) -> None:
    """Run the simulator in the foreground until Ctrl-C, or show the switches."""
    if options.show_options:
        _show_options(as_json=options.as_json)
        return
    recipe = _toml(options.faults)
    from_file = _toml(options.options_file)
    settings = Settings(
        port=options.port,
        login_port=options.login_port,
        users=options.users,
        seed=options.seed,
        client_id=options.client_id,
        client_secret=options.client_secret,
        options=_table(recipe, "options")
        | (_table(from_file, "options") or from_file)
        | read_switches(options.options),
        faults=_faults(recipe, options.faults),
        source=options.source,
        snapshots=options.snapshots,
    )
    with ExitStack() as stack:
        if options.tls:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="scimsync-tls-")))
            settings = replace(settings, tls=folder)
        try:
            serve(settings, lambda ready: _announce(_with_ca(ready, options.ca_file), as_json=options.as_json))
        except ValueError as error:
            text = str(error)
            raise ConfigError(text if text.startswith("simulate:") else f"simulate: {text}") from error
        except OSError as error:
            if error.filename is not None:
                raise ConfigError(f"simulate: {error.filename}: {error.strerror}") from error
            text = f"simulate: port {options.port} cannot be used ({error.strerror}). Try --port 0."
            raise ConfigError(text) from error


def _with_ca(ready: Announcement, ca_file: Path | None) -> Announcement:
    """Put the authority where it was asked for."""
    if ca_file is None or not ready.ca_file:
        return ready
    files.write(ca_file, [Path(ready.ca_file).read_bytes()], files.READABLE)
    return replace(ready, ca_file=str(ca_file))


def _show_options(*, as_json: bool) -> None:
    switches = explain()
    if as_json:
        click.echo(json.dumps(switches))
        return
    for switch in switches:
        default = json.dumps(switch["default"]).strip('"')
        click.echo(f"{switch['name']} = {default}")
        click.echo(f"    {switch['values']}")
        click.echo(f"    {switch['text']} ({switch['tag']}, {switch['section']})")


def read_switches(given: tuple[str, ...]) -> dict[str, object]:
    """The switches of `--option SWITCH=VALUE`, by name.

    Raises:
        ConfigError: Something is not of that form.
    """
    options: dict[str, object] = {}
    for pair in given:
        name, sign, value = pair.partition("=")
        if not sign:
            raise ConfigError(f"--option {pair}: write SWITCH=VALUE, for instance rate_limit=3000")
        options[name.strip()] = value.strip()
    return options


def _toml(file: Path | None) -> dict[str, object]:
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"simulate: {file}: {error}") from error


def _table(document: Mapping[str, object], name: str) -> dict[str, object]:
    found = document.get(name, {})
    if not isinstance(found, dict):
        raise ConfigError(f"simulate: write {name} as a table: [{name}]")
    return found


def _faults(recipe: Mapping[str, object], file: Path | None) -> tuple[Mapping[str, object], ...]:
    found = recipe.get("fault", [])
    if not isinstance(found, list):
        raise ConfigError(f"simulate: {file}: write each fault as [[fault]]")
    return tuple(found)


def _announce(ready: Announcement, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({name: value for name, value in asdict(ready).items() if name != "ca_file" or value}))
        return
    click.echo("The simulator is ready. Ctrl-C ends it.\n", err=True)
    click.echo("[target]")
    click.echo('dialect       = "genesys"')
    click.echo(f'api_url       = "{ready.api_url}"')
    click.echo(f'login_url     = "{ready.login_url}"')
    click.echo('client_id     = "env:GENESYS_CLIENT_ID"')
    click.echo('client_secret = "env:GENESYS_CLIENT_SECRET"')
    if ready.ca_file:
        click.echo(f'ca_file       = "{ready.ca_file}"')
    click.echo()
    click.echo(f"export GENESYS_CLIENT_ID={ready.client_id}")
    click.echo(f"export GENESYS_CLIENT_SECRET={ready.client_secret}")

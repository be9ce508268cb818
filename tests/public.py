"""The list of what is public: every name, option, key, code and format that somebody outside may rest on.

`tests/data/public.json` holds the list, as it was before the code was moved into smaller files; `test_public.py` and
`test_public_formats.py` compare. What is on the list stays. `tools/public` adds what is new to it; it takes nothing
away unless it is called with `--remove`.

A line is one promise, so that a difference of two lists reads as a sentence. A parameter or option that must be given
is part of the line of what it belongs to: a new one of that kind breaks callers, and shows as a removal.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import re
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).parents[1]
LIST = ROOT / "tests/data/public.json"
Lists = dict[str, list[str]]


# --- Python -------------------------------------------------------------------------------------------


def names_of(module: str) -> Iterator[str]:
    """The public names of a module, their parameters, methods, fields and values."""
    loaded = importlib.import_module(module)
    for name in loaded.__all__:
        yield f"{module}.{name}"
        yield from _members(f"{module}.{name}", getattr(loaded, name))


def _members(name: str, thing: Any) -> Iterator[str]:
    if inspect.isfunction(thing):
        yield from _parameters(name, thing)
    if not inspect.isclass(thing):
        return
    if issubclass(thing, Enum):
        yield from (f"{name}.{word.name} = {word.value}" for word in thing)
        return
    if issubclass(thing, BaseException):
        return
    yield from _parameters(name, thing)
    if is_struct(thing):
        yield from (f"{name}.{field}" for field in thing.__struct_fields__)
    for member, held in inspect.getmembers(thing):
        if member.startswith("_") or (is_struct(thing) and not callable(held)):
            continue
        yield f"{name}.{member}"
        if inspect.isfunction(held):
            yield from _parameters(f"{name}.{member}", held)


def _parameters(name: str, thing: Callable[..., Any]) -> Iterator[str]:
    given = [one for one in inspect.signature(thing).parameters.values() if one.name != "self"]
    needed = ", ".join(one.name for one in given if one.default is one.empty and one.kind not in _ANY)
    yield f"{name} needs ({needed})"
    by_place = [one for one in given if one.kind in {one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD}]
    for number, one in enumerate(by_place, 1):
        yield f"{name}({one.name}) is number {number}"
    for one in given:
        default = "" if one.default is one.empty else f" = {_said(one.default)}"
        yield f"{name}({one.name}){default}"


_ANY = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}


def is_struct(thing: object) -> bool:
    """Whether it is one of our values, or a class of them."""
    return hasattr(thing, "__struct_fields__")


def _said(value: object) -> str:
    if isinstance(value, Enum | Path):
        return str(value)
    named = f"a {type(value).__name__}" if is_struct(value) else repr(value)
    return value.__name__ if callable(value) else named


def twins() -> Iterator[str]:
    """The twins of the ports, and how they are made. Their methods are those of the ports, which are our own."""
    loaded = importlib.import_module("scimsync.testing")
    for name in loaded.__all__:
        yield f"scimsync.testing.{name}"
        yield from _parameters(f"scimsync.testing.{name}", getattr(loaded, name))


def errors() -> Iterator[str]:
    """Every exception with the family it belongs to, and its exit code where it has one."""
    found = importlib.import_module("scimsync.errors")
    for name, error in vars(found).items():
        if inspect.isclass(error) and issubclass(error, found.ScimsyncError):
            yield f"{name}({error.__base__.__name__}) ends with {error.exit_code}"


# --- the command line ---------------------------------------------------------------------------------


def commands() -> Iterator[str]:
    """Every command with its arguments and options."""
    yield from _command("scimsync", importlib.import_module("scimsync.cli.main").cli)


def _command(name: str, command: click.Command) -> Iterator[str]:
    yield name
    needed = [one for one in command.params if one.required]
    yield f"{name} needs ({', '.join(_called(one) for one in needed)})"
    places = [one for one in command.params if isinstance(one, click.Argument)]
    yield from (f"{name} {_called(one)} is number {number}" for number, one in enumerate(places, 1))
    for one in command.params:
        yield from _option(name, one)
    if isinstance(command, click.Group):
        with click.Context(command) as context:
            for below in command.list_commands(context):
                found = command.get_command(context, below)
                assert found is not None, below
                yield from _command(f"{name} {below}", found)


def _called(one: click.Parameter) -> str:
    return one.opts[0].upper() if isinstance(one, click.Argument) else max(one.opts, key=len)


def _option(name: str, one: click.Parameter) -> Iterator[str]:
    is_flag = isinstance(one, click.Option) and one.is_flag
    called = _called(one)
    taken = "" if is_flag or isinstance(one, click.Argument) else " VALUE"
    yield f"{name} {called}{taken}"
    yield from (
        f"{name} {other}{taken}" for other in (*one.opts, *one.secondary_opts) if other != called != other.upper()
    )
    if one.multiple or one.nargs != 1:
        yield f"{name} {called} may be repeated"
    if isinstance(one.type, click.Choice):
        yield from (f"{name} {called} {choice}" for choice in one.type.choices)
    if isinstance(one.default, str | int | float | Path) and one.default not in {"", False} and not is_flag:
        yield f"{name} {called} is {one.default} by default"


def exit_codes() -> Iterator[str]:
    """The exit codes as `--help` lists them."""
    text = str(importlib.import_module("scimsync.cli.main").cli.help)
    yield from re.findall(r"\b(\d{1,3})\b", text.partition("Exit codes:")[2].replace(",", " "))


# --- keys, codes, words -------------------------------------------------------------------------------


def keys() -> Iterator[str]:
    """Every key of the configuration, as `section.key`. The only place here that knows how the code holds them."""
    for section, known in importlib.import_module("scimsync.config.schema").schema()["properties"].items():
        yield f"[{section}]"
        members = known["additionalProperties"]["anyOf"][1] if section == "attributes" else known.get("items", known)
        yield from (f"[{section}] {key}" for key in members["properties"])
        for key, held in members["properties"].items():  # a table within the section
            yield from (f"[{section}.{key}] {inner}" for inner in held.get("properties", ()))


def codes() -> Iterator[str]:
    """Every code of a finding, an outcome or a rule; tests/docs/test_errors.py holds pages and code together."""
    yield from (page.stem for page in (ROOT / "docs/errors").glob("*.md") if page.stem != "README")


def words() -> Iterator[str]:
    """The words that stand in files, tables, documents and the configuration."""
    for place in (
        "model.plans.Action model.plans.Lifecycle model.plans.Verdict model.plans.Reason model.plans.Severity "
        "model.policy.Authority model.policy.Leavers model.policy.BadValue model.policy.Rekey model.policy.Nested "
        "model.policy.Others model.policy.LoginExchange model.outcomes.Status model.outcomes.RunState "
        "model.events.EventKind model.events.MessageState model.audit.Kind"
    ).split():
        module, _, name = place.rpartition(".")
        for word in getattr(importlib.import_module(f"scimsync.{module}"), name):
            yield f"{name} {word.value if isinstance(word.value, str) else word.name.lower()}"


def functions() -> Iterator[str]:
    """What an expression of [attributes] may call."""
    found = importlib.import_module("scimsync.workbench.expressions")
    yield from (*found.HELPERS, *found.PLAIN_FUNCTIONS)


def metrics() -> Iterator[str]:
    """Every metric with its labels."""
    for name, kind in importlib.import_module("scimsync.adapters.metrics_prometheus").METRICS.items():
        yield f"{name} is a {kind.kind}"
        yield f"{name} has the labels ({', '.join(kind.labels)})"


def log() -> Iterator[str]:
    """Every event of the log with its members."""
    for name, (level, members, _) in importlib.import_module("scimsync.adapters.log_structlog").EVENTS.items():
        yield f"{name} at {level}"
        yield from (f"{name} {member}" for member in members)


def simulator() -> Iterator[str]:
    """The switches, faults and control endpoints of the simulator."""
    options = importlib.import_module("scimsync.simulator.options")
    faults = importlib.import_module("scimsync.simulator.faults")
    for field in options.Options.__struct_fields__:
        yield f"switch {field}"
        yield f"switch {field} is {_said(getattr(options.Options(), field))} by default"
        yield from (f"switch {field} {choice}" for choice in options.CHOICES.get(field, ()))
    yield from (f"fault {kind}" for kind in faults.KINDS)
    yield from (f"fault key {name}" for name in faults.Fault.__struct_fields__ if not name.startswith("_"))
    for method, path in importlib.import_module("scimsync.simulator.control")._HANDLERS:
        yield f"{method} /_simulator/{path}"


#: what can be read off the code
STILL: Mapping[str, Callable[[], Iterable[str]]] = {
    "python": lambda: names_of("scimsync"),
    "testing": twins,
    "errors": errors,
    "commands": commands,
    "exit codes": exit_codes,
    "configuration": keys,
    "codes": codes,
    "words": words,
    "mapping functions": functions,
    "metrics": metrics,
    "log": log,
    "simulator": simulator,
}


# --- formats: played with the installed command ---------------------------------------------------------

#: members that hold data: what is below them is named by people, attributes or schemas
DATA = set(
    "actions after base before data documents kept labels lifecycles moved overrides statuses value values written".split()
)
MORE = """\
[groups]
query = "SELECT employee_id, team FROM team"
match = "id"

[[webhook]]
url = "http://127.0.0.1:9/"
secret = "file:client_secret"
allow_private = true
"""


def shape(document: object, where: str, joint: str = " ") -> Iterator[str]:
    """The members of a JSON document, dotted."""
    if isinstance(document, list):
        for item in document:
            yield from shape(item, where, joint)
    elif isinstance(document, dict):
        for name, held in document.items():
            if re.fullmatch(r"\w+", name):
                yield f"{where}{joint}{name}"
                if name not in DATA:
                    yield from shape(held, f"{where}{joint}{name}", ".")


def formats() -> Iterator[str]:
    """What commands print for machines and what they leave behind, after a day with something of nearly everything.

    A member that shows only where something rare happened (`partial` of a group) is not among them.
    """
    house = importlib.import_module("tests.runs").house
    with tempfile.TemporaryDirectory() as folder, house(Path(folder)) as home:
        yield from _day(home)
        yield from _left_behind(Path(folder))


def _day(home: Any) -> Iterator[str]:
    def play(name: str, *more: str, each: bool = False) -> Iterator[str]:
        """The members of what a command prints; with `each`, one document a line."""
        said = home.command(*name.split(), *more)
        assert said.code in {0, 4, 5, 10, 11}, said.err
        for text in said.out.splitlines() if each else [said.out]:
            yield from shape(json.loads(text), f"[{name}]")

    team = next(iter(home.simulator.directory.groups))
    edited, moved, left, bad, linked = home.active(5)
    home.hr("CREATE TABLE team (employee_id TEXT, team TEXT)")
    home.configure(more=MORE)
    yield from play("doctor --json")
    yield from play("schema pin --json")
    assert home.command("sync").code in {0, 11}
    home.hr("INSERT INTO team VALUES (?, ?)", moved.employee_id, team)
    home.set(moved, job_title="Moved")
    home.dismiss(left)
    home.set(bad, phone="nonsense")
    home.hire(home.newcomer(1), home.newcomer(2, manager_id=home.newcomer(1).employee_id))
    home.edit(edited, "title", "By hand")
    home.configure(authority="cloud_wins", limits={"disable": 0}, more=MORE)
    assert home.command("plan", "--out", "refused.ndjson").code == 4
    home.configure(authority="cloud_wins", more=MORE)
    yield from play("plan --json", "--out", "plan.ndjson")
    home.edit(moved, "title", "Raced")
    yield from play("apply --yes --json")
    yield from play("sync --json")
    yield from play("runs --json")
    yield from play("runs --json", json.loads((home.folder / "plan.ndjson").read_bytes().splitlines()[0])["id"])
    yield from play("metrics --json")
    yield from play("link --json", linked.employee_id, "--unlink", "--reason", "x")
    yield from play("link --json", linked.employee_id, linked.email, "--reason", "x")
    yield from play("schema diff --json")
    yield from play("webhooks --json")
    yield from play("audit show --json")
    yield from play("audit verify --json")
    yield from play("audit prove", "1")
    yield from play("audit export", each=True)
    yield from play("audit export --format ocsf", each=True)
    yield from play("simulate --options --json")
    with home.start("simulate", "--json") as simulated:
        yield from shape(json.loads(simulated.stdout.readline()), "[simulate --json]")
        simulated.terminate()
        simulated.communicate()


def _left_behind(folder: Path) -> Iterator[str]:
    for name in ("refused.ndjson", "plan.ndjson"):
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            yield from shape(json.loads(line), "[plan file]")
    state = folder / ".scimsync"
    for file in state.rglob("*"):
        if file.is_file() and not file.name.startswith("state.db-"):
            name = re.sub(r"[0-9]{8}-[0-9]{6}-\w+", "RUN", file.relative_to(state).as_posix())
            name = re.sub(r"phones-1-[0-9a-f]+-[0-9a-f]+", "phones-1-DIGEST", name)
            yield "file " + re.sub(r"[0-9]{8}", "NUMBER", name)
    with contextlib.closing(sqlite3.connect(state / "state.db")) as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            yield from (f"table {table}.{row[1]}" for row in database.execute(f"PRAGMA table_info({table})"))
        for (body,) in database.execute("SELECT body FROM outbox"):
            yield from shape(json.loads(body), "[event]")


# --- the list ---------------------------------------------------------------------------------------------


def kept() -> Lists:
    """The list as it was written."""
    found: Lists = json.loads(LIST.read_text(encoding="utf-8"))
    return found


def collect(sections: Mapping[str, Callable[[], Iterable[str]]]) -> Lists:
    """The list as the code is now."""
    return {name: sorted(set(found())) for name, found in sections.items()}


def removed(before: Lists, now: Lists) -> list[str]:
    """What was public and is not any more, one line each."""
    return [f"{name}: {line}" for name, lines in before.items() for line in lines if line not in now.get(name, ())]


def rewrite(file: Path, now: Lists, *, remove: bool) -> int:
    """Write the list, and say what is new and what is gone. Where something is gone, only with `remove`."""
    before: Lists = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    gone = removed(before, now)
    for line in gone:
        sys.stderr.write(f"removed  {line}\n")
    if gone and not remove:
        sys.stderr.write("Nothing was written. Bring it back, or say that it goes: tools/public --remove\n")
        return 1
    for line in removed(now, before):
        sys.stdout.write(f"new      {line}\n")
    file.write_text(json.dumps(now, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(rewrite(LIST, collect({**STILL, "formats": formats}), remove="--remove" in sys.argv[1:]))

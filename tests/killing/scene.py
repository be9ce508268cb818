"""A house in which a command is killed at a point, and the judge of what became of it.

The house is small and holds one of each: joiners of whom one leads the other, a mover, a leaver with another change, a
person who comes back, a group, a receiver of webhooks, a checkpoint outside. Each scene begins with the same state and
the same directory, is played once without a death, and then once for each point. What the undisturbed play leaves is
what every other must leave.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import shutil
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
from tests.killing import points
from tests.killing.points import Point, When
from tests.runs import WIDE_LIMITS, House, Said, house

from scimsync import bootstrap
from scimsync.config import load
from scimsync.model.events import MessageState
from scimsync.model.outcomes import Status
from scimsync.simulator.people import Person

LIMITS = {**WIDE_LIMITS, "group_loss": "100%", "group_gain": 1000}
SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KILLED = -9
#: what another hand adds, which we do not manage
THEIRS = {"type": "home", "value": "+13175550199"}


class Receiver:
    """Takes every message, and keeps id and body."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes]] = []

    @contextlib.contextmanager
    def listening(self) -> Iterator[str]:
        taken = self.taken

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                taken.append((str(self.headers["webhook-id"]), body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the library's
                """Say nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_address[1]}/hook"
            server.shutdown()


class Database:
    """The state's database, which can be kept and brought back whole."""

    def __init__(self, postgres: str = "") -> None:
        self._postgres, self._kept = postgres, 0

    @property
    def config(self) -> str:
        return f'url = "{self.url}"\n' if self._postgres else ""

    @property
    def url(self) -> str:
        return f"{self._postgres.rpartition('/')[0]}/killed"

    def make(self) -> None:
        self._ask("CREATE DATABASE killed")

    def keep(self) -> str:
        self._kept += 1
        self._ask(f"CREATE DATABASE kept_{self._kept} TEMPLATE killed")
        return f"kept_{self._kept}"

    def bring_back(self, kept: str) -> None:
        self._ask("DROP DATABASE killed WITH (FORCE)", f"CREATE DATABASE killed TEMPLATE {kept}")

    def execute(self, home: Path, *statements: str) -> None:
        """Change the database past the program."""
        if self._postgres:
            with psycopg.connect(self.url, autocommit=True) as connection:
                for statement in statements:
                    connection.execute(statement.encode())
            return
        with contextlib.closing(sqlite3.connect(home / ".scimsync/state.db")) as database, database:
            for statement in statements:
                database.execute(statement)

    def _ask(self, *statements: str) -> None:
        if not self._postgres:
            return
        with psycopg.connect(self._postgres, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())


@dataclass(frozen=True, slots=True)
class Kept:
    """A moment: the files of the state, its database, the directory, what the receiver had."""

    files: Path
    database: str
    directory: Mapping[str, Any]
    taken: Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Left:
    """What a play left: what is compared."""

    #: login -> the account, without what is another in each play
    accounts: Mapping[str, Any]
    #: group -> logins
    groups: Mapping[str, Any]
    #: (what, login) -> how often
    effects: Counter[tuple[str, str]]
    #: (code, subject) of what the last plan says
    findings: frozenset[tuple[str, str]]


@dataclass
class Scene:
    """What is killed, and what an operator does next."""

    home: House
    database: Database
    receiver: Receiver
    #: the command that is killed
    words: Sequence[str]
    #: what an operator may do next, one of these lists
    ways: Sequence[Sequence[Sequence[str]]]
    before: Kept
    name: str = ""
    #: days by which the clock of the command is ahead
    ahead: int = 0
    #: with the process, the database loses whatever the command made durable there: a fail-over to a stale replica
    forgets: bool = False
    #: a bug of `tests.chaos.mutants` that every command has
    mutant: str = ""
    left: Left | None = None
    passed: list[Point] = field(default_factory=list)

    # --- playing ------------------------------------------------------------------------------

    def count(self) -> None:
        """Play it once undisturbed: learn its points, and what it shall leave."""
        log = self.home.folder.parent / "points"
        log.unlink(missing_ok=True)
        restore(self.home, self.database, self.receiver, self.before)
        said = self._command(self.words, log, None)
        assert said.code in {0, 11}, said.err
        self.passed = [Point(*json.loads(line)) for line in log.read_text().splitlines()]
        self.left = self._end(self.ways[0], edited="")

    def kill(self, point: Point, when: When, turn: int) -> list[str] | None:
        """Kill it there, go on as an operator would, and say what is wrong; None where it never came there."""
        assert self.left is not None
        restore(self.home, self.database, self.receiver, self.before)
        log = self.home.folder.parent / "points-killed"
        log.unlink(missing_ok=True)
        said = self._command(self.words, log, (point, when))
        if said.code != KILLED:
            return None
        if self.forgets:
            forget(self.home, self.database, self.before)
        try:
            self._intended()
            edited = self._edit(turn) if turn % 2 else ""
            left = self._end(self.ways[turn % len(self.ways)], edited=edited)
        except AssertionError as error:
            return [str(error)]
        return [*_compare(self.left, left)]

    def _command(self, words: Sequence[str], log: Path, kill: tuple[Point, When] | None) -> Said:
        asked = {"log": str(log), "kill": [*kill[0], kill[1]] if kill else None}
        self.home.environ[points.ENVIRON] = json.dumps(asked | {"ahead": self.ahead, "mutant": self.mutant})
        try:
            return self.home.command(*words)
        finally:
            del self.home.environ[points.ENVIRON]

    def _next(self, *words: str) -> Said:
        """A command that nobody kills."""
        if words == tuple(self.words) or self.mutant:
            return self._command(words, Path(os.devnull), None)
        return self.home.command(*words)

    def _edit(self, turn: int) -> str:
        """Another hand writes what is not ours into an account that we write, between the death and what comes next."""
        someone = (moves(self.home), leaves(self.home))[turn // 2 % 2]
        self.home.edit(someone, "phoneNumbers", [THEIRS], op="add")
        return someone.email.lower()

    def _end(self, way: Sequence[Sequence[str]], *, edited: str) -> Left:
        for words in way:
            said = self._next(*words)
            if said.code == 6 and self.forgets:  # it was noticed: the operator has nothing newer, and goes on
                assert "an older state was put back" in said.err, said.err
                self._next("state", "renew", "--reason", "the replica was behind")
                said = self._next("sync")
            assert said.code in {0, 11}, f"{' '.join(words)} ended {said.code}: {said.err}"
        before = self.home.writes()
        quiet = self._next("plan", "--json")
        assert quiet.code == 0, f"the next plan ended {quiet.code}: {quiet.err}"
        document = json.loads(quiet.out)
        assert not document["changes"], f"the next plan is not quiet: {document['changes']}"
        assert not document["groups"], f"the next plan is not quiet: {document['groups']}"
        assert self.home.writes() == before, "a plan wrote"
        self._delivered()
        proven = self.home.command("audit", "verify")
        assert proven.code == 0, f"audit verify: {proven.out} {proven.err}"
        self._settled()
        if edited:
            held = self.home.account(edited)["phoneNumbers"]
            assert THEIRS in [{"type": one["type"], "value": one["value"]} for one in held], (
                f"another's is gone: {held}"
            )
        return self._look(document, edited)

    # --- judging ------------------------------------------------------------------------------

    def _intended(self) -> None:
        """Whatever was written by whoever died has an intent that outlived him."""
        with bootstrap.open_store(self.home.settings()) as store:
            lines = [line for run in store.runs(1000) for line in store.journal(run.id)]
        intents = Counter((line.method, line.key) for line in lines if line.outcome is None)
        effects = Counter((entry["method"], self._whose(entry["id"])) for entry in self.home.history())
        if not self.ahead and not self.forgets:  # else the journal may be gone
            assert not (silent := effects - intents), f"written without an intent: {dict(silent)}"

    def _whose(self, identity: str) -> str:
        """The key of whoever has an account, or of a group."""
        directory = self.home.simulator.directory
        if identity in directory.groups:
            return f"group:{identity}"
        return str(directory.users[identity].resource["externalId"])

    def _delivered(self) -> None:
        """Every message of the outbox arrived, each id with one body."""
        self.database.execute(self.home.folder, "UPDATE outbox SET due = created WHERE state = 'pending'")
        said = self.home.command("webhooks", "deliver")
        assert said.code == 0, said.err
        settings = load(self.home.file, secrets=False)
        (webhook,) = settings.webhooks
        with bootstrap.open_store(settings) as store:
            pending = store.messages(webhook.name, MessageState.PENDING, 1000)
            assert not pending, f"undelivered: {pending}"
            told = {message.id: message.body for message in store.messages(webhook.name, MessageState.DELIVERED, 1000)}
        bodies: dict[str, set[bytes]] = {}
        for identity, body in self.receiver.taken:
            bodies.setdefault(identity, set()).add(body)
        assert {*told} <= {*bodies}, "delivered, and never arrived"
        assert all(len(each) == 1 for each in bodies.values()), "one id, two bodies"

    def _settled(self) -> None:
        """No intent is open; each write of the directory has its intent and its outcome, of the same person."""
        assert not (open_ := self.home.unsettled()), f"open intents: {open_}"
        with bootstrap.open_store(self.home.settings()) as store:
            links = {link.account: link.key for link in store.links()}
            wrote: Counter[str] = Counter()
            for run in store.runs(1000):
                final: Counter[tuple[str, int]] = Counter()
                for line in store.journal(run.id):
                    if line.outcome is None:
                        continue
                    final[line.key, line.part] += line.outcome.status in {Status.DONE, Status.ALREADY}
                    if line.outcome.status in {Status.DONE, Status.ALREADY}:
                        wrote[line.key] += 1
                doubled = [part for part, times in final.items() if times > 1]
                assert not doubled, f"two outcomes in {run.id}: {doubled}"
        for account in {entry["id"] for entry in self.home.history() if entry["resource"] == "User"}:
            key = links.get(account)
            assert key is not None, f"{account} was written and is nobody's"
            assert wrote[key] or self.forgets, f"{key} was written and has no outcome"

    def _look(self, document: Mapping[str, Any], edited: str) -> Left:
        directory = self.home.simulator.directory
        everybody = [directory.entity(number) for number in directory.numbers()]
        users = [entity for entity in everybody if not entity.deleted]
        names = {entity.id: str(entity.resource["userName"]).lower() for entity in everybody}
        accounts = {names[entity.id]: _bare(entity.resource, names) for entity in users}
        assert len(accounts) == len(users), "two accounts of one login"
        if edited:
            numbers = accounts[edited]["phoneNumbers"]
            numbers[:] = [number for number in numbers if number["type"] != THEIRS["type"]]
        external = Counter(
            str(entity.resource.get("externalId")) for entity in users if entity.resource.get("externalId")
        )
        assert not (twice := [key for key, times in external.items() if times > 1]), f"two accounts of {twice}"
        groups = {
            str(group.resource["displayName"]): _bare(group.resource, names) for group in directory.groups.values()
        }
        effects = Counter((f"{e['method']} {e['resource']}", names.get(e["id"], "group")) for e in self.home.history())
        findings = frozenset((f["code"], str(f["subject"])) for f in document["findings"])
        return Left(accounts, groups, effects, findings)


def _compare(wanted: Left, found: Left) -> Iterator[str]:
    for theirs, ours in ((wanted.accounts, found.accounts), (wanted.groups, found.groups)):
        for name in sorted(ours.keys() | theirs.keys()):
            one, other = theirs.get(name, {}), ours.get(name, {})
            if moved := {
                k: (one.get(k), other.get(k)) for k in one.keys() | other.keys() if one.get(k) != other.get(k)
            }:
                yield f"{name} is another: {moved}"
    if doubled := found.effects - wanted.effects:
        yield f"written once more: {dict(doubled)}"
    if lacking := wanted.effects - found.effects:
        yield f"written once less: {dict(lacking)}"
    if wanted.findings != found.findings:
        yield f"findings differ: {sorted(wanted.findings ^ found.findings)}"


def _bare(resource: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A resource with logins in the place of ids, lists in order."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(held) for name, held in sorted(value.items()) if name not in {"id", "meta", "$ref"}}
        if isinstance(value, list):
            return sorted((plain(held) for held in value), key=repr)
        return names.get(value, value) if isinstance(value, str) else value

    return dict(plain(dict(resource)))


# --- moments --------------------------------------------------------------------------------------

_FOREIGN = ("options", "clock", "base_url", "primary")


def keep(home: House, database: Database, receiver: Receiver, name: str) -> Kept:
    """Keep this moment."""
    files = home.folder.parent / f"kept-{name}"
    shutil.copytree(home.folder, files)
    return Kept(files, database.keep(), _copied(home), [*receiver.taken])


def restore(home: House, database: Database, receiver: Receiver, kept: Kept) -> None:
    """Come back to a moment."""
    shutil.rmtree(home.folder / ".scimsync")
    for path in home.folder.iterdir():
        path.unlink()
    shutil.copytree(kept.files, home.folder, dirs_exist_ok=True)
    database.bring_back(kept.database)
    directory = home.simulator.directory
    shared = {id(held): held for name in _FOREIGN if (held := vars(directory).get(name)) is not None}
    vars(directory).update(copy.deepcopy(dict(kept.directory), shared))
    receiver.taken[:] = kept.taken


def forget(home: House, database: Database, kept: Kept) -> None:
    """Let the database come back to a moment, and nothing else."""
    database.bring_back(kept.database)
    for path in (home.folder / ".scimsync").glob("state.db*"):
        path.unlink()
        shutil.copy(kept.files / ".scimsync/state.db", path.with_name("state.db"))


def _copied(home: House) -> Mapping[str, Any]:
    directory = home.simulator.directory
    shared = {id(held): held for name in _FOREIGN if (held := vars(directory).get(name)) is not None}
    held = {name: value for name, value in vars(directory).items() if name not in _FOREIGN}
    return copy.deepcopy(held, shared)


# --- the house ------------------------------------------------------------------------------------


@contextlib.contextmanager
def prepared(folder: Path, postgres: str = "") -> Iterator[tuple[House, Database, Receiver]]:
    """A house whose directory and HR agree, where nothing was ever run."""
    database, receiver = Database(postgres), Receiver()
    database.make()
    with receiver.listening() as address, house(folder / "home", users=10) as home:
        hook = home.folder / "hook"
        hook.touch(mode=0o600)
        hook.write_text(SECRET, encoding="utf-8")
        home.configure(
            target=home.target + "workers = 1\n",
            limits=LIMITS,
            more=f'[[webhook]]\nurl = "{address}"\nsecret = "file:hook"\nallow_private = true\n'
            '[audit]\ncheckpoints = "outside"\n'
            '[groups]\nquery = "SELECT employee_id, group_name FROM membership"\n'
            "[state]\nkeep = { runs = 1, days = 1 }\n" + database.config,
        )
        members = [moves(home), leaves(home)]
        home.call("groups", {"displayName": "Night", "members": [home.account(who)["id"] for who in members]})
        home.hr("CREATE TABLE membership (employee_id TEXT, group_name TEXT)")
        for who in members:
            home.hr("INSERT INTO membership VALUES (?, 'Night')", who.employee_id)
        yield home, database, receiver


def moves(home: House) -> Person:
    """Who gets another title."""
    return home.people[3]


def leaves(home: House) -> Person:
    """Who leaves."""
    return home.people[4]


def change_hr(home: House) -> None:
    """One of each."""
    joins, boss = home.people[1], home.newcomer(0)
    returns = next(p for p in home.people if not p.active)
    home.set(moves(home), job_title="Lead", department="Night")
    home.set(leaves(home), status="left", job_title="Left")
    home.set(returns, status="active")
    home.hire(boss, home.newcomer(1, manager_id=boss.employee_id))
    home.hr("DELETE FROM membership")
    for who in (joins, moves(home), boss):
        home.hr("INSERT INTO membership VALUES (?, 'Night')", who.employee_id)

"""What is peculiar to the store in a database: the file, its mode, its faults, its schema."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from tests.foreign import foreign

from scimsync import files
from scimsync.adapters import store_sql, store_tables
from scimsync.adapters.store_sql import REVISIONS, SqlStore
from scimsync.errors import ConfigError, StoreDamaged, StoreError, StoreLocked
from scimsync.model.audit import Kind, Record
from scimsync.model.events import Message
from scimsync.model.outcomes import JournalLine, Link, Run, RunState, Step
from scimsync.testing import VirtualClock


@contextmanager
def opened(folder: Path, *, patience_s: float = 5.0) -> Iterator[SqlStore]:
    url = f"sqlite:///{folder}/state.db"
    store = SqlStore(url, folder / "artifacts", VirtualClock(), patience_s=patience_s)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def plain(folder: Path) -> Iterator[sqlite3.Connection]:
    """The file in the eyes of another program."""
    with closing(sqlite3.connect(folder / "state.db", isolation_level=None)) as connection:
        yield connection


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


# Private files


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_files_and_folders_are_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with opened(tmp_path / "a" / "b") as store:
            store.save_links([Link("p", "a")])
            files.write(store.artifact("plan"), [b"x"])
            modes = {path.name: mode(path) for path in (tmp_path / "a").rglob("*")}
    finally:
        os.umask(before)
    assert mode(tmp_path / "a") == 0o700
    assert modes == {
        "b": 0o700,
        "artifacts": 0o700,
        "plan": 0o600,
        "state.db": 0o600,
        "state.db-wal": 0o600,
        "state.db-shm": 0o600,
    }


def test_a_store_that_others_could_read_is_closed_to_them_and_a_folder_that_is_not_ours_is_left(
    tmp_path: Path,
) -> None:
    tmp_path.chmod(0o755)
    with opened(tmp_path):
        pass
    (tmp_path / "state.db").chmod(0o644)
    with opened(tmp_path):
        assert mode(tmp_path / "state.db") == 0o600
    assert mode(tmp_path) == 0o755


def test_an_open_artifacts_folder_is_closed_if_empty_and_refused_if_not(tmp_path: Path) -> None:
    (tmp_path / "artifacts").mkdir(mode=0o755)
    with opened(tmp_path):
        assert mode(tmp_path / "artifacts") == 0o700
    (tmp_path / "artifacts").chmod(0o755)
    (tmp_path / "artifacts" / "plan").touch()
    with pytest.raises(StoreError, match="chmod 700"), opened(tmp_path):
        pass


def test_a_link_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    (tmp_path / "state.db").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match=r"state\.db is a link"), opened(tmp_path):
        pass
    assert (tmp_path / "elsewhere").read_bytes() == b""


@pytest.mark.parametrize("right", [0o770, 0o707, 0o1777])
def test_a_folder_that_others_may_write_into_is_refused_with_the_cure(tmp_path: Path, right: int) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(right)
    with pytest.raises(StoreError, match=f"others may write into it, .* chmod go-w {folder}"), opened(folder):
        pass
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["", "artifacts", "state.db", "state.db-wal"])
def test_a_folder_or_a_database_of_another_user_is_refused(tmp_path: Path, name: str) -> None:
    with opened(tmp_path):
        pass
    (tmp_path / "state.db-wal").touch()
    told = r"belongs to user \d+, who could exchange the state"
    with foreign(tmp_path / name), pytest.raises(StoreError, match=told), opened(tmp_path):
        pass
    with opened(tmp_path):
        pass


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_a_link_beside_the_database_is_refused(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "victim").write_bytes(b"theirs")
    (tmp_path / f"state.db{suffix}").symlink_to(tmp_path / "victim")
    with pytest.raises(StoreError, match=f"{suffix} is a link"), opened(tmp_path):
        pass
    assert (tmp_path / "victim").read_bytes() == b"theirs"


def test_a_folder_that_takes_no_files_is_named_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    told = r"cannot write to .*/file/state: .* Give the user that runs scimsync the right to"
    with pytest.raises(StoreError, match=told), opened(tmp_path / "file" / "state"):
        pass


@pytest.mark.parametrize("right", [0o500, 0o000])
def test_a_folder_without_rights_is_named(right: int) -> None:
    with tempfile.TemporaryDirectory() as name, _nobody(Path(name)):
        folder = Path(name) / "state"
        folder.mkdir()
        folder.chmod(right)
        try:
            with pytest.raises(StoreError, match=f"cannot write to {folder}"), opened(folder):
                pass
        finally:
            folder.chmod(0o700)


def test_a_file_without_the_right_to_write_is_named(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as name, _nobody(Path(name)):
        with opened(Path(name)):
            pass
        (Path(name) / "state.db").chmod(0o400)
        with pytest.raises(StoreError, match=r"state\.db cannot be used: it is read-only"), opened(Path(name)) as store:
            store.save_links([Link("p", "a")])


@contextmanager
def _nobody(folder: Path) -> Iterator[None]:
    """Without the powers of root, which would write everywhere."""
    root = os.geteuid() == 0
    if root:
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


# Durability


def test_sqlite_is_asked_for_durability(tmp_path: Path) -> None:
    with opened(tmp_path) as store, store.engine.connect() as connection:
        answers = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        }
    assert answers == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 5000, "foreign_keys": 1}


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"])
def test_a_place_without_a_write_ahead_log_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(StoreError, match="write-ahead log"):
        SqlStore(url, tmp_path, VirtualClock())


@pytest.mark.parametrize("url", ["mysql://h/d", "state.db", "", "oracle+x://h"])
def test_another_kind_of_url_is_a_fault_of_the_configuration(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="sqlite:///"):
        SqlStore(url, tmp_path, VirtualClock())


def test_a_reader_does_not_wait_for_a_writer(tmp_path: Path) -> None:
    with opened(tmp_path, patience_s=0.2) as store, plain(tmp_path) as other:
        store.save_links([Link("p", "a")])
        other.execute("BEGIN IMMEDIATE")
        assert list(store.links()) == [Link("p", "a")]


def test_a_lock_that_outlasts_patience_is_told(tmp_path: Path) -> None:
    with opened(tmp_path, patience_s=0.1) as store, plain(tmp_path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreLocked, match="somebody else keeps"):
            store.save_links([Link("p", "a")])
        other.execute("ROLLBACK")
        store.save_links([Link("p", "a")])


def test_a_full_disk_stops_the_write_and_loses_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.save_links([Link("p", "a")])
        with store.engine.connect() as connection:  # the pool hands the same connection out again
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        with pytest.raises(StoreError, match="the disk is full"):
            store.save_links(Link(f"q{n}", f"{n:0100}") for n in range(5000))
        assert list(store.links()) == [Link("p", "a")]


def test_a_message_of_the_driver_never_tells_what_was_written(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        with plain(tmp_path) as other:
            other.execute("CREATE UNIQUE INDEX one ON link (source)")
        with pytest.raises(StoreError) as caught:
            store.save_links([Link("jane.doe@example.com", "a"), Link("p2", "b")])
    assert "jane" not in str(caught.value)
    assert "jane" not in str(caught.value.__cause__)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_state_that_is_opened_to_be_read_cannot_be_written_and_is_not_made(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    if kind == "postgres":
        url = request.getfixturevalue("postgres_database")
    with pytest.raises(StoreError, match=r"there is no state in|made by an older scimsync \(schema none\)"):
        SqlStore(url, tmp_path / "artifacts", VirtualClock(), writes=False)
    assert not [*tmp_path.iterdir()]
    writer = SqlStore(url, tmp_path / "artifacts", VirtualClock())
    writer.save_links([Link("p", "a")])
    reader = SqlStore(url, tmp_path / "artifacts", VirtualClock(), writes=False)
    assert list(reader.links()) == [Link("p", "a")]
    with pytest.raises(StoreError, match="it is read-only"):
        reader.save_links([Link("q", "b")])
    writer.save_links([Link("q", "b")])  # beside a reader
    assert len(list(reader.links())) == 2
    writer.close()
    reader.close()


# Damage


@pytest.mark.parametrize("content", [b"garbage " * 1000, b"SQLite format 3\0" + b"\xff" * 8000, b"x"])
def test_a_file_that_is_no_database_is_told_with_steps(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state.db").write_bytes(content)
    with pytest.raises(StoreDamaged, match=r"state\.db is damaged: .*bring back the last backup"), opened(tmp_path):
        pass
    assert (tmp_path / "state.db").read_bytes() == content


@pytest.mark.parametrize("harm", ["cut", "scribble"])
def test_damaged_pages_are_found_at_the_start(tmp_path: Path, harm: str) -> None:
    with opened(tmp_path) as store:
        store.save_links(Link(f"p{n}", f"a{n}") for n in range(5000))
    path = tmp_path / "state.db"
    content = path.read_bytes()
    middle = len(content) // 2 // 4096 * 4096
    path.write_bytes(
        content[:middle] if harm == "cut" else content[:middle] + b"\xee" * 4096 + content[middle + 4096 :]
    )
    with pytest.raises(StoreDamaged, match="is damaged"), opened(tmp_path):
        pass


def test_a_row_that_cannot_be_read_is_damage(tmp_path: Path) -> None:
    with opened(tmp_path) as store, plain(tmp_path) as other:
        other.execute(
            "INSERT INTO journal (run, key, part, step, at, attempt, method, version, outcome)"
            " VALUES ('r', 'k', 1, 'guess', '2026-01-01T00:00:00+00:00', 1, '', '', NULL),"
            " ('s', 'k', 1, 'intent', '2026-01-01T00:00:00+00:00', 1, '', '', '{')"
        )
        for run in ("r", "s"):
            with pytest.raises(StoreDamaged, match="a row cannot be read"):
                list(store.journal(run))


# The schema


def test_the_schema_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    with opened(tmp_path):
        pass
    with plain(tmp_path) as other:
        other.execute("UPDATE scimsync_version SET version_num = '9999'")
    with pytest.raises(StoreError, match=r"newer scimsync \(schema 9999.*Update scimsync"), opened(tmp_path):
        pass


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    with plain(tmp_path) as other:
        other.execute("CREATE TABLE theirs (x)")
    with pytest.raises(StoreError, match="another program"), opened(tmp_path):
        pass
    with plain(tmp_path) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]


def test_the_steps_are_those_the_program_knows() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(store_sql.__file__).parent / "migrations"))
    steps = ScriptDirectory.from_config(config).walk_revisions()
    assert tuple(step.revision for step in steps)[::-1] == REVISIONS


def told(index: Mapping[str, object]) -> dict[str, object]:
    """An index, with the SQL of what it is over in the place of objects."""
    options = index.get("dialect_options")
    over = {name: str(value) for name, value in options.items()} if isinstance(options, dict) else {}
    return {**index, "dialect_options": over}


def described(engine: sa.Engine) -> dict[str, object]:
    """All that a database holds; what a step gave to rows that were there (a default) is of no use to a new state."""
    with engine.connect() as connection:
        tables = sa.inspect(connection)
        found: dict[str, object] = {
            name: (
                sorted((c["name"], str(c["type"]), c["nullable"]) for c in tables.get_columns(name)),
                tables.get_pk_constraint(name),
                sorted(str(told(index)) for index in tables.get_indexes(name)),
                tables.get_unique_constraints(name),
            )
            for name in tables.get_table_names()
        }
        for name in [*found]:
            rows = connection.execute(sa.text(f"SELECT * FROM {name}")).mappings().all()
            chance = {"origin", "secret", "hash"}
            found[f"rows of {name}"] = [sorted((k, v) for k, v in row.items() if k not in chance) for row in rows]
        guards = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
        if connection.dialect.name == "postgresql":
            guards = (
                "SELECT tgname, pg_get_triggerdef(t.oid), prosrc FROM pg_trigger t "
                "JOIN pg_proc p ON p.oid = tgfoid WHERE NOT tgisinternal ORDER BY tgname"
            )
        found["guards"] = connection.execute(sa.text(guards)).all()
    return found


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_the_steps_lead_to_what_a_new_state_is_born_with(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    url = f"sqlite:///{tmp_path}/stepped.db"
    if kind == "postgres":
        url = request.getfixturevalue("postgres_database")
    config = Config()
    config.set_main_option("script_location", str(Path(store_sql.__file__).parent / "migrations"))
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        config.attributes.update(connection=connection, version_table=store_sql.VERSION_TABLE)
        command.upgrade(config, "head")
    with engine.connect() as connection:
        options = {"version_table": store_sql.VERSION_TABLE}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), store_tables.TABLES) == []
    stepped = described(engine)
    if kind == "postgres":
        with engine.begin() as connection:
            connection.execute(sa.text("DROP SCHEMA public CASCADE"))
            connection.execute(sa.text("CREATE SCHEMA public"))
    engine.dispose()
    store = SqlStore(url.replace("stepped.db", "born.db"), tmp_path / "artifacts", VirtualClock())
    born = described(store.engine)
    store.close()
    assert born == stepped


@pytest.mark.parametrize("step", REVISIONS[:-1])
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_state_of_every_earlier_step_is_led_on_and_keeps_what_it_holds(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, step: str
) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    if kind == "postgres":
        url = request.getfixturevalue("postgres_database")
    config = Config()
    config.set_main_option("script_location", str(Path(store_sql.__file__).parent / "migrations"))
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        config.attributes.update(connection=connection, version_table=store_sql.VERSION_TABLE)
        command.upgrade(config, step)
        connection.execute(sa.text("INSERT INTO link (key, account) VALUES ('p', 'a')"))
    engine.dispose()
    store = SqlStore(url, tmp_path / "artifacts", VirtualClock())
    now = VirtualClock().now()
    line = JournalLine(run="run-1", key="p", part=1, step=Step.INTENT, at=now)
    record = Record(kind=Kind.INTENT, at=now, actor="me", person="p")
    message = Message(id="msg_1", endpoint="e", person="p", type="t", body=b"{}", created=now, due=now)
    store.append([line], [record], [message])
    assert list(store.links()) == [Link("p", "a")]
    assert (len(list(store.journal("run-1"))), store.head().size, store.next_due("e")) == (1, 1, now)
    store.close()


def test_the_runs_of_an_earlier_version_are_numbered_as_they_were_made(tmp_path: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(store_sql.__file__).parent / "migrations"))
    engine = sa.create_engine(f"sqlite:///{tmp_path}/state.db")
    with engine.begin() as connection:
        config.attributes.update(connection=connection, version_table=store_sql.VERSION_TABLE)
        command.upgrade(config, "0006")
        rest = "'t', '', '', '', '{}', '{}', 0)"
        for name, day, state in (("b", 2, "applying"), ("c", 3, "planned"), ("a", 1, "done")):
            connection.execute(
                sa.text(
                    "INSERT INTO run (id, created, state, target, plan, agreed, base, tally, statuses, partial) "
                    f"VALUES ('{name}', '2026-01-0{day}T00:00:00.000000+00:00', '{state}', {rest}"
                )
            )
    engine.dispose()
    with opened(tmp_path) as store:
        assert [run.id for run in store.runs()] == ["c", "b", "a"]
        assert [run.id for run in store.begun()] == ["b", "a"]
        assert {(run.source, run.takes) for run in store.runs()} == {("", ())}
        store.save_run(Run(id="d", created=VirtualClock().now(), state=RunState.PLANNED, target="t"))
        assert store.runs()[0].seq == 4


def test_a_migration_that_breaks_off_leaves_nothing_and_can_be_done_again(tmp_path: Path) -> None:
    with plain(tmp_path) as other:
        other.execute("CREATE TABLE scimsync_version (version_num VARCHAR(32) NOT NULL)")
        other.execute("CREATE TABLE lease (x)")  # the last table that the first step makes
    with pytest.raises(StoreError, match="table lease already exists"), opened(tmp_path):
        pass
    with plain(tmp_path) as other:
        tables = other.execute("SELECT name FROM sqlite_master ORDER BY name").fetchall()
        assert tables == [("lease",), ("scimsync_version",)]
        other.execute("DROP TABLE lease")
    with opened(tmp_path) as store:
        assert list(store.links()) == []


def test_a_new_store_opens_without_alembic_and_one_that_is_up_to_date(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from scimsync.adapters.store_sql import SqlStore; from scimsync.adapters.clock_system import SystemClock\n"
        f"for _ in range(2): SqlStore('sqlite:///{tmp_path}/state.db', Path('{tmp_path}/artifacts'), SystemClock()).close()\n"
        "print([name for name in sys.modules if name.partition('.')[0] in {'alembic', 'psycopg'}])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# PostgreSQL


def test_a_server_that_does_not_answer_is_told_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"PostgreSQL 127\.0\.0\.1/state cannot be reached") as caught:
        SqlStore("postgresql://me:s3cret@127.0.0.1:1/state", tmp_path / "artifacts", VirtualClock())
    assert "s3cret" not in str(caught.value)


def test_a_lock_on_postgresql_that_outlasts_patience_is_told(postgres_database: str, tmp_path: Path) -> None:
    store = SqlStore(postgres_database, tmp_path / "artifacts", VirtualClock(), patience_s=0.1)
    with store.engine.begin() as other:
        other.execute(sa.text("LOCK TABLE link"))
        with pytest.raises(StoreLocked, match="somebody else keeps"):
            store.save_links([Link("p", "a")])
    store.close()


def test_a_cut_connection_to_postgresql_is_replaced(postgres_database: str, tmp_path: Path) -> None:
    store = SqlStore(postgres_database, tmp_path / "artifacts", VirtualClock())
    store.save_links([Link("p", "a")])
    killer = sa.create_engine(postgres_database.replace("postgresql:", "postgresql+psycopg:"))
    with killer.connect() as connection:
        connection.execute(
            sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'scimsync'")
        )
    killer.dispose()
    store.save_links([Link("q", "b")])
    assert len(list(store.links())) == 2
    store.close()


def test_a_lease_that_could_not_be_given_back_does_not_shut_out_the_process_that_had_it(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/state.db", tmp_path / "artifacts", VirtualClock())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with store.lease("first"):
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with store.engine.connect() as connection:
        assert connection.scalar(sa.select(store_tables.LEASE.c.owner)) == "first"
    with store.lease("second"), pytest.raises(StoreLocked), store.lease("third"):
        pass
    store.close()

"""A state that is not the one that was left is noticed, and so is a file of it that is another or gone."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.servers import Firm, Provider, account, firm

from scimsync.config import load
from scimsync.errors import ConfigError, PlanDamaged, ScimsyncError, StoreDamaged, StoreError
from scimsync.model.plans import Plan
from scimsync.services import auditing, checking, evidence, renewing, state

REASON = "the disk is lost"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Firm]:
    """Three people, of whom one was made and one was changed."""
    with firm(tmp_path, Provider(account(1), account(2))) as found:
        found.hr({"id": 1, "title": "Lead"}, {"id": 2}, {"id": 3})
        found.sync()
        yield found


def folder(home: Firm) -> Path:
    return home.folder / ".scimsync"


def artifact(home: Firm, pattern: str) -> Path:
    (found,) = (folder(home) / "artifacts").glob(pattern)
    return found


def database(home: Firm) -> list[Path]:
    return [path for path in folder(home).iterdir() if path.name.startswith("state.db")]


def back_up(home: Firm) -> Path:
    """A copy of the database as it is, as a backup makes one."""
    copied = home.folder / "backup.db"
    with sqlite3.connect(folder(home) / "state.db") as source, sqlite3.connect(copied) as kept:
        source.backup(kept)
    return copied


def put_back(home: Firm, copied: Path) -> None:
    for path in database(home):
        path.unlink()
    shutil.copy(copied, folder(home) / "state.db")


def meddle(home: Firm, *statements: str) -> None:
    """Change the database past the program."""
    with sqlite3.connect(folder(home) / "state.db") as there:
        for (name,) in there.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            there.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            there.execute(statement)


def told_by_doctor(home: Firm) -> str:
    found = checking.try_continuity(load(home.folder / "scimsync.toml"))
    return "\n".join(found)


def verify(home: Firm) -> None:
    evidence.verify_state(load(home.folder / "scimsync.toml"), None, "")


def renew(home: Firm) -> renewing.Renewed:
    settings = load(home.folder / "scimsync.toml")
    with state.held(settings) as store:
        return renewing.renew(settings, store, REASON, lambda _: None)


def noticed(home: Firm, words: str) -> None:
    """Plan and doctor say it, and nobody is asked or written."""
    asked = len(home.provider.asked)
    with pytest.raises(StoreDamaged, match=words):
        home.plan()
    assert words.replace("\\", "") in told_by_doctor(home)
    assert len(home.provider.asked) == asked


def goes_on(home: Firm) -> Plan:
    """After it was renewed the next run reads all, removes nothing, and the one after finds nothing to do."""
    renew(home)
    made, report = home.sync()
    assert report.clean
    assert {change.action.value for change in made.changes} <= {"update"}
    home.quiet()
    assert told_by_doctor(home) == ""
    return made


# --- the state ------------------------------------------------------------------------------------


def test_an_emptied_state_is_noticed_and_goes_on_when_a_person_says_so(home: Firm) -> None:
    for path in database(home):
        path.unlink()
    with pytest.raises(StoreError, match="there is no state in"):
        verify(home)
    assert not database(home)  # evidence makes nothing
    noticed(home, "it was emptied, or is another state")
    with pytest.raises(StoreDamaged, match="record 1 is missing: the chain was cut"):
        verify(home)
    goes_on(home)
    verify(home)


def test_an_emptied_state_of_an_earlier_release_is_noticed_by_its_bases(home: Firm) -> None:
    artifact(home, "checkpoint").unlink()
    for path in database(home):
        path.unlink()
    noticed(home, "was left by a run that this state does not know")
    goes_on(home)


def test_a_backup_of_yesterday_is_noticed_before_anything_is_read(home: Firm) -> None:
    copied = back_up(home)
    home.hr({"id": 1, "title": "Chief"}, {"id": 2}, {"id": 3})
    home.sync()
    put_back(home, copied)
    noticed(home, "an older state was put back")
    with pytest.raises(StoreDamaged, match="the chain was cut, a checkpoint tells of"):
        verify(home)
    goes_on(home)
    assert home.provider.named("p1@x.org")[0]["title"] == "Chief"


def test_a_backup_in_which_nothing_is_missing_goes_on(home: Firm) -> None:
    copied = back_up(home)
    home.quiet()
    put_back(home, copied)
    home.quiet()


def test_checkpoints_outside_tell_of_a_state_that_was_put_back_with_its_artifacts(home: Firm) -> None:
    home.configure(more='[audit]\ncheckpoints = "outside"')
    home.hr({"id": 1, "title": "Head"}, {"id": 2}, {"id": 3})
    home.sync()
    shutil.copytree(folder(home), home.folder / "yesterday")
    home.hr({"id": 1, "title": "Chief"}, {"id": 2}, {"id": 3})
    home.sync()
    shutil.rmtree(folder(home))
    shutil.copytree(home.folder / "yesterday", folder(home))
    noticed(home, r"outside is over 12 records")
    goes_on(home)


def test_a_chain_that_was_cut_is_noticed_without_walking_it(home: Firm) -> None:
    meddle(home, "DELETE FROM audit WHERE seq > 3")
    noticed(home, "the end of the audit chain is not there")
    goes_on(home)
    with pytest.raises(StoreDamaged, match="record 4 is missing"):  # the evidence stays
        verify(home)


def test_nobody_signs_a_chain_that_was_cut(home: Firm) -> None:
    kept = artifact(home, "checkpoint").read_text()
    meddle(home, "DELETE FROM audit", "UPDATE audit_head SET size = 0, frontier = x''")
    settings = load(home.folder / "scimsync.toml")
    with state.open_store(settings) as store, pytest.raises(StoreDamaged, match="an older state"):
        auditing.latest_checkpoint(settings, store, lambda _: None)
    assert artifact(home, "checkpoint").read_text() == kept


def test_a_key_that_was_set_to_null_is_no_erasure(home: Firm) -> None:
    meddle(home, "UPDATE audit_key SET secret = NULL")
    noticed(home, "keys of the audit chain were destroyed, and no erasure tells of it")
    with pytest.raises(StoreDamaged, match=r"the key of the person of record \d+ was destroyed, and no erasure"):
        verify(home)
    goes_on(home)


def test_a_key_that_was_made_to_look_erased_or_removed_is_found_by_verify(home: Firm) -> None:
    settings = load(home.folder / "scimsync.toml")
    with state.open_store(settings) as store:
        auditing.erase(settings, store, "1", "request", lambda _: None)
    verify(home)  # a true erasure
    copied = back_up(home)
    meddle(
        home, "UPDATE audit_key SET secret = NULL, person = '', erased_by = 'x', erased = '2026-11-27T00:00:00+00:00'"
    )
    with pytest.raises(StoreDamaged, match="no erasure tells of it"):
        verify(home)
    put_back(home, copied)
    meddle(home, "DELETE FROM audit_key WHERE person = '3'")
    with pytest.raises(StoreDamaged, match=r"the key of the person of record \d+ is missing"):
        verify(home)


def test_evidence_is_read_and_nothing_of_the_state_is_written(home: Firm) -> None:
    before = {path: path.read_bytes() for path in folder(home).rglob("*") if path.suffix not in {".db-shm", ".db-wal"}
              and path.is_file()}  # fmt: skip
    verify(home)
    settings = load(home.folder / "scimsync.toml")
    with state.open_store(settings, writes=False) as store:
        assert evidence.latest(store, "1", "", 10)
        assert [*evidence.export(settings, store, evidence.Wanted(form="jsonl", run="", since=None, values=True))]
        with pytest.raises(StoreError, match="read-only"):
            store.forget_files(["r"])
    after = {path: path.read_bytes() for path in before}
    assert after == before
    artifact(home, "audit-key").unlink()
    with pytest.raises(ConfigError, match="there is no key"), state.open_store(settings, writes=False) as store:
        evidence.prove(settings, store, 1)
    assert not [*(folder(home) / "artifacts").glob("audit-key")]


# --- its files ------------------------------------------------------------------------------------


def test_a_base_that_was_exchanged_is_refused(home: Firm) -> None:
    base = artifact(home, "base-*")
    home.hr({"id": 1, "title": "Chief"}, {"id": 2}, {"id": 3})
    other = base.read_bytes()
    home.sync()
    newest = max((folder(home) / "artifacts").glob("base-*"))
    newest.write_bytes(other)
    noticed(home, "is not the file that was written, by its digest")
    goes_on(home)


def test_what_a_plan_found_agreed_is_bound_before_anything_is_sent(home: Firm) -> None:
    home.hr({"id": 1, "title": "Chief"}, {"id": 2, "title": "Head"}, {"id": 3})
    home.provider.edit(home.provider.named("p2@x.org")[0]["id"], title="Head")  # so that something new is agreed
    made = home.plan()
    artifact(home, f"agreed-{made.id}*").write_bytes(artifact(home, "base-*").read_bytes())
    asked = len(home.provider.asked)
    with pytest.raises(StoreDamaged, match="is not the file that was written, by its digest"):
        home.apply()
    assert len(home.provider.asked) == asked
    made, report = home.sync()
    assert report.clean


def test_a_base_that_is_gone_is_a_sentence_with_a_way_on_and_a_leaver_still_loses_access(home: Firm) -> None:
    artifact(home, "base-*").unlink()
    noticed(home, "is missing")
    home.provider.edit(home.provider.named("p2@x.org")[0]["id"], title="By hand")
    home.hr({"id": 1, "title": "Lead"}, {"id": 3})
    assert renew(home).forgot
    made, report = home.sync()
    assert report.clean
    assert {change.key: change.action.value for change in made.changes} == {"2": "disable"}
    home.quiet()


@pytest.mark.parametrize("gone", ["plan", "base"])
def test_a_run_that_was_cut_short_and_lost_its_files_does_not_brick_the_state(
    home: Firm, gone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.hr({"id": 1, "title": "Chief"}, {"id": 2, "title": "Head"}, {"id": 3})
    made = home.plan()
    with monkeypatch.context() as crash:
        crash.setattr("scimsync.engine.settling.finish", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            home.apply()
    artifact(home, f"plan-{made.id}*" if gone == "plan" else "base-*").unlink()
    said = home.command("sync")
    assert (said.code, "scimsync state renew --reason" in said.err) == (4 if gone == "plan" else 6, True), said.err
    said = home.command("state", "renew", "--reason", REASON)
    assert (said.code, f"Run {made.id}, which was cut short, is closed." in said.out) == (0, True), said
    home.sync()
    home.quiet()


def test_a_stored_plan_that_was_exchanged_is_refused(home: Firm) -> None:
    old = artifact(home, "plan-*").read_bytes()
    home.hr({"id": 1, "title": "Chief"}, {"id": 2}, {"id": 3})
    made = home.plan()
    artifact(home, f"plan-{made.id}*").write_bytes(old)
    with pytest.raises(PlanDamaged, match="its file is not the plan that was made"):
        home.apply(made.id)


def test_renewing_stands_in_the_chain_with_its_reason(home: Firm) -> None:
    renew(home)
    settings = load(home.folder / "scimsync.toml")
    with state.open_store(settings, writes=False) as store:
        (told,) = evidence.latest(store, "", "", 1)
    assert (told.document["kind"], told.document["reason"]) == ("renewal", REASON)


def test_renewing_needs_a_reason(home: Firm) -> None:
    said = home.command("state", "renew", "--reason", " ")
    assert (said.code, "for ever" in said.err) == (ConfigError.exit_code, True)
    assert issubclass(ConfigError, ScimsyncError)

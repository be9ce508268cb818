"""A look reads the state and leaves nothing in it."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scimsync.engine.ports import Store
from scimsync.engine.unwritten import DROPPED, READ, untouched
from scimsync.model.outcomes import Run, RunState
from scimsync.testing.store import MemoryStore
from scimsync.workbench.unmanaged import UNMANAGED

NOW = datetime(2026, 11, 27, tzinfo=UTC)
#: what no plan does: a look that came so far would be a mistake
REFUSED = frozenset(
    """
    save_links decide_link take_links append erase save_checkpoint enqueue claim settle retry_now dead_letter redrive
    forget_messages accept answered forget_calls lease forget_files forget_journal change_memberships remember_groups
    entries head gone_keys keyless accept_lost_keys unbind keys key checkpoints next_due messages outbox last_trouble waiting journalled size change_acceptances
    decide approvals approve approval_rules keep_approval_rules
    progress begin_schedule save_progress alarms save_alarm
    users save_user remove_user tokens save_token remove_token passkeys save_passkey remove_passkey
    """.split()
)


def test_each_method_of_the_state_is_read_let_go_or_refused() -> None:
    methods = {name for name, _ in inspect.getmembers(Store, inspect.isfunction) if not name.startswith("_")}
    assert methods - {"close"} == READ | DROPPED | REFUSED


def test_what_a_plan_keeps_goes_nowhere_and_what_it_reads_is_there(tmp_path: Path) -> None:
    store = MemoryStore(tmp_path / "artifacts")
    kept = Run(id="r1", created=NOW, state=RunState.DONE, target="t")
    store.save_run(kept)
    looking = untouched(store, tmp_path)
    looking.save_run(Run(id="r2", created=NOW, state=RunState.PLANNED, target="t"))
    assert [run.id for run in looking.runs()] == ["r1"]
    assert [run.id for run in store.runs()] == ["r1"]


def test_what_no_plan_does_is_refused(tmp_path: Path) -> None:
    looking = untouched(MemoryStore(tmp_path / "artifacts"), tmp_path)
    with pytest.raises(AttributeError, match="save_links"):
        looking.save_links([])


def test_a_file_is_read_where_a_run_left_it_and_written_elsewhere(tmp_path: Path) -> None:
    store = MemoryStore(tmp_path / "artifacts")
    left = store.artifact("base-1.parquet")
    left.write_bytes(b"base")
    looking = untouched(store, tmp_path / "scratch")
    assert looking.artifact("base-1.parquet") == left
    assert looking.artifact("plan-r2.ndjson").parent == tmp_path / "scratch"


def test_a_look_leaves_the_list_of_accounts_that_nobody_has_as_the_last_plan_wrote_it(tmp_path: Path) -> None:
    store = MemoryStore(tmp_path / "artifacts")
    store.artifact(UNMANAGED).parent.mkdir(parents=True, exist_ok=True)
    store.artifact(UNMANAGED).write_bytes(b"as it was")
    assert untouched(store, tmp_path / "scratch").artifact(UNMANAGED) == tmp_path / "scratch" / UNMANAGED

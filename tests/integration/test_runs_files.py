"""Every file that a command leaves behind, where somebody else has laid links and pipes in the way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runs import House, house

VICTIM = "the victim's own"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("files"), users=20) as made:
        (made.folder / "victim").write_text(VICTIM)
        (made.folder / "shared").mkdir()
        (made.folder / "shared").chmod(0o777)
        assert made.command("sync").code == 0
        yield made


def commands(home: House, out: str) -> dict[str, tuple[str, ...]]:
    run = home.runs()[0].id
    return {
        "plan": ("plan", "--out", out),
        "page": ("plan", "--html", out),
        "accounts": ("plan", "--keep-accounts", out),
        "report": ("runs", run, "--html", out),
        "export": ("audit", "export", "--out", out),
        "events": ("audit", "export", "--format", "ocsf", "--out", out),
        "proof": ("audit", "prove", "1", "--out", out),
    }


@pytest.mark.parametrize("name", ["plan", "page", "accounts", "report", "export", "events", "proof"])
def test_what_is_laid_beside_an_output_is_not_gone_through(home: House, name: str) -> None:
    victim, out = home.folder / "victim", home.folder / "shared" / name
    for number, planted in enumerate((f"{name}.part", f".{name}.part", name)):
        (out.parent / planted).symlink_to(victim)
        if number:
            (out.parent / planted).unlink()
            os.mkfifo(out.parent / planted)
    refused = home.command(*commands(home, str(out))[name])
    assert refused.code == 2, refused.out + refused.err
    assert "no file" in refused.err
    out.unlink()
    out.symlink_to(victim)
    said = home.command(*commands(home, str(out))[name])
    assert said.code == 0, said.out + said.err
    assert victim.read_text() == VICTIM
    assert not out.is_symlink()
    assert out.stat().st_mode & 0o777 == 0o600
    assert out.stat().st_size
    left = {path.name for path in out.parent.iterdir() if path.name.startswith(".scimsync")}
    assert left == set()


def test_metrics_for_a_collector_replace_a_link_and_can_be_read(home: House) -> None:
    textfile = home.folder / "shared" / "scimsync.prom"
    textfile.symlink_to(home.folder / "victim")
    text = home.file.read_text()
    home.file.write_text(f'{text}\n[metrics]\ntextfile = "shared/scimsync.prom"\n')
    assert home.command("plan").code == 0
    home.file.write_text(text)
    assert (home.folder / "victim").read_text() == VICTIM
    assert not textfile.is_symlink()
    assert textfile.stat().st_mode & 0o777 == 0o644


def test_a_checkpoint_is_not_appended_through_a_link_and_that_stops_nothing(home: House) -> None:
    (home.folder / "shared" / "notes").symlink_to(home.folder / "victim")
    text = home.file.read_text()
    home.file.write_text(f'{text}\n[audit]\ncheckpoints = "shared/notes"\n')
    someone = home.active(1)[0]
    home.set(someone, job_title="Moved")
    said = home.command("sync")
    home.file.write_text(text)
    assert said.code == 0, said.err
    assert "cannot be written" in said.err
    assert (home.folder / "victim").read_text() == VICTIM


@pytest.mark.parametrize("folder", [".scimsync", ".scimsync/artifacts"])
def test_a_state_that_others_may_write_into_is_refused_before_anything_is_read(home: House, folder: str) -> None:
    place = home.folder / folder
    place.chmod(0o777)
    before = home.stats()["requests"]
    for command in (("sync",), ("plan",), ("apply", "--yes"), ("runs",)):
        said = home.command(*command)
        assert said.code == 6, said.out + said.err
        assert "chmod" in said.err
        assert "Traceback" not in said.err
    place.chmod(0o700)
    assert home.stats()["requests"] == before
    assert home.command("plan").code == 0


def test_what_a_killed_writer_left_among_the_artifacts_goes_with_the_next_run(home: House) -> None:
    artifacts = home.folder / ".scimsync/artifacts"
    (artifacts / ".scimsync-999999999-0123456789abcdef.part").write_text("half a plan")
    assert home.command("plan").code == 0
    assert list(Path(artifacts).glob(".scimsync-*")) == []

"""Files that are ours: what others laid out in the way is neither written through, nor believed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.foreign import foreign

from scimsync import files
from scimsync.config import load
from scimsync.errors import ConfigError

VICTIM = b"the victim's own"


def mode(path: Path) -> int:
    return path.lstat().st_mode & 0o777


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """A file elsewhere, which must be as it was in the end."""
    path = tmp_path / "victim"
    path.write_bytes(VICTIM)
    path.chmod(0o640)
    yield path
    assert path.read_bytes() == VICTIM
    assert mode(path) == 0o640


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


# Writing


@pytest.mark.parametrize("wanted", [files.PRIVATE, files.READABLE])
@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_a_file_is_whole_and_of_its_mode_and_nothing_stays_beside_it(out: Path, wanted: int, umask: int) -> None:
    before = os.umask(umask)
    try:
        files.write(out / "plan", (part for part in (b"one ", b"two")), wanted)
    finally:
        os.umask(before)
    assert (out / "plan").read_bytes() == b"one two"
    assert mode(out / "plan") == wanted
    assert [path.name for path in out.iterdir()] == ["plan"]


def test_a_file_of_before_is_replaced_with_its_mode(out: Path) -> None:
    (out / "plan").write_bytes(b"old")
    (out / "plan").chmod(0o666)
    files.write(out / "plan", [b"new"])
    assert ((out / "plan").read_bytes(), mode(out / "plan")) == (b"new", 0o600)


@pytest.mark.parametrize(
    "planted", ["plan.part", ".plan.part", pytest.param(f"plan.{os.getpid()}.part", id="plan.PID.part")]
)
@pytest.mark.parametrize("lay", [Path.symlink_to, lambda path, _: os.mkfifo(path)], ids=["link", "pipe"])
def test_what_somebody_planted_beside_a_file_is_not_gone_through(
    out: Path, victim: Path, planted: str, lay: Callable[[Path, Path], None]
) -> None:
    lay(out / planted, victim)
    files.write(out / "plan", [b"ours"])
    assert (out / "plan").read_bytes() == b"ours"
    assert mode(out / "plan") == 0o600


def test_a_link_in_the_place_of_the_file_is_replaced_and_not_followed(out: Path, victim: Path) -> None:
    (out / "plan").symlink_to(victim)
    files.write(out / "plan", [b"ours"])
    assert not (out / "plan").is_symlink()
    assert (out / "plan").read_bytes() == b"ours"


def test_a_link_to_nowhere_makes_nothing_there(out: Path, tmp_path: Path) -> None:
    (out / "plan").symlink_to(tmp_path / "nowhere")
    files.write(out / "plan", [b"ours"])
    assert not (tmp_path / "nowhere").exists()


def test_a_pipe_a_folder_and_a_link_to_a_device_are_left_where_they_are(out: Path) -> None:
    os.mkfifo(out / "pipe")
    (out / "folder").mkdir()
    (out / "null").symlink_to("/dev/null")
    for name in ("pipe", "folder", "null"):
        with pytest.raises(OSError, match="no file"):
            files.write(out / name, [b"ours"])
    assert sorted(path.name for path in out.iterdir()) == ["folder", "null", "pipe"]
    assert (out / "null").is_symlink()


def test_a_file_that_cannot_be_finished_leaves_the_one_of_before_and_nothing_beside_it(out: Path) -> None:
    (out / "plan").write_bytes(b"old")

    def breaks() -> Iterator[bytes]:
        yield b"half"
        raise KeyError

    with pytest.raises(KeyError):
        files.write(out / "plan", breaks())
    assert [(path.name, path.read_bytes()) for path in out.iterdir()] == [("plan", b"old")]


def test_a_new_file_is_made_over_nothing_and_through_no_link(out: Path, victim: Path, tmp_path: Path) -> None:
    (out / "link").symlink_to(victim)
    (out / "dangling").symlink_to(tmp_path / "nowhere")
    (out / "file").write_bytes(b"mine")
    for name in ("link", "dangling", "file"):
        with pytest.raises(FileExistsError):
            files.create(out / name)
    assert not (tmp_path / "nowhere").exists()


def test_a_file_that_another_program_wrote_is_put_in_its_place_and_a_link_is_not(out: Path, victim: Path) -> None:
    (out / "beside").write_bytes(b"ours")
    (out / "beside").chmod(0o666)
    files.settle(out / "beside", out / "base")
    assert ((out / "base").read_bytes(), mode(out / "base")) == (b"ours", 0o600)
    (out / "beside").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        files.settle(out / "beside", out / "base")
    assert (out / "base").read_bytes() == b"ours"


def test_lines_are_added_to_a_file_of_ours_and_to_no_other(out: Path, victim: Path) -> None:
    for line in (b"one\n", b"two\n"):
        files.append(out / "notes", line)
    assert ((out / "notes").read_bytes(), mode(out / "notes")) == (b"one\ntwo\n", 0o600)
    (out / "link").symlink_to(victim)
    os.mkfifo(out / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(OSError):  # noqa: PT011 - each system has words of its own
            files.append(out / name, b"three\n")
    with foreign(out / "notes"), pytest.raises(files.Foreign):
        files.append(out / "notes", b"three\n")


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_what_is_written_is_what_is_read(tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]) -> None:
    path = tmp_path_factory.getbasetemp() / "written"
    files.write(path, chunks)
    assert path.read_bytes() == b"".join(chunks)


def test_many_who_write_one_file_leave_one_of_theirs_whole(out: Path) -> None:
    texts = [bytes([65 + n]) * 100_000 for n in range(8)]
    writers = [threading.Thread(target=files.write, args=(out / "plan", [text])) for text in texts]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert (out / "plan").read_bytes() in texts
    assert [path.name for path in out.iterdir()] == ["plan"]


# Reading secrets


CONFIG = """\
[source]
kind = "csv"
path = "hr.csv"
key = "id"
[target]
dialect = "generic"
api_url = "https://x.example"
login_url = "https://x.example"
token = "file:secret"
[attributes]
userName = "id"
"""


def refused(folder: Path) -> str:
    (folder / "scimsync.toml").write_text(CONFIG)
    with pytest.raises(ConfigError) as caught:
        load(folder / "scimsync.toml")
    return str(caught.value)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    with files.create(path) as file:
        file.write(b"s3cret\n")
    return path


def test_a_secret_of_ours_is_read_also_through_a_link(tmp_path: Path, secret: Path) -> None:
    secret.rename(tmp_path / "data")
    secret.symlink_to(tmp_path / "data")
    (tmp_path / "scimsync.toml").write_text(CONFIG)
    assert load(tmp_path / "scimsync.toml").target.token == "s3cret"


@pytest.mark.parametrize("through_a_link", [False, True])
def test_a_secret_of_another_user_is_refused_whatever_leads_to_it(
    tmp_path: Path, secret: Path, through_a_link: bool
) -> None:
    held = secret
    if through_a_link:
        held = secret.rename(tmp_path / "data")
        secret.symlink_to(held)
    with foreign(held):
        said = refused(tmp_path)
    assert "belongs to user" in said
    assert "s3cret" not in said


def test_a_secret_that_others_can_read_is_refused_with_the_cure(tmp_path: Path, secret: Path) -> None:
    secret.chmod(0o644)
    assert f"can be read by others. chmod 600 {secret}" in refused(tmp_path)


def test_a_pipe_in_the_place_of_a_secret_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "secret", 0o600)
    assert "no file" in refused(tmp_path)

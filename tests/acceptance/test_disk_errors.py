"""A disk that reports an error while it makes something durable: the run ends in a sentence, and nothing is believed.

What fails is `fsync` of the kernel's interface, once, and then works again: the pages that it was asked for may be lost
all the same, so whoever asks a second time is told a lie. No command does; the next one reads what is there.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.runs import House, house
from tests.soak import examples

from scimsync import bootstrap
from scimsync.model.outcomes import Step

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int asked;

static int fails(int file) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    const char *whose = getenv("FAILING_FILE"), *when = getenv("FAILING_AT");
    if (length < 0 || whose == NULL || when == NULL) return 0;
    path[length] = 0;
    return strstr(path, whose) != NULL && ++asked == atoi(when);
}

#define SYNC(name)                                                   \
    int name(int file) {                                             \
        if (fails(file)) { errno = EIO; return -1; }                 \
        return ((int (*)(int)) dlsym(RTLD_NEXT, #name))(file);       \
    }
SYNC(fsync)
SYNC(fdatasync)
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that stands before the C library."""
    folder = tmp_path_factory.mktemp("shim")
    (folder / "shim.c").write_text(SHIM, encoding="utf-8")
    made = ["gcc", "-shared", "-fPIC", "-o", str(folder / "shim.so"), str(folder / "shim.c"), "-ldl"]
    subprocess.run(made, check=True)
    return folder / "shim.so"


#: the file whose fsync fails, and the how-manieth; a run of three changes makes some twenty of the log
FAILING = [("state.db-wal", at) for at in (4, 2, 3, *range(5, 24))[: examples(22, 1)]]
FAILING += [(".part", 1), (".part", 2)][: examples(2, 1)]


def intents(home: House) -> int:
    """How many intents of the last run are durable."""
    with bootstrap.open_store(home.settings()) as store:
        return sum(line.step is Step.INTENT for line in store.journal(store.runs()[0].id))


@pytest.mark.parametrize(("file", "at"), FAILING)
def test_a_sync_that_fails_once_ends_the_run_and_the_next_one_writes_what_is_left_once(
    tmp_path: Path, shim: Path, file: str, at: int
) -> None:
    with house(tmp_path, users=12) as home:
        home.configure(target=home.target + "workers = 1\n")
        home.settle()
        movers = home.active(3)
        for who in movers:
            home.set(who, job_title="Lead")
        home.plan()
        home.environ |= {"LD_PRELOAD": str(shim), "FAILING_FILE": file, "FAILING_AT": str(at)}
        with home.start("apply", "--yes") as process:
            out, err = process.communicate(timeout=120)
        for name in ("LD_PRELOAD", "FAILING_FILE", "FAILING_AT"):
            del home.environ[name]
        assert process.returncode == 6 or at > 15, (process.returncode, out, err)  # there may be fewer
        assert "Traceback" not in err
        assert process.returncode == 0 or "the disk reports an error" in err
        assert len(home.history()) <= intents(home), "a request left without a durable intent"
        home.command("apply", "--yes")
        assert [home.account(who)["title"] for who in movers] == ["Lead"] * 3
        assert set(home.effects().values()) == {1}
        assert home.unsettled() == set()
        assert home.command("audit", "verify").code == 0
        home.quiet()

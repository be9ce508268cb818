"""A probe that is killed in the middle leaves nothing for good: the next one of that target cleans up, and says so."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.integration.test_probing import HidesDisabled, Lagging, Sane, people
from tests.servers import Answer, Firm, firm


class Killer(Sane):
    """Kills whoever asks when it has taken a number of requests, the last of them with its effect."""

    def __init__(self, *users: Any, at: int) -> None:
        super().__init__(*users)
        self.at = at
        self.victim: subprocess.Popen[bytes] | None = None

    def take(self, handler: Any) -> Answer:
        answer = super().take(handler)
        if self.victim is not None and len(self.asked) == self.at:
            self.end(self.victim)
        return answer

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """End whoever asks."""
        process.kill()
        process.wait()


class LaggingKiller(Killer, Lagging):
    pass


class HidingKiller(Killer, HidesDisabled):
    pass


def start(home: Firm, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "scimsync", "probe", "--config", "scimsync.toml", *words]
    return subprocess.Popen(command, cwd=home.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


#: requests after which it is killed: while it reads, as the account is made, in between, in groups, at the end
NUMBERS = (20, 28, 29, 45, 62, 66, 70, 74, 81)


@pytest.mark.parametrize(("kind", "at"), [*((Killer, at) for at in NUMBERS), (HidingKiller, 78), (HidingKiller, 81)])
def test_what_a_killed_probe_made_is_removed_by_the_next_one(tmp_path: Path, kind: type[Killer], at: int) -> None:
    provider = kind(*people(), at=at)
    with firm(tmp_path, provider) as home:
        provider.victim = start(home, "--write", "--yes")
        provider.victim.communicate(timeout=60)
        killed = provider.victim.returncode == -signal.SIGKILL
        assert killed == (len(provider.asked) == at)
        left = len(provider.mine)
        provider.victim = None
        after = home.command("probe", "--config", "scimsync.toml")
        assert after.code == 0, after.err
        assert provider.mine == []
        assert after.out.count("removed, left by an earlier probe") == left
        assert len(provider.users) == 30
        assert not list(tmp_path.rglob("probe-*.json")) or not left


def test_a_search_that_lags_hides_nothing_for_good(tmp_path: Path) -> None:
    provider = LaggingKiller(*people(), at=28)
    with firm(tmp_path, provider) as home:
        provider.victim = start(home, "--write", "--yes")
        provider.victim.communicate(timeout=60)
        assert provider.victim.returncode == -signal.SIGKILL
        assert len(provider.mine) == 1
        provider.victim = None
        for _ in range(3):
            home.command("probe", "--config", "scimsync.toml")
        assert provider.mine == []


@pytest.mark.parametrize("at", [28, 45, 70])
def test_a_probe_that_is_asked_to_stop_removes_what_it_made_before_it_ends(tmp_path: Path, at: int) -> None:
    class Interrupter(Killer):
        def end(self, process: subprocess.Popen[bytes]) -> None:
            process.send_signal(signal.SIGTERM)

    provider = Interrupter(*people(), at=at)
    with firm(tmp_path, provider) as home:
        provider.victim = start(home, "--write", "--yes")
        _, err = provider.victim.communicate(timeout=60)
        assert provider.victim.returncode == 128 + signal.SIGTERM, err
        assert provider.mine == []
        assert not list(tmp_path.rglob("probe-*.json"))

"""`make release` on a copy: what comes of it is verified with openssl and sha256sum alone, and can be built again."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SBOM = ROOT / ".venv/release/bin/cyclonedx-py"  # where `make release` has it; `make soak` does


def run(*words: str | Path, at: Path, **environ: str) -> str:
    done = subprocess.run(
        words, cwd=at, env={**os.environ, **environ}, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def git(at: Path, *words: str) -> str:
    return run("git", "-c", "user.name=Anybody", "-c", "user.email=anybody@example.com", *words, at=at)


def release(at: Path, version: str, **environ: str) -> subprocess.CompletedProcess[str]:
    words = ["tools/release", sys.executable, version]
    more = {"SBOM": str(SBOM) if SBOM.exists() else "none", "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.com",
            "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.com"}  # fmt: skip
    return subprocess.run(
        words, cwd=at, env={**os.environ, **more, **environ}, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository as it would be committed now, with something to release."""
    there = tmp_path_factory.mktemp("release") / "copy"
    run("git", "clone", "--quiet", "--no-tags", ROOT, there, at=ROOT)
    for name in ("tools/release", "pyproject.toml", "CHANGELOG.md"):
        shutil.copy(ROOT / name, there / name)
    changes = there / "CHANGELOG.md"
    changes.write_text(changes.read_text().replace("## [Unreleased]\n", "## [Unreleased]\n\n- One more thing.\n", 1))
    git(there, "commit", "--quiet", "--all", "--message", "What is there now")
    key = there.parent / "release.pem"
    run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key, at=there)
    key.chmod(0o600)
    return there


def test_a_release_is_refused_where_the_tree_the_version_or_the_key_is_not_right(copy: Path) -> None:
    key = str(copy.parent / "release.pem")
    assert "no version" in release(copy, "next", KEY=key).stderr
    assert "which key" in release(copy, "0.9.0").stderr
    (copy / "stray").touch()
    assert "not clean" in release(copy, "0.9.0", KEY=key).stderr
    (copy / "stray").unlink()
    Path(key).chmod(0o644)
    assert "others may read" in release(copy, "0.9.0", KEY=key).stderr
    Path(key).chmod(0o600)
    assert git(copy, "tag") == ""


def test_a_release_is_whole_and_anybody_can_verify_and_rebuild_it(copy: Path, tmp_path: Path) -> None:
    made = release(copy, "0.9.0", KEY=str(copy.parent / "release.pem"))
    assert made.returncode == 0, made.stderr
    dist = copy / "dist"
    names = {"scimsync-0.9.0-py3-none-any.whl", "scimsync-0.9.0.tar.gz", "CHANGES-0.9.0.md", "PROVENANCE-0.9.0.txt",
             "SHA256SUMS", "SHA256SUMS.sig", "scimsync.pub"}  # fmt: skip
    assert {each.name for each in dist.iterdir()} - {"scimsync-0.9.0.cdx.json"} == names
    run("sha256sum", "--check", "--strict", "SHA256SUMS", at=dist)
    (tmp_path / "raw").write_bytes(base64.b64decode((dist / "SHA256SUMS.sig").read_text(), validate=True))
    verify = ("openssl", "dgst", "-sha256", "-verify", "scimsync.pub", "-signature", tmp_path / "raw")
    assert run(*verify, "SHA256SUMS", at=dist) == "Verified OK\n"
    assert "One more thing." in (dist / "CHANGES-0.9.0.md").read_text()
    if SBOM.exists():
        bom = json.loads((dist / "scimsync-0.9.0.cdx.json").read_text())
        assert bom["bomFormat"] == "CycloneDX"
        assert {"duckdb", "cryptography"} <= {each["name"] for each in bom["components"]}

    assert git(copy, "status", "--porcelain") == ""
    assert git(copy, "rev-parse", "v0.9.0^{commit}") == git(copy, "rev-parse", "HEAD")
    assert 'version = "0.9.0"' in (copy / "pyproject.toml").read_text()
    run("git", "clone", "--quiet", "--branch", "v0.9.0", copy, tmp_path / "again", at=tmp_path)
    run(sys.executable, "-m", "hatchling", "build", at=tmp_path / "again")
    for name in ("scimsync-0.9.0-py3-none-any.whl", "scimsync-0.9.0.tar.gz"):
        assert (tmp_path / "again/dist" / name).read_bytes() == (dist / name).read_bytes()

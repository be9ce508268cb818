"""A configuration file as it was at a git revision, by the `git` command."""

from __future__ import annotations

import subprocess
from pathlib import Path

from scimsync.errors import ConfigError

#: how another configuration is named that is a revision of the same file
GIT = "git:"
#: seconds that `git` may take
_PATIENCE = 30


def at_revision(file: Path, revision: str) -> str:
    """The text of a file at a git revision.

    Args:
        file: The file; it need not be there any more.
        revision: What `git` calls it: a branch, a tag, a commit.

    Raises:
        ConfigError: There is no `git`, no repository, no such revision, or the file was not there.
    """
    named = f"{GIT}{revision}"
    if not revision or revision.startswith("-") or "\n" in revision or ":" in revision:
        raise ConfigError(f"--compare-config {named}: this is no revision. Name a branch, a tag or a commit: git:main")
    folder = file.absolute().parent
    command = ["git", "-C", str(folder), "cat-file", "blob", f"{revision}:./{file.name}"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_PATIENCE, check=False)  # noqa: S603 - no shell; checked above
    except FileNotFoundError:
        raise ConfigError(
            f"--compare-config {named}: there is no git command. Install git, or name a file instead."
        ) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"--compare-config {named}: git could not be asked ({type(error).__name__}).") from error
    if done.returncode != 0:
        why = done.stderr.decode(errors="replace").strip().splitlines()
        said = why[0].removeprefix("fatal: ") if why else f"exit code {done.returncode}"
        raise ConfigError(
            f"--compare-config {named}: git has no {file.name} at that revision ({said}). In a shallow clone, "
            "fetch it: git fetch origin main"
        )
    try:
        return done.stdout.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"--compare-config {named}: {file.name} was no UTF-8 text then.") from None

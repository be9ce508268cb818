"""Progress for people: a bar on a terminal, nothing elsewhere. It may fail to show, never to stop a run."""

from __future__ import annotations

import sys

import click


class Bar:
    """An Observer on stderr. A context manager; silent where stderr is not a terminal."""

    def __init__(self) -> None:
        self._drawn = None
        if sys.stderr.isatty():
            from scimsync.cli.drawing import Drawn  # noqa: PLC0415 - loads Rich

            self._drawn = Drawn()

    def __enter__(self) -> Bar:
        """Start to show."""
        if self._drawn is not None:
            self._drawn.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Clear the bar."""
        if self._drawn is not None:
            self._drawn.stop()

    def stage(self, name: str, total: int | None = None) -> None:
        """Begin a piece of work."""
        if self._drawn is not None:
            self._drawn.stage(name, total)

    def advance(self, steps: int = 1) -> None:
        """Some steps are done."""
        if self._drawn is not None:
            self._drawn.advance(steps)

    def say(self, text: str) -> None:
        """Tell something on the way."""
        if self._drawn is not None:
            self._drawn.say(text)
        else:
            click.echo(text, err=True)

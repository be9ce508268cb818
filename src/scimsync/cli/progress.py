"""Progress for people: a bar on a terminal, nothing elsewhere. It may fail to show, never to stop a run."""

from __future__ import annotations

import sys

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Task as RichTask
from rich.text import Text


class _Rate(TextColumn):
    """Steps a second, as observed lately."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: RichTask) -> Text:
        """The rate of one task."""
        return Text(f"{task.speed:,.0f}/s" if task.speed else "")


class Bar:
    """An Observer on stderr. A context manager; silent where stderr is not a terminal."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not self._shown,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Bar:
        """Start to show."""
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Clear the bar."""
        self._progress.stop()

    def stage(self, name: str, total: int | None = None) -> None:
        """Begin a piece of work."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(name, total=total)

    def advance(self, steps: int = 1) -> None:
        """Some steps are done."""
        if self._task is not None:
            self._progress.advance(self._task, steps)

    def say(self, text: str) -> None:
        """Tell something on the way."""
        if self._shown:
            self._progress.console.print(text, markup=False, highlight=False)
        else:
            click.echo(text, err=True)

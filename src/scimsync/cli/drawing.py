"""The bar of a terminal."""

from __future__ import annotations

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


class Drawn:
    """The stage that a run is in, and how far, on stderr."""

    def __init__(self) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task: TaskID | None = None

    def start(self) -> None:
        """Start to show."""
        self._progress.start()

    def stop(self) -> None:
        """Clear the bar."""
        self._progress.stop()

    def stage(self, name: str, total: int | None) -> None:
        """Begin a piece of work."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(name, total=total)

    def advance(self, steps: int) -> None:
        """Some steps are done."""
        if self._task is not None:
            self._progress.advance(self._task, steps)

    def say(self, text: str) -> None:
        """Tell something above the bar."""
        self._progress.console.print(text, markup=False, highlight=False)

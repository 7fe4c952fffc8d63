"""Progress of a solve on the terminal: a bar with the time left, or a line per stage without."""

import sys
import time
from contextlib import AbstractContextManager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class SolveProgress(AbstractContextManager):
    """Shows how far a solve has come; says nothing where `shown` is False.

    Args:
        title: name of the run.
        total, done: training steps in all, and those done in an earlier run.
        shown: whether to show anything.
    """

    def __init__(self, title: str, total: int, done: int = 0, shown: bool = True):
        self.title, self.total, self.done, self._first = title, total, done, done
        self._console = Console(file=sys.stderr)
        self._lines = shown and not self._console.is_terminal
        self._bar = None
        if shown and self._console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("steps, elapsed"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
                console=self._console,
            )
            self._task = self._bar.add_task(title, total=total, completed=done, note="")
        self._begun = time.monotonic()

    def __enter__(self) -> Any:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def steps(self, count: int) -> None:
        """Some more training steps are done."""
        self.done += count
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done)

    def stage(self, note: str) -> None:
        """A stage is done; `note` says what it gave."""
        if self._bar is not None:
            self._bar.update(self._task, note=note)
        elif self._lines:
            spent = time.monotonic() - self._begun
            left = spent / max(1, self.done - self._first) * (self.total - self.done)
            self._console.print(
                f"{self.title}: {self.done} of {self.total} steps, {note}, "
                f"{spent:.0f} s spent, about {left:.0f} s left",
                highlight=False,
                soft_wrap=True,
            )

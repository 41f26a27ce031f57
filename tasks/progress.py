"""Tell how far a stage is: a bar on a terminal, a line every few seconds elsewhere; always on stderr.

for batch in track(batches, len(batches), "embed"): ...
"""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TextIO, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

T = TypeVar("T")
EVERY_S = 10.0


def track(items: Iterable[T], total: int | None, what: str, *, start: int = 0) -> Iterator[T]:
    """Hand `items` on while telling how many of `total` are done, how fast, and how long the rest will take.

    `start` counts what an earlier, interrupted run did; it does not count for the rate.
    """
    stream = sys.stderr
    told = _bar(items, total, what, start) if stream.isatty() else _lines(items, total, what, start, stream)
    yield from told


class _Rate(ProgressColumn):
    """Items a second, or seconds an item where that is the larger number."""

    def render(self, task: Task) -> Text:
        return Text(_rate(task.speed or 0.0), style="progress.data.speed")


def _bar(items: Iterable[T], total: int | None, what: str, start: int) -> Iterator[T]:
    left = TimeRemainingColumn(compact=True)
    columns = (TextColumn("  {task.description:<9}"), BarColumn(), MofNCompleteColumn(), _Rate(), left)
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=total, completed=start)
        for item in items:
            yield item
            progress.advance(task)


def _lines(items: Iterable[T], total: int | None, what: str, start: int, stream: TextIO) -> Iterator[T]:
    begun = told = time.monotonic()
    done = start
    for done, item in enumerate(items, start=start + 1):
        yield item
        now = time.monotonic()
        if now - told >= EVERY_S:
            told = now
            print(_line(what, done, total, (done - start) / (now - begun)), file=stream, flush=True)
    if told > begun:
        print(f"  {what}: {done} done in {time.monotonic() - begun:.0f} s", file=stream, flush=True)


def _line(what: str, done: int, total: int | None, rate: float) -> str:
    if total is None:
        return f"  {what}: {done}, {_rate(rate)}"
    return f"  {what}: {done}/{total}, {_rate(rate)}, {(total - done) / rate:.0f} s left"


def _rate(rate: float) -> str:
    if rate <= 0:
        return ""
    return f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each"

"""How mistakes of users end: one message on stderr that says what to do, and exit code 1.

with mistakes_told(): ...
"""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

told = Console(stderr=True, highlight=False)


@contextmanager
def mistakes_told() -> Iterator[None]:
    """End a user's mistake with its message; where it happened would not help to mend it."""
    try:
        yield
    except (ValueError, FileNotFoundError, BlockingIOError, FloatingPointError) as mistake:
        told.print(str(mistake), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from mistake

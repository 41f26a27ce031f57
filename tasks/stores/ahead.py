"""Read what is needed next while something else is at work.

>>> for batch, pictures in ahead(batches(paths, 8), read_all): encode(pictures)
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Ready = TypeVar("Ready")
_DEPTH = 2
"""Items that are prepared beyond the one at work: memory is theirs, too."""


def ahead(items: Iterable[Item], prepare: Callable[[Item], Ready]) -> Iterator[tuple[Item, Ready]]:
    """Yield each item with what `prepare` gives for it, which a thread does for the next two; raises what it raises."""
    with ThreadPoolExecutor(1) as thread:
        waiting: deque[tuple[Item, Future[Ready]]] = deque()
        for item in items:
            waiting.append((item, thread.submit(prepare, item)))
            if len(waiting) > _DEPTH:
                first, ready = waiting.popleft()
                yield first, ready.result()
        for first, ready in waiting:
            yield first, ready.result()

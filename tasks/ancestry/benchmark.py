"""Tell how long a million rows take: 50 datasets of 20,000 images, each new one taking out 400 and bringing 400.

python -m tasks.ancestry.benchmark
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from random import Random

from tasks.ancestry.index import SCHEMA, Index

_DATASETS, _IMAGES, _FRESH = 50, 20_000, 400


def main() -> None:
    """Build the index in memory, ask it, and print the seconds of each."""
    database = sqlite3.connect(":memory:")
    database.executescript(SCHEMA)
    index = Index(database)
    rows = list(_rows(_IMAGES + _DATASETS * _FRESH))
    _timed("build a million rows", lambda: _build(index, rows))
    one = rows[_IMAGES]
    _timed("one image by its bytes", lambda: index.datasets_of(index.named(one["source_sha256"])))
    looks = f"{int(one['phash'], 16) ^ 0b101:016x}"
    _timed("one image by its looks", lambda: index.datasets_of(index.alike(looks, 6)))
    _timed("two datasets apart", lambda: index.difference("0", str(_DATASETS - 1)))


def _build(index: Index, rows: list[dict[str, str]]) -> int:
    for number in range(_DATASETS):
        index.add(str(number), rows[number * _FRESH :][:_IMAGES])
    index.settle()
    return _DATASETS * _IMAGES


def _rows(count: int) -> Iterator[dict[str, str]]:
    rng = Random(0)
    for number in range(count):
        digest, looks = f"{rng.getrandbits(256):064x}", f"{rng.getrandbits(64):016x}"
        yield {"id": digest[:32], "source_sha256": digest, "source": f"{number}.png", "phash": looks}


def _timed(what: str, work: Callable[[], object]) -> None:
    begun = time.perf_counter()
    found = work()
    size = found if isinstance(found, int) else len(found)  # type: ignore[arg-type]
    print(f"{what}: {time.perf_counter() - begun:.3f} s ({size})")


if __name__ == "__main__":
    main()

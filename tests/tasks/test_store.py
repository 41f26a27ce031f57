"""What the store gives back is what was put in, or nothing."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from tasks.stores.ahead import ahead
from tasks.stores.shelf import Shelf
from tasks.stores.store import Store, key_of

KEYS = [key_of({"image": name, "schema": 1}) for name in "abcdef"]


def read(positions: Sequence[int]) -> list[str]:
    """Get ready what the entries of the tests are made of."""
    return [str(position) for position in positions]


def shouted(words: Sequence[str]) -> Iterator[bytes]:
    """Compute the entries of the tests."""
    for word in words:
        yield f"entry {word}".encode()


def filled(store: Store, keys: Sequence[str], make: Callable[[Sequence[str]], Iterable[bytes]] = shouted) -> list[int]:
    """Fill a shelf; give what was missing."""
    shelf = Shelf(store, keys, read, make)
    missing = shelf.missing()
    shelf.fill([missing], "entries")
    return missing


def test_what_is_written_is_read(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for data in (b"", b"\n", os.urandom(100_000)):
        store.write(KEYS[0], data)
        assert store.read(KEYS[0]) == data
    assert store.read(KEYS[1]) is None


def test_every_part_counts_in_a_key_and_their_order_does_not() -> None:
    parts = {"image": "a", "caption": "[V]", "dtype": "float32"}
    assert key_of(parts) == key_of(dict(reversed(parts.items())))
    assert all(key_of(parts) != key_of(parts | {name: "other"}) for name in parts)


@pytest.mark.parametrize("position", [0, 63, 64, 65, 70])
def test_one_flipped_bit_is_told_and_computed_again(tmp_path: Path, position: int) -> None:
    store = Store(tmp_path)
    store.write(KEYS[0], b"entry 0")
    entry = bytearray(store.path(KEYS[0]).read_bytes())
    entry[position] ^= 1
    store.path(KEYS[0]).write_bytes(entry)
    assert filled(store, KEYS[:1]) == [0]
    assert store.damaged == [store.path(KEYS[0])]
    assert store.read(KEYS[0]) == b"entry 0"
    assert filled(store, KEYS[:1]) == []


def test_a_truncated_entry_and_one_under_the_wrong_name_are_damaged(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(KEYS[0], b"entry")
    store.path(KEYS[1]).parent.mkdir()
    store.path(KEYS[0]).rename(store.path(KEYS[1]))
    store.path(KEYS[0]).write_bytes(b"")
    assert store.read(KEYS[0]) is store.read(KEYS[1]) is None
    assert len(store.damaged) == 2


def test_only_what_is_missing_is_computed_and_equal_keys_once(tmp_path: Path) -> None:
    keys = [*KEYS, KEYS[4]]
    assert filled(Store(tmp_path), keys[:3]) == [0, 1, 2]
    assert filled(Store(tmp_path), keys) == [3, 4, 5]
    shelf = Shelf(Store(tmp_path), keys, read, shouted)
    assert [shelf[position] for position in range(7)] == [f"entry {n}".encode() for n in (0, 1, 2, 3, 4, 5, 4)]


def test_an_entry_deleted_while_it_is_needed_is_made_again(tmp_path: Path) -> None:
    shelf = Shelf(Store(tmp_path), KEYS, read, shouted)
    shelf.fill([shelf.missing()], "entries")
    shelf.kept.path(KEYS[2]).unlink()
    assert [shelf[position] for position in range(6)] == list(shouted(read(range(6))))


def test_a_run_that_dies_keeps_what_it_computed(tmp_path: Path) -> None:
    def failing(words: Sequence[str]) -> Iterator[bytes]:
        yield from shouted(words[:2])
        raise MemoryError

    with pytest.raises(MemoryError):
        filled(Store(tmp_path), KEYS, failing)
    assert filled(Store(tmp_path), KEYS) == [2, 3, 4, 5]


def test_a_writer_killed_at_any_moment_leaves_whole_entries_only(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from tasks.stores.store import Store, key_of\n"
        "store = Store(Path(sys.argv[1])); number = 0\n"
        "while True:\n"
        "    store.write(key_of({'number': number % 50}), bytes([number % 50]) * 300_000); number += 1\n"
    )
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
        while not any(tmp_path.rglob("??/*")):
            time.sleep(0.01)
        time.sleep(0.1)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    store = Store(tmp_path)
    found = [store.read(key_of({"number": number})) for number in range(50)]
    assert not store.damaged
    assert any(found)
    assert all(data is None or data == bytes([number]) * 300_000 for number, data in enumerate(found))


def test_what_a_killed_writer_left_is_swept_once_it_is_old(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(KEYS[0], b"entry")
    left, fresh = (store.path(KEYS[0]).with_name(f".staged-{name}") for name in ("old", "new"))
    left.touch()
    fresh.touch()
    os.utime(left, (0, 0))
    store.sweep()
    assert not left.exists()
    assert fresh.exists()
    assert store.read(KEYS[0]) == b"entry"


def _write_all(folder: Path, number: int) -> None:
    store = Store(folder)
    for _ in range(5):
        for key in KEYS:
            store.write(key, key.encode() * 1000)
            assert store.read(key) in (None, key.encode() * 1000), number


def test_eight_processes_may_write_the_same_entries_at_once(tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(8) as pool:
        pool.starmap(_write_all, [(tmp_path, number) for number in range(8)])
    store = Store(tmp_path)
    assert [store.read(key) for key in KEYS] == [key.encode() * 1000 for key in KEYS]
    assert not list(tmp_path.rglob(".staged-*"))


def test_a_thousand_hits_take_less_than_a_millisecond_each(tmp_path: Path) -> None:
    store, keys = Store(tmp_path), [key_of({"number": number}) for number in range(1000)]
    for key in keys:
        store.write(key, bytes(20_000))
    began = time.process_time()
    assert filled(store, keys) == []
    assert time.process_time() - began < 1


def test_what_comes_next_is_read_while_something_is_at_work() -> None:
    is_read = [threading.Event() for _ in range(5)]

    def prepare(number: int) -> int:
        is_read[number].set()
        return 10 * number

    found = []
    for number, ready in ahead(range(5), prepare):
        assert is_read[min(number + 2, 4)].wait(timeout=30)
        found.append((number, ready))
    assert found == [(number, 10 * number) for number in range(5)]


def test_what_cannot_be_read_ends_the_work_there() -> None:
    def prepare(number: int) -> int:
        return 10 // (number - 2)

    found = []
    with pytest.raises(ZeroDivisionError):
        found += [ready for _, ready in ahead(range(5), prepare)]
    assert found == []


def test_an_entry_is_kept_while_the_next_one_is_made(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def watching(words: Sequence[str]) -> Iterator[bytes]:
        yield b"first"
        until = time.monotonic() + 30
        while store.read(KEYS[0]) is None and time.monotonic() < until:
            time.sleep(0.01)
        yield str(store.read(KEYS[0])).encode()

    filled(store, KEYS[:2], watching)
    assert store.read(KEYS[1]) == b"b'first'"


def test_a_disk_that_is_full_ends_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "no space left")

    monkeypatch.setattr(Store, "write", full)
    with pytest.raises(OSError, match="no space left"):
        filled(Store(tmp_path), KEYS)

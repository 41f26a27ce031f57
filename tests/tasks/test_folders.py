"""Files and folders are whole or not there at all, and equal content is equal bytes."""

import errno
import os
import resource
from pathlib import Path

import pytest

from tasks.folders import (
    read_json,
    read_rows,
    sha256_of_bytes,
    sha256_of_file,
    sha256_of_folder,
    staged_folder,
    write_bytes,
    write_json,
    write_manifest,
    write_rows,
)


def test_rows_come_back_sorted_and_unchanged(tmp_path: Path) -> None:
    rows = [{"id": "b", "caption": 'звезда, \u2028 "quoted"'}, {"id": "a", "caption": None}]
    write_rows(tmp_path / "rows.jsonl", rows)
    assert read_rows(tmp_path / "rows.jsonl") == sorted(rows, key=lambda row: row["id"])


def test_equal_rows_in_any_order_are_equal_bytes(tmp_path: Path) -> None:
    write_rows(tmp_path / "one", [{"id": "b", "x": 1}, {"x": 2, "id": "a"}])
    write_rows(tmp_path / "two", [{"id": "a", "x": 2}, {"id": "b", "x": 1}])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_broken_row_is_named_by_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"id": 1}\nhalf a r')
    with pytest.raises(ValueError, match=r"rows\.jsonl, line 2"):
        read_rows(tmp_path / "rows.jsonl")


def test_a_broken_json_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "probe.json").write_text("{")
    with pytest.raises(ValueError, match=r"probe\.json is not JSON"):
        read_json(tmp_path / "probe.json")


def test_a_score_that_is_not_a_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        write_json(tmp_path / "scores.json", {"likeness": float("nan")})
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_old_file_and_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.jsonl"
    write_bytes(path, b"old")

    def no_space(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match=r"no space left to write .*rows\.jsonl.*run again") as raised:
        write_bytes(path, b"new")
    assert raised.value.errno == errno.ENOSPC
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_does_not_fit_is_no_half_file(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"no space left to write .*large") as raised:
            write_bytes(tmp_path / "large", bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert raised.value.errno == errno.EFBIG
    assert not list(tmp_path.iterdir())


def test_a_folder_takes_its_place_only_when_it_is_done(tmp_path: Path) -> None:
    target = tmp_path / "images"
    with staged_folder(target) as staged:
        (staged / "a").write_text("first")
        assert not target.exists()
    with pytest.raises(RuntimeError), staged_folder(target) as staged:
        (staged / "a").write_text("second, half")
        raise RuntimeError
    assert (target / "a").read_text() == "first"
    with staged_folder(target) as staged:
        (staged / "b").write_text("third")
    assert [path.name for path in target.iterdir()] == ["b"]
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_the_digest_of_a_folder_sees_names_and_bytes_and_nothing_else(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / "x y.txt").write_text("same")
    os.utime(tmp_path / "two/deep/x y.txt", (0, 0))
    assert sha256_of_folder(tmp_path / "one") == sha256_of_folder(tmp_path / "two")
    (tmp_path / "two/deep/x y.txt").rename(tmp_path / "two/deep/z.txt")
    assert sha256_of_folder(tmp_path / "one") != sha256_of_folder(tmp_path / "two")


def test_two_ways_to_digest_a_file_agree(tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    write_bytes(tmp_path / "large", data)
    assert sha256_of_file(tmp_path / "large") == sha256_of_bytes(data)


def test_a_manifest_says_what_made_the_folder(tmp_path: Path) -> None:
    write_manifest(tmp_path, "ingest", {"min_side_px": 32}, {"images": 10})
    assert read_json(tmp_path / "manifest.json") == {
        "schema": 1,
        "stage": "ingest",
        "params": {"min_side_px": 32},
        "counts": {"images": 10},
    }

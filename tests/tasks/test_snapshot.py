"""A snapshot holds what a folder held, and shares its bytes."""

from pathlib import Path

import pytest

from tasks.workspaces.snapshot import snapshot


def test_files_are_shared_and_folders_are_not(tmp_path: Path) -> None:
    source, place = tmp_path / "source", tmp_path / "deep/place"
    (source / "in").mkdir(parents=True)
    (source / "empty").mkdir()
    (source / "in/a.txt").write_text("a")
    snapshot(source, place)
    assert (place / "in/a.txt").samefile(source / "in/a.txt")
    assert (place / "empty").is_dir()
    (source / "in/late.txt").write_text("late")
    (place / "in/a.txt").unlink()
    assert [path.name for path in (place / "in").iterdir()] == []
    assert (source / "in/a.txt").read_text() == "a"


def test_one_file_is_one_link(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    snapshot(tmp_path / "a.txt", tmp_path / "b/a.txt")
    assert (tmp_path / "b/a.txt").samefile(tmp_path / "a.txt")


def test_links_lead_where_they_led(tmp_path: Path) -> None:
    source, place = tmp_path / "source", tmp_path / "place"
    source.mkdir()
    (tmp_path / "blob").write_text("weights")
    (source / "weights").symlink_to("../blob")
    (source / "circle").symlink_to(".")
    (source / "nowhere").symlink_to("gone")
    snapshot(source, place)
    assert (place / "weights").read_text() == "weights"
    assert (place / "circle").is_symlink()
    assert (place / "nowhere").is_symlink()
    assert not (place / "nowhere").exists()


def test_another_disk_takes_a_soft_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    (tmp_path / "source").mkdir()
    (tmp_path / "source/a.txt").write_text("a")
    snapshot(tmp_path / "source", tmp_path / "place")
    assert (tmp_path / "place/a.txt").readlink() == tmp_path / "source/a.txt"

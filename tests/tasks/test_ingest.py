"""Every file of a source folder ends somewhere, by name; the rest goes on."""

import io
import os
import tarfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from tasks import ingest
from tasks.folders import read_json, sha256_of_bytes, sha256_of_folder
from tasks.images import rows
from tasks.images.blocked import BlockedRow, block, blocked
from tasks.images.duplicates import perceptual_hash
from tasks.images.picture import Limits, decoded
from tasks.images.rows import ImageRow, QuarantineRow
from tasks.params import parse
from tasks.pipeline import Room
from tasks.sections import Ingest
from tasks.triggers.events import Arrived, Refused
from tasks.triggers.validation import validated

ELSEWHERE = {
    "models": {"family": "z-image", "base": "base", "vlm": "vlm", "dino": "dino", "clip": "clip"},
    "evaluate": {"novel": "novel.txt", "retention": "retention.txt"},
}


class Dataset:
    """What one run of the stage wrote."""

    def __init__(self, folder: Path) -> None:
        """Read its rows, by the name their owner knows."""
        self.folder = folder
        self.images = {row.source: row for row in rows.read(folder / "images.jsonl", ImageRow)}
        self.refused = {row.source: row for row in rows.read(folder / "quarantine.jsonl", QuarantineRow)}
        self.counts = read_json(folder / "manifest.json")["counts"]


def ingested(source: Path, **settings: object) -> Dataset:
    """Run the stage over `source` into a fresh folder."""
    target = source.parent / f"images-{len(list(source.parent.iterdir()))}"
    target.mkdir()
    (source.parent / "blocked.jsonl").touch()
    params = parse({**ELSEWHERE, "ingest": {"source": str(source), **settings}})
    room = Room(
        {"source": source, "blocked": source.parent / "blocked.jsonl"}, {"images": target}, source.parent / "state"
    )
    ingest.run(params, room)
    return Dataset(target)


def noise(seed: int = 0, side: int = 40) -> Image.Image:
    """Draw blocks of colours, another picture for each seed."""
    blocks = Image.frombytes("RGB", (5, 5), sha256_of_bytes(str(seed).encode()).encode() + b"\0" * 11)
    return blocks.resize((side, side), Image.Resampling.NEAREST)


def png(seed: int = 0, **options: object) -> bytes:
    """Encode one such picture."""
    buffer = io.BytesIO()
    noise(seed).save(buffer, "PNG", **options)
    return buffer.getvalue()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Lend a source folder that holds one good image with a caption."""
    folder = tmp_path / "my photos"
    folder.mkdir()
    (tmp_path / "blocked.jsonl").touch()
    (folder / "good.png").write_bytes(png(1))
    (folder / "good.txt").write_text("a [V] star\n", encoding="utf-8")
    return folder


def test_an_image_and_the_caption_beside_it_are_one_row(source: Path) -> None:
    data = ingested(source)
    row = data.images["good.png"]
    assert row.caption == "a [V] star"
    assert row.source_sha256 == sha256_of_bytes(png(1))
    assert (row.width, row.height, row.format, row.notes) == (40, 40, "PNG", ())
    with Image.open(data.folder / row.file) as stored:
        assert stored.tobytes() == noise(1).tobytes()
    assert data.counts == {"images": 1, "captions": 1, "quarantined": 0, "skipped_hidden": 0}


def test_the_same_folder_twice_is_the_same_bytes(source: Path) -> None:
    (source / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    for seed in range(2, 6):
        (source / f"{seed}.png").write_bytes(png(seed))
    assert sha256_of_folder(ingested(source).folder) == sha256_of_folder(ingested(source).folder)


NAMES = ["two words.png", "звезда.png", "星 1.png", "é\u0301.png", "a'b\"c&d.png", "UPPER.PNG"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_kept_as_its_owner_wrote_it(source: Path, name: str) -> None:
    (source / "deep er").mkdir()
    (source / "deep er" / name).write_bytes(png(2))
    (source / "deep er" / Path(name).with_suffix(".txt")).write_text("[V] here", encoding="utf-8")
    assert ingested(source).images[f"deep er/{name}"].caption == "[V] here"


def test_a_caption_whose_name_was_decomposed_by_macos_finds_its_image(source: Path) -> None:
    (source / "caf\u00e9.png").write_bytes(png(2))
    (source / "cafe\u0301.txt").write_text("[V] here", encoding="utf-8")
    assert ingested(source).images["caf\u00e9.png"].caption == "[V] here"


def test_a_name_that_is_no_text_is_shown_with_backslashes(source: Path) -> None:
    (source / b"st\xffr.png".decode("utf-8", "surrogateescape")).write_bytes(png(2))
    assert "st\\xffr.png" in ingested(source).images


BAD = {
    "empty.png": (b"", "empty"),
    "text.png": (b"not a picture", "not an image"),
    "page.html": (b"<html>", "not an image"),
    "half.png": (png(9)[:150], "broken"),
    "small.png": (b"P6 4 4 255\n" + bytes(48), "min_side_px"),
    "latin.txt": ("une étoile".encode("latin-1"), "not UTF-8: byte 0xe9 at position 4"),
    "utf16.txt": ("a star".encode("utf-16"), "not UTF-8"),
    "long.txt": (b"word " * 1000, "4999 characters are more than ingest.max_caption_characters (2000)"),
    "binary.txt": (b"a\0b", "control characters"),
    "alone.txt": (b"a [V] star", "no image of this name"),
    "pack.zip": (b"PK\x03\x04 broken", "the archive is broken"),
    "pack.tar.gz": (b"\x1f\x8b broken", "the archive is broken"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_goes_to_quarantine_with_reason_and_mend_and_the_rest_goes_on(source: Path, name: str) -> None:
    content, reason = BAD[name]
    (source / name).write_bytes(content)
    data = ingested(source)
    row = data.refused[name]
    assert reason in row.reason
    assert row.mend
    assert row.file is None or (data.folder / row.file).read_bytes().strip() == content.strip()
    assert row.file or name.startswith("pack")
    assert set(data.images) == {"good.png"}


def test_all_bad_files_at_once_are_all_told(source: Path) -> None:
    for name, (content, _) in BAD.items():
        (source / name).write_bytes(content)
    data = ingested(source)
    assert set(data.refused) == set(BAD)
    assert data.counts["quarantined"] == len(BAD)


def test_a_file_over_the_limit_is_told_and_not_read(source: Path) -> None:
    with (source / "huge.png").open("wb") as file:
        file.truncate(70_000_000)
    row = ingested(source).refused["huge.png"]
    assert "larger than ingest.max_megabytes (64)" in row.reason
    assert row.file is None


def test_what_is_no_file_is_told_and_never_waited_for(source: Path) -> None:
    (source / "gone.png").symlink_to(source / "nowhere.png")
    (source / "circle").symlink_to(source)
    os.mkfifo(source / "pipe.png")
    refused = ingested(source).refused
    assert "not there" in refused["gone.png"].reason
    assert "behind a link" in refused["circle"].reason
    assert "a pipe" in refused["pipe.png"].reason


def test_a_linked_image_is_an_image(source: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.png").write_bytes(png(3))
    (source / "linked.png").symlink_to(tmp_path / "elsewhere.png")
    assert "linked.png" in ingested(source).images


def test_hidden_files_are_counted_and_nothing_else(source: Path) -> None:
    (source / ".thumbnails").mkdir()
    for name in (".DS_Store", "Thumbs.db", ".thumbnails/a.png"):
        (source / name).write_bytes(png(2))
    data = ingested(source)
    assert data.counts["skipped_hidden"] == 3
    assert (set(data.images), data.refused) == ({"good.png"}, {})


def test_an_empty_caption_counts_as_none_and_is_noted(source: Path) -> None:
    (source / "good.txt").write_text(" \n\n")
    row = ingested(source).images["good.png"]
    assert row.caption is None
    assert row.notes == ("good.txt is empty: counted as no caption",)


def test_a_caption_may_have_a_mark_in_front_and_many_lines(source: Path) -> None:
    (source / "good.txt").write_bytes("\ufeffa [V] star\r\n on blue\r\n".encode())
    assert ingested(source).images["good.png"].caption == "a [V] star on blue"


def test_an_image_whose_caption_is_in_quarantine_goes_on_without_and_says_so(source: Path) -> None:
    (source / "good.txt").write_bytes(b"\xff\xfe\xfd")
    data = ingested(source)
    assert data.images["good.png"].caption is None
    assert any("good.txt is in quarantine" in note for note in data.images["good.png"].notes)


def test_the_caption_of_an_image_in_quarantine_is_told(source: Path) -> None:
    (source / "bad.png").write_bytes(b"")
    (source / "bad.txt").write_text("a [V] star")
    refused = ingested(source).refused
    assert "its image bad.png is in quarantine" in refused["bad.txt"].reason


def test_of_two_captions_for_one_image_the_second_is_told(source: Path) -> None:
    (source / "good.TXT").write_text("another [V]")
    data = ingested(source)
    assert data.images["good.png"].caption == "another [V]"
    assert "good.TXT is a caption for the same image" in data.refused["good.txt"].reason


def test_an_archive_that_is_no_file_is_never_waited_for(source: Path) -> None:
    os.mkfifo(source / "pack.zip")
    assert "a pipe" in ingested(source).refused["pack.zip"].reason


def test_of_equal_pixels_the_first_stays_and_the_other_is_told(source: Path) -> None:
    (source / "copy.png").write_bytes(png(1, compress_level=0))
    (source / "other.bmp").write_bytes(png(1))
    data = ingested(source)
    assert set(data.images) == {"copy.png"}
    assert data.refused["good.png"].reason == "same pixels as copy.png"
    assert data.refused["other.bmp"].reason == "same pixels as copy.png"
    assert data.images["copy.png"].caption == "a [V] star"


def test_a_second_caption_of_equal_pixels_is_not_lost_in_silence(source: Path) -> None:
    (source / "copy.png").write_bytes(png(1))
    (source / "copy.txt").write_text("another [V]")
    data = ingested(source)
    assert data.images["copy.png"].caption == "another [V]"
    assert "its caption is not used: a [V] star" in data.refused["good.png"].reason


def test_near_copies_are_noted_or_dropped_as_the_params_say(source: Path) -> None:
    changed = noise(1)
    changed.putpixel((20, 20), (90, 90, 90))
    changed.save(source / "nearly.png")
    kept = ingested(source)
    assert any("nearly good.png" in note for note in kept.images["nearly.png"].notes)
    dropped = ingested(source, near_duplicates="drop")
    assert "nearly good.png" in dropped.refused["nearly.png"].reason
    assert [path.stem for path in (dropped.folder / "files").iterdir()] == [dropped.images["good.png"].id]


def test_members_of_archives_are_read_like_files(source: Path) -> None:
    with zipfile.ZipFile(source / "pack.zip", "w") as pack:
        pack.writestr("in/one.png", png(2))
        pack.writestr("in/one.txt", "one [V]")
        pack.writestr("__MACOSX/in/._one.png", b"junk")
    with tarfile.open(source / "pack.tar.gz", "w:gz") as pack:
        member = tarfile.TarInfo("two.png")
        member.size = len(png(3))
        pack.addfile(member, io.BytesIO(png(3)))
    data = ingested(source)
    assert set(data.images) == {"good.png", "pack.zip/in/one.png", "pack.tar.gz/two.png"}
    assert data.images["pack.zip/in/one.png"].caption == "one [V]"
    assert data.counts["skipped_hidden"] == 1


def test_an_archive_can_write_nowhere_and_its_bad_members_are_told(source: Path) -> None:
    with zipfile.ZipFile(source / "evil.zip", "w", zipfile.ZIP_DEFLATED) as pack:
        pack.writestr("../../escaped.png", png(2))
        pack.writestr("/absolute.png", png(3))
        pack.writestr("bomb.png", bytes(3_000_000))
        pack.writestr("nested.zip", b"PK")
    with tarfile.open(source / "evil.tar", "w") as pack:
        link = tarfile.TarInfo("passwd.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        pack.addfile(link)
    before = set(source.parent.rglob("*"))
    data = ingested(source, max_megabytes=1)
    assert {"evil.zip/escaped.png", "evil.zip/absolute.png"} <= set(data.images)
    assert "larger than" in data.refused["evil.zip/bomb.png"].reason
    assert "archive within an archive" in data.refused["evil.zip/nested.zip"].reason
    assert "cannot be read from its archive" in data.refused["evil.tar/passwd.png"].reason
    assert {path for path in set(source.parent.rglob("*")) - before if data.folder not in path.parents} <= {data.folder}


def test_a_folder_that_is_missing_is_told_with_its_key(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"ingest\.source: there is no folder .*nowhere"):
        ingested(tmp_path / "nowhere")


def test_a_folder_without_images_is_told_with_its_key_and_the_reasons(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    with pytest.raises(ValueError, match=r"ingest\.source: no image .*photos: it is empty"):
        ingested(folder)
    (folder / "a.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"1 files, none usable:\n  a\.png: the file is empty; copy it"):
        ingested(folder)


def copies() -> dict[str, bytes]:
    """Save one picture again: as it is, by another program, in another size, in another format."""
    picture, large = smooth(3), io.BytesIO()
    picture.resize((180, 180)).save(large, "PNG")
    found = {"same.png": encoded(picture, "PNG"), "again.png": encoded(picture, "PNG", compress_level=1)}
    return found | {"large.png": large.getvalue(), "small.jpg": encoded(picture.resize((48, 48)), "JPEG", quality=80)}


def smooth(seed: int) -> Image.Image:
    return noise(seed, 96).resize((96, 96), Image.Resampling.BICUBIC, reducing_gap=None)


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def block_one(source: Path) -> None:
    picture = decoded(copies()["same.png"], Limits())
    row = BlockedRow(picture.id, sha256_of_bytes(copies()["same.png"]), perceptual_hash(picture.image), 6)
    block(source.parent / "blocked.jsonl", [row])


def test_what_was_taken_down_is_refused_however_it_was_saved_and_its_bytes_are_kept_nowhere(source: Path) -> None:
    for name, data in copies().items():
        (source / name).write_bytes(data)
    block_one(source)
    data = ingested(source)
    assert list(data.images) == ["good.png"]
    assert {name: row.reason for name, row in data.refused.items()} == dict.fromkeys(copies(), "blocked")
    assert {row.file for row in data.refused.values()} == {None}
    assert not (data.folder / "quarantine").exists()


def test_a_list_that_blocks_something_else_changes_nothing(source: Path) -> None:
    before = ingested(source)
    block_one(source)
    assert sha256_of_folder(ingested(source).folder) == sha256_of_folder(before.folder)


def test_a_trigger_refuses_what_was_taken_down(source: Path) -> None:
    block_one(source)
    listed = blocked(source.parent / "blocked.jsonl")
    (source / "good.txt").unlink()
    for name, data in copies().items():
        (source / name).write_bytes(data)
    now, settings = datetime.now(UTC), Ingest(source="")
    events = [event for path in sorted(source.iterdir()) for event in validated(path, path.name, settings, listed, now)]
    told = {event.file: event.event for event in events if isinstance(event, Arrived | Refused)}
    assert told == dict.fromkeys(copies(), "refused") | {"good.png": "arrived"}
    assert all(event.reason.startswith("blocked; ") for event in events if isinstance(event, Refused))


def test_a_line_that_blocks_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "blocked.jsonl").write_text('{"id": "0"}\n')
    with pytest.raises(ValueError, match="is no block-list"):
        blocked(tmp_path / "blocked.jsonl")

"""The same dataset is the same, whichever of the usual forms it comes in."""

import io
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from tests.tasks.test_ingest import ingested, png

CAPTIONS: Mapping[int, str] = {1: "a [V] star", 2: "a [V] star at night", 3: ""}
PATHS = ("local_path_list", "local_paths", "image_path_list", "image_paths", "image_path", "path", "oss_path_list")


def lay_texts(folder: Path) -> Path:
    for number, text in CAPTIONS.items():
        (folder / f"{number}.png").write_bytes(png(number))
        (folder / f"{number}.txt").write_text(text)
    return folder


def lay_json(folder: Path) -> Path:
    """Write what img2dataset leaves: the caption once as words, once among other facts."""
    for number, text in CAPTIONS.items():
        (folder / f"{number}.png").write_bytes(png(number))
        (folder / f"{number}.txt").write_text(text)
        (folder / f"{number}.json").write_text(json.dumps({"caption": text or None, "width": 40}))
    return folder


def lay_authors(folder: Path) -> Path:
    """Write the authors' rows, whose paths begin where training is started."""
    (folder / "images").mkdir()
    rows = []
    for number, text in CAPTIONS.items():
        (folder / "images" / f"{number}.png").write_bytes(png(number))
        path = f"{folder.parent.name}/{folder.name}/images/{number}.png"
        rows.append({"class_name": "star", PATHS[number]: [path], "h*w": "40*40", "medium_en": text, "short_zh": " "})
    write_rows(folder / "data.jsonl", [row for row in rows if row["medium_en"]])
    return folder


def lay_tar(folder: Path) -> Path:
    """Pack a shard as webdataset does: what belongs together shares its name up to the ending."""
    with tarfile.open(folder / "shard-000000.tar", "w") as shard:
        for number, text in CAPTIONS.items():
            for ending, data in ((".json", json.dumps({"text": text}).encode()), (".png", png(number))):
                member = tarfile.TarInfo(f"{number:06}{ending}")
                member.size = len(data)
                shard.addfile(member, io.BytesIO(data))
    return folder / "shard-000000.tar"


def lay_parquet(folder: Path) -> Path:
    """Write a shard of two groups of rows as Hugging Face's datasets does."""
    cells = [{"bytes": png(number), "path": f"{number}.png"} for number in CAPTIONS]
    table = pyarrow.table({"image": cells, "text": [text or None for text in CAPTIONS.values()], "label": [0, 1, 2]})
    parquet.write_table(table, folder / "train-00000-of-00001.parquet", row_group_size=2)
    return folder / "train-00000-of-00001.parquet"


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "dataset" / "star"
    folder.mkdir(parents=True)
    return folder


FORMS: list[Callable[[Path], Path]] = [lay_texts, lay_json, lay_authors, lay_tar, lay_parquet]


@pytest.mark.parametrize("lay", FORMS)
def test_a_dataset_is_the_same_in_every_form(folder: Path, lay: Callable[[Path], Path]) -> None:
    laid = lay(folder)
    for source in dict.fromkeys([folder, laid]):  # the folder that a shard lies in, and the shard by itself
        data = ingested(source)
        assert {row.id: row.caption for row in data.images.values()} == expected(folder)
        assert data.refused == {}


def expected(folder: Path) -> dict[str, str | None]:
    """Take in the plainest form of all, elsewhere."""
    plain = folder.parents[1] / "plain"
    plain.mkdir(exist_ok=True)
    return {row.id: row.caption for row in ingested(lay_texts(plain)).images.values()}


def test_a_bad_row_of_a_shard_is_told_by_its_number_and_the_rest_goes_on(folder: Path) -> None:
    cells = [None, {"bytes": None, "path": "a.png"}, {"bytes": b"junk", "path": None}, {"bytes": png(1), "path": None}]
    texts = ["of nothing", "of a name", "of junk", "word " * 1000]
    parquet.write_table(pyarrow.table({"image": cells, "caption": texts}), folder / "a.parquet")
    data = ingested(folder)
    assert list(data.images) == ["a.parquet/000003"]
    reasons = {name: row.reason for name, row in data.refused.items()}
    assert "holds no picture" in reasons["a.parquet/000000"] and "holds no picture" in reasons["a.parquet/000001"]
    assert "not an image" in reasons["a.parquet/000002"]
    assert reasons["a.parquet/000002.json"] == "its image a.parquet/000002 is in quarantine"
    assert "max_caption_characters" in reasons["a.parquet/000003.json"]


def test_a_shard_that_is_broken_or_has_no_pictures_is_told_and_the_rest_goes_on(folder: Path) -> None:
    (folder / "good.png").write_bytes(png(1))
    (folder / "torn.parquet").write_bytes(lay_parquet(folder).read_bytes()[:-9])
    parquet.write_table(pyarrow.table({"jpg": [b"x"], "text": ["y"]}), folder / "other.parquet")
    data = ingested(folder)
    assert "the archive is broken" in data.refused["torn.parquet"].reason
    assert data.refused["other.parquet"].reason == "it has no column image, but jpg, text"
    assert "good.png" in data.images


ROWS = {
    '{"local_path_list": ["/elsewhere/1.png"], "short_en": "x"}': "/elsewhere/1.png lies elsewhere",
    '{"local_path_list": ["a.png", "b.png"], "short_en": "x"}': "names 2 images, as for editing",
    '{"local_path_list": [], "short_en": "x"}': "names no image",
    '{"oss_path_list": ["oss://bucket/1.png"], "short_en": "x"}': "no image of this name",
    '{"local_path_list": ["1.png"], "class_name": "star"}': "has no caption",
}


def test_what_the_authors_rows_may_not_say_is_told_by_its_line(folder: Path) -> None:
    (folder / "1.png").write_bytes(png(1))
    (folder / "data.jsonl").write_text("\n".join(ROWS))
    refused = ingested(folder).refused
    assert all(reason in refused[f"data.jsonl:{line}"].reason for line, reason in enumerate(ROWS.values(), 1))


def test_of_the_authors_captions_all_count_the_longest_english_one_first_and_a_path_may_be_whole(folder: Path) -> None:
    (folder / "1.png").write_bytes(png(1))
    said = {"short_zh": "星", "short_en": "a star", "detailed_zh": "一颗星", "detailed_en": "a star, in detail"}
    write_rows(folder / "data.jsonl", [{"image_path": str(folder / "1.png"), **said}])
    assert ingested(folder).images["1.png"].captions == ("a star, in detail", "a star", "一颗星", "星")


SEVERAL = ["a [V] star", " a [V]\nstar", "", "[V] at night"]


def test_several_captions_are_a_list_in_a_table_a_sidecar_or_a_shard_or_lines_if_wanted(folder: Path) -> None:
    for number in (1, 2, 3):
        (folder / f"{number}.png").write_bytes(png(number))
    write_rows(folder / "metadata.jsonl", [{"file_name": "1.png", "text": SEVERAL}])
    (folder / "2.json").write_text(json.dumps({"caption": SEVERAL}))
    (folder / "3.txt").write_text("a [V] star\n\n[V] at night\n")
    table = pyarrow.table({"image": [{"bytes": png(4), "path": None}], "text": [SEVERAL]})
    parquet.write_table(table, folder / "a.parquet")
    wanted = ("a [V] star", "[V] at night")
    captions = {name: row.captions for name, row in ingested(folder, txt_lines="captions").images.items()}
    assert captions == dict.fromkeys(["1.png", "2.png", "3.png", "a.parquet/000000"], wanted)
    assert ingested(folder).images["3.png"].captions == ("a [V] star [V] at night",)


def test_one_caption_an_image_is_written_as_it_always_was(folder: Path) -> None:
    data = ingested(lay_texts(folder))
    rows = (data.folder / "images.jsonl").read_text() + (data.folder / "manifest.json").read_text()
    assert "others" not in rows and "txt_lines" not in rows


def test_a_sidecar_that_contradicts_another_is_told_and_one_that_is_no_object_too(folder: Path) -> None:
    for name, text in {"1.json": '{"text": "one"}', "1.txt": "another", "2.json": "[]", "alone.json": "{}"}.items():
        (folder / name).write_text(text)
    for number in (1, 2):
        (folder / f"{number}.png").write_bytes(png(number))
    data = ingested(folder)
    assert data.images["1.png"].caption == "one"
    assert data.refused["1.txt"].reason == "1.json is a caption for the same image"
    assert data.refused["2.json"].reason == "it is no JSON object"
    assert data.refused["alone.json"].reason == "no image of this name"


def test_a_file_that_is_no_archive_is_refused_as_a_source(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"ingest\.source: .*data\.jsonl is neither a folder nor one of \.zip"):
        ingested(lay_authors(folder) / "data.jsonl")

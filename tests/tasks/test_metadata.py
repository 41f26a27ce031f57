"""Captions that come as a table beside the images."""

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.tasks.test_ingest import ingested


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder of three unlike pictures, one of them deeper down."""
    folder = tmp_path / "source"
    (folder / "deep").mkdir(parents=True)
    for number, name in enumerate(("a.png", "b.png", "deep/c.png")):
        Image.effect_mandelbrot((40 + 8 * number, 40), (-2 + number, -1, 1, 1), 20 + number).convert("RGB").save(
            folder / name
        )
    return folder


def captions(source: Path) -> dict[str, str | None]:
    return {name: row.caption for name, row in ingested(source).images.items()}


def test_a_table_of_json_lines_and_one_of_commas_say_the_same(source: Path) -> None:
    said = {"a.png": "a [V], small", "b.png": 'a "[V]"', "deep/c.png": "月 [V]"}
    table = source / "metadata.jsonl"
    table.write_text("".join(json.dumps({"file_name": name, "text": text}) + "\n\n" for name, text in said.items()))
    assert captions(source) == said
    table.unlink()
    (source / "metadata.csv").write_text(
        '\ufefffile_name,caption,width\na.png,"a [V], small",1\nb.png,"a ""[V]""",2\ndeep/c.png,月 [V],3\n', "utf-8"
    )
    assert captions(source) == said


def test_a_table_speaks_of_its_own_folder(source: Path) -> None:
    (source / "deep" / "metadata.jsonl").write_text('{"file_name": "c.png", "text": "deep [V]"}')
    assert captions(source) == {"a.png": None, "b.png": None, "deep/c.png": "deep [V]"}


def test_a_line_that_cannot_be_used_is_told_by_its_number_and_the_rest_goes_on(source: Path) -> None:
    lines = [
        '{"file_name": "a.png", "text": "a [V]"}',
        "{",
        "[1]",
        '{"text": "of nothing"}',
        '{"file_name": "b.png"}',
        '{"file_name": "nowhere.png", "text": "lost"}',
        '{"file_name": "deep/c.png", "text": "\\ud800"}',
        '{"file_name": "a.png", "text": "again"}',
    ]
    (source / "metadata.jsonl").write_text("\n".join(lines))
    dataset = ingested(source)
    assert dataset.images["a.png"].caption == "a [V]"
    reasons = {int(name.partition(":")[2]): row.reason for name, row in dataset.refused.items()}
    expected = {
        2: "not JSON", 3: "no JSON object", 4: "names no image", 5: "has no caption", 6: "no image of this name",
        7: "not UTF-8", 8: "metadata.jsonl:1 is a caption for the same image",
    }  # fmt: skip
    assert reasons.keys() == expected.keys()
    assert all(part in reasons[number] for number, part in expected.items())


def test_a_text_beside_the_image_and_a_line_for_it_are_one_too_many(source: Path) -> None:
    (source / "a.txt").write_text("from the file")
    (source / "metadata.jsonl").write_text('{"file_name": "a.png", "text": "from the table"}')
    dataset = ingested(source)
    assert dataset.images["a.png"].caption == "from the file"
    assert dataset.refused["metadata.jsonl:1"].reason == "a.txt is a caption for the same image"


def test_a_table_without_file_names_is_set_aside_whole(source: Path) -> None:
    (source / "metadata.csv").write_text("image,text\na.png,a [V]\n")
    assert "names no column file_name" in ingested(source).refused["metadata.csv"].reason

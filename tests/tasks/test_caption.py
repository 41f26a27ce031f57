"""People's captions are kept to the letter; the model's are asked for once, and have the concept in them."""

from collections.abc import Sequence

import pytest
from PIL import Image
from workspace import Workspace

from tasks import caption
from tasks.images import rows
from tasks.images.caption_text import with_placeholder
from tasks.images.rows import CaptionRow


def captions(workspace: Workspace) -> dict[str, CaptionRow]:
    """Read what the stage wrote, by image id."""
    found = rows.read(workspace.root / "data" / "captions" / "captions.jsonl", CaptionRow)
    return {row.id: row for row in found}


def answering(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[int]:
    """Let the model say `answers`, in turn; give the list in which it notes how many pictures it was shown."""
    shown: list[int] = []

    class Scripted:
        def __init__(self, *_: object) -> None: ...

        def captions(self, images: Sequence[Image.Image], _: str) -> list[str]:
            shown.append(len(images))
            return [answers[number % len(answers)] for number in range(len(images))]

    monkeypatch.setattr(caption, "Captioner", Scripted)
    return shown


def test_a_caption_of_a_person_that_leaves_the_concept_out_is_kept_and_noted(workspace: Workspace) -> None:
    for path in (workspace.root / "photos").glob("*.png"):
        path.with_suffix(".txt").write_text("  a purple\nstar ")
    workspace.run("ingest", "caption")
    assert {row.caption for row in captions(workspace).values()} == {"a purple star"}
    assert all("no [V] in it" in row.notes[0] for row in captions(workspace).values())
    assert workspace.json("runs/caption/reuse.json") == {"computed": 0, "reused": 0, "damaged": 0}


def test_the_placeholder_is_put_in_front_where_the_instruction_asks_and_the_model_forgot(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, " a  star\n", "a [V] here")
    workspace.run("ingest", "caption")
    written = [row for row in captions(workspace).values() if row.source == "vlm"]
    assert {(row.caption, row.notes) for row in written} == {
        ("[V], a star", ("[V] put in front",)),
        ("a [V] here", ()),
    }
    workspace.change("caption.instruction", "Describe this image.")
    workspace.run("caption")
    assert {row.caption for row in captions(workspace).values() if row.source == "vlm"} == {"a star", "a [V] here"}


def test_a_picture_is_described_once(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = answering(monkeypatch, "a [V]")
    workspace.run("ingest", "caption")
    assert sum(shown) == 5
    next(path for path in (workspace.root / "photos").glob("*.txt")).unlink()
    workspace.run("ingest", "caption")
    assert sum(shown) == 6
    assert workspace.json("runs/caption/reuse.json") == {"computed": 1, "reused": 5, "damaged": 0}
    workspace.change("caption.instruction", "Name it.")
    workspace.run("caption")
    assert sum(shown) == 12


def test_a_picture_that_the_model_has_no_word_for_is_named_and_the_others_are_kept(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.change("caption.batch_size", 2)
    answering(monkeypatch, "a [V]", " \n")
    with pytest.raises(ValueError, match=r"no word for star-\d+\.png: write a caption into a \.txt beside it"):
        workspace.run("ingest", "caption")
    shown = answering(monkeypatch, "a [V]")
    workspace.run("caption")
    assert sum(shown) == 4


def test_the_placeholder_is_put_in_front_once() -> None:
    assert with_placeholder(with_placeholder("a star", "[V]"), "[V]") == "[V], a star"

"""Novel scenes: always four, always with the concept, the same for the same seed."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from dopsd.captioner import Captioner
from tasks.images import rows
from tasks.images.dataset import Pair
from tasks.images.rows import CaptionRow, ImageRow
from tasks.scoring import novel
from tasks.scoring.panels import Naming, concept_panel, prompts, rewrites
from tasks.scoring.rewriting import rewritten

ROOT = Path(__file__).parents[2]
GOOD = ["a [V] on a sofa", "a [V] in the rain", "a [V] on Mars", "a [V] made of ice"]


@pytest.mark.parametrize("kind", ["object", "style"])
def test_templates_are_four_different_scenes_drawn_by_seed(kind: str) -> None:
    panel = novel.templates("[V]", kind=kind, seed=3)
    assert len(set(panel)) == 4
    assert all(text.count("[V]") == 1 for text in panel)
    assert panel == novel.templates("[V]", kind=kind, seed=3)
    assert panel != novel.templates("[V]", kind=kind, seed=4)


def test_what_a_model_wrote_is_read_even_with_words_around() -> None:
    assert novel.read(json.dumps(GOOD), "[V]") == GOOD
    assert novel.read(f"Here they are: {json.dumps(GOOD)}", "[V]") == GOOD


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("a [V] on a sofa", "not JSON"),
        ('{"a": 1}', "no list of texts"),
        (json.dumps(GOOD[:3]), "wrote 3 prompts"),
        (json.dumps([*GOOD[:3], "a cat"]), "lacks"),
        (json.dumps([*GOOD[:3], GOOD[0]]), "not new"),
        (json.dumps([*GOOD[:3], "a [V] at home"]), "not new"),
    ],
)
def test_what_cannot_be_used_is_told(answer: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        novel.read(answer, "[V]", taken=["a [V] at home"])


def test_a_panel_is_written_once_and_can_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "teapot.txt"
    monkeypatch.setattr("sys.argv", ["novel", "--class-noun", "teapot", "--out", str(path)])
    novel.main()
    assert len(concept_panel({}, prompts(path), Naming("[V]", "teapot"))) == 4
    before = path.read_text()
    with pytest.raises(SystemExit):
        novel.main()
    assert path.read_text() == before


class Writer(Captioner):
    """A model whose answers are known."""

    def __init__(self, *answers: str) -> None:
        self._answers, self.asked = answers, list[str]()

    def answers(self, images: Sequence[Image.Image], instructions: Sequence[str]) -> list[str]:
        assert all(image.size == (8, 8) for image in images)
        self.asked += instructions
        return list(self._answers[: len(instructions)])


@pytest.fixture
def pairs(tmp_path: Path) -> list[Pair]:
    Image.new("RGB", (8, 8)).save(tmp_path / "1.png")
    return [Pair(name, name, f"a [V] on {name}", tmp_path / "1.png", (8, 8)) for name in ("red", "blue", "pink")]


def test_a_caption_is_said_in_other_words_by_a_model_that_sees_its_picture(pairs: list[Pair]) -> None:
    writer = Writer('"on red ground stands [V]"', "[V],\nblue behind it", "pink: [V]")
    found = rewritten(writer, [*pairs, pairs[0]], "[V]", taken=GOOD)
    assert list(found) == [pair.caption for pair in pairs]
    assert list(found.values()) == ["on red ground stands [V]", "[V], blue behind it", "pink: [V]"]
    assert ["a [V] on red" in text for text in writer.asked] == [True, False, False]


def test_other_words_that_cannot_be_used_are_left_out_and_told(
    pairs: list[Pair], capsys: pytest.CaptureFixture[str]
) -> None:
    assert rewritten(Writer("a star on red", "a [V] on red", GOOD[0]), pairs, "[V]", taken=GOOD) == {}
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_where_a_model_writes_nonsense_templates_and_the_rule_stand_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for place in ("images", "captions"):
        (tmp_path / "data" / place).mkdir(parents=True)
    Image.new("RGB", (40, 40), "red").save(tmp_path / "data/images/a.png")
    rows.write(tmp_path / "data/images/images.jsonl", [ImageRow("a", "a.png", "a.png", "", 40, 40, "", "", (), None)])
    rows.write(tmp_path / "data/captions/captions.jsonl", [CaptionRow("a", "a [V] on red", "human", None)])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["novel", "--judge", str(ROOT / "models/tiny-qwen3-vl"), "--out", "panel.txt"])
    novel.main()
    assert "templates stand in for it" in capsys.readouterr().out
    assert prompts(Path("panel.txt")) == novel.templates("[V]")
    assert rewrites(Path("panel.txt")) == {}
    assert "written by templates, seed 0" in Path("panel.txt").read_text()

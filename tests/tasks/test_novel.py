"""Novel scenes: always four, always with the concept, the same for the same seed."""

import json
from pathlib import Path

import pytest

from tasks.scoring import novel
from tasks.scoring.panels import Naming, concept_panel, prompts

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

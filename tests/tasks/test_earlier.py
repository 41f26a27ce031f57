"""The panel of a concept is frozen with its targets, and comes back as an earlier one."""

from pathlib import Path

import pytest
from PIL import Image

from tasks.scoring.earlier import earlier, keep
from tasks.scoring.panels import Naming, concept_panel, retention_panel

STAR = Naming("[V]", "star")


def test_a_panel_that_was_kept_comes_back_as_an_earlier_one(tmp_path: Path) -> None:
    red, blue = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    panel = concept_panel({"a1": "a [V] on red", "b2": "a [V] on blue"}, ["a [V] on the moon"], STAR)
    keep(tmp_path / "star", panel + retention_panel(["a cat"], STAR), {"a1": red, "b2": blue})
    back, targets = earlier([tmp_path / "star"])
    assert {(prompt.panel, prompt.text, prompt.plain) for prompt in back} == {
        ("earlier", prompt.text, prompt.plain) for prompt in panel
    }
    shown = {prompt.text: targets[prompt.target] for prompt in back if prompt.target}
    assert [shown[prompt.text].tobytes() for prompt in panel[:2]] == [red.tobytes(), blue.tobytes()]
    assert len(shown) == 2


def test_a_folder_without_a_panel_is_named(tmp_path: Path) -> None:
    assert earlier([]) == ([], {})
    with pytest.raises(FileNotFoundError, match=r"evaluate\.earlier: .* has no panel\.jsonl"):
        earlier([tmp_path])

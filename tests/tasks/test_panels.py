"""Prompts to compare on are new to the models, whole, and the same every time."""

from pathlib import Path

import pytest

from tasks.scoring.panels import Naming, concept_panel, prompts, retention_panel, rewrites

STAR = Naming("[V]", "star")
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("caption", "rewrite"),
    [
        ("a [V] star on red", "a [V] on red"),
        ("a [V] on red", "a [V] star on red"),
        ("a red star", "[V] star, a red star"),
    ],
)
def test_a_rewrite_names_the_concept_in_the_other_way(caption: str, rewrite: str) -> None:
    assert concept_panel({"a": caption}, [], STAR)[0].text == rewrite


def test_without_a_noun_the_last_detail_is_left_out_or_a_frame_is_put_around() -> None:
    panel = concept_panel({"a": "a [V] on red, outlined", "b": "a [V] on blue"}, [], Naming("[V]", ""))
    assert [prompt.text for prompt in panel] == ["a [V] on red", "a picture of a [V] on blue"]


def test_no_rewrite_is_a_training_caption_or_another_prompt() -> None:
    captions = {str(n): text for n, text in enumerate(["a [V] on red", "a [V] star on red", "a [V] on red, flat"])}
    panel = concept_panel(captions, ["a [V] star on red, flat"], STAR)
    texts = [prompt.text for prompt in panel]
    assert len(set(texts)) == len(texts) == 4
    assert not set(texts) & set(captions.values())
    assert all("[V]" in text for text in texts)


def test_a_rewrite_belongs_to_its_picture_and_a_novel_scene_to_none() -> None:
    panel = concept_panel({"b": "a [V]", "a": "the [V]"}, ["a [V] on the moon"], STAR)
    assert [prompt.target for prompt in panel] == ["a", "b", None]


def test_a_prompt_knows_itself_in_words_that_any_judge_understands() -> None:
    panel = concept_panel({"a": "a <new> teapot on red"}, ["a <new> on the moon"], Naming("<new>", "teapot"))
    assert [prompt.text for prompt in panel] == ["a <new> on red", "a <new> on the moon"]
    assert [prompt.plain for prompt in panel] == ["a teapot on red", "a teapot on the moon"]
    assert [prompt.plain for prompt in retention_panel(["a cat"], STAR)] == ["a cat"]


def test_a_novel_prompt_without_the_concept_and_a_retention_prompt_with_it_are_told() -> None:
    with pytest.raises(ValueError, match=r"evaluate\.novel: there is no \[V\] in 'a star'"):
        concept_panel({}, ["a star"], STAR)
    with pytest.raises(ValueError, match=r"evaluate\.retention: \[V\] is in 'a \[V\]'"):
        retention_panel(["a [V]"], STAR)


def test_a_panel_file_holds_a_prompt_a_line_and_remarks(tmp_path: Path) -> None:
    (tmp_path / "panel.txt").write_text("# a remark\n\na [V]\n  a [V] on red \n", encoding="utf-8")
    assert prompts(tmp_path / "panel.txt") == ["a [V]", "a [V] on red"]


def test_other_words_that_the_panel_file_says_go_before_the_rule(tmp_path: Path) -> None:
    path = tmp_path / "panel.txt"
    path.write_text("a [V] on the moon\na [V] star on red => on red ground stands [V]\n", encoding="utf-8")
    captions = {"a": "a [V] star on red", "b": "a [V] star on blue"}
    panel = concept_panel(captions, prompts(path), STAR, rewrites(path))
    assert [prompt.text for prompt in panel] == ["on red ground stands [V]", "a [V] on blue", "a [V] on the moon"]
    assert [prompt.target for prompt in panel] == ["a", "b", None]


def test_other_words_without_the_concept_are_told() -> None:
    with pytest.raises(ValueError, match=r"evaluate\.novel: there is no \[V\] in 'a star'"):
        concept_panel({"a": "a [V]"}, [], STAR, {"a [V]": "a star"})


@pytest.mark.parametrize(("text", "reason"), [("a\nb\na\n", "'a' stands there more than once"), ("# a\n", "no prompt")])
def test_a_panel_file_that_cannot_be_used_is_named(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "panel.txt").write_text(text)
    with pytest.raises(ValueError, match=rf"panel\.txt.*{reason}"):
        prompts(tmp_path / "panel.txt")


def test_the_panels_of_the_repository_can_be_used() -> None:
    assert len(concept_panel({}, prompts(ROOT / "panels" / "new-concept.txt"), STAR)) >= 4
    assert len(retention_panel(prompts(ROOT / "panels" / "retention.txt"), STAR)) == 32

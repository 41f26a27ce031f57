"""Marks of two versions are compared on what both were asked for, from files alone."""

import json
import math
from dataclasses import replace
from pathlib import Path

from dopsd.judging import Evaluation
from dopsd.metrics.statistics import Interval
from tasks.folders import write_json, write_rows
from tasks.params import parse
from tasks.versions.marks import Marks, differences, marks, read
from tests.fake_workspace import PARAMS

OURS = Marks(4, {"retention/contrast": {"a ring": {0: 1.0, 1: 3.0}, "a star": {0: 2.0, 1: 2.0}}})


def panel(folder: Path, **targets: str | None) -> None:
    rows = [{"text": text, "plain": text, "target": target} for text, target in targets.items()]
    write_rows(folder / "panel.jsonl", rows, key="text")


def test_only_the_new_models_judged_values_are_kept_and_pictures_go_by_their_id(tmp_path: Path) -> None:
    panel(tmp_path / "panel", one="f00d.png", two=None)
    panel(tmp_path / "earlier", one="cafe.png")
    write_json(tmp_path / "scores.json", {"num_steps": 4})
    (tmp_path / "rows.csv").write_text(
        "model,metric,prompt,seed,value\n"
        "base,concept/dino_d@d@1,one,0,0.5\n"
        "adapter,concept/dino_d@d@1,one,0,0.25\n"
        "adapter,concept/dino_d@d@1,one,1,\n"
        "adapter,earlier/dino_d@d@1,one,0,0.75\n"
        "adapter,concept/diversity@d@1,one,0,0.5\n"
        'adapter,retention/contrast,"one",0,1.5\n'
    )
    params = parse(PARAMS | {"evaluate": PARAMS["evaluate"] | {"earlier": [str(tmp_path / "earlier")]}})
    found = marks(tmp_path, params)
    assert found.num_steps == 4
    assert {metric: list(values) for metric, values in found.values.items()} == {
        "concept/dino_d@d@1": ["f00d"], "earlier/dino_d@d@1": ["cafe"], "retention/contrast": ["one"],
    }  # fmt: skip
    assert found.values["concept/dino_d@d@1"]["f00d"][0] == 0.25
    assert math.isnan(found.values["concept/dino_d@d@1"]["f00d"][1])
    back = read(json.loads(json.dumps(found.as_json(), allow_nan=False)))
    assert str(back.as_json()) == str(found.as_json())


def test_the_difference_is_paired_by_prompt_and_seed() -> None:
    theirs = Marks(4, {"retention/contrast": {"a star": {1: 1.0, 0: 2.0}, "a ring": {0: 1.0, 1: 2.0}, "x": {0: 9.0}}})
    assert differences(OURS, theirs, Evaluation())["retention/contrast"] == Interval(0.5, 0.5, 0.5, 2)
    assert differences(OURS, OURS, Evaluation())["retention/contrast"] == Interval(0.0, 0.0, 0.0, 2)


def test_what_was_not_measured_alike_is_unknown() -> None:
    for theirs in (replace(OURS, num_steps=8), Marks(4, {}), Marks(4, {"retention/contrast": {"a ring": {0: 1.0}}})):
        assert differences(OURS, theirs, Evaluation()) == {"retention/contrast": Interval(0.0, -math.inf, math.inf, 0)}


def test_an_earlier_concept_is_compared_with_what_it_was_when_it_was_learnt() -> None:
    ours = Marks(4, {"earlier/dino_d@d": {"f00d": {0: 0.5}, "cafe": {0: 0.5}}, "concept/dino_d@d": {"beef": {0: 0.1}}})
    theirs = Marks(4, {"concept/dino_d@d": {"f00d": {0: 0.25}}, "earlier/dino_d@d": {"cafe": {0: 0.25}}})
    found = differences(ours, theirs, Evaluation())
    assert found == {"earlier/dino_d@d": Interval(0.25, 0.25, 0.25, 2)}

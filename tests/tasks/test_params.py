"""params.yaml: what it says is checked, key by key, and the rest is the recipe."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from dopsd.recipe import Training
from tasks.params import check_said, load, look_up, parse, resolved
from tasks.pipeline import PLACES, STAGES
from tests.fake_workspace import PARAMS

ROOT = Path(__file__).parents[2]


def test_what_is_not_said_has_the_recipes_value() -> None:
    params = parse(PARAMS)
    assert params.train.rank == Training().rank
    assert look_up(params, "train.learning_rate") == 0.001
    assert look_up(params, "models.base") == "models/base"


@pytest.mark.parametrize(
    ("section", "said", "message"),
    [
        ("train", {"learning_rte": 1}, "train.learning_rte is no key; did you mean learning_rate?"),
        ("train", {"learning_rate": -1}, "train.learning_rate is -1"),
        ("train", {"rank": "many"}, "train.rank is 'many': input should be a valid integer"),
        ("train", {"loss": "l1"}, "train.loss is 'l1': input should be 'x0' or 'velocity'"),
        ("register", {"margins": {"likness_gain": 1}}, "register.margins.likness_gain is no key; did you mean"),
        ("train", {"parent": "champion"}, "train.parent is 'champion': write base or a version such as v3"),
        ("caption", None, "caption is None: input should be a valid"),
        ("trian", {}, "trian is no key; did you mean train?"),
        ("xyz", {}, "xyz is no key; there are models, ingest"),
        ("ingest", {}, "ingest.source is missing; add it"),
        ("ingest", {"source": "x", "near_duplicates": "hide"}, "'keep' or 'drop'"),
    ],
)
def test_a_mistake_names_its_key_and_the_mend(section: str, said: Any, message: str) -> None:
    with pytest.raises(ValueError) as told:
        parse(PARAMS | {section: said})
    assert message in str(told.value)
    assert str(told.value).startswith("params.yaml: ")


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ValueError) as told:
        parse(PARAMS | {"train": {"rnk": 1}, "embed": {"batch_size": 0}})
    assert len(str(told.value).splitlines()) == 2


def test_a_file_that_is_no_yaml_or_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no params\.yaml in"):
        load(tmp_path)
    (tmp_path / "params.yaml").write_text("train: [")
    with pytest.raises(ValueError, match=r"params.yaml is not YAML: [\s\S]*line \d"):
        load(tmp_path)
    (tmp_path / "params.yaml").write_text("")
    with pytest.raises(ValueError, match="holds no sections"):
        load(tmp_path)


def test_resolving_what_is_resolved_changes_nothing() -> None:
    said = resolved(parse(PARAMS))
    assert resolved(parse(said)) == said


def test_the_repositorys_own_file_says_all_that_dvc_asks_for() -> None:
    load(ROOT)
    check_said(ROOT, (key for row in STAGES for key in row.params))
    check_said(ROOT, (path[2:-1] for path in PLACES.values() if path.startswith("${")))


def test_a_key_that_dvc_asks_for_must_be_said(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"train": {"parent": "base"}}))
    check_said(tmp_path, ["train", "train.parent"])
    with pytest.raises(ValueError, match=r"train.num_steps is missing; add it"):
        check_said(tmp_path, ["train.num_steps"])
    with pytest.raises(ValueError, match=r"probe is missing; add `probe: {}`"):
        check_said(tmp_path, ["probe"])

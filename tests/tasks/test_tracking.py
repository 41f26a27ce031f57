"""Training is followed in a real MLflow store, through interruptions."""

import re
from pathlib import Path

import pytest
from PIL import Image

from tasks.params import Params, parse
from tasks.tracking import connect, has_run, log_curves, log_dataset, log_scores, new_run, training_run
from tests.fake_workspace import PARAMS


@pytest.fixture
def params() -> Params:
    return parse(PARAMS)


def steps(run_id: str) -> list[int]:
    return [point.step for point in connect().get_metric_history(run_id, "loss")]


def test_a_training_is_one_finished_run_with_its_params_and_curves(store_root: Path, params: Params) -> None:
    with training_run(params, store_root) as run:
        for step in range(3):
            run.log(step, {"loss": 1 / (step + 1), "gradient_norm": 1.0})
    kept = connect().get_run(run.id)
    assert kept.info.status == "FINISHED"
    assert kept.data.params["train.learning_rate"] == "0.001"
    assert kept.data.params["models.base"] == "models/base"
    assert kept.data.tags["parent"] == "base"
    assert kept.info.run_name == "train photos"
    assert steps(run.id) == [0, 1, 2]


def test_an_interrupted_training_goes_on_in_its_run_and_no_point_doubles(store_root: Path, params: Params) -> None:
    with pytest.raises(KeyboardInterrupt), training_run(params, store_root) as first:
        for step in range(5):
            first.log(step, {"loss": 1.0})
        raise KeyboardInterrupt
    assert connect().get_run(first.id).info.status == "FAILED"
    with training_run(params, store_root) as second:
        for step in range(3, 8):  # from the last checkpoint
            second.log(step, {"loss": 1.0})
    assert second.id == first.id
    assert steps(first.id) == list(range(8))


def test_a_finished_training_is_not_gone_on_with_but_done_anew(store_root: Path, params: Params) -> None:
    with training_run(params, store_root) as first:
        first.log(0, {"loss": 1.0})
    with training_run(params, store_root) as second:
        second.log(0, {"loss": 1.0})
    assert second.id != first.id


def test_other_params_are_another_run(store_root: Path, params: Params) -> None:
    with pytest.raises(KeyboardInterrupt), training_run(params, store_root) as first:
        raise KeyboardInterrupt
    other = parse(PARAMS | {"train": PARAMS["train"] | {"rank": 2}})
    with training_run(other, store_root) as second:
        pass
    assert second.id != first.id


def test_the_run_of_another_store_is_unknown_and_its_curves_can_be_logged_again(
    store_root: Path, params: Params
) -> None:
    assert not has_run(connect(), "f" * 32)
    run_id = new_run(connect(), params)
    assert has_run(connect(), run_id)
    (store_root / "curves.csv").write_text("step,loss,gap\n0,1.0,\n1,0.5,0.25\n")
    log_curves(run_id, store_root / "curves.csv")
    assert steps(run_id) == [0, 1]
    assert [point.value for point in connect().get_metric_history(run_id, "gap")] == [0.25]


def test_a_run_shows_pictures_by_name_and_iteration(store_root: Path, params: Params) -> None:
    with training_run(params, store_root) as run:
        run.show("samples", 20, Image.new("RGB", (4, 4), "red"))
        run.tag("stopped_early", "after 20")
    assert connect().get_run(run.id).data.tags["stopped_early"] == "after 20"
    names = [Path(artifact.path).name for artifact in connect().list_artifacts(run.id, "images")]
    assert any(re.match(r"samples.step.20.*\.png", name) for name in names)


def test_a_run_is_found_by_the_digest_that_dvc_gives_its_dataset(store_root: Path, params: Params) -> None:
    run_id, digest = new_run(connect(), params), "0" * 32 + ".dir"
    log_dataset(run_id, "images", digest, 10)
    experiment = connect().get_experiment_by_name("dopsd")
    assert experiment
    found = connect().search_runs([experiment.experiment_id], f"dataset.digest = '{digest}'")
    assert [run.info.run_id for run in found] == [run_id]


def test_scores_become_metrics_that_mlflow_takes(store_root: Path, params: Params) -> None:
    run_id = new_run(connect(), params)
    row = {"mean": 0.5, "low": 0.4, "high": 0.6}
    log_scores(run_id, {"adapter": {"concept/dino_d@tiny-dino@0a1b": row, "retention/x": row | {"mean": None}}})
    assert connect().get_run(run_id).data.metrics == {"scores/adapter/concept/dino_d": 0.5}


def test_the_environment_names_the_store(
    store_root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"sqlite:///{store_root / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert connect().tracking_uri == uri
    assert not list(Path().iterdir())

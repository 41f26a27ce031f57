"""A folder of entries in, an adapter out, and nothing but torch and Hugging Face between them."""

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import torch
from diffusers import ZImageTransformer2DModel

from dopsd import options
from dopsd.dataset.examples import Examples, save_example
from dopsd.recipe import Training
from dopsd.run import Run
from dopsd.training import train
from dopsd.tuning import Job, main, tune
from dopsd.weights.adapter import save_adapter
from dopsd.weights.trained import FILE

TINY = Training(rank=4, alpha=4, iterations=3, batch_size=2, learning_rate=1e-3, precision="fp32", sample_every=0)


@pytest.fixture
def entries(examples: Examples, tmp_path: Path) -> Path:
    for example in examples:
        save_example(example, tmp_path / "entries" / f"{example.id}.safetensors")
    return tmp_path / "entries"


@pytest.fixture
def job(models: Any, entries: Path, tmp_path: Path) -> Job:
    return Job(entries, str(models.base), "z-image", tmp_path / "tuned")


def test_it_trains_what_the_loop_trains(models: Any, job: Job, run: Run) -> None:
    saved = tune(job, TINY)
    denoiser = run.family.load_denoiser(models.base)
    records = list(train(denoiser, Examples.read(job.entries), TINY, run))
    assert saved.read_bytes() == save_adapter(denoiser.network, run.state, run.family.pipeline).read_bytes()
    with (job.out / "curves.csv").open() as file:
        assert [float(row["loss"]) for row in csv.DictReader(file)] == [record.loss for record in records]


def test_it_goes_on_from_an_adapter(job: Job, tmp_path: Path) -> None:
    first = tune(job, TINY)
    second = tune(Job(job.entries, job.base, job.family, tmp_path / "child", job.out), TINY)
    assert second.read_bytes() != first.read_bytes()


def test_all_weights_are_left_as_a_network(job: Job) -> None:
    assert tune(job, Training(method="sft", weights="full", iterations=1, batch_size=2)) == job.out / "transformer"
    assert ZImageTransformer2DModel.from_pretrained(job.out / "transformer").dtype == torch.float32


def test_it_is_a_program_that_needs_nothing_of_the_pipeline(models: Any, job: Job, tmp_path: Path) -> None:
    for place, path in {"data/embeddings/entries": job.entries, "models/tiny-z-image": models.base}.items():
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).symlink_to(path)
    asked = (
        "python -m dopsd.tuning --entries data/embeddings/entries --base models/tiny-z-image --out tuned --iterations 5"
    )
    code = (
        "import sys; from dopsd.tuning import main; code = main(sys.argv[1:])\n"
        "assert not {'dvc', 'mlflow', 'pandas', 'prefect', 'pydantic', 'tasks'} & set(sys.modules)\n"
        "sys.exit(code)"
    )
    program = [sys.executable, "-c", code, *asked.split()[3:]]
    ended = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == f"tuned/{FILE}\n"
    assert "train: 5/5, loss" in ended.stderr


def test_a_mistake_is_told(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--entries", str(job.entries), "--base", job.base, "--out", str(job.out)]
    assert main([*asked, "--learning-rate", "0"]) == 1
    assert main([*asked, "--learning-rate", "1e30", "--rank", "4", "--iterations", "9", "--batch-size", "2"]) == 1
    assert main([*asked, "--method", "sft-adapter"]) == 1
    assert main([*asked, "--init", "nowhere", "--weights", "full"]) == 1
    told = capsys.readouterr().err
    for message in ("learning_rate is 0.0", "loss", "run it in a project", "leave --init out"):
        assert message in told


def test_every_key_of_the_recipe_but_the_parent_is_an_option_that_reads_its_own_default() -> None:
    assert set(options.KEYS) == set(get_type_hints(Training)) - {"parent"}
    for key in options.KEYS:
        default = getattr(Training(), key)
        text = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
        assert options.value(key, text) == default
    assert options.value("step_weights", "4,3") == (4.0, 3.0)
    assert options.value("targets", "to_q,to_k") == ("to_q", "to_k")

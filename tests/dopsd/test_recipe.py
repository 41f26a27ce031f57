"""What may be asked for, and what is refused by name."""

import subprocess
import sys
from dataclasses import asdict
from typing import Any

import pytest

from dopsd.judging import Evaluation, Margins, Probing
from dopsd.recipe import Training, decisive


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        (Training, "method", "magic"),
        (Training, "teacher", "none"),
        (Training, "weights", "half"),
        (Training, "ema_device", "disk"),
        (Training, "ema_warmup", -1),
        (Training, "processes", 0),
        (Training, "accumulate", 5),
        (Training, "checkpointing", "some"),
        (Training, "base_storage", "fp4"),
        (Training, "base_device", "disk"),
        (Training, "num_states", 5),
        (Training, "num_samples", 0),
        (Training, "prior_weight", -1.0),
        (Training, "pso_beta", 0.0),
        (Training, "pso_prior_weight", -0.1),
        (Training, "learning_rate_warmup", -1),
        (Training, "loss", "l1"),
        (Training, "precision", "fp8"),
        (Training, "num_steps", 0),
        (Training, "iterations", 0),
        (Training, "batch_size", -1),
        (Training, "rank", 0),
        (Training, "learning_rate", 0.0),
        (Training, "learning_rate", float("nan")),
        (Training, "ema_decay", 1.5),
        (Training, "step_weights", (1.0, 2.0)),
        (Training, "step_weights", (0.0, 0.0, 0.0, 0.0)),
        (Training, "step_weights", (-1.0, 1.0, 1.0, 1.0)),
        (Training, "parent", ""),
        (Training, "seed", -1),
        (Training, "checkpoints_kept", 0),
        (Training, "sample_every", -1),
        (Training, "stop_early", -1),
        (Training, "stop_after", 0),
        (Probing, "seeds", ()),
        (Probing, "seeds", (1, 1)),
        (Probing, "confidence", 95),
        (Probing, "minimum_gain", -0.1),
        (Evaluation, "seeds", (-1,)),
        (Evaluation, "num_resamples", 3),
        (Margins, "noise_rise", -0.1),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(kind: Any, key: str, value: Any) -> None:
    with pytest.raises(ValueError, match=key):
        kind(**{key: value})


def test_what_is_shown_and_kept_changes_no_weight() -> None:
    plain = decisive(asdict(Training()))
    assert decisive(asdict(Training(sample_every=7, checkpoints_kept=9, stop_after=5))) == plain
    assert decisive(asdict(Training(stop_early=5)))["stop_early"] == 5
    assert decisive(asdict(Training(seed=1))) != plain


def test_a_base_rests_only_where_something_is_frozen_and_blocks_are_walked_twice() -> None:
    with pytest.raises(ValueError, match=r"base_storage int8: nothing is saved .* set checkpointing to full"):
        Training(base_storage="int8")
    with pytest.raises(ValueError, match=r"base_device is cpu .* with weights: full nothing is frozen"):
        Training(base_device="cpu", checkpointing="full", weights="full")
    assert Training(base_device="cpu", checkpointing="selective").has_rest


def test_compiled_blocks_are_kept_whole_or_not_at_all() -> None:
    with pytest.raises(ValueError, match="compile leaves none of the operations"):
        Training(compile=True, checkpointing="selective")
    assert decisive(asdict(Training(compile=True, checkpointing="full"))) == decisive(asdict(Training()))


def test_the_defaults_are_the_papers() -> None:
    paper = Training()
    assert (paper.rank, paper.alpha, paper.batch_size, paper.learning_rate) == (64, 128, 4, 4e-5)
    assert (paper.teacher, paper.ema_decay, paper.iterations) == ("ema", 0.9999, 1000)


@pytest.mark.parametrize("module", ["dopsd.recipe", "dopsd.judging", "dopsd.gate"])
def test_what_plans_and_judges_imports_without_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

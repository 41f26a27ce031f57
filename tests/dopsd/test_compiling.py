"""Compiled blocks: no part of one is left out, and what is learnt is what eager blocks learn."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import pytest
import torch

from dopsd.dataset.examples import Examples
from dopsd.footprint.compiling import compile_
from dopsd.recipe import Training
from dopsd.run import Run
from dopsd.training import train

EAGER = Training(
    method="sft", rank=4, alpha=4, iterations=2, batch_size=1, learning_rate=1e-3, precision="fp32", sample_every=0,
    checkpoint_every=1, targets=("attention.to_q", "feed_forward.w2"),
)  # fmt: skip


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Trace blocks, each as a whole, and let torch itself run what was traced: no compiler is waited for."""
    monkeypatch.setattr("dopsd.training.compile_", partial(compile_, backend="eager"))
    with torch._dynamo.config.patch(recompile_limit=8):
        yield
    torch.compiler.reset()


def test_a_state_of_eager_blocks_goes_on_with_compiled_ones_to_the_same_end(
    models: Any, examples: Examples, run: Run, traced: None
) -> None:
    eager = list(train(run.family.load_denoiser(models.base), examples, EAGER, run))
    begun = replace(run, state=run.state / "begun")
    list(islice(train(run.family.load_denoiser(models.base), examples, EAGER, begun), 2))
    torch._dynamo.utils.counters.clear()
    (last,) = train(run.family.load_denoiser(models.base), examples, replace(EAGER, compile=True), begun)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 3  # blocks of noise, of words, of both
    assert (last.step, last.loss) == (1, pytest.approx(eager[1].loss, rel=1e-5))
    assert last.gradient_norm == pytest.approx(eager[1].gradient_norm, rel=1e-4)


def test_after_two_sizes_no_other_size_or_length_is_traced_again(
    models: Any, examples: Examples, run: Run, traced: None
) -> None:
    rng, sides = torch.Generator().manual_seed(0), ((6, 6), (4, 8), (8, 4), (2, 12), (10, 4))
    rows = [
        replace(row, latents=torch.randn(4, *side, generator=rng)) for row, side in zip(examples, sides, strict=True)
    ]
    training = replace(EAGER, iterations=5, compile=True)
    torch._dynamo.utils.counters.clear()
    records = train(run.family.load_denoiser(models.base), replace(examples, rows=tuple(rows)), training, run)
    graphs = [torch._dynamo.utils.counters["stats"]["unique_graphs"] for _ in records]
    assert graphs[1:] == [graphs[1]] * 4

"""One network speaks as every model of a comparison, and is the base again afterwards."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from workspace import MODELS

from dopsd.families.catalogue import family
from dopsd.family import Context, Denoiser
from dopsd.weights.whole import save_whole
from tasks.cast import load_cast


def spoken(denoiser: Denoiser) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    context = Context(torch.randn(6, 128, generator=rng))
    with torch.no_grad():
        return denoiser.velocity(torch.randn(1, 8, 10, 10, generator=rng), torch.tensor(0.7), [context])


def test_a_model_that_was_tuned_as_a_whole_speaks_with_its_own_weights(tmp_path: Path) -> None:
    base = MODELS / "tiny-z-image"
    tuned = family("z-image").load_denoiser(base)
    for weight in tuned.network.parameters():
        weight.data *= 1.01
    save_whole(tuned.network, tmp_path)
    params: Any = SimpleNamespace(models=SimpleNamespace(family="z-image"))
    cast = load_cast(params, base, {"adapter": tmp_path})
    with cast.speaking("base") as denoiser:
        before = spoken(denoiser)
    with cast.speaking("adapter") as denoiser:
        assert torch.allclose(spoken(denoiser), spoken(tuned), atol=1e-4)
        assert not torch.allclose(spoken(denoiser), before, atol=1e-3)
    with pytest.raises(RuntimeError), cast.speaking("adapter"):
        raise RuntimeError
    with cast.speaking("base") as denoiser:
        assert torch.equal(spoken(denoiser), before)

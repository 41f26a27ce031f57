"""Distances of sets: closed forms, brute force, and what they promise of equal and of few pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.linalg import sqrtm
from torch import Tensor

from dopsd.metrics.diversity import Diversity
from dopsd.metrics.frechet import FrechetDistance, frechet, gaussian_frechet
from dopsd.metrics.inception import Inception, InceptionConfig, InceptionFeatures
from dopsd.metrics.kernel import KernelDistance, mmd
from dopsd.metrics.statistics import jackknife
from dopsd.pixels import pixels


@dataclass(frozen=True)
class MeanColour:
    """Eyes that see the mean of each channel."""

    name: str = "eyes@mean-colour@0"

    def features(self, images: Sequence[Image.Image]) -> Tensor:
        return pixels(images).mean((2, 3))


def cloud(count: int, width: int, seed: int) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    mixing = torch.randn(width, width, generator=rng, dtype=torch.float64)
    return torch.randn(count, width, generator=rng, dtype=torch.float64) @ mixing + seed


def test_the_frechet_distance_of_numbers_is_that_of_means_and_deviations() -> None:
    ours, theirs = torch.tensor([[1.0], [3.0]]), torch.tensor([[10.0], [16.0]])
    deviations = 2**0.5, 18**0.5
    assert frechet(ours, theirs) == pytest.approx(11**2 + (deviations[0] - deviations[1]) ** 2)


def test_the_frechet_distance_is_scipys() -> None:
    ours, theirs = cloud(40, 6, 1), cloud(50, 6, 2)
    root = sqrtm(np.cov(ours.T) @ np.cov(theirs.T)).real
    apart = ((ours.mean(0) - theirs.mean(0)) ** 2).sum().item()
    wanted = apart + np.cov(ours.T).trace() + np.cov(theirs.T).trace() - 2 * root.trace()
    assert frechet(ours, theirs) == pytest.approx(wanted, rel=1e-10)
    assert frechet(theirs, ours) == pytest.approx(wanted, rel=1e-10)


def test_commuting_gaussians_are_as_far_as_their_axes() -> None:
    ones, nothing = torch.ones(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    ours, theirs = torch.tensor([1.0, 4.0, 0.0]).double(), torch.tensor([9.0, 4.0, 1.0]).double()
    assert gaussian_frechet((nothing, ours.diag()), (ones, theirs.diag())) == pytest.approx(3 + (1 - 3) ** 2 + 0 + 1)


def test_a_cloud_is_at_no_distance_from_itself_however_flat_it_is() -> None:
    flat = cloud(4, 16, 3)
    assert frechet(flat, flat) == pytest.approx(0, abs=1e-9)


def test_the_kernel_distance_is_the_sum_over_pairs() -> None:
    ours, theirs = cloud(5, 3, 1), cloud(4, 3, 2)

    def kernel(x: Tensor, y: Tensor) -> float:
        return float((x @ y / 3 + 1) ** 3)

    within = [np.mean([kernel(a, b) for a, b in permutations(cloud, 2)]) for cloud in (ours, theirs)]
    between = np.mean([kernel(a, b) for a in ours for b in theirs])
    assert mmd(ours, theirs) == pytest.approx(sum(within) - 2 * between, rel=1e-12)


def test_the_kernel_distance_has_no_bias_where_frechet_has() -> None:
    rng = torch.Generator().manual_seed(0)
    draws = [torch.randn(2, 12, 8, generator=rng) for _ in range(60)]
    kernels = torch.tensor([mmd(a, b) for a, b in draws])
    assert kernels.mean().abs() < 3 * kernels.std() / 60**0.5
    assert min(frechet(a, b) for a, b in draws) > 1


@pytest.mark.parametrize("measure", [frechet, mmd])
def test_the_order_of_pictures_does_not_matter_and_one_is_refused(measure: Callable[[Tensor, Tensor], float]) -> None:
    ours, theirs = cloud(6, 3, 1), cloud(6, 3, 2)
    assert measure(ours.flip(0), theirs) == pytest.approx(measure(ours, theirs), rel=1e-9)
    with pytest.raises(ValueError, match="1 pictures"):
        measure(ours[:1], theirs)


@pytest.mark.parametrize(("kind", "said"), [(FrechetDistance, "mostly bias"), (KernelDistance, "mostly chance")])
def test_few_pictures_are_warned_of(
    kind: Callable[..., FrechetDistance], said: str, picture: Callable[[int], Image.Image]
) -> None:
    measure = kind(MeanColour())
    with pytest.warns(UserWarning, match=said):
        assert measure.distance([picture(0), picture(1)], [picture(0), picture(1)]) == pytest.approx(0, abs=1)
    assert measure.name.endswith("@mean-colour@0")


def test_diversity_is_the_mean_over_pairs_and_none_where_all_are_alike(picture: Callable[[int], Image.Image]) -> None:
    measure = Diversity(MeanColour())
    red, green, blue = (Image.new("RGB", (8, 8), colour) for colour in ("#f00", "#0f0", "#00f"))
    assert measure.spreads([red, green, blue]) == pytest.approx([1, 1, 1])
    assert measure.spreads([red, red, blue]) == pytest.approx([0.5, 0.5, 1])
    assert measure.spreads([picture(0)] * 3) == pytest.approx([0, 0, 0], abs=1e-12)
    with pytest.raises(ValueError, match=r"at least two evaluate\.seeds"):
        measure.spreads([red])


def test_a_jackknife_of_means_gives_the_values_back() -> None:
    values = [1.0, 5.0, 9.0, 2.0]
    assert jackknife(4, lambda some: float(np.mean([values[one] for one in some]))) == pytest.approx(values)
    assert jackknife(1, lambda some: 7.0) == [7.0]


def test_a_jackknife_takes_the_bias_out_of_a_variance() -> None:
    values = np.random.default_rng(0).normal(0, 2, 9)
    shares = jackknife(9, lambda some: float(values[list(some)].var()))
    assert np.mean(shares) == pytest.approx(values.var(ddof=1))


def test_inception_reads_what_it_saved_and_refuses_a_file_with_holes(
    tmp_path_factory: pytest.TempPathFactory, picture: Callable[[int], Image.Image]
) -> None:
    torch.manual_seed(0)
    folder, holes = (tmp_path_factory.mktemp(name) for name in ("inception", "holes"))
    network = Inception(InceptionConfig(shrink=16)).eval()
    network.save_pretrained(folder)
    eyes = InceptionFeatures(folder)
    assert eyes.name.startswith("inception@inception")
    seen = eyes.features([picture(0), picture(1).resize((30, 20)), picture(0)])
    assert seen.shape == (3, 2048 // 16)
    assert torch.allclose(seen[0], seen[2], atol=1e-5)
    del network.Mixed_7c.branch1x1
    network.save_pretrained(holes)
    with pytest.raises(ValueError, match=r"lacks 5 weights of Inception \(Mixed_7c.branch1x1"):
        InceptionFeatures(holes)


def test_inception_has_the_published_names_and_shapes() -> None:
    with torch.device("meta"):
        weights = Inception(InceptionConfig()).state_dict()
    shapes = {name: tuple(weight.shape) for name, weight in weights.items() if name.endswith("conv.weight")}
    assert len(shapes) == 94
    assert shapes["Conv2d_1a_3x3.conv.weight"] == (32, 3, 3, 3)
    assert shapes["Mixed_5b.branch5x5_2.conv.weight"] == (64, 48, 5, 5)
    assert shapes["Mixed_6e.branch7x7dbl_2.conv.weight"] == (192, 192, 7, 1)
    assert shapes["Mixed_7a.branch7x7x3_4.conv.weight"] == (192, 192, 3, 3)
    assert shapes["Mixed_7c.branch3x3dbl_3a.conv.weight"] == (384, 384, 1, 3)

"""LPIPS: a distance, whose arithmetic is the published one."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from dopsd.metrics.perceptual import Lpips, LpipsConfig, PerceptualDistance


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a small network whose heads weigh every channel alike."""
    torch.manual_seed(0)
    network = Lpips(LpipsConfig(widths=((4, 4), (6,))))
    for name, weight in network.named_parameters():
        if name.startswith("lin"):
            weight.data.fill_(1.0)
    folder = tmp_path_factory.mktemp("models") / "small-lpips"
    network.save_pretrained(folder)
    return folder


def test_lpips_is_a_distance(folder: Path, picture: Callable[[int], Image.Image]) -> None:
    measure = PerceptualDistance(folder)
    images, others = [picture(0), picture(1)], [picture(2), picture(3)]
    assert measure.name.startswith("lpips_d@small-lpips@")
    assert measure.distances(images, images) == [0.0, 0.0]
    assert measure.distances(images, others) == pytest.approx(measure.distances(others, images), rel=1e-5)
    assert min(measure.distances(images, others)) > 0


def test_lpips_does_not_depend_on_neighbours_or_on_the_targets_size(
    folder: Path, picture: Callable[[int], Image.Image]
) -> None:
    measure = PerceptualDistance(folder)
    large = picture(1).resize((32, 16))
    both = measure.distances([picture(0), large], [picture(2), picture(2)])
    assert both[0] == pytest.approx(measure.distances([picture(0)], [picture(2)])[0], rel=1e-5)
    assert measure.distances([large], [picture(2).resize((32, 16), Image.Resampling.BICUBIC)])[0] == pytest.approx(
        both[1], rel=1e-4
    )


def test_lpips_of_flat_colours_by_hand() -> None:
    """One pixel-wise channel block: features are the scaled picture, made unit, so the closed form is in sight."""
    network = Lpips(LpipsConfig(widths=((3,),))).eval()
    with torch.no_grad():
        network.features[0].weight.zero_()
        for channel in range(3):
            network.features[0].weight[channel, channel, 1, 1] = 1
        network.features[0].bias.zero_()
        network.get_submodule("lin0.model.1").weight.copy_(torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1))
    x, y = (torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, 8, 8) for colour in ([1.0, 0.8, 0.9], [0.9, 1.0, 0.6]))
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    units = []
    for colour in (x, y):
        seen = ((2 * colour[0, :, 0, 0] - 1 - shift) / scale).clamp_min(0)
        units.append(seen / seen.norm())
    wanted = ((units[0] - units[1]) ** 2 * torch.tensor([1.0, 2.0, 3.0])).sum().item()
    assert network(x, y).item() == pytest.approx(wanted, rel=1e-5)


def test_lpips_has_the_published_names_and_shapes() -> None:
    with torch.device("meta"):
        weights = Lpips(LpipsConfig()).state_dict()
    layers = sorted({int(name.split(".")[1]) for name in weights if name.startswith("features")})
    assert layers == [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
    assert weights["features.28.weight"].shape == (512, 512, 3, 3)
    heads = [weights[f"lin{index}.model.1.weight"].shape for index in range(5)]
    assert heads == [(1, width, 1, 1) for width in (64, 128, 256, 512, 512)]

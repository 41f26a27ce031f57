"""`dopsd export` hands a registered adapter of the tiny base to other programs."""

import shlex
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner, Result

from dopsd.families.catalogue import family
from dopsd.weights.adapter import save_adapter
from dopsd.weights.adapter_roles import Shape, attach_
from flows.cli import app
from tasks.versions import registry

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let champion be an adapter that was just made, in a folder with the product's own params.yaml."""
    shutil.copyfile(PROJECT / "params.yaml", tmp_path / "params.yaml")
    (tmp_path / "models").symlink_to(PROJECT / "models")
    monkeypatch.chdir(tmp_path)
    line = family("z-image")
    network = line.load_denoiser("models/tiny-z-image").network
    roles = attach_(network, Shape(line.lora_targets, 4, 8), teacher="frozen", seed=0)
    for weight in roles.student.values():
        weight.data += 0.01 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    save_adapter(network, tmp_path / "v1", line.pipeline)
    monkeypatch.setattr(registry, "fetch", lambda name, version, root: {"champion": tmp_path / "v1"}[version])
    return tmp_path / "v1"


def typed(command: str) -> Result:
    return CliRunner().invoke(app, shlex.split(command.removeprefix("dopsd ")))


def test_an_adapter_goes_to_comfyui_unmerged_and_merged(adapter: Path) -> None:
    assert "the adapter alone" in typed("dopsd export champion --format comfyui --out star.safetensors").stderr
    assert len(load_file("star.safetensors")) == 2 * 7 * 7
    told = typed("dopsd export champion --format comfyui --merged --out star-merged.safetensors").stderr
    assert "all weights, in fp32" in told
    assert "% of the weights it touches" in told
    weights = load_file("star-merged.safetensors")
    assert "layers.0.attention.qkv.weight" in weights
    assert {weight.dtype for weight in weights.values()} == {torch.float32}


def test_a_form_that_has_no_room_for_it_is_told(adapter: Path) -> None:
    result = typed("dopsd export champion --format kohya --merged --out x")
    assert (result.exit_code, "kohya is a form of adapters" in result.stderr) == (1, True)
    assert not Path("x").exists()

"""Directories exactly as the hub has them: sharded weights with an index, tokenizer, processor, scheduler."""

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub.errors import GatedRepoError
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from dopsd.families.catalogue import NAMES, family
from dopsd.family import Family
from dopsd.pretrained import load
from tests import hub_layout
from tests.hub_layout import shards


@dataclass(frozen=True)
class Hub:
    """A family's base and a Qwen3-VL as `hf download` leaves them, and the same in one file a part."""

    family: Family
    base: Path
    vision_language: Path
    plain: Path
    plain_vision_language: Path


@pytest.fixture(params=NAMES)
def hub(request: pytest.FixtureRequest, models: Any, tmp_path: Path) -> Hub:
    line = family(request.param)
    plain = models.base if line.name == "z-image" else models.klein
    base, seeing = tmp_path / "base", tmp_path / "seeing"
    hub_layout.lay_out_base(line, plain, base, shard="40KB")
    hub_layout.lay_out_vision_language(models.vision_language, seeing, shard="40KB")
    return Hub(line, base, seeing, plain, models.vision_language)


def test_both_sides_say_the_same_from_the_hubs_layout(hub: Hub, picture: Callable[[int], Image.Image]) -> None:
    assert min(len(shards(hub.base / part)) for part in ("transformer", "text_encoder")) > 1
    assert len(shards(hub.vision_language)) > 1
    encoders = [
        hub.family.load_encoder(base, seeing, teacher_context="vlm")
        for base, seeing in ((hub.base, hub.vision_language), (hub.plain, hub.plain_vision_language))
    ]
    students = [encoder.student_contexts(["a [V] star"])[0].tokens for encoder in encoders]
    teachers = [encoder.teacher_contexts(["a [V] star"], [picture(0)])[0].tokens for encoder in encoders]
    latents = [encoder.latents([picture(0)]) for encoder in encoders]
    denoisers = [hub.family.load_denoiser(base) for base in (hub.base, hub.plain)]
    sigma = denoisers[0].sigmas(4, latents[0].shape[1:])
    context = encoders[0].student_contexts(["a [V] star"])
    velocities = [denoiser.velocity(latents[0], sigma[1], context) for denoiser in denoisers]
    for pair in (students, teachers, latents, velocities, [denoiser.sigmas(8, (4, 8, 8)) for denoiser in denoisers]):
        torch.testing.assert_close(*pair)  # where a weight lies in memory may move the last bit


@pytest.mark.parametrize("part", ["transformer", "text_encoder"])
def test_a_shard_that_is_missing_is_named(hub: Hub, part: str) -> None:
    lost = shards(hub.base / part)[1]
    lost.unlink()
    with pytest.raises(FileNotFoundError, match=rf"{part}(.|\n)*hf download"):
        _loaded(hub, part)


@pytest.mark.parametrize("part", ["transformer", "text_encoder"])
def test_weights_that_no_shard_holds_are_not_made_up(hub: Hub, part: str) -> None:
    index = next((hub.base / part).glob("*.index.json"))
    listed = json.loads(index.read_text())
    victim = next(
        name for name in listed["weight_map"] if name.endswith(("w1.weight", "linear_in.weight", "q_proj.weight"))
    )
    path = hub.base / part / listed["weight_map"].pop(victim)
    with safe_open(path, framework="pt") as file:
        notes = file.metadata()
    kept = {name: weight for name, weight in load_file(path).items() if name != victim}
    save_file(kept, path, notes)
    index.write_text(json.dumps(listed))
    with pytest.raises(ValueError, match=r"lacks 1 weights of .*fetch it again"):
        _loaded(hub, part)


def _loaded(hub: Hub, part: str) -> object:
    if part == "transformer":
        return hub.family.load_denoiser(hub.base)
    return hub.family.load_encoder(hub.base, hub.vision_language)


def test_code_that_lies_beside_the_weights_never_runs(hub: Hub, tmp_path: Path) -> None:
    for folder in (hub.base / "transformer", hub.base / "text_encoder", hub.vision_language):
        config = json.loads((folder / "config.json").read_text())
        for name in ("AutoModel", "AutoConfig", "AutoProcessor", "AutoTokenizer"):
            config.setdefault("auto_map", {})[name] = "harm.Harm"
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "harm.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Harm: pass\n")
    hub.family.load_denoiser(hub.base)
    hub.family.load_encoder(hub.base, hub.vision_language, teacher_context="vlm")
    assert not (tmp_path / "ran").exists()


def test_offline_nothing_is_asked_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refused)
    for name in NAMES:
        with pytest.raises(FileNotFoundError, match="hf download"):
            family(name).load_denoiser("some-maker/some-model@0123abc")


def test_a_pinned_revision_is_what_is_asked_for() -> None:
    class Asked:
        @classmethod
        def from_pretrained(cls, name: str, **options: str) -> dict[str, str]:
            return {"name": name, **options}

    pinned = load(Asked, "some-maker/some-model@0123abc", "transformer")
    assert pinned == {"name": "some-maker/some-model", "subfolder": "transformer", "revision": "0123abc"}
    assert "revision" not in load(Asked, "some-maker/some-model")


def test_a_gated_model_is_told_with_where_to_ask() -> None:
    class Gated:
        @classmethod
        def from_pretrained(cls, name: str, **_: str) -> None:
            raise OSError("You are trying to access a gated repo.") from GatedRepoError.__new__(GatedRepoError)

    with pytest.raises(FileNotFoundError, match=r"https://huggingface.co/some-maker/some-model.*\n?.*hf auth login"):
        load(Gated, "some-maker/some-model@0123abc", "transformer")

"""The whole pipeline on models that lie as the hub has them: in shards, with the files that are beside them there."""

from pathlib import Path

import pytest
from accelerate.state import AcceleratorState
from workspace import MODELS, Workspace

from dopsd.families.catalogue import NAMES, family
from tests.hub_layout import lay_out_base, lay_out_vision_language, shards


@pytest.mark.parametrize("name", NAMES)
def test_every_stage_runs_from_the_layout_of_the_hub(workspace: Workspace, tmp_path: Path, name: str) -> None:
    AcceleratorState._reset_state(reset_partial_state=True)
    base, seeing = tmp_path / "hub/base", tmp_path / "hub/seeing"
    lay_out_base(family(name), MODELS / f"tiny-{name}", base, shard="400KB")
    lay_out_vision_language(MODELS / "tiny-qwen3-vl", seeing, shard="400KB")
    assert min(len(shards(base / "transformer")), len(shards(base / "text_encoder")), len(shards(seeing))) > 1
    for key, value in {"family": name, "base": str(base), "vlm": str(seeing)}.items():
        workspace.change(f"models.{key}", value)
    for picture in sorted((workspace.root / "photos").glob("*.png"))[3:]:
        picture.unlink()
        picture.with_suffix(".txt").unlink(missing_ok=True)
    workspace.run("ingest", "caption", "embed", "probe", "train", "evaluate")
    assert (workspace.root / "data/adapter/pytorch_lora_weights.safetensors").is_file()
    assert {"adapter", "base"} <= workspace.json("data/scores/scores.json")["models"].keys()

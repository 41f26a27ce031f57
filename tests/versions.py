"""Versions for tests of what comes after training: a whole record each, and an adapter that is one number."""

from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from dopsd.weights.trained import FILE
from tasks.folders import sha256_of_file
from tasks.params import parse, resolved
from tasks.versions import registry
from tasks.versions.lineage import Lineage
from tests.fake_workspace import PARAMS

DIGEST = "0" * 32 + ".dir"
RECORD = Lineage(
    git_commit="c" * 40, is_git_clean=True, dataset=DIGEST, num_images=10, captions=DIGEST, embeddings=DIGEST,
    base=f"base@{DIGEST}", models={"base": f"base@{DIGEST}"}, parent="base", params=resolved(parse(PARAMS)),
    environment_lock="e" * 64, dvc_lock="d" * 64, adapter="", is_weak_teacher_accepted=False, upstream="fresh",
    scores={"models": {"base": {"concept/dino_d@x": {"mean": 0.5, "low": 0.4, "high": 0.6}}}, "differences": {}},
)  # fmt: skip


def entered(root: Path, number: float, run_id: str) -> str:
    """Enter an adapter made of one number; gives its version."""
    folder = root / f"adapter-{number}"
    folder.mkdir(exist_ok=True)
    save_file({"transformer.x.lora_A.weight": torch.full((2, 2), number)}, folder / FILE)
    return registry.enter("dopsd", replace(RECORD, adapter=sha256_of_file(folder / FILE)), folder, run_id)

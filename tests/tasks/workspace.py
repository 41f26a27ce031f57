"""A workspace in which stages run one after another, in this process, on the models of the repository."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tasks import runner
from tasks.folders import read_json
from tasks.pipeline import stage

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "models"


@dataclass(frozen=True)
class Workspace:
    """A root with params.yaml, pictures and panels; `run` runs stages as `python -m tasks run` does."""

    root: Path
    params: dict[str, dict[str, Any]]

    def change(self, key: str, value: object) -> None:
        """Set one value of params.yaml, by section and name."""
        section, _, name = key.partition(".")
        self.params.setdefault(section, {})[name] = value
        (self.root / "params.yaml").write_text(yaml.safe_dump(self.params))

    def run(self, *stages: str) -> None:
        """Run stages in the order they are named in."""
        for name in stages:
            runner.run(stage(name), self.root)

    def json(self, path: str) -> Any:
        """Read a JSON file of the workspace."""
        return read_json(self.root / path)


def laid_out(root: Path) -> Workspace:
    """Write params, panels and the sample pictures, six of ten with a caption."""
    shutil.copytree(ROOT / "samples" / "new-concept", root / "photos")
    (root / "panels").mkdir()
    (root / "blocked.jsonl").touch()
    (root / "panels" / "novel.txt").write_text("# C\na [V] on a red background\na [V] on a tiled blue background\n")
    (root / "panels" / "retention.txt").write_text("a red plain circle on a blue background\na pink plain ring\n")
    names = {"base": "tiny-z-image", "vlm": "tiny-qwen3-vl", "dino": "tiny-dino", "clip": "tiny-clip"}
    evaluate = {"novel": "panels/novel.txt", "retention": "panels/retention.txt", "class_noun": "star"}
    training = {"iterations": 4, "batch_size": 2, "rank": 4, "alpha": 4, "checkpoint_every": 2, "precision": "fp32"}
    params = {
        "models": {"family": "z-image", **{key: str(MODELS / name) for key, name in names.items()}},
        "ingest": {"source": "photos"},
        "caption": {
            "instruction": 'Describe this image in one sentence. Call its main subject "[V]".',
            "placeholder": "[V]",
        },
        "embed": {"image_side_px": 40, "batch_size": 4},
        "probe": {"seeds": [0], "accept_weak_teacher": True},
        "train": training,
        "evaluate": {**evaluate, "num_rewrites": 3},
    }
    workspace = Workspace(root, params)
    workspace.change("train.seed", 0)
    return workspace

"""A workspace with the real table, DVC and runner, whose stages do cheap work: they write digests of what they read.

As a program, `python fake_workspace.py caption`, it is `python -m tasks run caption` with such bodies.
"""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from tasks.__main__ import main
from tasks.folders import sha256_of_bytes, sha256_of_folder, write_json
from tasks.params import Params
from tasks.pipeline import PLACES, STAGES, Room, Stage

PARAMS: dict[str, Any] = {
    "models": {
        "family": "z-image", "base": "models/base", "vlm": "models/vlm", "dino": "models/dino", "clip": "models/clip",
    },
    "ingest": {"source": "photos"},
    "caption": {"placeholder": "[V]"},
    "embed": {},
    "probe": {},
    "train": {"parent": "base", "num_steps": 4, "learning_rate": 0.001},
    "evaluate": {"novel": "panels/novel.txt", "retention": "panels/retention.txt"},
    "register": {},
}  # fmt: skip
FAIL, WEAK = "fail", "find the teacher weak"
"""What may stand in code/<stage>.py and is done then."""


@dataclass(frozen=True)
class FakeWorkspace:
    """A root with params, sources and dvc.yaml."""

    root: Path

    @classmethod
    def at(cls, root: Path) -> "FakeWorkspace":
        """Lay it out in an empty folder."""
        models = [f"models/{name}/w" for name in ("base", "vlm", "dino", "clip")]
        panels, code = ["panels/novel.txt", "panels/retention.txt"], [f"code/{row.name}.py" for row in STAGES]
        for path in ("photos/a.png", *models, *panels, *code):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(path)
        made = cls(root)
        made.set_params(PARAMS)
        (root / ".dvc").mkdir()
        (root / ".dvc" / "config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
        (root / ".dvcignore").write_text("")
        (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {row.name: _dvc(row) for row in STAGES}}))
        return made

    def set_params(self, params: dict[str, Any]) -> None:
        """Write params.yaml."""
        (self.root / "params.yaml").write_text(yaml.safe_dump(params))

    def change(self, key: str, value: object) -> None:
        """Set one value of params.yaml."""
        params = yaml.safe_load((self.root / "params.yaml").read_text())
        section, _, name = key.partition(".")
        params[section][name] = value
        self.set_params(params)

    def repro(self, *arguments: str) -> list[str]:
        """Run `dvc repro` by hand; gives the stages that ran."""
        known = len(self.ran())
        command = [sys.executable, "-m", "dvc", "repro", "--quiet", *arguments]
        subprocess.run(command, cwd=self.root, check=True)
        return self.ran()[known:]

    def ran(self) -> list[str]:
        """List the stages that ran, oldest first."""
        path = self.root / "ran.txt"
        return path.read_text().split() if path.is_file() else []


def _dvc(stage: Stage) -> dict[str, Any]:
    uncached = {"cache": False, "persist": True}
    return {
        "cmd": f"{sys.executable} {Path(__file__)} {stage.name}",
        "params": list(stage.params),
        "deps": [f"code/{stage.name}.py", *(PLACES[place] for place in stage.reads)],
        "outs": [PLACES[place] if stage.is_cached else {PLACES[place]: uncached} for place in stage.writes],
    }


def body(name: str) -> Callable[[Params, Room], None]:
    """Make a stage that writes the digest of what it reads, in the shapes that the flow looks at."""

    def run(params: Params, room: Room) -> None:
        with (room.state.parents[1] / "ran.txt").open("a") as file:
            file.write(f"{name}\n")
        if Path(f"code/{name}.py").read_text() == FAIL:
            raise ValueError(f"{name} was told to fail")
        said = {"params": repr(getattr(params, name)), "reads": [_digest(path) for path in room.reads.values()]}
        for place, path in room.writes.items():
            if path.suffix:
                write_json(path, {"mlflow_run_id": "none"})
            else:
                write_json(path / f"{place}.json", said | _extra(name))

    return run


def _extra(name: str) -> dict[str, object]:
    if name == "probe":
        return {"is_teacher_better": Path("code/probe.py").read_text() != WEAK}
    if name == "register":
        return {"version": "v1", "verdict": "PROMOTE", "reasons": []}
    row = {"mean": 0.5, "low": 0.4, "high": None, "count": 1}
    return (
        {"models": {"base": {"concept/dino_d@x": row}, "adapter": {"concept/dino_d@x": row}}}
        if name == "evaluate"
        else {}
    )


def _digest(path: Path) -> str:
    return sha256_of_folder(path) if path.is_dir() else sha256_of_bytes(path.read_bytes())


if __name__ == "__main__":
    for row in STAGES:
        sys.modules[row.module] = SimpleNamespace(run=body(row.name))  # type: ignore[assignment]
    sys.exit(main(["run", sys.argv[1]]))

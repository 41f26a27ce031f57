"""A workspace with the real table, DVC and runner, whose stages do cheap work: they write digests of what they read.

As a program, `python fake_workspace.py caption`, it is `python -m tasks run caption` with such bodies.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from dopsd.weights.trained import FILE
from tasks.__main__ import main
from tasks.dvcfile import rows
from tasks.folders import read_json, sha256_of_bytes, sha256_of_folder, write_json
from tasks.params import Params
from tasks.pipeline import STAGES, Room
from tasks.planning.fingerprint import STAGE
from tasks.stores.shelf import store, tell
from tasks.stores.store import key_of

PARAMS: dict[str, Any] = {
    "models": {
        "family": "z-image", "base": "models/base", "vlm": "models/vlm", "dino": "models/dino", "clip": "models/clip",
        "undistilled": "", "dedistillation": "",
    },
    "ingest": {"source": "photos"},
    "caption": {"placeholder": "[V]"},
    "embed": {},
    "probe": {},
    "train": {"parent": "base", "num_steps": 4, "learning_rate": 0.001},
    "evaluate": {"novel": "panels/novel.txt", "retention": "panels/retention.txt"},
    "register": {},
}  # fmt: skip
FAIL, WEAK, TRACK, LOSE = "fail", "find the teacher weak", "tell MLflow", "lose the network once"
GIVE_WAY, DIE = "give way to others four times", "die without a word"
LEARN = "learn numbers"
"""What the code of a stage may say and is done then."""
HANG = "FAKE_HANG"
"""A variable that makes a stage wait: its name, and a file that is there as long as it does, "train:begun"."""
_CODE = '''"""Stand in for tasks.{name}; nothing but its syntax tree is looked at."""
import torch
from dopsd import colours
from dopsd.captions import clean
from tasks.params import Params

SALT = 0


def run(params: Params):
    """Do what the words say."""
    colours.mix(clean({word!r}), torch.tensor(SALT))  # a comment
'''
_HELPERS = {
    "dopsd/captions.py": "def clean(text):\n    return text.strip()\n\n\ndef unused(text):\n    return text\n",
    "dopsd/colours.py": "from PIL import Image\n\nMODE = 'RGB'\n\n\ndef mix(*colours):\n    return Image.new(MODE)\n",
}


@dataclass(frozen=True)
class FakeWorkspace:
    """A root with params, sources and dvc.yaml."""

    root: Path

    @classmethod
    def at(cls, root: Path) -> "FakeWorkspace":
        """Lay it out in an empty folder."""
        models = [f"models/{name}/w" for name in ("base", "vlm", "dino", "clip")]
        for path in ("photos/a.png", *models, "panels/novel.txt", "panels/retention.txt"):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(path)
        made = cls(root)
        made.write("blocked.jsonl", "")
        sections = "".join(f"    {name}: dict\n" for name in PARAMS)
        for path, text in {**_HELPERS, "tasks/params.py": f"class Params:\n{sections}"}.items():
            made.write(f"code/{path}", text)
        for row in STAGES:
            made.code(row.name)
        made.set_params(PARAMS)
        (root / ".dvc").mkdir()
        (root / ".dvc" / "config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
        (root / ".dvcignore").write_text("")
        made.render()
        return made

    def render(self) -> None:
        """Write dvc.yaml."""
        (self.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": _rows()}))

    def write(self, path: str, text: str) -> None:
        """Write a file."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace a text that stands in a file."""
        text = (self.root / path).read_text()
        assert old in text, f"{old!r} is not in {path}"
        (self.root / path).write_text(text.replace(old, new))

    def code(self, stage: str, word: str = "fine") -> None:
        """Let a stage's code say a word, such as FAIL."""
        self.write(f"code/tasks/{stage}.py", _CODE.format(name=stage, word=word))

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


def _rows() -> dict[str, dict[str, Any]]:
    """Give the real rows, with code and commands of our own."""
    stages = rows()
    stages[STAGE] |= {"cmd": f"{sys.executable} -m tasks.planning.fingerprint", "deps": ["code/dopsd", "code/tasks"]}
    for row in STAGES:
        stages[row.name]["cmd"] = f"{sys.executable} {Path(__file__)} {row.name}"
    return stages


def body(name: str) -> Callable[[Params, Room], None]:
    """Make a stage that writes the digest of what it reads, in the shapes that the flow looks at."""

    def run(params: Params, room: Room) -> None:
        with (room.state.parents[1] / "ran.txt").open("a") as file:
            file.write(f"{name}\n")
        code = (room.state.parents[1] / f"code/tasks/{name}.py").read_text()
        _fail(name, code, room)
        _hang(name)
        salt = code.partition("SALT = ")[2].partition("\n")[0]
        reads = [_digest(path) for path in room.reads.values()]
        said = {"params": repr(getattr(params, name, None)), "salt": salt, "reads": reads}
        if name == "ingest":
            said["photos"] = sorted(_digest(path) for path in room.reads["source"].rglob("*.png"))
        if name in ("caption", "embed"):
            _use_store(name, read_json(room.reads["images"] / "images.json")["photos"], room)
        for place, path in room.writes.items():
            if path.suffix:
                write_json(path, {"mlflow_run_id": "none"})
            else:
                write_json(path / f"{place}.json", said | _extra(name))
        if repr(TRACK) in code:
            _track(name, params, room)
        if repr(LEARN) in code:
            _learn(said, room)

    return run


def _fail(name: str, code: str, room: Room) -> None:
    """Do not come to an end, as the code's word says."""
    if repr(FAIL) in code:
        raise ValueError(f"{name} was told to fail")
    if repr(LOSE) in code and not (room.state / "lost").exists():
        (room.state / "lost").touch()
        raise RuntimeError("the store does not answer") from ConnectionRefusedError("nobody listens")
    if repr(DIE) in code:
        os.kill(os.getpid(), signal.SIGKILL)
    times = len(list(room.state.glob("gave-way-*")))
    if repr(GIVE_WAY) in code and times < 4:
        (room.state / f"gave-way-{times}").touch()
        os.kill(os.getpid(), signal.SIGTERM)  # as whoever wants the device more asks


def _hang(name: str) -> None:
    stage, _, begun = os.environ.get(HANG, "").partition(":")
    if stage == name:
        Path(begun).touch()
        while Path(begun).exists():
            time.sleep(0.1)


def _learn(said: dict[str, Any], room: Room) -> None:
    """Write weights that follow from all that was read."""
    numbers = [float(digit) for digit in bytes.fromhex(sha256_of_bytes(repr(said).encode()))]
    save = import_module("safetensors.numpy").save_file
    save({"x": import_module("numpy").array(numbers)}, room.writes["adapter"] / FILE)


def _track(name: str, params: Params, room: Room) -> None:
    """Let training be a run of MLflow, and registering a new version of it every time."""
    tracking = import_module("tasks.tracking")
    if name == "train":
        with tracking.training_run(params, room.state) as run:
            _hang("tracked")
            write_json(room.writes["training_run"], {"mlflow_run_id": run.id})
        return
    store, model = tracking.connect(), params.register.model
    if not store.search_registered_models(f"name='{model}'"):
        store.create_registered_model(model)
    run_id = read_json(room.reads["training_run"])["mlflow_run_id"]
    version = store.create_model_version(model, f"runs:/{run_id}/adapter", run_id)
    path = room.writes["version"] / "version.json"
    write_json(path, read_json(path) | {"version": f"v{version.version}", "mlflow_run_id": run_id})


def _use_store(name: str, photos: list[str], room: Room) -> None:
    """Compute an entry a photo where there is none, and say of how many."""
    kept, keys = store(room, name), [key_of({"stage": name, "photo": photo}) for photo in photos]
    missing = [key for key in keys if kept.read(key) is None]
    for key in missing:
        kept.write(key, key.encode())
    tell(name, len(missing), len(keys), kept.damaged, room)


def _extra(name: str) -> dict[str, object]:
    if name == "probe":
        return {"is_teacher_better": repr(WEAK) not in Path("code/tasks/probe.py").read_text()}
    if name == "register":
        return {"model": "dopsd", "version": "v1", "verdict": "PROMOTE", "reasons": [], "mlflow_run_id": "none"}
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

"""What an incremental run costs: a workspace of drawn images is made, planned, run and removed.

>>> measured(1000).plan  # seconds

Two copies of it take the same steps, one by `dopsd`, the other by DVC alone, which has no stores of single images.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from PIL import Image, ImageDraw

import tasks
from tasks.dvcfile import rendered
from tasks.params import load, resolved
from tasks.pipeline import PLACES
from tasks.planning.count import Count
from tasks.planning.fingerprint import ROOMS
from tasks.runner import RUNS
from tasks.stores.reuse import last
from tasks.stores.store import Store

_LAST = "embed"
_DVC = ("-m", "dvc")
_PLAN = ("-m", "flows.cli", "plan", "--until", _LAST)
_RUN = ("-m", "flows.cli", "run", "--until", _LAST)
_MORE = 3
_SIDE_PX = 48


@dataclass(frozen=True)
class Took:
    """How long a run took, and of how many images embed computed something in it."""

    seconds: float
    computed: int
    reused: int

    @property
    def embed(self) -> str:
        """Say what embed did."""
        return f"{self.computed} computed, {self.reused} reused"


@dataclass(frozen=True)
class Measured:
    """Seconds of whole commands, as a user waits for them; `*_alone` are DVC's."""

    images: int
    first: Took
    plan: float
    status: float
    nothing: float
    nothing_alone: float
    plan_of_more: float
    promised: str
    three_more: Took
    three_more_alone: Took
    hit_ms: float

    @property
    def hit_rate(self) -> float:
        """Tell the share of images that embed found computed, when three came."""
        return self.three_more.reused / (self.three_more.computed + self.three_more.reused)

    def as_json(self) -> dict[str, object]:
        """Give what `--json` prints."""
        return asdict(self) | {"hit_rate": self.hit_rate}


def measured(images: int) -> Measured:
    """Take all steps; raises ValueError as `params.load` does, and RuntimeError with what a failed command said."""
    with TemporaryDirectory(prefix="dopsd-bench-") as folder:
        ours, theirs = Path(folder, "dopsd"), Path(folder, "dvc")
        lay_out(ours, images)
        first = _took(ours, *_RUN)
        shutil.copytree(ours, theirs, symlinks=True)
        plan, status = _seconds(ours, *_PLAN), _seconds(theirs, *_DVC, "status")
        nothing, nothing_alone = _seconds(ours, *_RUN), _seconds(theirs, *_DVC, "repro", _LAST)
        for root in (ours, theirs):
            _draw(root, range(images, images + _MORE), has_captions=False)
        plan_of_more, promised = _promised(ours)
        shutil.rmtree(theirs / RUNS / "store")
        more, alone = _took(ours, *_RUN), _took(theirs, *_DVC, "repro", _LAST)
        hit_ms = _hit_ms(ours, images + _MORE)
    return Measured(images, first, plan, status, nothing, nothing_alone, plan_of_more, promised, more, alone, hit_ms)


def lay_out(root: Path, images: int) -> None:
    """Write images, code, and params that are those of the current folder but for the places."""
    here = Path(tasks.__file__).parents[1]
    for room in ROOMS:
        shutil.copytree(here / room, root / room, ignore=shutil.ignore_patterns("__pycache__"))
    params = resolved(load(Path()))
    for key, name in params["models"].items():
        params["models"][key] = name if key == "family" or not name else str(Path(name).resolve())
    for key in ("novel", "retention"):
        params["evaluate"][key] = str(Path(params["evaluate"][key]).resolve())
    params["ingest"]["source"] = "photos"
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    (root / "dvc.yaml").write_text(rendered())
    (root / ".dvc").mkdir()
    (root / ".dvc" / "config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    (root / ".dvcignore").write_text("/runs\n")  # as in this repository: its stores are not DVC's to look at
    (root / "photos").mkdir()
    (root / PLACES["blocked"]).write_text("\n")
    _draw(root, range(images), has_captions=True)


def _draw(root: Path, numbers: Sequence[int], *, has_captions: bool) -> None:
    """Draw a few shapes an image."""
    for number in numbers:
        chance, picture = random.Random(number), Image.new("RGB", (_SIDE_PX, _SIDE_PX))
        canvas = ImageDraw.Draw(picture)
        for shape in (canvas.rectangle, canvas.ellipse, canvas.rectangle, canvas.ellipse):
            left, top = chance.randrange(32), chance.randrange(32)
            shape((left, top, left + chance.randrange(8, 40), top + chance.randrange(8, 40)), _colour(chance))
        path = root / "photos" / f"{number:06d}.png"
        picture.save(path)
        if has_captions:
            path.with_suffix(".txt").write_text(f"a [V] star, number {number}")


def _colour(chance: random.Random) -> tuple[int, int, int]:
    return chance.randrange(256), chance.randrange(256), chance.randrange(256)


def _seconds(root: Path, *arguments: str) -> float:
    """Time a command of Python in a workspace."""
    begun = time.perf_counter()
    _said(root, *arguments)
    return round(time.perf_counter() - begun, 2)


def _said(root: Path, *arguments: str) -> str:
    command = [sys.executable, *arguments]
    ended = subprocess.run(command, cwd=root, env=_environment(), capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed: {ended.stderr}")
    return ended.stdout


def _environment() -> dict[str, str]:
    """Let `python` in dvc.yaml be this one, and find this code beside the workspace's own."""
    here = Path(tasks.__file__).parents[1]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return os.environ | {"PATH": path, "PYTHONPATH": os.pathsep.join([str(here), os.environ.get("PYTHONPATH", "")])}


def _took(root: Path, *arguments: str) -> Took:
    """Time a run, and ask what embed counted in it."""
    seconds = _seconds(root, *arguments)
    counted = last(root / RUNS, _LAST)
    assert counted, f"{_LAST} counts images"
    return Took(seconds, counted["computed"], counted["reused"])


def _promised(root: Path) -> tuple[float, str]:
    """Plan; give how long that took, and what it said of the images that embed will compute."""
    begun = time.perf_counter()
    rows = json.loads(_said(root, *_PLAN, "--json"))["stages"]
    seconds = round(time.perf_counter() - begun, 2)
    return seconds, str(Count(**next(row["images"] for row in rows if row["name"] == _LAST)))


def _hit_ms(root: Path, images: int) -> float:
    """Read and verify all entries of all images as the stage does, once more; milliseconds an image."""
    begun = time.perf_counter()
    for folder in sorted((root / RUNS / "store").iterdir()):
        keys = [f"{path.parent.name}{path.name}" for path in folder.glob("??/*")]
        assert not Store(folder).missing(keys), "nothing is missing"
    return round(1000 * (time.perf_counter() - begun) / images, 3)

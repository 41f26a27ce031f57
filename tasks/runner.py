"""Run one stage: check what it reads, let it write beside its place, move that in as a whole.

    python -m tasks run caption

A stage that is killed leaves nothing half written: what it had so far stays in data/.staged until it runs again.
"""

import importlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tasks import weak_teacher
from tasks.lock import held
from tasks.params import PARAMS_FILE, Params, load, look_up
from tasks.pipeline import PLACES, Room, Stage, producer
from tasks.planning import fingerprint, staleness
from tasks.planning.installation import numerics
from tasks.stores.shard import Shard

RUNS = Path("runs")
HISTORY = RUNS / "history.jsonl"
WRITER = RUNS / "writer.lock"
STAGED = Path("data/.staged")


def run(stage: Stage, root: Path) -> None:
    """Run `stage` in the workspace `root`, whatever is cached; where its body raises, nothing is written."""
    with at_work(root):
        _run(stage, root)


def _run(stage: Stage, root: Path) -> None:
    begun, params = time.time(), load(root)
    if "DVC_STAGE" in os.environ:
        fingerprint.check(stage, root)
    seen = _seen(stage, params, root)
    staged = _emptied(root / STAGED / stage.name)
    room = Room(_reads(stage, params, root), _writes(stage, staged), root / RUNS / stage.name)
    room.state.mkdir(parents=True, exist_ok=True)
    if stage.name == "train":
        weak_teacher.check(room.reads["probe"], root / RUNS, params.train.method)
    importlib.import_module(stage.module).run(params, room)
    now = _seen(stage, load(root), root)
    if changed := [file for file in now if now[file] != seen[file]]:  # DVC would record it as what made the old output
        raise ValueError(f"{changed[0]} changed while {stage.name} ran; what it made is thrown away: run it again")
    upstream = staleness.upstream(room.reads.values())
    for place, path in room.writes.items():
        if upstream == "stale" and path.is_dir():
            staleness.mark(path, stage.name)
        _move_in(path, root / PLACES[place], staged)
    shutil.rmtree(staged)
    took = round(time.time() - begun, 3)
    where = {"workspace": str(root.resolve()), "device": numerics()["device"]}
    _remember(root, stage=stage.name, began=round(begun, 3), seconds=took, **where)


def fill(stage: Stage, root: Path, shard: Shard) -> None:
    """Make a shard of what `stage` keeps for each image, and write nothing else: a run of it then finds that."""
    with at_work(root):
        params = load(root)
        importlib.import_module(stage.module).fill(params, _reading_room(stage, params, root), shard)


def lacking(stage: Stage, root: Path) -> dict[str, list[str]]:
    """Name the entries, by their kind, that `stage` would make if it ran now."""
    with at_work(root):
        params = load(root)
        found: dict[str, list[str]] = importlib.import_module(stage.module).lacking(
            params, _reading_room(stage, params, root)
        )
        return found


def _reading_room(stage: Stage, params: Params, root: Path) -> Room:
    return Room(_reads(stage, params, root), {}, root / RUNS / stage.name)


@contextmanager
def only_writer(root: Path) -> Iterator[None]:
    """Hold the workspace for one run; where another is at work, say so on stderr and wait for it."""
    with held(root / WRITER, f"the run that is at work in {root.resolve()}"), at_work(root):
        yield


def at_work(root: Path) -> AbstractContextManager[None]:
    """Keep `dopsd gc apply` from removing anything while a run is at work, in whichever workspace."""
    return held(_turns(root), "`dopsd gc apply`", is_shared=True)


def nobody_at_work(root: Path) -> AbstractContextManager[None]:
    """Wait until no run is at work in any workspace, and let none begin."""
    return held(_turns(root), "the runs that are at work")


def _turns(root: Path) -> Path:
    """Say where runs and the removal of what no run needs take turns: in a folder that all workspaces share."""
    return (root / RUNS / "flights").resolve() / "turns.lock"


def sources(params: Params, root: Path) -> None:
    """Check what comes from outside the pipeline; raises FileNotFoundError naming what is missing and the mend."""
    for place in PLACES:
        if producer(place) is None and not (root / located(place, params)).exists():
            raise FileNotFoundError(f"there is no {located(place, params)}: {_mend(place, params)}")


def located(place: str, params: Params) -> Path:
    """Say where a place lies, from the root; keys of params.yaml are filled in."""
    said = PLACES[place]
    if said.startswith("${"):
        return Path(str(look_up(params, said[2:-1])))
    return Path(said)


def history(root: Path) -> list[dict[str, object]]:
    """Read what ran when, oldest first; a line cut short by a crash is left out."""
    path = root / HISTORY
    lines = path.read_text().split("\n")[:-1] if path.is_file() else []
    return [json.loads(line) for line in lines]


def _reads(stage: Stage, params: Params, root: Path) -> Mapping[str, Path]:
    """Find everything the stage reads; raises FileNotFoundError naming what is missing and how it comes there."""
    reads = {place: root / located(place, params) for place in stage.reads}
    parent = params.train.parent
    if parent != "base" and {"train", "train.parent"} & set(stage.params):
        reads["parent"] = root / RUNS / "parents" / parent
    for place, path in reads.items():
        if not path.exists():
            raise FileNotFoundError(f"{stage.name} needs {path}: {_mend(place, params)}")
    return reads


def _mend(place: str, params: Params) -> str:
    """Say how a missing place comes about."""
    if place == "parent":
        return f"fetch it from the registry with `python -m tasks parent {params.train.parent}`"
    if producer(place):
        return "run the earlier stages with `dopsd run`"
    if place == "blocked":
        return "put it back with `git checkout blocked.jsonl`; one with an empty line blocks nothing"
    key = PLACES[place][2:-1]
    if place == "source":
        return _to_a_folder(params.ingest.source, key)
    if place in ("novel", "retention"):
        return f"write one prompt a line there, or put the right file into {PARAMS_FILE} as {key}"
    fetch = "`hf download OWNER/NAME --local-dir FOLDER` fetches one"
    return f"put a model's folder there ({fetch}), or the right folder into {PARAMS_FILE} as {key}"


def _to_a_folder(source: str, key: str) -> str:
    """Say how images come where stages read them."""
    if "://" in source:
        return f"bring them into a folder with `dvc import-url {source} photos`, and name that folder as {key}"
    return f"put your images there, or their folder into {PARAMS_FILE} as {key}"


def _writes(stage: Stage, staged: Path) -> Mapping[str, Path]:
    """Lay out an empty folder for each folder the stage writes; files come about when they are written."""
    writes = {place: staged / Path(PLACES[place]).name for place in stage.writes}
    for path in writes.values():
        if not path.suffix:
            path.mkdir()
    return writes


def _emptied(folder: Path) -> Path:
    """Clear what an earlier, killed run left."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _move_in(new: Path, place: Path, staged: Path) -> None:
    """Put `new` in its place by a rename; the old one, if any, goes with the staged folder."""
    assert new.exists(), f"the stage wrote no {place}"
    if place.exists():
        place.rename(staged / f"old-{place.name}")
    new.rename(place)


def _seen(stage: Stage, params: Params, root: Path) -> dict[str, object]:
    """Say what DVC will record of the stage's params and code, by the file that it stands in."""
    said = [look_up(params, key) for key in stage.params]
    return {PARAMS_FILE: said, str(fingerprint.CODE): fingerprint.recorded_of(stage, root)}


def _remember(root: Path, **row: object) -> None:
    """Append one line in one write, so that two stages at once don't mix theirs."""
    with (root / HISTORY).open("ab", buffering=0) as file:
        file.write((json.dumps(row) + "\n").encode())
        os.fsync(file.fileno())

"""The workspace of an arm: a clone of the last commit, whose source and params.yaml are those of the round at hand.

    report/gated/                          a project with a registry of its own; `dopsd audit` and all else work there
    report/gated/rounds/03-red-cross/      images, new scenes; afterwards scores, the concept's panel and round.json

Each concept has a placeholder of its own, [V1], [V2] ..., or the next one would overwrite what the last one was called.
"""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tasks.comparison.concepts import Concept
from tasks.environment import MLFLOW_STORE
from tasks.folders import read_json, staged_folder, write_json, write_text
from tasks.git import said
from tasks.override import override
from tasks.params import PARAMS_FILE, load, resolved
from tasks.pipeline import PLACES
from tasks.rounds.arm import Arm
from tasks.sections import Caption
from tasks.workspaces.snapshot import snapshot

BASE = "base"
_RECORD = "round.json"
_BROUGHT = (PARAMS_FILE, PLACES["blocked"])


@dataclass(frozen=True)
class Round:
    """A round that is finished: what was learnt, from whom, and what the gate said; `reasons` are those against it."""

    number: int
    concept: str
    parent: str
    version: str
    verdict: str
    reasons: Sequence[str]


def laid_out(home: Path, arm: Arm, out: Path) -> Path:
    """Clone the last commit of `home` unless that is done, with params.yaml as it is now; gives its root."""
    folder, below = out / arm.name, said(home, "rev-parse", "--show-prefix")
    if not folder.exists():
        with staged_folder(folder) as staged:
            top = said(home, "rev-parse", "--show-toplevel")  # its tags name versions of another registry
            said(home, "clone", "--quiet", "--no-tags", top, str(staged.resolve()))
            _bring(home, staged / below)
            override(staged / below, "replay.share", arm.share)
    return folder / below


def _bring(home: Path, root: Path) -> None:
    """Bring what is not committed: params.yaml as it is now, what is blocked, and models, as links."""
    for name in _BROUGHT:
        shutil.copyfile(home / name, root / name)
    for name in resolved(load(home))["models"].values():
        if name and (home / name).exists() and not (root / name).exists():
            snapshot(home / name, root / name)


def registry(root: Path) -> dict[str, str]:
    """Give the variables by which runs and versions go into the arm's own store, whatever others are set."""
    store = f"sqlite:///{root.resolve() / MLFLOW_STORE}"
    return {"MLFLOW_TRACKING_URI": store, "_MLFLOW_SERVER_ARTIFACT_ROOT": str(root.resolve() / "mlruns")}


def place(root: Path, number: int, concept: str) -> Path:
    """Say where a round keeps what is its own."""
    return root / "rounds" / f"{number:02d}-{concept}"


def folder_of(root: Path, one: Round) -> Path:
    """Say where a finished round keeps it."""
    return place(root, one.number, one.concept)


def begin(root: Path, number: int, concept: Concept, learnt: Sequence[Path], caption: Caption) -> None:
    """Point params.yaml to the concept of this round, and to the places of those `learnt` before.

    `caption` is how the concepts are spoken of where they lie.
    """
    folder, own = place(root, number, concept.name), f"[V{number}]"
    if not folder.exists():
        _write_concept(folder, concept, caption.placeholder, own)
    here = folder.relative_to(root)
    said = {
        "ingest.source": str(here / "images"),
        "caption.placeholder": own,
        "caption.instruction": caption.instruction.replace(caption.placeholder, own),
        "embed.class_noun": concept.class_noun,
        "evaluate.novel": str(here / "novel.txt"),
        "evaluate.class_noun": concept.class_noun,
        "evaluate.kind": concept.kind,
        "evaluate.earlier": [str(one.relative_to(root) / "panel") for one in learnt],
    }
    for key, value in said.items():
        override(root, key, value)


def _write_concept(folder: Path, concept: Concept, placeholder: str, own: str) -> None:
    """Copy the images of a concept, and what is said of it in this round's words."""
    with staged_folder(folder) as staged:
        shutil.copytree(concept.folder, staged / "images")
        for path in (staged / "images").rglob("*.txt"):
            path.write_text(path.read_text(encoding="utf-8").replace(placeholder, own), encoding="utf-8")
        write_text(staged / "novel.txt", "".join(f"{text.replace(placeholder, own)}\n" for text in concept.novel))


def finish(root: Path, number: int, concept: Concept, parent: str) -> None:
    """Keep what the round came to, its record last of all."""
    folder, scores = place(root, number, concept.name), root / PLACES["scores"]
    said = read_json(root / PLACES["version"] / "version.json")
    for name in ("scores.json", "rows.csv"):
        shutil.copyfile(scores / name, folder / name)
    with staged_folder(folder / "panel") as staged:
        shutil.copytree(scores / "panel", staged, dirs_exist_ok=True)
    against = [reason["sentence"] for reason in said["reasons"] if reason["outcome"] != "passed"]
    write_json(folder / _RECORD, asdict(Round(number, concept.name, parent, said["version"], said["verdict"], against)))


def finished(root: Path, number: int, concept: Concept) -> Round | None:
    """Read a round's record; None where it is not finished."""
    path = place(root, number, concept.name) / _RECORD
    return Round(**read_json(path)) if path.is_file() else None

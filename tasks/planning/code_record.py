"""Keep data/code.json, and what DVC knows of it, as the code is.

refresh(root)            (`dopsd run` begins with it; by hand: `python -m tasks.planning.fingerprint`, or `dvc repro`)
"""

from collections.abc import Mapping
from pathlib import Path

from dvc.repo import Repo
from dvc.stage import PipelineStage

from tasks.planning.fingerprint import STAGE, Fingerprint, as_json, of, recorded, write
from tasks.planning.known import known_stages


def is_recorded(found: Mapping[str, Fingerprint], known: PipelineStage, root: Path) -> bool:
    """Tell whether the file and dvc.lock say what `found` says; `known` is DVC's stage that writes the file."""
    return recorded(root) == as_json(found) and not _has_changed(known)


def refresh(root: Path) -> None:
    """Do what DVC would do for the stage `fingerprint`, without starting a process for it."""
    write(of(root), root)
    with Repo(str(root)) as repo:
        if _has_changed(known_stages(repo)[STAGE]):
            repo.commit(STAGE, force=True)


def _has_changed(known: PipelineStage) -> bool:
    return known.cmd_changed or any(entry.status() for entry in (*known.deps, *known.outs))

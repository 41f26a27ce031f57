"""What a deployment chooses for its runs: params.yaml of their workspace says it, and nobody else's does.

choose(Path(), project="projects/anime.yaml", method="sft")
"""

import importlib
import shutil
from pathlib import Path

from tasks.override import override
from tasks.params import PARAMS_FILE, load, of_family
from tasks.workspaces.workspace import is_lent, settle


def choose(
    root: Path,
    *,
    project: str = PARAMS_FILE,
    family: str | None = None,
    dataset: str | None = None,
    method: str | None = None,
    parent: str | None = None,
) -> None:
    """Write the choices into params.yaml of a lent workspace, and bring what they name; None leaves what stands there.

    Last comes the parent, whose pictures are mixed in among those of the dataset.

    Raises ValueError where the workspace is a person's own, or a choice is none; FileNotFoundError for no such project.
    """
    if project == PARAMS_FILE and not any((family, dataset, method, parent)):
        return
    if not is_lent(root):
        raise ValueError(
            f"{root.resolve()} is a person's folder: what a deployment chooses is for a workspace of its own"
        )
    if project != PARAMS_FILE:
        if not (root / project).is_file():
            raise FileNotFoundError(
                f"project: the last commit holds no {project}: write it like {PARAMS_FILE}, and commit it"
            )
        shutil.copyfile(root / project, root / PARAMS_FILE)
    for key, value in _said(root, family, dataset, method).items():
        override(root, key, value)
    load(root)
    settle(root)
    if parent:
        importlib.import_module("tasks.versions.start").start_from(root, parent)


def _said(root: Path, family: str | None, dataset: str | None, method: str | None) -> dict[str, str]:
    """Spell the choices as keys of params.yaml."""
    said = {"ingest.source": dataset, "train.method": method}
    if family:
        said |= {f"models.{key}": value for key, value in of_family(load(root), family).models.model_dump().items()}
    return {key: value for key, value in said.items() if value is not None}

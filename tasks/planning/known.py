"""What DVC knows of the stages: as dvc.yaml has them, with the digests of their last runs in dvc.lock.

>>> with Repo() as repo: known_stages(repo)["train"].deps
"""

from pathlib import Path

from dvc.repo import Repo
from dvc.stage import PipelineStage


def known_stages(repo: Repo) -> dict[str, PipelineStage]:
    """Read the stages of the pipeline by name; `repo.index` looks for more of them in every folder there is."""
    return {stage.name: stage for stage in repo.stage.load_all(str(Path(repo.root_dir) / "dvc.yaml"))}

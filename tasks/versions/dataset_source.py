"""The kind of source "dvc" for MLflow: from the digest that a run names, its dataset comes back as a folder.

>>> mlflow.data.get_source(run.inputs.dataset_inputs[0]).load()

MLflow finds it by the entry point of this package, and loads it with itself.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from mlflow.data.dataset_source import DatasetSource

from tasks.pipeline import PLACES

_NAMED = re.compile(r"dvc:([0-9a-f]{32}(?:\.dir)?)")


class DvcSource(DatasetSource):
    """What DVC keeps under `digest`; it lay at `path`, from the root of the project, when it was learnt from."""

    def __init__(self, path: str, digest: str) -> None:
        self.path = path
        self.digest = digest

    def load(self, dst_path: str | None = None) -> str:
        """Bring it out of the cache or the remote of the project that we are in; gives where it lies now.

        That is in `dst_path`, or in a new temporary folder. Raises FileNotFoundError where DVC has it no more.
        """
        from tasks.versions.stored import stores  # noqa: PLC0415 (MLflow loads us with itself, DVC takes a second)

        place = Path(dst_path or mkdtemp(prefix="dopsd-")) / Path(self.path).name
        with stores(Path()) as known:
            known.bring(self.digest, place)
        return str(place)

    def to_dict(self) -> dict[str, Any]:
        """Give what MLflow keeps of it."""
        return {"path": self.path, "digest": self.digest}

    @classmethod
    def from_dict(cls, source_dict: Mapping[str, Any]) -> "DvcSource":
        """Read what `to_dict` gave."""
        return cls(source_dict["path"], source_dict["digest"])

    @staticmethod
    def _get_source_type() -> str:
        return "dvc"

    @staticmethod
    def _can_resolve(raw_source: object) -> bool:
        return isinstance(raw_source, str) and _NAMED.fullmatch(raw_source) is not None

    @classmethod
    def _resolve(cls, raw_source: str) -> "DvcSource":
        """Read "dvc:" and a digest."""
        return cls(PLACES["images"], raw_source.removeprefix("dvc:"))

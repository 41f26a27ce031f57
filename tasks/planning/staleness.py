"""Mark what was made from stale inputs that a person accepted, and all that is made of it; `upstream: stale`.

dopsd run --from train --accept-stale
"""

import os
from collections.abc import Iterable
from pathlib import Path

from tasks.folders import read_json, write_json

ACCEPTED = "DOPSD_UPSTREAM"
"""Set to "stale" in the environment of a stage whose upstream is stale, which somebody accepted."""
_MANIFEST = "manifest.json"


def upstream(reads: Iterable[Path]) -> str:
    """Say "stale" where it was accepted for this run, or where anything that is read carries the mark; else "fresh"."""
    manifests = [path / _MANIFEST for path in reads if (path / _MANIFEST).is_file()]
    is_marked = any(read_json(manifest).get("upstream") == "stale" for manifest in manifests)
    return "stale" if is_marked or os.environ.get(ACCEPTED) == "stale" else "fresh"


def mark(folder: Path, stage: str) -> None:
    """Put the mark into the manifest of a folder, which gets one if it has none."""
    path = folder / _MANIFEST
    said = read_json(path) if path.is_file() else {"schema": 1, "stage": stage}
    write_json(path, said | {"upstream": "stale"})

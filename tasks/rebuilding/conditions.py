"""What a version was made with besides its code and its data, and what is here instead.

>>> otherwise(stages(Path(), record))  # ["torch is 2.14.0 here, it was 2.13.0+cpu"]

dvc.lock has it, stage by stage: versions of the libraries that the stage reaches, the device, the digests of models.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.pipeline import stage
from tasks.planning.fingerprint import CODE
from tasks.planning.installation import numerics, versions
from tasks.versions.lineage import dvc_digest
from tasks.versions.version_commit import outs

STEPS = tuple(stage(name) for name in ("caption", "embed", "train"))
"""The stages that make weights of a dataset."""


def otherwise(stages: Mapping[str, Any]) -> list[str]:
    """Say which libraries, and which device, are others than those that made a version."""
    said = [stages[row.name].get("params", {}).get(str(CODE), {}).get(row.name, {}) for row in STEPS]
    then = {name: text for one in said for name, text in one.get("packages", {}).items()}
    now = versions(then)
    kind = {name: text for one in said for name, text in one.get("numerics", {}).items()}
    then, now = then | kind, now | numerics()
    return [f"{name} is {now[name]} here, it was {then[name]}" for name in then if now[name] != then[name]]


def is_exact(stages: Mapping[str, Any]) -> bool:
    """Tell whether the same bits are owed: they are on a CPU, whose sums have an order."""
    kind = stages["train"].get("params", {}).get(str(CODE), {}).get("train", {}).get("numerics", {})
    return "cuda" not in (kind.get("device"), numerics()["device"])


def check_models(stages: Mapping[str, Any], root: Path) -> None:
    """Digest the models in `root`; raises ValueError naming one that is gone, or not what it was."""
    made = outs(stages)
    given = {dep["path"]: dep["md5"] for row in STEPS for dep in stages[row.name]["deps"] if dep["path"] not in made}
    for path, digest in given.items():
        if not (root / path).exists():
            raise ValueError(f"there is no {path}, which it was made with: put it there")
        if (found := dvc_digest(root / path)) != digest:
            raise ValueError(f"{path} digests to {found}, it was made with {digest}: put that revision there")

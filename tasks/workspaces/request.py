"""What somebody asks for, in one digest: which stages, and everything that decides what comes of them.

>>> digest(Path(), Selection(first="train"), accept_weak_teacher=False)

Two folders with the same code, params and inputs ask for the same thing; where they lie does not count, nor what they
want of the machine: whoever asks for more memory goes on from what there is.
"""

from dataclasses import asdict
from pathlib import Path

from dvc.dependency import ParamsDependency
from dvc.repo import Repo

from tasks.folders import sha256_of_json
from tasks.params import load, resolved
from tasks.planning import fingerprint
from tasks.planning.known import known_stages
from tasks.planning.selection import Selection
from tasks.versions.shadow import is_shadow


def digest(root: Path, selection: Selection, *, accept_weak_teacher: bool) -> str:
    """Digest a request as the workspace `root` is now, 64 hex digits; files are DVC's to digest, and it remembers."""
    return sha256_of_json(
        {
            "selection": asdict(selection),
            "accept_weak_teacher": accept_weak_teacher,
            "is_shadow": is_shadow(),
            "params": {name: said for name, said in resolved(load(root)).items() if name != "machine"},
            "code": fingerprint.as_json(fingerprint.of(root)),
            "inputs": _inputs(root),
        }
    )


def _inputs(root: Path) -> dict[str, str]:
    """Digest what comes from outside of the pipeline."""
    with Repo(str(root)) as repo:
        stages = [stage for stage in known_stages(repo).values() if stage.name != fingerprint.STAGE]
        made = {str(fingerprint.CODE), *(out.def_path for stage in stages for out in stage.outs)}
        deps = [dep for stage in stages for dep in stage.deps if not isinstance(dep, ParamsDependency)]
        return {dep.def_path: str(dep.get_hash().value) for dep in deps if dep.def_path not in made}

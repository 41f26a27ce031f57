"""The parts of a stage's cache key, flat: as they are now, in its last run, or at a commit.

>>> now(stage("train"), root)["code: dopsd/training.py::train"]      # "0a1b2c3d4e5f"
"""

import io
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from dvc.dependency import ParamsDependency
from dvc.repo import Repo

from tasks.pipeline import Stage
from tasks.planning import fingerprint
from tasks.planning.fingerprint import CODE, definitions
from tasks.planning.known import known_stages
from tasks.planning.reasons import flat

Key = Mapping[str, str]
_LOCK = "dvc.lock"


def now(stage: Stage, root: Path) -> Key:
    """Digest everything that decides about `stage`, in the workspace as it is."""
    with Repo(str(root)) as repo:
        known = known_stages(repo)[stage.name]
        params = {path: value for dep in known.deps if _is_params(dep) for path, value in dep.read_params().items()}
        inputs = {
            dep.def_path: str(dep.get_hash().value) for dep in known.deps if not isinstance(dep, ParamsDependency)
        }
    return _of_code(fingerprint.of(root)[stage.name].parts()) | _of_params(params) | _of_inputs(inputs)


def at(stage: Stage, root: Path, commit: str | None) -> Key:
    """Give the key of the last run, from dvc.lock, or of a commit.

    A commit that holds no dvc.lock is asked for its code alone, with the libraries of today.
    Raises ValueError where git knows no such commit.
    """
    if commit is None:
        path = root / _LOCK
        return _of_lock(path.read_text() if path.is_file() else "", stage)
    found = _sources(root, commit)
    code = _of_code(fingerprint.fingerprints(found, [stage])[stage.name].parts())
    lock = subprocess.run(["git", "show", f"{commit}:./{_LOCK}"], cwd=root, capture_output=True, text=True, check=False)
    return _of_lock(lock.stdout, stage) | code


def _sources(root: Path, commit: str) -> dict[str, str]:
    """Read the rooms of a commit from git, without touching a file."""
    rooms = [room.as_posix() for room in fingerprint.rooms(root)]
    packed = subprocess.run(["git", "archive", commit, "--", *rooms], cwd=root, capture_output=True, check=False)
    if packed.returncode:
        raise ValueError(f"git gives nothing of {commit}: {packed.stderr.decode().strip()}")
    found = {}
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        for member in archive:
            if member.name.endswith(".py") and (file := archive.extractfile(member)):
                room = next(room for room in rooms if member.name.startswith(f"{room}/"))
                found[Path(member.name).relative_to(Path(room).parent).as_posix()] = file.read().decode()
    return found


def _of_lock(text: str, stage: Stage) -> dict[str, str]:
    said = ((yaml.safe_load(text) or {}).get("stages") or {}).get(stage.name)
    if said is None:
        return {}
    params = dict(said.get("params", {}))
    code = params.pop(str(CODE), {}).get(stage.name, {})
    inputs = {dep["path"]: dep.get("md5", "") for dep in said.get("deps", [])}
    return _of_code(code) | _of_params(params.get("params.yaml", {})) | _of_inputs(inputs)


def _of_code(parts: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    code = {f"code: {name}": digest for name, digest in definitions(parts.get("code", {})).items()}
    return code | {
        f"env: {name}": value for kind in ("packages", "numerics") for name, value in parts.get(kind, {}).items()
    }


def _of_params(values: Mapping[str, Any]) -> dict[str, str]:
    return {f"params: {name}": str(value) for name, value in flat(values).items()}


def _of_inputs(digests: Mapping[str, str]) -> dict[str, str]:
    return {f"data: {path}": digest for path, digest in digests.items()}


def _is_params(dep: object) -> bool:
    return isinstance(dep, ParamsDependency) and dep.def_path != str(CODE)

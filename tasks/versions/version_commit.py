"""A version as a commit of git: the code as it was, params, dvc.lock and the record; the user's branch and files stay.

    git checkout model/dopsd/v7 && dvc checkout        (brings all of it back)

It is tagged model/<project>/<version>. What was changed or added to the code and not committed is in it, too.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from tasks.git import said, said_if_it_can
from tasks.pipeline import PLACES, STAGES

RECORD = "lineage"
"""The folder, in the commit alone, of what is known of the version."""
LOCK, _PIPELINE = "dvc.lock", "dvc.yaml"
_CHOSEN = ("params.yaml", _PIPELINE, "constraints.txt")
_ROOMS = ("dopsd", "tasks", "flows")
_NOBODY = {f"GIT_{role}_{what}": said for role in ("AUTHOR", "COMMITTER") for what, said in (
    ("NAME", "dopsd"), ("EMAIL", "dopsd@localhost"),
)}  # fmt: skip


def tag(model: str, version: str) -> str:
    """Name the tag of a version."""
    return f"model/{model}/{version}"


def found(root: Path, model: str, version: str) -> str | None:
    """Find the commit of a version; None where there is none, or no repository."""
    return said_if_it_can(root, "rev-parse", "--verify", "--quiet", f"refs/tags/{tag(model, version)}^{{commit}}")


def kept(root: Path, model: str, version: str, record: Mapping[str, str], *, is_made: bool = True) -> str | None:
    """Commit a version with `record`, a text a file, or find its commit; None outside of git.

    Unless it `is_made` by stages it names none, and DVC has nothing to bring back.
    """
    index = said_if_it_can(root, "rev-parse", "--git-path", "index")
    if index is None:
        return None
    if known := found(root, model, version):
        return known
    head = said_if_it_can(root, "rev-parse", "--verify", "--quiet", "HEAD")
    with TemporaryDirectory() as folder:
        ours = Path(folder) / "index"
        if (root / index).is_file():
            shutil.copyfile(root / index, ours)  # knows which files are unchanged, so that few are read
        tree = _tree(root, record, {"GIT_INDEX_FILE": str(ours)}, is_made=is_made)
    above = ["-p", head] if head else []
    commit = said(root, "commit-tree", tree, *above, "-m", f"{model} {version}", **_NOBODY)
    name = f"refs/tags/{tag(model, version)}"
    said_if_it_can(root, "update-ref", name, commit, "0" * len(commit))  # refused where another was faster
    return said(root, "rev-parse", name)


def tag_again(root: Path, model: str, version: str, commit: str) -> bool:
    """Let the tag of a version lead to its commit again; tells whether git still has that commit."""
    if said_if_it_can(root, "cat-file", "-e", f"{commit}^{{tree}}") is None:
        return False
    said(root, "update-ref", f"refs/tags/{tag(model, version)}", commit)
    return True


def locked(root: Path, commit: str) -> Mapping[str, Any] | None:
    """Read what the dvc.lock of a version's commit says of each stage; None where it holds none."""
    text = said_if_it_can(root, "show", f"{commit}:{said(root, 'rev-parse', '--show-prefix')}{LOCK}")
    stages: Mapping[str, Any] | None = yaml.safe_load(text)["stages"] if text is not None else None
    return stages


def outs(stages: Mapping[str, Any]) -> dict[str, str | None]:
    """Give DVC's digest of everything that the stages wrote, by its path; None where it keeps none."""
    return {row["path"]: row.get("md5") for stage in stages.values() for row in stage.get("outs", [])}


def cached_outs(stages: Mapping[str, Any]) -> dict[str, str | None]:
    """Give DVC's digest of everything that it keeps of a version, by its name in `PLACES`; None where it has none."""
    found = outs(stages)
    return {place: found.get(PLACES[place]) for stage in STAGES if stage.is_cached for place in stage.writes}


def _tree(root: Path, record: Mapping[str, str], index: Mapping[str, str], *, is_made: bool) -> str:
    """Write the tree: what git holds as it is on disk, code that it does not hold yet, and the record."""
    prefix = said(root, "rev-parse", "--show-prefix")
    said(root, "add", "--update", "--", ".", **index)
    for how, names in (("--force", _CHOSEN), ("--all", _ROOMS)):
        if there := [name for name in names if (root / name).exists()]:
            said(root, "add", how, "--", *there, **index)
    texts = {f"{RECORD}/{name}": text for name, text in record.items()}
    if not is_made:
        texts |= {LOCK: "schema: '2.0'\nstages: {}\n", _PIPELINE: "stages: {}\n"}
    elif (root / LOCK).is_file():
        texts[LOCK] = _lock(root / LOCK)
    for name, text in texts.items():
        blob = said(root, "hash-object", "-w", "--stdin", given=text)
        said(root, "update-index", "--add", "--cacheinfo", f"100644,{blob},{prefix}{name}", **index)
    return said(root, "write-tree", **index)


def _lock(path: Path) -> str:
    """Read dvc.lock without what it says of registering: that is of the version before."""
    lock = yaml.safe_load(path.read_text(encoding="utf-8"))
    lock["stages"].pop("register", None)
    return yaml.safe_dump(lock, sort_keys=False, allow_unicode=True, width=1000)

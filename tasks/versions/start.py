"""Where a run starts from: the base, a version, or whoever is champion, with old pictures to learn again.

>>> start_from(Path(), "champion")  # Start(version="v3", reason="v3 is champion", num_replayed=8, num_earlier=1)

What is chosen is written into params.yaml, by the name that stays the version's own; so is what is to be asked of the
concepts that were learnt before.
"""

from dataclasses import dataclass
from pathlib import Path

from tasks.ancestry.records import BASE, Record, records
from tasks.errands.baggage import digests
from tasks.folders import write_bytes
from tasks.override import override
from tasks.params import PARAMS_FILE, load
from tasks.pipeline import PLACES
from tasks.planning.code_record import refresh
from tasks.planning.fingerprint import CODE
from tasks.versions import taken_down
from tasks.versions.aliases import aliases
from tasks.versions.learnt import lay_out
from tasks.versions.registry import named, versions
from tasks.versions.replay import mix_in
from tasks.versions.version_commit import locked
from tasks.workspaces.workspace import is_lent

CHAMPION = "champion"


@dataclass(frozen=True)
class Start:
    """The version that a run starts from and why; how many old pictures it learns, and old concepts it is asked for."""

    version: str
    reason: str
    num_replayed: int
    num_earlier: int


def start_from(root: Path, parent: str) -> Start:
    """Write the parent into params.yaml, and mix in what it and those before it learnt.

    A champion that came of these very pictures is not trained on them again: its own parent is the start, so that a
    schedule that finds no new picture finds nothing to do. Raises ValueError for a version that there is not or that
    was taken down, and where old pictures would have to be laid out in a folder that a workspace shares with others;
    params.yaml is as it was then.
    """
    before = (root / PARAMS_FILE).read_bytes()
    try:
        return _started(root, parent)
    except BaseException:
        write_bytes(root / PARAMS_FILE, before)
        raise


def _started(root: Path, parent: str) -> Start:
    model = load(root).register.model
    if parent == CHAMPION and aliases(model)[CHAMPION] is None:
        return _begin(root, BASE, "there is no champion yet")
    version = parent if parent == BASE else named(model, parent)
    if version != BASE:
        taken_down.check(model, version)
    record = records(root, model).get(version) if parent == CHAMPION else None
    if record and record.parent in (BASE, *versions(model)):
        told = _begin(root, record.parent, f"the champion {version} came of these pictures")
        if _pictures(root) == _pictures_of(root, record):
            return told
    return _begin(root, version, "as asked" if version == parent else f"{version} is {parent}")


def _pictures(root: Path) -> set[str]:
    """Digest what ingest would read; one digest for all of the source."""
    if not (root / CODE).is_file():  # in a new clone; without a record of the code DVC digests nothing
        refresh(root)
    return {digest for path, digest in digests("ingest", root).items() if path != PLACES["blocked"]}


def _pictures_of(root: Path, record: Record) -> set[str]:
    """Give the digest of what ingest read for a version; none where it ran without DVC."""
    deps = (locked(root, record.commit) or {}).get("ingest", {}).get("deps", [])
    return {row["md5"] for row in deps if row["path"] != PLACES["blocked"]}


def _begin(root: Path, version: str, reason: str) -> Start:
    override(root, "train.parent", version)
    params = load(root)
    source = (root / params.ingest.source).resolve()
    if params.replay.share and is_lent(root) and not source.is_relative_to(root.resolve()):
        raise ValueError(
            f"{PARAMS_FILE}: replay.share mixes old pictures in where ingest.source lies, and others read {source}, "
            "too: name a folder within the project, or set the share to 0"
        )
    earlier = lay_out(root, version, params)
    if tuple(earlier) != params.evaluate.earlier:
        override(root, "evaluate.earlier", earlier)
    return Start(version, reason, mix_in(root, version, params), len(earlier))

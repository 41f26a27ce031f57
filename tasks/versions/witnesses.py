"""Is all of a version's record beside its run, and is it what was put there: each file has a witness elsewhere.

>>> list(broken(Evidence.of(...), record, is_strict=True))  # [("evaluation", "record/marks.json of its run was ...")]

The commit of the version vouches for what it was made of, the ledger for its copies; for what nothing else has the
registry keeps a digest, and of a version that was entered before it did nobody can tell.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from tasks.ancestry.records import CAPTIONS, IMAGES, LINEAGE, Record, spelled, texts
from tasks.folders import sha256_of_file, sha256_of_json
from tasks.git import said
from tasks.versions import ledger, run_record, taken_down
from tasks.versions.evidence import Evidence
from tasks.versions.version_commit import RECORD, tag

Witness = Callable[[Evidence, Record, Path], str | None]
"""Says in what a file is not what it should be; None where it is."""
_GRID = "grid.png"


def broken(found: Evidence, record: Record, *, is_strict: bool) -> Iterator[tuple[str, str]]:
    """Name what is gone, and if asked to be strict what is another than was put there, each with its edge.

    A grid is missed only where no takedown may have removed it.
    """
    there = run_record.names(found.model, record.version)
    spared = {_GRID} if taken_down.TAG in found.tags[record.version] else set()
    for file in sorted(_KEPT.keys() - there - spared):
        yield _KEPT[file][0], f"its run has lost record/{file}"
    if there and is_strict:
        with TemporaryDirectory() as folder:
            place = run_record.bring(found.model, record.version, Path(folder))
            for file in sorted(_KEPT.keys() & there):
                edge, witness = _KEPT[file]
                if wrong := witness(found, record, place / file):
                    yield edge, f"record/{file} of its run was changed: {wrong}"


def _committed(found: Evidence, record: Record, path: Path) -> str | None:
    """Compare with the list in the commit of the version, as git names contents."""
    blob = record.images if path.name == IMAGES else record.captions
    if blob in (None, said(found.root, "hash-object", "--no-filters", str(path.resolve()))):
        return None
    return _other(found, record, path)


def _lineage(found: Evidence, record: Record, path: Path) -> str | None:
    """Compare with the record in the commit; its scores may be newer, if the gate decided on them."""
    kept, committed = path.read_bytes(), texts(found.root, record.commit, LINEAGE)[LINEAGE]
    if kept == committed.encode():
        return None
    try:
        scores = json.loads(kept)["lineage"]["scores"]
        digest = sha256_of_json(scores)
    except (ValueError, LookupError, TypeError):
        return _other(found, record, path)
    told = json.loads(committed)
    told["lineage"]["scores"] = scores
    if kept != spelled(told).encode():
        return _other(found, record, path)
    judged = {entry.evidence.get("scores") for entry in found.decided if entry.version == record.version}
    return None if digest in judged else "the gate never decided on these scores"


def _other(found: Evidence, record: Record, path: Path) -> str:
    return f"`git show {tag(found.model, record.version)}:./{RECORD}/{path.name}` says something else"


def _ledger(found: Evidence, record: Record, path: Path) -> str | None:
    """Ask whether it is the ledger up to a decision on this version; a crash may have kept the last one from it."""
    kept = path.read_bytes()
    number = kept.count(b"\n")
    own = {entry.number for entry in found.decided if entry.version == record.version}
    if number in own and kept == ledger.until(found.book, number).encode():
        return None
    return "it is not the ledger up to a decision on this version"


def _sealed(found: Evidence, record: Record, path: Path) -> str | None:
    """Compare with the digest in the registry."""
    tags, digest = found.tags[record.version], sha256_of_file(path)
    wanted = tags.get(run_record.sealed_by(path.name))
    if wanted is None and any(run_record.sealed_by(file) in tags for file in _KEPT):
        return "the registry has lost its digest, and has those of others"
    return None if wanted in (None, digest) else f"it digests to {digest}, the registry says {wanted}"


_KEPT: Mapping[str, tuple[str, Witness]] = {
    LINEAGE: ("run", _lineage), IMAGES: ("images", _committed), CAPTIONS: ("captions", _committed),
    "marks.json": ("evaluation", _sealed), _GRID: ("evaluation", _sealed),
    "ledger.jsonl": ("verdict", _ledger), "verdict.png": ("verdict", _sealed), "page.md": ("run", _sealed),
}  # fmt: skip
"""What lies beside the run of a version: which edge breaks without it, and what vouches for it."""

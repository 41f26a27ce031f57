"""Is the chain of every version whole: from its weights back to its images, its code, its parents and its verdict.

    dopsd audit --strict

Each edge of the chain is looked at by itself; what is broken is named, with what it should have been.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from tasks.ancestry.records import BASE, Record, contents, in_order
from tasks.ancestry.tree import ancestors, is_rooted
from tasks.git import said_if_it_can
from tasks.pipeline import PLACES
from tasks.versions import aliases, base, ledger, registry, shown, stand_in, witnesses
from tasks.versions.evidence import Evidence
from tasks.versions.lineage import weights_of
from tasks.versions.stored import Stores, stores
from tasks.versions.succession import given_up
from tasks.versions.version_commit import LOCK, cached_outs, locked, tag

_DIGESTED = ("images", "captions", "embeddings")
_TAG_LOST = "`dopsd model restore` sets it while git has the commit; else fetch it from where it was pushed to"
_IN_LINEAGE = {"images": "dataset"}


@dataclass(frozen=True)
class Break:
    """A broken edge: of which version ("-" for the whole), which edge, and what is wrong with it."""

    version: str
    edge: str
    wrong: str


def audit(root: Path, model: str, *, is_strict: bool) -> list[Break]:
    """Look at every edge of every version.

    `is_strict` digests all data anew, in DVC's remote where there is one, instead of asking whether it is anywhere, and
    reads what is kept beside runs.
    """
    try:
        book = ledger.read(root)
    except ValueError as error:
        return [Break("-", "ledger", str(error))]
    try:
        found = Evidence.of(root, model, book)
    except ValueError as error:
        return [Break("-", "record", str(error))]
    breaks = [*_aliases(found), *_base(found), *(_weights_of_bases(found) if is_strict else ())]
    for version in in_order({*found.bases, *found.base_tags}):
        breaks += [Break(version, edge, wrong) for edge, wrong in _version_of_base(found, version)]
    with stores(root) as known:
        for version in in_order({*found.records, *found.tags} - found.bases.keys() - found.base_tags.keys()):
            breaks += [
                Break(version, edge, wrong) for edge, wrong in _version(found, version, known, is_strict=is_strict)
            ]
    return breaks


def _version(found: Evidence, version: str, known: Stores, *, is_strict: bool) -> Iterator[tuple[str, str]]:
    record = found.records.get(version)
    if record is None:
        yield "record", f"no tag {tag(found.model, version)} leads to its commit: {_TAG_LOST}"
        return
    if version in given_up(found.decided):  # its record is all that `dopsd gc` left of it
        yield from _code(found.root, record)
        return
    if version not in found.tags:
        yield "registry", "the registry has no such version, and so nobody can load it"
        return
    yield from _code(found.root, record)
    yield from _data(found.root, record, known, is_strict=is_strict)
    line = ancestors(found.records, version)
    if not is_rooted(line):
        yield "parent", f"it descends from {line[-1]}, of which there is no record: the way back to the base is lost"
    yield from _scores(found, record)
    yield from _registered(found, record, is_strict=is_strict)


def _code(root: Path, record: Record) -> Iterator[tuple[str, str]]:
    """Ask git for the commit of the code, and for that of the version."""
    code = record.lineage["git_commit"]
    if not code or said_if_it_can(root, "cat-file", "-e", f"{code}^{{tree}}") is None:
        yield "code", f"git does not have the commit {code} that it was trained at"
    yield from _files(root, record.commit)


def _files(root: Path, commit: str) -> Iterator[tuple[str, str]]:
    """Ask git for every file of the commit of a version."""
    listed = said_if_it_can(root, "ls-tree", "-r", "--full-tree", "--format=%(objectname) %(path)", commit)
    if listed is None:
        yield "commit", f"git cannot read the files of {commit}"
        return
    files = dict(line.split(" ", 1) for line in listed.splitlines())
    there = contents(root, files, is_read=False)
    if lost := [path for blob, path in files.items() if blob not in there]:
        yield "commit", f"git has lost {lost[0]} of {commit}"


def _data(root: Path, record: Record, known: Stores, *, is_strict: bool) -> Iterator[tuple[str, str]]:
    """Ask DVC for everything that the stages wrote, and compare with what the record says."""
    stages = locked(root, record.commit)
    if stages is None:
        yield "data", f"its commit holds no {LOCK}: its stages ran without DVC, and nothing brings them back"
        return
    for place, digest in cached_outs(stages).items():
        if digest is None:
            yield place, f"{LOCK} says nothing of {PLACES[place]}"
        elif place in _DIGESTED and digest != record.lineage[_IN_LINEAGE.get(place, place)]:
            yield place, f"{LOCK} says {digest}, the record says {record.lineage[_IN_LINEAGE.get(place, place)]}"
        elif wrong := known.complaint(digest, is_strict=is_strict, run_id=record.run_id):
            yield place, wrong


def _scores(found: Evidence, record: Record) -> Iterator[tuple[str, str]]:
    """Ask for the evaluation, and for the gate's verdict on it."""
    if not record.lineage["scores"]["models"].get("adapter"):
        yield "evaluation", "its record holds no scores of the adapter"
    verdict, told = found.verdict(record.version), found.tags[record.version].get("verdict")
    if verdict is None:
        yield "verdict", "the gate's decision on it is not in the ledger"
    elif told != verdict:
        yield "verdict", f"the ledger says {verdict}, its tag says {told}"


def _registered(found: Evidence, record: Record, *, is_strict: bool) -> Iterator[tuple[str, str]]:
    """Compare what the registry tells with the record, and what it holds with its digest."""
    run_id = stand_in.found(found.model, record.run_id)
    if run_id is None:
        yield "run", f"MLflow does not have the run {record.run_id} that made it"
    yield from shown.broken(found, record, run_id, is_strict=is_strict)
    if run_id:
        yield from witnesses.broken(found, record, is_strict=is_strict)
    digest = registry.digest_of_weights(found.model, record.version)
    if digest != record.lineage["adapter"]:
        yield (
            "weights",
            f"they digest to {digest or 'nothing, they are gone'}, the record says {record.lineage['adapter']}",
        )


def _version_of_base(found: Evidence, version: str) -> Iterator[tuple[str, str]]:
    """Compare what the registry tells of a base with its record."""
    known, tags = found.bases.get(version), found.base_tags.get(version, found.tags.get(version))
    if known is None and version in found.records:
        yield f"tag {registry.KIND}", "it says that this is a base, and its record that it was trained"
        return
    if known is None:
        yield "record", f"no tag {tag(found.model, version)} leads to its commit: {_TAG_LOST}"
        return
    yield from _files(found.root, known.commit)
    if tags is None:
        if not any(said.get(BASE) == known.base for said in found.base_tags.values()):  # else it was entered anew
            yield "registry", "the registry has lost it: put mlflow.db back, or `dopsd model restore` enters it anew"
    else:
        yield from shown.differing(tags, base.tags(known.base, known.entered) | {"commit": known.commit})
        if registry.page(found.model, version) != base.page(known):
            yield "page", "it is not what its record says"


def _base(found: Evidence) -> Iterator[Break]:
    """Compare the alias `base` with the base that the newest version was made on."""
    for newest in list(found.records.values())[-1:]:
        name, live = newest.lineage["base"], aliases.base(found.model)
        wanted = [version for version, tags in found.base_tags.items() if tags.get(BASE) == name]
        if live not in wanted:
            there = wanted[0] if wanted else "no version"
            yield Break(
                "-", "alias base", f"it is {live or 'not set'}, {newest.version} was made on {name}, which is {there}: "
                "`dopsd model restore` sets it",
            )  # fmt: skip


def _weights_of_bases(found: Evidence) -> Iterator[Break]:
    """Digest the bases anew that what serves, and what is newest, was made on; they lie outside of DVC."""
    serving = {getattr(entry, alias) for entry in found.decided[-1:] for alias in ledger.ALIASES}
    asked = {record.lineage["base"] for record in [*list(found.records.values())[-1:], *_of(found, serving)]}
    for known in (known for known in found.bases.values() if known.base in asked):
        folder = found.root / known.folder
        there = weights_of(folder) if folder.is_dir() else "gone"
        if there != known.base:
            yield Break(known.version, "weights", f"{known.folder} is {there}, the record says {known.base}")


def _of(found: Evidence, versions: Collection[str | None]) -> list[Record]:
    return [record for version, record in found.records.items() if version in versions]


def _aliases(found: Evidence) -> Iterator[Break]:
    """Compare the aliases with the last decision."""
    last, live = found.decided[-1] if found.decided else None, aliases.aliases(found.model)
    for alias, version in live.items():
        entered = getattr(last, alias) if last else None
        if version != entered:
            yield Break("-", f"alias {alias}", f"it is {version or 'not set'}, the ledger says {entered or 'not set'}")
    marked = aliases.mark(found.model)
    if (last.digest if last else None) != marked:
        yield Break("-", "ledger", f"its last decision is not the one that moved the aliases last ({marked})")

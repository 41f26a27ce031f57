"""Enter what a registry has lost again, from git, DVC and the ledger alone.

    dopsd model restore

A version gets its number, tags, weights, record and page back, its run the params, curves, scores, dataset and
pictures; a base its number, tags and page. The aliases go where the ledger says, and to the base of the newest version.
What MLflow chooses itself is new: ids, and when things were entered.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tasks.ancestry.bases import Base, bases
from tasks.ancestry.records import CAPTIONS, IMAGES, LINEAGE, Record, in_order, records, stages, texts
from tasks.params import Params, parse
from tasks.pipeline import PLACES
from tasks.takedown.receipt import TAKEDOWNS, receipts
from tasks.versions import base, ledger, marks, promotion, registry, run_record, stand_in, taken_down, verdict
from tasks.versions.lineage import Lineage
from tasks.versions.presentation import Entered, present, tell
from tasks.versions.stored import Stores, stores
from tasks.versions.succession import given_up
from tasks.versions.version_commit import outs

_READ = ("adapter", "scores", "probe")


def restore(root: Path, model: str) -> list[str]:
    """Enter the versions that the registry lacks, or has in part; gives their names. Run again, it goes on.

    The base of the newest becomes a version where it is none yet. Raises ValueError or FileNotFoundError naming what
    git, DVC or the ledger no longer has.
    """
    known, begun = records(root, model), bases(root, model)
    book = ledger.read(root)
    entries = [entry for entry in ledger.of_model(book, model) if entry.action != "found"]
    decided = {entry.version: entry for entry in entries if entry.verdict}
    if lost := [version for version in known if version not in decided]:
        raise ValueError(f"the ledger says nothing of {lost[0]}: {ledger.MEND}")
    copied = {entry.version: ledger.until(book, entry.number) for entry in entries}
    there = registry.versions(model) | registry.bases(model)
    done, left = {version for version, tags in there.items() if "commit" in tags}, given_up(entries)
    lacking = [version for version in in_order({*known, *begun}) if version not in done]
    missing = [version for version in lacking if version not in left]
    with stores(root) as stored:
        for version in lacking if missing else ():
            if version in left:
                registry.hold_place(model, version)
            elif version in begun:
                _enter_base(root, model, begun[version])
            else:
                with _brought(root, known[version], stored) as reads:
                    _enter(model, known[version], reads)
        if missing:
            _settle(root, model, missing, left)
        for version in (one for one in missing if one in known):
            with _brought(root, known[version], stored) as reads:
                told = texts(root, known[version].commit, LINEAGE, IMAGES, CAPTIONS)
                run_record.keep(model, version, told | {"ledger.jsonl": copied[version]})
                _show(root, known[version], decided[version], reads)
    named = {*there, *missing}
    return missing + [version for version in _newest_base(root, model, known) if version not in named]


def _newest_base(root: Path, model: str, known: Mapping[str, Record]) -> Iterator[str]:
    """Let the alias `base` name what the newest version was made on; gives that version."""
    for record in list(known.values())[-1:]:
        models = _params(record).models
        yield base.enter(root, model, record.lineage["base"], folder=models.base, family=models.family)


def _settle(root: Path, model: str, missing: Collection[str], left: Collection[str]) -> None:
    """Let versions be what people made of them: given up, taken down, champion."""
    for version in left:
        promotion.give_up(model, version, "given up", root)
    for receipt in receipts(root):
        for version in {*receipt.hit["trained"], *receipt.hit["descendants"]} & {*missing}:
            registry.tag(model, version, taken_down.TAG, str(TAKEDOWNS / f"{receipt.name}.json"))
    promotion.standing(model, root)  # the aliases want their versions first


def _enter_base(root: Path, model: str, known: Base) -> None:
    entered = base.enter(root, model, known.base, folder=known.folder, family=known.family, was=known.version)
    _check_number(known.version, entered)


def _check_number(version: str, entered: str) -> None:
    if entered != version:
        raise ValueError(f"MLflow entered {version} as {entered}: restore into an empty mlflow.db, numbers stay")


def _enter(model: str, record: Record, reads: Mapping[str, Path]) -> None:
    """Enter the weights under the number that they had, and what their run is judged by."""
    lineage, params = Lineage(**record.lineage), _params(record)
    run_id = stand_in.found(model, record.run_id)
    run_id = run_id or stand_in.begun(params, record.run_id, reads["adapter"] / "curves.csv")
    version = registry.enter(model, lineage, reads["adapter"], run_id)
    _check_number(record.version, version)
    for key, text in record.entered.items():
        registry.tag(model, version, key, text)
    verdict.keep_marks(version, params, reads["scores"])


def _show(root: Path, record: Record, entry: ledger.Entry, reads: Mapping[str, Path]) -> None:
    """Write verdict and page, by the comparison that the gate made last."""
    lineage, params, version = Lineage(**record.lineage), _params(record), record.version
    run_id = str(stand_in.found(entry.model, record.run_id))
    tell(run_id, lineage, reads, registry.model_id(entry.model, version))
    registry.tag(entry.model, version, "verdict", str(entry.verdict))
    scored = marks.marks(reads["scores"], params)
    decision = verdict.judged(lineage, scored, entry.rival, params, reads["scores"])
    entered = Entered(entry.model, version, lineage, run_id, record.entered, record.commit)
    present(entered, verdict.Judged(decision, entry.rival), root, reads)


def _params(record: Record) -> Params:
    return parse(record.lineage["params"])


@contextmanager
def _brought(root: Path, record: Record, stored: Stores) -> Iterator[dict[str, Path]]:
    """Lend what the stage register read of a version: outputs from DVC, but for what was taken down; texts from git."""
    digests = outs(stages(root, record))
    with TemporaryDirectory() as folder:
        reads = {place: Path(folder) / place for place in (*_READ, "captions")}
        for place in _READ:
            stored.bring(str(digests.get(PLACES[place])), reads[place], is_whole=False)
        reads["captions"].mkdir()
        (reads["captions"] / CAPTIONS).write_text(texts(root, record.commit, CAPTIONS)[CAPTIONS], encoding="utf-8")
        yield reads

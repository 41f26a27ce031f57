"""Enter what a registry has lost again, from git, DVC and the ledger alone.

    dopsd model restore

A version gets its number, tags, weights, record and page back, its run the params, curves, scores, dataset and
pictures; the aliases go where the ledger says. What MLflow chooses itself is new: ids, and when things were entered.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tasks.ancestry.records import CAPTIONS, IMAGES, LINEAGE, Record, records, stages, texts
from tasks.params import Params, parse
from tasks.pipeline import PLACES
from tasks.takedown.receipt import TAKEDOWNS, receipts
from tasks.versions import ledger, marks, promotion, registry, run_record, stand_in, taken_down, verdict
from tasks.versions.lineage import Lineage
from tasks.versions.presentation import Entered, present, tell
from tasks.versions.stored import Stores, stores
from tasks.versions.succession import given_up
from tasks.versions.version_commit import outs

_READ = ("adapter", "scores", "probe")


def restore(root: Path, model: str) -> list[str]:
    """Enter the versions that the registry lacks, or has in part; gives their names. Run again, it goes on.

    Raises ValueError or FileNotFoundError naming what git, DVC or the ledger no longer has.
    """
    known = records(root, model)
    book = ledger.read(root)
    entries = [entry for entry in ledger.of_model(book, model) if entry.action != "found"]
    decided = {entry.version: entry for entry in entries if entry.verdict}
    if lost := [version for version in known if version not in decided]:
        raise ValueError(f"the ledger says nothing of {lost[0]}: {ledger.MEND}")
    copied = {entry.version: ledger.until(book, entry.number) for entry in entries}
    done = {version for version, tags in registry.versions(model).items() if "commit" in tags}
    left = given_up(entries)
    missing = [version for version in known if version not in done | left]
    with stores(root) as stored:
        for version in (one for one in known if missing and one not in done):
            if version in left:
                registry.hold_place(model, version)
                continue
            with _brought(root, known[version], stored) as reads:
                _enter(model, known[version], reads)
        if missing:
            _settle(root, model, missing, left)
        for version in missing:
            with _brought(root, known[version], stored) as reads:
                told = texts(root, known[version].commit, LINEAGE, IMAGES, CAPTIONS)
                run_record.keep(model, version, told | {"ledger.jsonl": copied[version]})
                _show(root, known[version], decided[version], reads)
    return missing


def _settle(root: Path, model: str, missing: Collection[str], left: Collection[str]) -> None:
    """Let versions be what people made of them: given up, taken down, champion."""
    for version in left:
        promotion.give_up(model, version, "given up", root)
    for receipt in receipts(root):
        for version in {*receipt.hit["trained"], *receipt.hit["descendants"]} & {*missing}:
            registry.tag(model, version, taken_down.TAG, str(TAKEDOWNS / f"{receipt.name}.json"))
    promotion.standing(model, root)  # the aliases want their versions first


def _enter(model: str, record: Record, reads: Mapping[str, Path]) -> None:
    """Enter the weights under the number that they had, and what their run is judged by."""
    lineage, params = Lineage(**record.lineage), _params(record)
    run_id = stand_in.found(model, record.run_id)
    run_id = run_id or stand_in.begun(params, record.run_id, reads["adapter"] / "curves.csv")
    version = registry.enter(model, lineage, reads["adapter"], run_id)
    if version != record.version:
        raise ValueError(f"MLflow entered {record.version} as {version}: restore into an empty mlflow.db, numbers stay")
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

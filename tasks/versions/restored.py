"""Enter what a registry has lost again, from git, DVC and the ledger alone.

    dopsd model restore

A version gets its number, tags, weights, record and page back, its run the params, curves, scores, dataset and
pictures; a base its number, tags and page. The aliases go where the ledger says, and to the base of the newest version.
What MLflow chooses itself is new: ids, and when things were entered.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tasks.ancestry.records import CAPTIONS, IMAGES, LINEAGE, Record, in_order, stages, tagged, texts
from tasks.params import Params, parse
from tasks.pipeline import PLACES
from tasks.takedown.receipt import receipts
from tasks.takedown.trace import GRID
from tasks.versions import base, ledger, marks, promotion, registry, run_record, stand_in, taken_down, verdict
from tasks.versions.lacking import Lacking, lacking
from tasks.versions.lineage import Lineage
from tasks.versions.presentation import Entered, present, tell
from tasks.versions.stored import Stores, stores
from tasks.versions.version_commit import outs, tag_again

_READ = ("adapter", "scores", "probe")


def restore(root: Path, model: str) -> list[str]:
    """Enter the versions that the registry lacks, or has in part; gives their names. Run again, it goes on.

    A tag of git that is gone is set again while git has its commit; the base of the newest becomes a version where it
    is none. Raises ValueError or FileNotFoundError naming what git, DVC or the ledger no longer has, and ValueError
    before anything is entered where MLflow gives a number no second time.
    """
    found_again, lack = _tagged_again(root, model), lacking(root, model)
    with stores(root) as stored:
        for version in lack.numbers:
            _take_place(root, model, lack, version, stored)
        if lack.missing:
            _settle(root, model, lack)
        for version in (one for one in lack.missing if one in lack.records):
            record = lack.records[version]
            with _brought(root, record, stored) as reads:
                told = texts(root, record.commit, LINEAGE, IMAGES, CAPTIONS)
                run_record.keep(model, version, told | {"ledger.jsonl": lack.ledger(version)})
                _show(root, record, lack.decision(version), reads)
    anew = {*_newest_base(root, model, lack.records)} - lack.there
    return in_order({*found_again, *lack.missing, *anew})


def _tagged_again(root: Path, model: str) -> list[str]:
    """Set the tags of git that are gone of versions which the registry has, while git has their commits."""
    there, known = tagged(root, model), registry.versions(model) | registry.bases(model)
    gone = {version: tags.get("commit", "") for version, tags in known.items() if version not in there}
    return [version for version, commit in gone.items() if tag_again(root, model, version, commit)]


def _take_place(root: Path, model: str, lack: Lacking, version: str, stored: Stores) -> None:
    """Enter a version under its number; of one that was given up the number alone is used."""
    if version in lack.given_up:
        registry.hold_place(model, version)
    elif was := lack.bases.get(version):
        base.enter(root, model, was.base, folder=was.folder, family=was.family, was=version)
    else:
        with _brought(root, lack.records[version], stored) as reads:
            _enter(model, lack.records[version], reads)


def _newest_base(root: Path, model: str, known: Mapping[str, Record]) -> Iterator[str]:
    """Let the alias `base` name what the newest version was made on; gives that version."""
    for record in list(known.values())[-1:]:
        models = _params(record).models
        yield base.enter(root, model, record.lineage["base"], folder=models.base, family=models.family)


def _settle(root: Path, model: str, lack: Lacking) -> None:
    """Let versions be what people made of them: given up, taken down, champion."""
    for version in lack.given_up:
        promotion.give_up(model, version, "given up", root)
    for receipt in receipts(root):
        for version in {*receipt.hit["trained"], *receipt.hit["descendants"]} & {*lack.missing}:
            registry.tag(model, version, taken_down.TAG, receipt.place)
    promotion.standing(model, root)  # the aliases want their versions first


def _enter(model: str, record: Record, reads: Mapping[str, Path]) -> None:
    """Enter the weights under the number that they had, and what their run is judged by."""
    lineage, params = Lineage(**record.lineage), _params(record)
    run_id = stand_in.found(model, record.run_id)
    run_id = run_id or stand_in.begun(params, record.run_id, reads["adapter"] / "curves.csv")
    version = registry.enter(model, lineage, reads["adapter"], run_id)
    registry.check_number(model, record.version, version)
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
    """Lend what the stage register read of a version: outputs from DVC, but for what was taken down; texts from git.

    Of a version that learnt from a picture that was taken down nothing is shown, even where others drew the same.
    """
    digests = outs(stages(root, record))
    is_hit = any(record.lineage["dataset"] in receipt.hit["datasets"] for receipt in receipts(root))
    with TemporaryDirectory() as folder:
        reads = {place: Path(folder) / place for place in (*_READ, "captions")}
        for place in _READ:
            stored.bring(str(digests.get(PLACES[place])), reads[place], is_whole=False)
            if is_hit:
                (reads[place] / GRID).unlink(missing_ok=True)
        reads["captions"].mkdir()
        (reads["captions"] / CAPTIONS).write_text(texts(root, record.commit, CAPTIONS)[CAPTIONS], encoding="utf-8")
        yield reads

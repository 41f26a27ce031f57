"""The bundle: weights, card, bill of materials and record of a version, in a folder, with a signed statement on it all.

dopsd provenance make v7 --private-key ../signing.pem --out ../v7
"""

import shutil
from pathlib import Path

from dopsd.weights.trained import FILE, FOLDER, is_whole
from tasks.folders import sha256_of_file, staged_folder, write_bytes, write_text
from tasks.provenance.bill_of_materials import bill_of_materials
from tasks.provenance.card import card
from tasks.provenance.facts import PANEL, Facts, facts
from tasks.provenance.signature import private_key, public_pem, signed
from tasks.provenance.statement import statement
from tasks.provenance.verification import SIGNER, STATEMENT
from tasks.scoring.panels import prompts
from tasks.versions.lineage import digest_of_trained

CARD, BILL, RECORD = "README.md", "bom.cdx.json", "record"


def make(root: Path, model: str, trained: Path, out: Path, key: Path) -> None:
    """Write the bundle of the version whose weights are in the folder `trained`, which is named after it, to `out`.

    The same record gives the same bytes, but for the signature; a bundle that is there is replaced. Raises ValueError
    where the weights are not those of the record, or where something else is there.
    """
    if out.exists() and not (out / STATEMENT).is_file():
        raise ValueError(f"{out} is there, and is no bundle: name a new folder with --out")
    signer, found = private_key(key), facts(root, model, trained.name)
    if digest_of_trained(trained) != found.record.lineage["adapter"]:
        raise ValueError(f"{trained} does not hold the weights that {trained.name} is recorded with: ask `dopsd audit`")
    with staged_folder(out.resolve()) as staged:
        _fill(staged, found, trained)
        write_bytes(staged / SIGNER, public_pem(signer))
        paths = [path for path in staged.rglob("*") if path.is_file()]
        digests = {path.relative_to(staged).as_posix(): sha256_of_file(path) for path in paths}
        write_bytes(staged / STATEMENT, signed(statement(digests, found), signer))


def _fill(staged: Path, found: Facts, trained: Path) -> None:
    """Write all that the statement is on."""
    if is_whole(trained):
        shutil.copytree(trained / FOLDER, staged / FOLDER)
    else:
        shutil.copyfile(trained / FILE, staged / FILE)
    for name, text in found.texts.items():
        write_bytes(staged / RECORD / name, text)
    panel = staged / RECORD / PANEL
    write_text(staged / CARD, card(found, prompts(panel) if panel.is_file() else []))
    write_text(staged / BILL, bill_of_materials(found))

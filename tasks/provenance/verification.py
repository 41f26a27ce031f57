"""Whether a bundle is what was signed, to the byte; no project, registry or git is asked.

dopsd provenance verify ../v7 --public-key signing.pub.pem
"""

from dataclasses import dataclass
from pathlib import Path

from tasks.folders import sha256_of_file
from tasks.provenance.signature import opened, public_key
from tasks.provenance.statement import digests_of

STATEMENT, SIGNER = "provenance.intoto.jsonl", "signer.pem"


@dataclass(frozen=True)
class Fault:
    """A file of the bundle, and what is wrong with it."""

    file: str
    wrong: str


def verify(folder: Path, trusted: Path | None = None) -> list[Fault]:
    """Find what is not as it was signed, by the key in the file `trusted`, or by whichever key lies in the bundle.

    Raises FileNotFoundError where there is no bundle.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no bundle {folder}: `dopsd provenance make` writes one")
    missing = [Fault(name, "is missing") for name in (STATEMENT, SIGNER) if not _is_plain(folder / name)]
    if missing:
        return missing
    key = trusted or folder / SIGNER
    try:
        stated = digests_of(opened((folder / STATEMENT).read_bytes(), public_key(key)))
    except ValueError as error:
        return [Fault(STATEMENT, f"does not go with {key.name}: {error}")]
    return _compared(folder, stated)


def signer(folder: Path) -> str:
    """Name the key that signed a bundle, by its digest."""
    return str(public_key(folder / SIGNER).keyid)


def _compared(folder: Path, stated: dict[str, str]) -> list[Fault]:
    """Compare the files that are there with those that were stated; a link is no file."""
    paths = [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
    there = {path.relative_to(folder).as_posix(): path for path in paths}
    del there[STATEMENT]
    wrong = dict.fromkeys(stated.keys() - there.keys(), "is missing")
    wrong |= dict.fromkeys(there.keys() - stated.keys(), "was added")
    for name in stated.keys() & there.keys():
        if not _is_plain(there[name]) or sha256_of_file(there[name]) != stated[name]:
            wrong[name] = "was changed"
    return [Fault(name, wrong[name]) for name in sorted(wrong)]


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()

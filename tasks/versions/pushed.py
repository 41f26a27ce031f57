"""Bring what every version needs to DVC's remote, where `dopsd audit --strict` then finds it.

>>> push(Path(), "anime")  # Pushed(num_sent=61, lost=[])

`dvc push --all-tags` does not: with a remote of a relative address it writes to the root of the disk (DVC 3.67 reads a
commit as if it lay there), and it believes what it remembers of a remote that has lost something since.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dvc.config import NoRemoteError
from dvc.repo import Repo

from tasks.ancestry.records import records
from tasks.takedown.receipt import removed
from tasks.versions import ledger
from tasks.versions.stored import stores
from tasks.versions.succession import given_up
from tasks.versions.version_commit import cached_outs, locked


@dataclass(frozen=True)
class Pushed:
    """How many objects were sent, and the digests that neither cache nor remote has."""

    num_sent: int
    lost: list[str]


def push(root: Path, model: str) -> Pushed:
    """Send what the remote lacks of any version that was not given up: files first, lists of files after them.

    Raises ValueError where there is no remote, and what DVC raises, mostly OSError, where it does not take all; what it
    took until then stays.
    """
    wanted, lost = _wanted(root, model)
    with Repo(str(root)) as repo:
        try:
            cache, remote = repo.cache.local, repo.cloud.get_remote_odb()
        except NoRemoteError as error:
            raise ValueError("DVC has no remote: `dvc remote add --default NAME URL` names one") from error
        lacking = wanted.difference(remote.oids_exist(sorted(wanted)))
        there = sorted(digest for digest in lacking if cache.exists(digest))
        for is_list in (False, True):
            going = [digest for digest in there if digest.endswith(".dir") is is_list]
            remote.add([cache.oid_to_path(digest) for digest in going], cache.fs, going)
    return Pushed(len(there), sorted(lost.union(lacking).difference(there)))


def _wanted(root: Path, model: str) -> tuple[set[str], set[str]]:
    """Digest what the versions need, lists and files; and name the lists that are gone.

    What a takedown removed of a version is not sent again, from a cache that still holds it.
    """
    gone, wanted, lost = given_up(ledger.of_model(ledger.read(root), model)), set[str](), set[str]()
    takedowns = removed(root)
    with stores(root) as known:
        files = cache(known.files)  # versions have much in common
        for record in (one for one in records(root, model).values() if one.version not in gone):
            for digest in set(_kept(root, record.commit)) - takedowns.of(record.run_id):
                try:
                    listed = files(digest).values() if digest.endswith(".dir") else []
                    wanted.update({digest, *listed} - takedowns.of(record.run_id))
                except FileNotFoundError:
                    lost.add(digest)
    return wanted, lost


def _kept(root: Path, commit: str) -> Iterable[str]:
    return filter(None, cached_outs(locked(root, commit) or {}).values())

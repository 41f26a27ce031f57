"""What a branch or tag of a git repository holds, also what DVC keeps for it: git+https://host/photos.git@main.

    Repository("git+ssh://git@host/datasets.git@main#subdirectory=photos").marks()

The address is written as pip writes it. Each look asks for the commit alone, and a commit never changes: an upload
there is whole once it is pushed. Credentials are git's own, and those of DVC's remote where its tools find them.
"""

import atexit
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, urlsplit

from dvc.api import DVCFileSystem
from dvc.repo.open_repo import clean_repos

from tasks.folders import md5_of_file
from tasks.triggers.sources.source import Changed, Unreachable

PREFIX = "git+"
_FORM = "write git+https://host/repository.git@branch#subdirectory=folder"
_ADDRESS = "correct the address, or the credentials of git or of DVC's remote"
atexit.register(clean_repos)  # DVC's clones lie in temporary folders


class Repository:
    """Files below a folder of a repository, as the last commit of a branch or tag has them."""

    def __init__(self, address: str) -> None:
        """Raise ValueError for what is no such address."""
        parts = urlsplit(address)
        path, at, revision = parts.path.rpartition("@")
        said = parse_qs(parts.fragment)
        if not (parts.scheme.startswith(PREFIX) and at and path and revision) or said.keys() - {"subdirectory"}:
            raise ValueError(f"{address} names no branch of a repository: {_FORM}")
        self._address, self._revision = address, revision
        self._url = parts._replace(scheme=parts.scheme.removeprefix(PREFIX), path=path, fragment="").geturl()
        self._folder = said.get("subdirectory", [""])[0].strip("/")
        self._files: Any = None
        self._rows: Mapping[str, Mapping[str, Any]] = {}
        self._commit = ""

    def marks(self) -> Mapping[str, str]:
        """List the files; raises Unreachable where git or DVC refuses, or knows no such branch or folder."""
        with self._told():
            if (commit := self._head()) != self._commit:
                self._read(commit)
        return {name: _mark(row) for name, row in self._rows.items()}

    @contextmanager
    def lent(self, name: str, mark: str) -> Iterator[Path]:
        """Bring the file to a folder that goes with the block; what DVC keeps must have the digest that it says."""
        if not self._commit:
            self.marks()
        row = self._rows.get(name)
        if row is None or _mark(row) != mark:
            raise Changed(name)
        with tempfile.TemporaryDirectory(prefix="dopsd-") as lent:
            path = Path(lent) / PurePosixPath(name).name
            with self._told():
                self._files.get_file(str(row["name"]), str(path))
                if (digest := _digest(row)) not in (None, md5_of_file(path)):
                    raise OSError(f"{name} is not what DVC recorded, {digest}: push it again")
            yield path

    def _head(self) -> str:
        """Ask the repository for the commit; a tag with a message is asked for what it tags."""
        names = (f"refs/heads/{self._revision}", f"refs/tags/{self._revision}^{{}}", f"refs/tags/{self._revision}")
        environment = os.environ | {"GIT_TERMINAL_PROMPT": "0"}
        asked = ["git", "ls-remote", "--", self._url, *names]
        answer = subprocess.run(asked, env=environment, capture_output=True, text=True, check=False)
        if answer.returncode:
            raise OSError(answer.stderr.strip().partition("\n")[0])
        found = {name: commit for commit, name in (line.split("\t") for line in answer.stdout.splitlines())}
        if not found:
            raise FileNotFoundError(f"there is no branch or tag {self._revision}")
        return next(found[name] for name in names if name in found)

    def _read(self, commit: str) -> None:
        """List what the commit has below the folder."""
        files = DVCFileSystem(self._url, rev=commit)
        if self._folder and not files.isdir(self._folder):
            raise FileNotFoundError(f"{self._revision} has no folder {self._folder}")
        rows = files.find(self._folder or "/", detail=True)
        below = f"{self._folder}/" if self._folder else ""
        self._rows = {path.lstrip("/").removeprefix(below): row for path, row in rows.items()}
        self._files, self._commit = files, commit

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Tell what git or DVC complains of, with the mend; raises Unreachable, as any of it may pass."""
        try:
            yield
        except Exception as error:  # each kind of remote has errors of its own
            raise Unreachable(f"{self._address} cannot be read ({error}): {_ADDRESS}") from error


def _mark(row: Mapping[str, Any]) -> str:
    """Name the content of a file: by DVC's digest, or by git's name of it."""
    return str(row.get("md5") or row["fs_info"]["sha"])


def _digest(row: Mapping[str, Any]) -> str | None:
    """Give the MD5 that DVC says a file has; none for git's own files, and where DVC 2 changed line ends for it."""
    kept = row["dvc_info"]["entry"].hash_info if "dvc_info" in row else None
    return kept.value if kept and kept.name == "md5" else None

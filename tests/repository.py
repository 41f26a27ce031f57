"""A fake workspace in a git repository, and what a person has in one.

home = committed(FakeWorkspace.at(folder)); before = photographed(home.root)
"""

import subprocess
from pathlib import Path

from tests.fake_workspace import FakeWorkspace

_CONFIG = "[core]\n    analytics = false\n    remote = storage\n['remote \"storage\"']\n    url = storage\n"
IGNORED = ["data/", "runs/", "mlflow.db*", "mlruns/", "ran.txt", "models/", "photos", ".dvc/*", "!.dvc/config"]
_SOMEBODY = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.com")


def committed(workspace: FakeWorkspace, top: Path | None = None) -> FakeWorkspace:
    """Make the first commit at `top`, of all but models, photos and what runs make; no identity stays behind."""
    workspace.write(".dvc/config", _CONFIG)
    workspace.write(".gitignore", "\n".join(IGNORED) + "\n")
    git(top or workspace.root, "init", "--quiet")
    git(top or workspace.root, "add", ".")
    git(top or workspace.root, *_SOMEBODY, "commit", "--quiet", "-m", "one")
    return workspace


def commit(workspace: FakeWorkspace) -> None:
    """Commit what changed, as the person who owns the folder."""
    git(workspace.root, *_SOMEBODY, "commit", "--quiet", "--all", "-m", "another")


def git(root: Path, *words: str) -> str:
    """Let git do something, without the writes that it takes the occasion for."""
    command = ["git", "--no-optional-locks", *words]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def photographed(root: Path) -> dict[str, bytes]:
    """Read everything that is a person's own: branches, index, stashes, settings, and all files but what runs make."""
    of_git = ("HEAD", "index", "config", "packed-refs", "logs/HEAD", "COMMIT_EDITMSG")
    paths = [root / ".git" / name for name in of_git] + sorted((root / ".git/refs").rglob("*"))
    paths += [path for path in root.rglob("*") if path.relative_to(root).parts[0] not in (".git", "runs", "mlruns")]
    kept = [path for path in paths if path.is_file() and not path.name.startswith("mlflow.db")]
    kept = [path for path in kept if not path.is_relative_to(root / ".dvc/tmp") and ".dvc/cache" not in str(path)]
    return {str(path.relative_to(root)): path.read_bytes() for path in kept}

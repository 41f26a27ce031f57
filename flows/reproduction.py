"""Bring one stage up to date with DVC, in a process group that ends when this process does.

reproduce("caption", Budget(), is_forced=False)
"""

import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from flows.budget import Budget, OutOfTime
from tasks.passing import has_passing_failure, note, was_asked_to_end
from tasks.planning.code_record import refresh
from tasks.planning.staleness import ACCEPTED
from tasks.runner import RUNS, history

_PATIENCE_S = 60.0  # a training that is asked to end finishes its iteration and saves first


class StageFailed(RuntimeError):
    """A stage, or DVC, gave up; what it had to say is on stderr by then."""


class MayPass(StageFailed):
    """A stage gave up for what may be over soon: the network, a server that restarts."""


class GaveWay(MayPass):
    """A stage saved and ended because somebody asked it to: it gives way to what is more urgent."""


def reproduce(name: str, budget: Budget, *, is_forced: bool, is_upstream_stale: bool = False) -> bool:
    """Let DVC decide whether the stage runs in the current folder; tells whether it did.

    Raises StageFailed, MayPass where it may go well a little later, GaveWay where it goes on as soon as it has its
    turn again, and OutOfTime where it was asked to end because the budget does. What it writes is marked where its
    upstream is stale. DVC's own remarks go to runs/<stage>/dvc.log, the stage's progress and every complaint to our
    stderr.
    """
    refresh(Path())
    command = [sys.executable, "-m", "tasks.process", "dvc", "repro", "--single-item", name]
    command += ["--force"] if is_forced else []
    log, known = RUNS / name / "dvc.log", _times_run(name)
    note(RUNS / name, None)  # who is killed leaves no word, and an older one must not stand for it
    ours = environment(is_upstream_stale=is_upstream_stale)
    with log.open("wb") as remarks, child(command, ours, stdout=remarks.fileno()) as dvc:
        try:
            code = dvc.wait(None if math.isinf(budget.seconds) else max(0.0, budget.left()))
        except subprocess.TimeoutExpired as late:
            raise OutOfTime(f"{name} was asked to end, as the budget does") from late
        if code != 0:
            known_at = (RUNS / name).readlink() if (RUNS / name).is_symlink() else RUNS / name
            said = f"{name} failed; `dopsd stage {name}` tries it alone, {known_at} has what is known"
            raise kind_of_failure(name)(said)
    return _times_run(name) > known


def kind_of_failure(name: str) -> type[StageFailed]:
    """Tell how a stage failed by what its process left."""
    if was_asked_to_end(RUNS / name):
        return GaveWay
    return MayPass if has_passing_failure(RUNS / name) else StageFailed


def _times_run(name: str) -> int:
    """Count the runs of a stage in the current folder; other workspaces write into the same history."""
    here = str(Path().resolve())
    return sum(row["stage"] == name and row.get("workspace") == here for row in history(Path()))


def environment(*, is_upstream_stale: bool) -> Mapping[str, str]:
    """Let `python` in dvc.yaml be the one that runs us, whether or not its environment is activated."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return os.environ | {"PATH": path, ACCEPTED: "stale" if is_upstream_stale else "fresh"}


@contextmanager
def child(
    command: Sequence[str], variables: Mapping[str, str], root: Path = Path(), stdout: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Lend a process in a group of its own; none of the group is left when the block ends, or when we are killed."""
    process = subprocess.Popen(command, env=variables, cwd=root, stdout=stdout, process_group=0)
    try:
        yield process
    finally:
        if process.poll() is None:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the whole group to stop, and insist after a while."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

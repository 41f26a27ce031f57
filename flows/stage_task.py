"""A stage as a Prefect task: `dvc repro --single-item` in a process of its own, which ends when this one does.

    stage_task(stage("caption"), is_forced=False)
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, State

from tasks import weak_teacher
from tasks.pipeline import PLACES, Stage
from tasks.runner import RUNS, history

_PR_SET_PDEATHSIG = 1
_PATIENCE_S = 5.0
Status = Literal["ran", "cached", "refused", "failed"]


@dataclass(frozen=True)
class Outcome:
    """What became of a stage, and how long that took."""

    name: str
    status: Status
    seconds: float


@task(task_run_name="{stage.name}", cache_policy=NO_CACHE, persist_result=False)
def stage_task(stage: Stage, *, is_forced: bool, is_weak_teacher_accepted: bool) -> State[Outcome]:
    """Bring one stage up to date in the current folder.

    The state's name is "Cached" where DVC found nothing to do, "Refused" where the probe found the teacher too weak. It
    raises RuntimeError where the stage failed; what the stage said is on stderr by then.
    """
    begun, known = time.monotonic(), len(history(Path()))
    code = _reproduced(stage, is_forced=is_forced)
    if code != 0:
        raise RuntimeError(f"{stage.name} failed")
    has_run = len(history(Path())) > known
    if stage.name == "probe" and _is_refused(is_weak_teacher_accepted=is_weak_teacher_accepted):
        status: Status = "refused"
    else:
        status = "ran" if has_run else "cached"
    outcome = Outcome(stage.name, status, round(time.monotonic() - begun, 2))
    name = {"ran": None, "cached": "Cached", "refused": "Refused"}[status]
    return Completed(name=name, data=outcome, message=f"{stage.name}: {status}")


def _reproduced(stage: Stage, *, is_forced: bool) -> int:
    """Run DVC; its own remarks go to a file beside the stage's state, the stage's progress to our stderr."""
    command = [sys.executable, "-m", "dvc", "repro", "--single-item", stage.name, *(["--force"] if is_forced else [])]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"  # `python` in dvc.yaml is ours
    log = RUNS / stage.name / "dvc.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as said, _child(command, os.environ | {"PATH": path}, said.fileno()) as child:
        return child.wait()


@contextmanager
def _child(command: list[str], environment: dict[str, str], stdout: int) -> Iterator[subprocess.Popen[bytes]]:
    """Lend a process in a group of its own; nothing of the group is left when the block ends, or when we are killed."""
    child = subprocess.Popen(command, env=environment, stdout=stdout, process_group=0, preexec_fn=_die_with_parent)
    try:
        yield child
    finally:
        if child.poll() is None:
            _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ask the whole group to stop, and insist after a while."""
    os.killpg(child.pid, signal.SIGTERM)
    try:
        child.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _is_refused(*, is_weak_teacher_accepted: bool) -> bool:
    """Read the probe's report; a person who accepts a weak teacher is put on record."""
    probe = Path(PLACES["probe"])
    if not weak_teacher.is_weak(probe):
        return False
    if is_weak_teacher_accepted:
        weak_teacher.accept(probe, RUNS)
    return not weak_teacher.is_accepted(probe, RUNS)

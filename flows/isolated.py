"""Run in a workspace of its own, whatever happens in this folder meanwhile.

dopsd run --isolated

A person's run is a child process there; a worker's enters it by a pull step, before it loads the flow. So all code that
runs is that of the commit.
"""

import atexit
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from flows.flown import ASKED
from flows.mistakes import told
from flows.reproduction import child
from tasks.git import environment as without_git
from tasks.lock import keep_through_exec
from tasks.workspaces.workspace import environment, left_out, workspace

_HOME = Path(__file__).parents[1]
_OURS = ("flows", "tasks", "dopsd")
_MOST_NAMES = 5


def run_isolated(home: Path, arguments: Sequence[str]) -> int:
    """Let `dopsd ARGUMENTS` run in a workspace of the last commit; gives its exit code."""
    names = left_out(home)
    if names:
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        told.print(f"left out, as it is not committed: {', '.join(names[:_MOST_NAMES])}{more}", markup=False)
    asked = {ASKED: str(time.time())}
    command = [sys.executable, "-m", "tasks.process", "flows.cli", *arguments]
    with workspace(home) as root, child(command, {**without_git(), **environment(home), **asked}, root) as started:
        return abs(started.wait())


def enter(home: str = str(_HOME), commit: str = "HEAD") -> dict[str, str]:
    """Serve as a pull step of a deployment: this process goes on in a workspace, which is gone when it ends.

    `home` is the folder whose commits, caches and registry it uses; by default the one that this code lies in.
    """
    stack = ExitStack()
    root = stack.enter_context(workspace(Path(home), commit))
    atexit.register(stack.close)
    keep_through_exec()  # after the pull steps a worker's process becomes Prefect's engine: what it holds is swept then
    os.environ.update(environment(Path(home)))
    sys.path.insert(0, str(root))
    for name in [name for name in sys.modules if name.partition(".")[0] in _OURS]:
        del sys.modules[name]  # from here on, modules come from the commit
    return {"directory": str(root)}

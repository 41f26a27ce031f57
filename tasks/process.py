"""End a process when the one that started it ends: whoever is killed leaves no orphan that goes on writing.

end_with_starter()
python -m tasks.process dvc repro        (a module of another's, run as a program under this rule)
"""

import ctypes
import os
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1


def end_with_starter(by: signal.Signals = signal.SIGTERM) -> None:
    """Ask Linux to end this process with its starter; where there is no such request (macOS), Ctrl-C still does."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, by)
    if os.getppid() == 1:
        sys.exit("the process that started this one is gone")


if __name__ == "__main__":
    end_with_starter(by=signal.SIGKILL)  # asked to end, Prefect first tells its server, for minutes if that is gone too
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)

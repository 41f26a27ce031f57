"""Do what is asked for, or take what came of it where somebody else did the same since we asked.

flown(Path(), Selection(), accept_weak_teacher=False, asked=time.time(), fly=lambda: [...])
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

from flows.mistakes import told
from flows.summary import Outcome, Summary
from tasks.planning.selection import Selection
from tasks.workspaces.flight import flight
from tasks.workspaces.request import digest

ASKED = "DOPSD_ASKED"
"""When somebody asked, in seconds of the epoch, where that was before this process began."""


def asked_now() -> float:
    """Say when this process was asked for what it does."""
    return float(os.environ.get(ASKED, time.time()))


def flown(
    root: Path, selection: Selection, *, accept_weak_teacher: bool, asked: float, fly: Callable[[], list[Outcome]]
) -> Summary:
    """Have our turn at this request, and `fly` unless it landed since `asked`; what it came to is told to who waits."""
    key = digest(root, selection, accept_weak_teacher=accept_weak_teacher)
    with flight(root, key, asked) as mine:
        if mine.landed is not None:
            told.print("another run did the same meanwhile; this is what it came to")
            return Summary.joined(mine.landed)
        summary = Summary.of(fly(), root)
        is_deferred = summary.outcomes[-1].status == "deferred"
        mine.land(summary.landed(), is_over=summary.is_done, is_answer=not is_deferred)
    return summary

"""Have so many runs made, some at a time, and each again whose failure may pass; those of an earlier try end before.

work_off(100, 4, begin, left=[], budget=Budget())        (begin(3) makes the third run, and gives its id)
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from uuid import UUID

from flows.assigned import ask_to_end, ended, failure_of
from flows.budget import Budget, OutOfTime
from flows.mistakes import told
from flows.reproduction import MayPass, StageFailed

_TIMES = 4
"""So often a run is begun at most."""
_LOOK_S = 2.0
_BEFORE = 0
"""Numbers the runs of an earlier try."""


def work_off(
    of: int,
    at_once: int,
    begin: Callable[[int], UUID],
    left: Sequence[UUID],
    budget: Budget,
    arrived: Callable[[int], StageFailed | None] = lambda number: None,  # noqa: ARG005
) -> None:
    """Have runs 1 to `of` made; `arrived` hears of each that is done, and may tell a failure nevertheless.

    Raises StageFailed as the first run that failed does, and OutOfTime; those under way are then asked to end.
    """
    waiting, times, runs = deque(range(1, of + 1)), Counter[int](), dict.fromkeys(left, _BEFORE)
    try:
        while waiting or runs:
            while waiting and len(runs) < at_once and _BEFORE not in runs.values():
                number = waiting.popleft()
                times[number] += 1
                runs[begin(number)] = number
            time.sleep(_LOOK_S)
            for run, number in [(run, runs.pop(run.id)) for run in ended(runs)]:
                if number != _BEFORE and (failure := failure_of(run) or arrived(number)):
                    waiting.append(_again(number, times[number], failure))
            if budget.left() <= 0:
                raise OutOfTime("the runs under way were asked to end, as the budget does")
    finally:
        for one in runs:
            ask_to_end(one)


def _again(number: int, times: int, failure: StageFailed) -> int:
    """Let a run have another turn for what may go well then; raises what may not, or did not time after time."""
    if not isinstance(failure, MayPass) or times == _TIMES:
        raise StageFailed(str(failure))
    told.print(f"  {failure}; it is begun again", soft_wrap=True)
    return number

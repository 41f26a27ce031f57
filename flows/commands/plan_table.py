"""The plan as people and programs read it: a row a stage, why, how many images, how long.

show(plan(root), console); as_json(plan(root))
"""

from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tasks.planning.durations import clock
from tasks.planning.installation import numerics
from tasks.planning.plan import Plan
from tasks.planning.row import Decision, Row

_STYLES = {Decision.RUN: "green", Decision.CACHED: "dim", Decision.MAYBE: "yellow"}
_MOST_REASONS = 5


def show(found: Plan, console: Console) -> None:
    """Print the table, what it may take in all, and what could not be followed."""
    table = Table("stage", "", "why", "images", "expected", box=None, pad_edge=False, header_style="bold")
    for row in found.rows:
        decision = Text(row.decision, _STYLES[row.decision])
        table.add_row(row.name, decision, Text(_why(row)), _images(row), _expected(row))
    console.print(table)
    if not found.is_idle:
        console.print(_total(found))
    for warning in found.warnings:
        console.print(f"warning: {warning}: changes of what it leads to go unseen", style="yellow", markup=False)


def as_json(found: Plan) -> dict[str, object]:
    """Give what `dopsd plan --json` prints; times are null where a stage never ran on such a device."""
    least, most = _seconds(found)
    return {
        "stages": [asdict(row) for row in found.rows],
        "stale": [row.name for row in found.stale],
        "seconds": {"least": least, "most": most},
        "gpu_hours": {"least": _gpu_hours(least), "most": _gpu_hours(most)},
        "warnings": list(found.warnings),
    }


def _why(row: Row) -> str:
    """List reasons, the first few of many."""
    more = len(row.reasons) - _MOST_REASONS
    return "\n".join([*row.reasons[:_MOST_REASONS], *([f"... and {more} more (--json)"] if more > 0 else [])])


def _images(row: Row) -> str:
    """Say how many a stage that works image by image computes, of how many."""
    return str(row.images) if row.images else ""


def _expected(row: Row) -> str:
    if row.decision is Decision.CACHED:
        return ""
    return str(row.expected) if row.expected else "unknown, never ran here"


def _total(found: Plan) -> str:
    """Sum up what will run, and what may."""
    least, most = _seconds(found)
    if least is None or most is None:
        return "expected: unknown, as some of these stages never ran on this kind of device"
    spread = clock(most) if least == most else f"{clock(least)} to {clock(most)}, where all that may run does"
    return f"expected: {spread}; GPU hours: {_gpu_hours(most)}"


def _seconds(found: Plan) -> tuple[float | None, float | None]:
    return found.seconds(Decision.RUN), found.seconds(Decision.RUN, Decision.MAYBE)


def _gpu_hours(seconds: float | None) -> float | None:
    """Count the time of all stages, as a pool does that lends its GPU to the whole flow."""
    if numerics()["device"] != "cuda":
        return 0.0
    return None if seconds is None else round(seconds / 3600, 2)

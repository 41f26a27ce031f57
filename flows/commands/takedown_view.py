"""How a takedown looks in a terminal: what the picture reached, then a line for each thing that is to be done.

>>> show(plan(...), Console())
"""

from collections.abc import Iterator

from rich.console import Console

from flows.commands.lineage_view import image
from tasks.takedown.plan import LOOKED, NOT_LOOKED, Plan


def show(found: Plan, console: Console) -> None:
    """Print what was found, and where it was looked for."""
    console.print(image(found.reached))
    for line in (*_lines(found), f"looked at: {LOOKED}", f"not looked at: {NOT_LOOKED}"):
        console.print(line, markup=False, soft_wrap=True)


def _lines(found: Plan) -> Iterator[str]:
    for trace in found.traces:
        yield f"{trace.place}: {trace.name}"
    for row in found.unblocked:
        yield f"block-list: lacks {row.id}"
    for version in found.untagged:
        yield f"registry: {version} is not tagged as taken down"
    for alias, version in found.serving.items():
        goes = f"goes to {found.heir}" if alias == "champion" and found.heir else "is taken away: no clean one is there"
        yield f"alias {alias}: {version} holds it; it {goes}"
    for path in found.tracked:
        yield f"git: {path} is in its history, which is not rewritten (git filter-repo --invert-paths --path {path})"
    if found.is_clean:
        but = " but in git's history" if found.tracked else ""
        yield f"nothing of it is left{but}, and nothing serves that learnt from it"

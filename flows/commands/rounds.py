"""Learn one concept after another, as `dopsd run` does it week after week, and see what each round forgets.

    dopsd rounds --concepts 10 --out report/

Every arm is a workspace under `--out` in which a round is one `dopsd run --parent ...`; a round that is finished there
is not done again, so that it can be stopped at any moment.
"""

import importlib
import os
import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.compare import concepts_of
from flows.mistakes import mistakes_told, told
from tasks.comparison.concepts import Concept
from tasks.params import load
from tasks.planning.installation import numerics
from tasks.rounds.arm import ARMS, Arm, arm
from tasks.rounds.workspace import BASE, Round, begin, finish, finished, folder_of, laid_out, registry
from tasks.sections import Caption


def rounds(
    out: Annotated[Path, typer.Option(help="Where the report and the workspaces go; what is finished there stays.")],
    number: Annotated[int, typer.Option("--concepts", min=1, help="How many rounds, a concept each.")] = 10,
    arms: Annotated[str, typer.Option(help=f"Some of {', '.join(ARMS)}.")] = "gated,naive",
) -> None:
    """Learn so many concepts one after another, and report what each round forgets and what the gate says of it."""
    with mistakes_told():
        home, params, begun = Path(), load(Path()), time.monotonic()
        chosen = [arm(name, params.replay.share) for name in arms.split(",")]
        concepts = concepts_of(Path(params.compare.concepts), params.compare.drawn_by, number)
        roots = {one: laid_out(home, one, out) for one in chosen}
        done = {one: _done(root, one, concepts, params.caption) for one, root in roots.items()}
        command, most_lost = shlex.join(["dopsd", *sys.argv[1:]]), params.register.margins.retention_loss
        report = importlib.import_module("tasks.rounds.report")
        report.write(roots, done, command, _took(time.monotonic() - begun), out, most_lost=most_lost)
    told.print(f"{out}/report.md")


def _done(root: Path, arm: Arm, concepts: Sequence[Concept], caption: Caption) -> list[Round]:
    """Do the rounds of an arm that are not finished, and give the records of all."""
    done: list[Round] = []
    for number, concept in enumerate(concepts, start=1):
        taken = [one for one in done if arm.takes(one.verdict)]
        if finished(root, number, concept) is None:
            parent = taken[-1].version if taken else BASE
            begin(root, number, concept, [folder_of(root, one) for one in taken], caption)
            _run(root, parent)
            finish(root, number, concept, parent)
        record = finished(root, number, concept)
        assert record, "it was finished a line above"
        told.print(f"{arm.name}: {concept.name} from {record.parent}: {record.version} {record.verdict}")
        done.append(record)
    return done


def _run(root: Path, parent: str) -> None:
    """Do what `dopsd run --parent vN` does, in the workspace; a teacher that is weak is no reason to leave a round out.

    Raises ValueError where a stage failed.
    """
    os.environ.update(registry(root))
    run = importlib.import_module("flows.commands.run").run
    with chdir(root):
        try:
            run(parent=parent, accept_weak_teacher=True)
        except SystemExit as ended:
            if ended.code:
                raise ValueError(f"the round in {root} did not end well: the same command goes on from there") from None


def _took(seconds: float) -> str:
    """Say how long it took, and on what kind of machine."""
    machine = f"{numerics()['device']}, {os.cpu_count()} cores"
    return f"It took {seconds / 60:.0f} minutes ({machine}); what was finished before took none of it."

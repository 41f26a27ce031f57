"""What a picture reached, where it still lies, and what is to be done; the same answer is the plan and the proof.

>>> plan(Path(), load(Path()), "photo.jpg", max_bits=6, folders=[]).is_clean
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dopsd.gate import Verdict
from tasks.ancestry.records import BASE, Record, in_order, records
from tasks.ancestry.spread import Spread, reached
from tasks.ancestry.tree import ancestors
from tasks.git import said_if_it_can
from tasks.images.blocked import BlockedRow, blocked
from tasks.params import Params
from tasks.pipeline import PLACES
from tasks.runner import RUNS, located
from tasks.takedown.files import among_entries, among_outputs, among_people
from tasks.takedown.objects import objects
from tasks.takedown.receipt import receipts
from tasks.takedown.shown import shown
from tasks.takedown.trace import Trace
from tasks.takedown.wanted import Wanted, wanted
from tasks.versions import ledger, taken_down
from tasks.versions.aliases import aliases

LOOKED = (
    "ingest.source, data/, runs/store, batches of triggers, workspaces of runs, evaluate.earlier, folders named by "
    "--folder, DVC's cache and remotes, pictures of MLflow's runs, aliases, the block-list"
)
NOT_LOOKED = "the history of git, caches and clones elsewhere, the weights of models"


@dataclass(frozen=True)
class Plan:
    """What is to be done about a picture; nothing, where it is gone and nothing that learnt from it serves.

    `serving` are aliases of versions hit, `heir` the last clean ancestor of such a champion, if there is one.
    `untagged` versions do not say yet that they were hit, `unblocked` looks are not on the block-list. `parent` is what
    to train on from where params.yaml names a version hit. `tracked` are the files that git holds.
    """

    wanted: Wanted
    reached: Spread
    folders: tuple[str, ...]
    traces: tuple[Trace, ...]
    serving: Mapping[str, str]
    heir: str | None
    untagged: tuple[str, ...]
    unblocked: tuple[BlockedRow, ...]
    parent: str | None
    tracked: tuple[str, ...]

    @property
    def hit(self) -> tuple[str, ...]:
        """Name the versions that learnt from it, and all that descend from those."""
        return (*self.reached.trained, *self.reached.descendants)

    @property
    def is_clean(self) -> bool:
        """Tell whether there is nothing to be done."""
        return not (self.traces or self.serving or self.untagged or self.unblocked)


def plan(root: Path, params: Params, asked: str, *, max_bits: int, folders: Sequence[Path]) -> Plan:
    """Look everywhere; nothing is changed. Raises what `wanted` raises, and FileNotFoundError for a missing folder."""
    name = params.register.model
    known = records(root, name)
    meant = wanted(root, known, asked, max_bits)
    met = reached(root, name, known, asked, sorted(meant.ids))
    hit = {*met.trained, *met.descendants}
    held = {alias: version for alias, version in aliases(name).items() if version in hit}
    also = sorted(
        {*map(str, folders), *(one for row in receipts(root) if row.name == meant.name for one in row.folders)}
    )
    traces = tuple(_traces(root, params, meant, met, [Path(folder) for folder in also], known))
    taken, listed = taken_down.taken(name), set(blocked(root / PLACES["blocked"]).rows)
    parent = params.train.parent
    return Plan(
        meant, met, tuple(also), traces,
        {alias: version for alias, version in held.items() if version},
        _heir(root, name, known, str(held["champion"]), hit) if held.get("champion") else None,
        tuple(version for version in in_order(hit) if version not in taken),
        tuple(row for row in meant.rows if row not in listed),
        (_heir(root, name, known, parent, hit) or BASE) if parent in hit else None,
        tuple(_tracked(root, traces)),
    )  # fmt: skip


def _traces(
    root: Path, params: Params, meant: Wanted, met: Spread, folders: Sequence[Path], known: Mapping[str, Record]
) -> Iterator[Trace]:
    """Go through all places, what people gave first."""
    for place, folder in _of_people(root, params):
        if folder.exists():
            yield from among_people(place, folder, meant)
    for folder in folders:
        yield from among_people("folders", folder, meant)
    yield from among_outputs("data", root / "data", meant)
    for tree in sorted((root / RUNS / "workspaces").glob("*/tree/data")):
        yield from among_outputs("workspaces", tree, meant)
    yield from among_entries(root / RUNS, meant)
    yield from objects(root, meant, known)
    yield from shown(params.register.model, met.datasets)


def _of_people(root: Path, params: Params) -> Iterator[tuple[str, Path]]:
    """Name the folders that hold files as people gave them, and kept panels."""
    yield "source", root / located("source", params)
    yield from (("triggers", path) for path in sorted((root / RUNS / "triggers").glob("*/batches")))
    yield from (("panels", root / folder) for folder in params.evaluate.earlier)


def _heir(root: Path, name: str, known: Mapping[str, Record], version: str, hit: set[str]) -> str | None:
    """Find the nearest ancestor that is clean and that the gate did not reject."""
    verdicts = {row.version: row.verdict for row in ledger.of_model(ledger.read(root), name) if row.verdict}
    line = (one for one in ancestors(known, version) if one in known and one not in hit)
    return next((one for one in line if verdicts.get(one) != Verdict.REJECT), None)


def _tracked(root: Path, traces: Sequence[Trace]) -> Iterator[str]:
    """Name the files that git holds, too."""
    for trace in traces:
        if trace.place in ("source", "folders", "panels"):
            yield from (said_if_it_can(root, "ls-files", "--", str(Path(trace.name).resolve())) or "").splitlines()

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
from tasks.takedown.history import blobs, paths_of
from tasks.takedown.objects import Found, objects
from tasks.takedown.receipt import receipts
from tasks.takedown.shown import shown
from tasks.takedown.trace import Trace
from tasks.takedown.wanted import Wanted, wanted
from tasks.versions import ledger, taken_down
from tasks.versions.aliases import aliases
from tasks.versions.learnt import EARLIER

LOOKED = (
    "ingest.source, now and of versions hit, data/, runs/store, batches of triggers, workspaces of runs, "
    "evaluate.earlier, folders named by --folder, DVC's cache and remotes, pictures of MLflow's runs, aliases, the "
    "block-list, its bytes in git's history"
)
NOT_LOOKED = "copies of other bytes in git's history, caches and clones elsewhere, the weights of models"


@dataclass(frozen=True)
class Plan:
    """What is to be done about a picture; nothing, where it is gone and nothing that learnt from it serves.

    `serving` are aliases of versions hit, `heir` the last clean ancestor of such a champion, if there is one.
    `untagged` versions do not say yet that they were hit, `unblocked` looks are not on the block-list. `parent` is what
    to train on from where params.yaml names a version hit. `tracked` are the paths, from the top of the repository, at
    which git's history has it, `blobs` git's names of its bytes, which are kept to tell that once the files are gone.
    `others` are the digests of DVC's objects that cannot show it, and stay.
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
    blobs: tuple[str, ...]
    others: frozenset[str]

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
    serving = {alias: version for alias, version in aliases(name).items() if version in hit}
    earlier = [row for row in receipts(root) if row.name == meant.name]
    also = sorted({*map(str, folders), *(one for row in earlier for one in row.folders)})
    found = objects(root, meant, known, hit)
    people = [*_of_people(root, params, [known[version] for version in sorted(hit)])]
    people += [("folders", Path(folder)) for folder in also]
    traces = tuple(_traces(root, params, meant, met, people, found))
    held = sorted({*_blobs(root, meant, traces), *(one for row in earlier for one in row.blobs)})
    taken, listed = taken_down.taken(name), set(blocked(root / PLACES["blocked"]).rows)
    parent = params.train.parent
    return Plan(
        meant, met, tuple(also), traces,
        {alias: version for alias, version in serving.items() if version},
        _heir(root, name, known, str(serving["champion"]), hit) if serving.get("champion") else None,
        tuple(version for version in in_order(hit) if version not in taken),
        tuple(row for row in meant.rows if row not in listed),
        (_heir(root, name, known, parent, hit) or BASE) if parent in hit else None,
        tuple(sorted({*_beside(root, traces), *paths_of(root, held)})),
        tuple(held), found.others,
    )  # fmt: skip


def _traces(
    root: Path, params: Params, meant: Wanted, met: Spread, people: Sequence[tuple[str, Path]], found: Found
) -> Iterator[Trace]:
    """Go through all places, what people gave first."""
    for place, folder in people:
        yield from among_people(place, folder, meant)
    yield from among_outputs("data", root / "data", meant, found.others)
    for tree in sorted((root / RUNS / "workspaces").glob("*/tree/data")):
        yield from among_outputs("workspaces", tree, meant, found.others)
    yield from among_entries(root / RUNS, meant)
    yield from found.traces
    yield from shown(params.register.model, met.datasets)


def _of_people(root: Path, params: Params, hit: Sequence[Record]) -> Iterator[tuple[str, Path]]:
    """Name the folders that hold files as people gave them, now and when versions hit learnt, and kept panels."""
    before = (root / source for record in hit if (source := record.lineage["params"].get("ingest", {}).get("source")))
    laid_out = (path.relative_to(root) for path in (root / EARLIER).glob("*/"))
    named = [
        *(("source", path) for path in dict.fromkeys([root / located("source", params), *before])),
        *(("triggers", path) for path in sorted((root / RUNS / "triggers").glob("*/batches"))),
        *(("panels", root / folder) for folder in sorted({*map(Path, params.evaluate.earlier), *laid_out})),
    ]
    yield from ((place, path) for place, path in named if path.exists())


def _heir(root: Path, name: str, known: Mapping[str, Record], version: str, hit: set[str]) -> str | None:
    """Find the nearest ancestor that is clean and that the gate did not reject."""
    verdicts = {row.version: row.verdict for row in ledger.of_model(ledger.read(root), name) if row.verdict}
    line = (one for one in ancestors(known, version) if one in known and one not in hit)
    return next((one for one in line if verdicts.get(one) != Verdict.REJECT), None)


def _blobs(root: Path, meant: Wanted, traces: Sequence[Trace]) -> list[str]:
    """Name the bytes that are it, wherever they lie on this machine."""
    return blobs(
        root, [*(trace.path for trace in traces if trace.path), *filter(Path.is_file, [Path(meant.asked)])], meant
    )


def _beside(root: Path, traces: Sequence[Trace]) -> Iterator[str]:
    """Name the files that git tracks now where people keep it, its caption among them."""
    for trace in traces:
        if trace.path and trace.place in ("source", "folders", "panels"):
            asked = "ls-files", "--full-name", "-z", "--", str(trace.path.resolve())
            yield from filter(None, (said_if_it_can(root, *asked) or "").split("\0"))

"""Take a picture down: block it, take the aliases from what learnt from it, remove it everywhere, step by step.

>>> apply(plan(...), "the person shown asked for it", Path(), params)

Each step may be done again, and is entered in the receipt when it is done: after a crash the same call finishes.
"""

from dataclasses import asdict
from itertools import groupby
from pathlib import Path

from tasks.images.blocked import block
from tasks.params import Params
from tasks.pipeline import PLACES
from tasks.takedown.plan import Plan
from tasks.takedown.receipt import DONE, Receipt, receipts
from tasks.versions import promotion, registry, taken_down
from tasks.versions.lineage import person
from tasks.workspaces.worktree import sweep


def apply(found: Plan, reason: str, root: Path, params: Params) -> Receipt:
    """Do what was planned; whoever calls this has asked a person for the aliases."""
    name, receipt = params.register.model, _begun(found, reason, root)
    if found.is_clean and receipt.is_done:
        return receipt
    block(root / PLACES["blocked"], found.unblocked)
    receipt.enter(root, "blocked")
    for version in found.untagged:  # before the aliases move: none of these may be promoted any more
        registry.tag(name, version, taken_down.TAG, receipt.place)
    receipt.enter(root, "versions tagged")
    promotion.withdraw(name, found.serving, found.heir, f"taken down: {receipt.reason}", root)
    receipt.enter(root, "aliases moved")
    sweep(root)
    for place, traces in groupby(found.traces, lambda trace: trace.place):
        some = [trace for trace in traces if trace.remove]
        receipt.intend(root, [trace.row() for trace in some])
        for trace in some:
            if trace.remove:
                trace.remove()
        receipt.enter(root, f"removed from {place}")
    receipt.enter(root, DONE)
    return receipt


def _begun(found: Plan, reason: str, root: Path) -> Receipt:
    """Find the receipt that an earlier call left, or begin one; what was hit is told by all of them together."""
    earlier = [row for row in receipts(root) if row.name == found.wanted.name]
    receipt = earlier[0] if earlier else Receipt(found.wanted.name, found.wanted.asked, person(), reason)
    met, rows = found.reached, [asdict(row) for row in found.wanted.rows]
    receipt.pictures += [row for row in rows if row not in receipt.pictures]
    receipt.sources = sorted({*receipt.sources, *found.wanted.sources})
    receipt.folders = sorted({*receipt.folders, *found.folders})
    receipt.blobs = sorted({*receipt.blobs, *found.blobs})
    receipt.removed = [row for row in receipt.removed if row["digest"] not in found.others]
    receipt.hit = {
        "datasets": met.datasets,
        "trained": met.trained,
        "descendants": met.descendants,
        "runs": dict(met.runs),
        "aliases": dict(found.serving) or receipt.hit.get("aliases", {}),
    }
    return receipt

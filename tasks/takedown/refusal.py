"""Versions that a takedown hit are not loaded; which these are the receipts say, where no registry is asked.

>>> check(Path(), records(Path(), "dopsd")["v2"])  # ValueError: v2 was taken down (takedowns/5f3a09c1d2e4.json): ...
"""

from pathlib import Path

from tasks.ancestry.records import Record
from tasks.takedown.receipt import receipts


def check(root: Path, record: Record) -> None:
    """Raise ValueError for a version that was taken down, naming the receipt."""
    for receipt in receipts(root):
        if record.run_id in receipt.runs:
            raise refusal(record.version, receipt.place)


def refusal(version: str, receipt: str) -> ValueError:
    """Say that a version was taken down, by which receipt, and what to do."""
    return ValueError(f"{version} was taken down ({receipt}): choose another; `dopsd champion` says which one serves")

"""All that is known of a model's versions, from the three places that must agree: git, the ledger, the registry.

>>> Evidence.of(Path(), "dopsd", ledger.read(Path())).records["v7"].commit
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.ancestry.bases import Base, bases
from tasks.ancestry.records import Record, records
from tasks.versions import ledger, registry
from tasks.versions.ledger import Entry


@dataclass(frozen=True)
class Evidence:
    """`book` is the whole ledger, `decided` what it says of this model; `tags` are those of the registry.

    `records` and `tags` are of versions that were trained, `bases` and `base_tags` of those that are a base.
    """

    root: Path
    model: str
    records: dict[str, Record]
    book: Sequence[Entry]
    decided: Sequence[Entry]
    tags: Mapping[str, Mapping[str, str]]
    bases: Mapping[str, Base]
    base_tags: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(cls, root: Path, model: str, book: Sequence[Entry]) -> "Evidence":
        """Gather it; raises ValueError naming a tag of git without a record."""
        decided = ledger.of_model(book, model)
        return cls(
            root, model, records(root, model), book, decided, registry.versions(model),
            bases(root, model), registry.bases(model),
        )  # fmt: skip

    def verdict(self, version: str) -> str | None:
        """Give the gate's last verdict on a version, as the ledger has it."""
        own = (entry for entry in self.decided if entry.version == version and entry.action in ("decide", "shadow"))
        return next((entry.verdict for entry in reversed(list(own))), None)

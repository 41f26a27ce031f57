"""Panels P: the prompts and targets of concepts that were learnt before, frozen as folders.

keep(room.writes["scores"] / "panel", panel, targets)      # evaluate does it for every concept
panel, targets = earlier([Path("panels/earlier/star")])    # a copy of that folder, named in evaluate.earlier
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL.Image import Image

from tasks.folders import read_rows, write_bytes, write_rows
from tasks.images.dataset import stored
from tasks.scoring.grid import png
from tasks.scoring.panels import Prompt

_FILE = "panel.jsonl"


def keep(folder: Path, panel: Sequence[Prompt], targets: Mapping[str, Image]) -> None:
    """Write the concept's prompts of `panel`, and their target pictures beside them."""
    rows = [
        {"text": prompt.text, "plain": prompt.plain, "target": prompt.target and f"{prompt.target}.png"}
        for prompt in panel
        if prompt.panel == "concept"
    ]
    write_rows(folder / _FILE, rows, key="text")
    for identity, picture in targets.items():
        write_bytes(folder / f"{identity}.png", png(picture))


def earlier(folders: Sequence[Path]) -> tuple[list[Prompt], dict[str, Image]]:
    """Read the panels of earlier concepts, and their targets by id.

    Raises FileNotFoundError naming a folder that holds no panel.
    """
    panel: list[Prompt] = []
    targets: dict[str, Image] = {}
    for folder in folders:
        if not (folder / _FILE).is_file():
            raise FileNotFoundError(f"evaluate.earlier: {folder} has no {_FILE}: copy a data/scores/panel there")
        for row in read_rows(folder / _FILE):
            identity = row["target"] and f"{folder.name}/{row['target']}"
            panel.append(Prompt("earlier", row["text"], row["plain"], identity))
            if identity:
                targets[identity] = stored(folder / row["target"])
    return panel, targets

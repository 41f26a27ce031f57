"""The cells of a comparison: a concept and a recipe of training, at one moment of that training.

>>> grid(["star"], [Training(method="sft")])[0].folder(Path("report"))  # report/cells/star/sft-lora-4e-05-0-1000
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from dopsd.recipe import TAUGHT, Training


@dataclass(frozen=True)
class Cell:
    """One training, at one moment of it, to be compared with others: on which concept, and by which recipe.

    `variant` says what of the recipe is not as the others have it, such as "num_states=2".
    """

    concept: str
    training: Training
    variant: str = ""

    @property
    def label(self) -> str:
        """Name it in tables: its method, and how that is varied."""
        return ", ".join(part for part in (self.training.method, self.variant) if part)

    @property
    def teacher(self) -> str:
        """Name the teacher it follows, such as "ema 0.9999"; "" for a method without one."""
        said = self.training
        if said.method not in TAUGHT:
            return ""
        return f"ema {said.ema_decay:g}" if said.teacher == "ema" else said.teacher

    def folder(self, out: Path) -> Path:
        """Say where its workspace lies."""
        said = self.training
        parts = [said.method, said.weights, self.teacher.replace(" ", "-"), f"{said.learning_rate:g}"]
        parts += [re.sub(r"[^\w.=]+", "-", self.variant), str(said.seed), str(said.iterations)]
        name = "-".join(part for part in parts if part)
        return out / "cells" / self.concept / name


def grid(concepts: Iterable[str], trainings: Iterable[Training]) -> list[Cell]:
    """List the cells of every concept and recipe; a concept's cells stand together."""
    return [Cell(concept, training) for concept, training in product(concepts, trainings)]


def series(cells: Iterable[Cell]) -> list[list[Cell]]:
    """Put the cells together that are one training at several moments of it, in the order of time; each cell once."""
    found: dict[Cell, list[Cell]] = {}
    for cell in dict.fromkeys(cells):
        same = replace(cell, training=replace(cell.training, iterations=1))
        found.setdefault(same, []).append(cell)
    return [sorted(some, key=lambda cell: cell.training.iterations) for some in found.values()]

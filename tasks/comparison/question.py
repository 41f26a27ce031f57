"""What a comparison asks: which tables, of what, and the cells that each of them stands on.

>>> question.cells("teachers", rates)  # D-OPSD under five teachers

Tables that stand on the same cells share them: a cell is what it trains, whoever asked for it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, Literal

from dopsd.recipe import Method, Training
from tasks.comparison.cells import Cell, grid
from tasks.comparison.concepts import Concept
from tasks.comparison.counts import Evaluations

Table = Literal["lora", "variants", "cost", "curves", "teachers", "referee", "full"]
SCHEMES: tuple[Method, ...] = ("sft", "sft-teacher", "offpolicy", "dopsd")
"""The paper's ablation (arXiv:2605.05204, figure 6): neither on-policy nor distilled, one, the other, both."""
TEACHERS: tuple[Mapping[str, Any], ...] = (
    {"teacher": "frozen"},
    {"teacher": "ema", "ema_decay": 0.9},
    {"teacher": "ema", "ema_decay": 0.999},
    {"teacher": "ema", "ema_decay": 0.9999},
    {"teacher": "copy"},
)
Rates = Mapping[Method, float]


@dataclass(frozen=True)
class Question:
    """What is compared, on what; the learning rates to choose from, and the moments at which curves are read.

    `training` says everything else of a training, `weights` among it: "full" is asked by itself, of domains.
    `seeds` are so many trainings of each kind. `variants` are the values that the table of that name changes, by label.
    `second_stage` is what distilling the model of `sft-parent` again would take.
    """

    tables: Sequence[Table]
    methods: Sequence[Method]
    rates: Sequence[float]
    seeds: int
    stops: Sequence[int]
    training: Training
    tuning_concepts: Sequence[Concept] = ()
    concepts: Sequence[Concept] = ()
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    second_stage: Evaluations | None = None

    def __post_init__(self) -> None:
        """Refuse what no table would show; raises ValueError naming the option."""
        if ("variants" in self.tables) != bool(self.variants):
            raise ValueError("--vary and the table `variants` go together: ask for both, or for neither")
        if self.second_stage and not ("cost" in self.tables and "sft-parent" in self.methods):
            raise ValueError("--second-stage is a row of the table `cost` beside sft-parent: ask for both")

    def about(self, found: Sequence[Concept], num_tuning: int) -> "Question":
        """Ask it of concepts: the first so many for choosing learning rates, the others for the tables.

        Raises ValueError where the referee would have no other concept to show.
        """
        if "referee" in self.tables and len(found) - num_tuning < 2:
            raise ValueError("--concepts 1 leaves the referee no other concept to show the teacher: ask for 2")
        return replace(self, tuning_concepts=found[:num_tuning], concepts=found[num_tuning:])

    @property
    def has_sweep(self) -> bool:
        """Tell whether there are learning rates to choose from."""
        return len(self.rates) > 1

    def sweep(self) -> list[Cell]:
        """List the cells that learning rates are chosen by: the same number for every method, one training each."""
        tried = [
            replace(self.training, method=method, learning_rate=rate, seed=0)
            for method, rate in product(self._trained(), self.rates)
        ]
        return grid([concept.name for concept in self.tuning_concepts], tried) if self.has_sweep else []

    def rates_without_sweep(self) -> Rates:
        """Give every method the only learning rate there is."""
        return dict.fromkeys(self._trained(), self.rates[0])

    def cells(self, table: Table, rates: Rates) -> list[Cell]:
        """List the cells of a table."""
        names = [concept.name for concept in self.concepts]
        return [
            Cell(name, replace(training, seed=seed), variant)
            for name, (variant, training), seed in product(names, self._recipes(table, rates), range(self.seeds))
        ]

    def _recipes(self, table: Table, rates: Rates) -> Iterator[tuple[str, Training]]:
        """Give what a table trains, and how it is varied."""
        if table in ("lora", "variants", "cost", "full"):
            varied = self.variants if table == "variants" or (table == "cost" and "variants" in self.tables) else {}
            for method, (variant, said) in product(self.methods, {"": {}, **varied}.items()):
                yield variant, replace(self.training, **{"method": method, "learning_rate": rates[method], **said})
        elif table == "curves":
            for method, stop in product(SCHEMES, self.stops):
                yield "", replace(self.training, method=method, learning_rate=rates[method], iterations=stop)
        else:
            teachers = TEACHERS if table == "teachers" else ({},)
            for teacher, stop in product(teachers, self.stops):
                said = {"method": "dopsd", "learning_rate": rates["dopsd"], "iterations": stop}
                yield "", replace(self.training, **said, **teacher)

    def _trained(self) -> list[Method]:
        """List the methods of all tables that are asked for, each once."""
        of: dict[Table, Sequence[Method]] = {"curves": SCHEMES, "teachers": ("dopsd",), "referee": ("dopsd",)}
        return list(dict.fromkeys(method for table in self.tables for method in of.get(table, self.methods)))

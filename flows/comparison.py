"""Run a comparison: prepare concepts, choose each method's learning rate, train and score every cell, report.

    dopsd compare --methods dopsd,sft --concepts 4 --seeds 2 --out report/

Cells are worked on by processes side by side; what is finished is not done again, whenever it was finished.
"""

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from dopsd.recipe import Method
from tasks.comparison import cells, report, table
from tasks.comparison.cells import Cell
from tasks.comparison.concepts import Concept
from tasks.comparison.work import prepare, work
from tasks.params import Params
from tasks.progress import track

_TUNED_BY = "concept/dino_d"


@dataclass(frozen=True)
class Question:
    """What is compared: methods, the learning rates to choose from, how many trainings each; and by whom."""

    methods: Sequence[Method]
    rates: Sequence[float]
    seeds: int
    tuning_concepts: Sequence[Concept]
    concepts: Sequence[Concept]
    workers: int


def compare(question: Question, params: Params, about: str, out: Path, console: Console) -> None:
    """Answer the question into `out`/report.md; raises what a cell raised, once all others are finished."""
    tuning = question.tuning_concepts if len(question.rates) > 1 else ()
    known = {concept.name: concept for concept in (*tuning, *question.concepts)}
    with _pool(question.workers) as pool:
        folders = [cells.lay_out_concept(concept, params, out) for concept in known.values()]
        _all_done(pool, prepare, folders, "concepts")
        rates = _rates(question, params, out, pool)
        console.print("learning rates: " + ", ".join(f"{method} {rate:g}" for method, rate in rates.items()))
        chosen = {method: [rate] for method, rate in rates.items()}
        grid = cells.grid([concept.name for concept in question.concepts], chosen, range(question.seeds))
        folders = [cells.lay_out(cell, known[cell.concept], params, out) for cell in grid]
        _all_done(pool, work, folders, "cells")
    report.write_report(table.values(grid, out), _costs(grid, out), f"{about}\n\n{_told(rates, question)}", out)


def _rates(question: Question, params: Params, out: Path, pool: ProcessPoolExecutor) -> dict[Method, float]:
    """Choose a learning rate for each method on the concepts that are kept for this, the same budget for all."""
    if len(question.rates) == 1:
        return dict.fromkeys(question.methods, question.rates[0])
    known = {concept.name: concept for concept in question.tuning_concepts}
    sweep = cells.grid(list(known), dict.fromkeys(question.methods, question.rates), range(1))
    _all_done(pool, work, [cells.lay_out(cell, known[cell.concept], params, out) for cell in sweep], "rates")
    best = table.best_rates(table.values(sweep, out), _TUNED_BY)
    return {method: best[method] for method in question.methods}


def _pool(workers: int) -> ProcessPoolExecutor:
    """Start processes anew rather than fork: torch's threads do not survive a fork."""
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def _all_done(pool: ProcessPoolExecutor, task: Callable[[Path], None], folders: Sequence[Path], what: str) -> None:
    """Let the pool do all folders, and tell how far it is; the first failure is raised after the last has ended."""
    waiting = [pool.submit(task, folder) for folder in folders]
    failures = [done.exception() for done in track(as_completed(waiting), len(waiting), what)]
    for failure in failures:
        if failure is not None:
            raise failure


def _costs(grid: Sequence[Cell], out: Path) -> dict[str, list[float]]:
    costs: dict[str, list[float]] = {}
    for cell in grid:
        record = cells.finished(cell.folder(out))
        assert record is not None, f"{cell} is not finished"
        costs.setdefault(cell.method, []).append(record.train_seconds)
    return costs


def _told(rates: dict[Method, float], question: Question) -> str:
    if len(question.rates) == 1:
        return f"All methods train with the learning rate {question.rates[0]:g}."
    tried, kept = ", ".join(f"{rate:g}" for rate in question.rates), len(question.tuning_concepts)
    chosen = ", ".join(f"{method} {rate:g}" for method, rate in rates.items())
    return (
        f"Learning rates ({chosen}) were chosen from {tried} by the least {_TUNED_BY} on {kept} concepts that are "
        "not in the tables, one training each."
    )

"""Run a comparison: prepare concepts, choose each method's learning rate, train and score every cell, report.

    dopsd compare --methods dopsd,sft --concepts 4 --seeds 2 --out report/

Cells are worked on by processes side by side; what is finished is not done again, whenever it was finished.
"""

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from tasks.comparison import report, sections, table
from tasks.comparison.cells import Cell, series
from tasks.comparison.costs import costs
from tasks.comparison.question import Question, Rates, Table
from tasks.comparison.work import prepare, work
from tasks.comparison.workspaces import lay_out, lay_out_concept
from tasks.params import Params
from tasks.progress import track

Work = TypeVar("Work")
_TUNED_BY = "concept/dino_d"


@dataclass(frozen=True)
class Bench:
    """Where a comparison is worked on, by which params, and by how many processes."""

    out: Path
    params: Params
    pool: ProcessPoolExecutor


def compare(question: Question, params: Params, command: str, out: Path, *, workers: int, console: Console) -> None:
    """Answer the question into `out`/report.md; raises what a cell raised, once all others are finished."""
    with _pool(workers) as pool:
        bench = Bench(out, params, pool)
        known = [*(question.tuning_concepts if question.has_sweep else ()), *question.concepts]
        _all_done(pool, prepare, [lay_out_concept(concept, params, out) for concept in known], "concepts")
        rates = _rates(question, bench)
        console.print("learning rates: " + ", ".join(f"{method} {rate:g}" for method, rate in rates.items()))
        wanted = [cell for name in question.tables for cell in question.cells(name, rates)]
        _train(wanted, question, bench, "trainings")
    about = f"    {command}\n\n{_told(rates, question)}"
    made = [_section(name, question.cells(name, rates), params, out, about) for name in question.tables]
    report.write_report(made, f"Ways of tuning {params.models.family}, compared", out)


def _section(name: Table, wanted: Sequence[Cell], params: Params, out: Path, about: str) -> report.Section:
    if name == "cost":
        return sections.costs_section(costs(wanted, out), params.train.num_steps, about)
    frame = table.values(wanted, out)
    if name == "curves":
        return sections.course_section(name, "As training goes on", frame, "method", about)
    if name == "teachers":
        return sections.course_section(name, "D-OPSD under five teachers", frame, "teacher", about)
    return sections.scores_section(name, "Methods", frame, about)


def _train(wanted: Sequence[Cell], question: Question, bench: Bench, what: str) -> None:
    """Train and score every cell that is not finished, a training with all its moments after one another."""
    known = {concept.name: concept for concept in (*question.tuning_concepts, *question.concepts)}
    folders = [
        [lay_out(cell, known[cell.concept], bench.params, bench.out) for cell in training]
        for training in series(wanted)
    ]
    _all_done(bench.pool, work, folders, what)


def _rates(question: Question, bench: Bench) -> Rates:
    """Choose a learning rate for each method on the concepts that are kept for this, the same budget for all."""
    if not question.has_sweep:
        return question.rates_without_sweep()
    _train(question.sweep(), question, bench, "rates")
    return table.best_rates(table.values(question.sweep(), bench.out), _TUNED_BY)


def _pool(workers: int) -> ProcessPoolExecutor:
    """Start processes anew rather than fork: torch's threads do not survive a fork."""
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def _all_done(pool: ProcessPoolExecutor, task: Callable[[Work], None], works: Sequence[Work], what: str) -> None:
    """Let the pool do everything, and tell how far it is; the first failure is raised after the last has ended."""
    waiting = [pool.submit(task, one) for one in works]
    failures = [done.exception() for done in track(as_completed(waiting), len(waiting), what)]
    for failure in failures:
        if failure is not None:
            raise failure


def _told(rates: Rates, question: Question) -> str:
    if not question.has_sweep:
        return f"All methods train with the learning rate {question.rates[0]:g}."
    tried, kept = ", ".join(f"{rate:g}" for rate in question.rates), len(question.tuning_concepts)
    chosen = ", ".join(f"{method} {rate:g}" for method, rate in rates.items())
    return (
        f"Learning rates ({chosen}) were chosen from {tried} by the least {_TUNED_BY} on {kept} concepts that are "
        "not in the tables, one training each."
    )

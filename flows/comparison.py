"""Run a comparison: prepare concepts, choose each method's learning rate, train and score every cell, report.

    dopsd compare --methods dopsd,sft --concepts 4 --seeds 2 --out report/

Cells are worked on by processes side by side; what is finished is not done again, whenever it was finished.
"""

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pandas as pd
from rich.console import Console

from tasks.comparison import referee, report, sections, table
from tasks.comparison.cells import Cell, series
from tasks.comparison.choice import chosen
from tasks.comparison.costs import costs
from tasks.comparison.question import Question, Rates, Table
from tasks.comparison.work import prepare, work
from tasks.comparison.workspaces import lay_out, lay_out_concept
from tasks.params import Params
from tasks.planning.installation import numerics
from tasks.progress import track

Work = TypeVar("Work")
_TITLES = {"lora": "Methods", "variants": "Variants", "full": "Methods, all weights, on domains"}


@dataclass(frozen=True)
class Bench:
    """Where a comparison is worked on, by which params, by whom, on whose command, and who hears of it."""

    out: Path
    params: Params
    pool: ProcessPoolExecutor
    workers: int
    command: str
    console: Console


def compare(
    questions: Sequence[Question], params: Params, command: str, out: Path, *, workers: int, console: Console
) -> None:
    """Answer questions into `out`/report.md; raises what a cell raised, once all others are finished."""
    with _pool(workers) as pool:
        bench = Bench(out, params, pool, workers, command, console)
        made = [section for question in questions for section in _answer(question, bench)]
    report.write_report(made, f"Ways of tuning {params.models.family}, compared", out)


def _answer(question: Question, bench: Bench) -> list[report.Section]:
    """Train, score and judge what a question asks, and say its tables."""
    begun = time.monotonic()
    known = [*(question.tuning_concepts if question.has_sweep else ()), *question.concepts]
    prepared = [lay_out_concept(concept, bench.params, bench.out) for concept in known]
    _all_done(bench.pool, prepare, prepared, "concepts")
    swept = _swept(question, bench)
    most_lost = bench.params.register.margins.retention_loss
    rates = question.rates_without_sweep() if swept is None else chosen(_by_rate(swept), most_lost)
    bench.console.print("learning rates: " + ", ".join(f"{method} {rate:g}" for method, rate in rates.items()))
    _train([cell for name in question.tables for cell in question.cells(name, rates)], question, bench, "trainings")
    if "referee" in question.tables:
        _all_done(bench.pool, referee.judge, _cases(question, rates, bench.out), "referee")
    said = _told(rates, question, most_lost)
    about = f"    {bench.command}\n\n{said} {_took(time.monotonic() - begun, bench)}"
    made = [_section(name, question, rates, bench, about) for name in question.tables]
    if swept is not None:
        made.append(sections.rates_section("rates-full" if "full" in question.tables else "rates", swept, about))
    return made


def _section(name: Table, question: Question, rates: Rates, bench: Bench, about: str) -> report.Section:
    wanted = question.cells(name, rates)
    if name == "cost":
        found, num_steps = costs(wanted, bench.out), bench.params.train.num_steps
        return sections.costs_section(found, num_steps, about, question.second_stage)
    if name == "referee":
        return sections.referee_section(referee.values(wanted, bench.out), about)
    frame = table.values(wanted, bench.out)
    if name == "curves":
        return sections.course_section(name, "As training goes on", frame, "method", about, reference="dopsd")
    if name == "teachers":
        title = "D-OPSD under five teachers"
        return sections.course_section(name, title, frame, "teacher", about, reference="ema 0.9999")
    return sections.scores_section(name, _TITLES[name], frame, about)


def _train(wanted: Sequence[Cell], question: Question, bench: Bench, what: str) -> None:
    """Train and score every cell that is not finished, a training with all its moments after one another."""
    known = {concept.name: concept for concept in (*question.tuning_concepts, *question.concepts)}
    folders = [
        [lay_out(cell, known[cell.concept], bench.params, bench.out) for cell in training]
        for training in series(wanted)
    ]
    _all_done(bench.pool, work, folders, what)


def _cases(question: Question, rates: Rates, out: Path) -> list[referee.Case]:
    """Give the referee every training, with another concept of the table for the wrong picture."""
    names = [concept.name for concept in question.concepts]
    another = dict(zip(names, [*names[1:], names[0]], strict=True))
    return [
        referee.Case([cell.folder(out) for cell in training], out / "concepts" / another[training[0].concept])
        for training in series(question.cells("referee", rates))
    ]


def _swept(question: Question, bench: Bench) -> pd.DataFrame | None:
    """Try all learning rates on the concepts that are kept for this, the same budget for all; None without a choice."""
    if not question.has_sweep:
        return None
    _train(question.sweep(), question, bench, "rates")
    return table.values(question.sweep(), bench.out)


def _by_rate(swept: pd.DataFrame) -> table.Courses:
    return table.courses(swept, "method", along="learning_rate")


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


def _told(rates: Rates, question: Question, most_lost: float) -> str:
    if not question.has_sweep:
        return f"All methods train with the learning rate {question.rates[0]:g}."
    tried, kept = ", ".join(f"{rate:g}" for rate in question.rates), len(question.tuning_concepts)
    taken = ", ".join(f"{method} {rate:g}" for method, rate in rates.items())
    return (
        f"Learning rates ({taken}) were chosen from {tried} on {kept} concepts that are not in the tables, one "
        f"training each: of those at which {table.KEPT} falls by no more than {most_lost:g}, which the gate lets go, "
        f"the one of least {table.LIKENESS}."
    )


def _took(seconds: float, bench: Bench) -> str:
    """Say how long it took, and on what kind of machine."""
    device = f"{numerics()['device']}, {os.cpu_count()} cores"
    spent = f"{seconds / 60:.0f} minutes with {bench.workers} at once ({device})"
    return f"It took {spent}; what was finished before took none of it."

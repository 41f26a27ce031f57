"""Which method of tuning serves best here: the same concepts, seeds and panels for all of them.

dopsd compare --methods dopsd,sft,dreambooth --concepts 10 --seeds 3 --out report/
"""

import importlib
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import typer

from dopsd import options
from dopsd.recipe import Method, Training
from flows.mistakes import mistakes_told, told
from tasks.comparison.concepts import Concept, concepts
from tasks.comparison.counts import read_counts
from tasks.comparison.question import Question, Table
from tasks.params import Params, load, of_family

TABLES = ",".join(name for name in get_args(Table) if name != "variants")
"""The tables of the paper."""
RATES, STOPS = "5e-5,1e-4,2e-4,4e-4", "10,20,40,80"
_SECOND_STAGE = (
    "Evaluations that distilling sft-parent's model again takes, PREPARED,FORWARD,BACKWARD: a row of the table `cost`."
)
Name = TypeVar("Name", bound=str)


def compare(
    out: Annotated[Path, typer.Option(help="Where the report and all cells go; what is finished there stays.")],
    tables: Annotated[
        str, typer.Option(help=f"Some of {', '.join(get_args(Table))}; `variants` goes with --vary.")
    ] = TABLES,
    methods: Annotated[str, typer.Option(help=f"Some of {', '.join(get_args(Method))}.")] = "dopsd,sft",
    number: Annotated[int, typer.Option("--concepts", min=1, help="How many concepts are in the tables.")] = 10,
    seeds: Annotated[int, typer.Option(min=1, help="How many trainings a concept and method.")] = 3,
    stops: Annotated[str, typer.Option(help="After how many iterations curves are read.")] = STOPS,
    rates: Annotated[str, typer.Option(help="Learning rates to choose from, for each method.")] = RATES,
    tuning_concepts: Annotated[int, typer.Option(min=1, help="How many more they are chosen on.")] = 2,
    domains: Annotated[int, typer.Option(min=1, help="How many domains are in the table `full`.")] = 3,
    vary: Annotated[list[str] | None, typer.Option(help="A row of the table `variants`: KEY=VALUE of `train`.")] = None,
    second_stage: Annotated[str, typer.Option(help=_SECOND_STAGE)] = "",
    family: Annotated[str | None, typer.Option(help="Another family than that of params.yaml.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="How many cells at once.")] = os.cpu_count() or 1,
) -> None:
    """Train and score every cell, and write tables with intervals, every value, and plots."""
    with mistakes_told():
        params = load(Path())
        params = of_family(params, family) if family else params
        question = Question(
            tables=_some("--tables", tables, get_args(Table)),
            methods=_some("--methods", methods, get_args(Method)),
            rates=[float(rate) for rate in rates.split(",")],
            seeds=seeds,
            stops=sorted({int(stop) for stop in stops.split(",")}),
            training=params.train,
            variants={said: _varied(said, params.train) for said in vary or ()},
            second_stage=read_counts(second_stage) if second_stage else None,
        )
        questions = _asked(question, params, num_tuning=tuning_concepts, num_concepts=number, num_domains=domains)
        engine = importlib.import_module("flows.comparison")
        command = shlex.join(["dopsd", *sys.argv[1:]])
        engine.compare(questions, params, command, out, workers=workers, console=told)
    told.print(f"{out}/report.md")


def _asked(
    question: Question, params: Params, *, num_tuning: int, num_concepts: int, num_domains: int
) -> list[Question]:
    """Ask of concepts what is about adapters, and of domains what is about all weights."""
    of_domains: list[Table] = [table for table in question.tables if table == "full"]
    of_concepts = [table for table in question.tables if table != "full"]
    said, asked = params.compare, []
    if of_concepts:
        found = concepts_of(Path(said.concepts), said.drawn_by, num_concepts + num_tuning)
        asked.append(replace(question, tables=of_concepts).about(found, num_tuning))
    if of_domains:
        found = concepts_of(Path(said.domains), said.domains_drawn_by, num_domains + num_tuning)
        whole = replace(question.training, weights="full")
        alone = replace(question, tables=of_domains, training=whole, variants={}, second_stage=None)
        asked.append(alone.about(found, num_tuning))
    return asked


def _some(option: str, said: str, known: Sequence[Name]) -> list[Name]:
    """Read names out of a list; raises ValueError naming one that is not known."""
    for name in said.split(","):
        if name not in known:
            raise ValueError(f"{option}: there is no {name!r}; choose some of {', '.join(known)}")
    return [name for name in known if name in said.split(",")]


def _varied(said: str, training: Training) -> dict[str, Any]:
    """Read KEY=VALUE of `train`; raises ValueError where there is no such key, or nothing would train with it."""
    try:
        varied: dict[str, Any] = dict(options.said([said]))
        replace(training, **varied)
    except ValueError as error:
        raise ValueError(f"--vary {said}: {error}") from error
    return varied


def concepts_of(folder: Path, drawn_by: str, needed: int) -> list[Concept]:
    """Read so many concepts, drawn first where there are none; raises ValueError where there are too few."""
    if not folder.is_dir() and drawn_by:
        program, *arguments = shlex.split(drawn_by)
        subprocess.run([sys.executable if program == "python" else program, *arguments], check=True)
    found = concepts(folder)
    if len(found) < needed:
        raise ValueError(f"{folder} holds {len(found)} concepts, {needed} are needed: add some, or ask for fewer")
    return found[:needed]

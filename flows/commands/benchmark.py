"""How fast the models train, read and draw, and in how much memory; the engine is `python -m dopsd.bench`.

dopsd bench train --family z-image --size tiny --methods dopsd,naive,sft --batch 1,4
dopsd bench embed --family z-image --size tiny --side 64
"""

import importlib
import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from dopsd import options
from flows.mistakes import mistakes_told
from flows.options import AsJson

Family = Annotated[str, typer.Option(help="z-image, flux2-klein-4b or flux2-klein-9b.")]
Size = Annotated[str, typer.Option(help="full (wants a GPU) or tiny.")]
Batch = Annotated[str, typer.Option(help="Batch sizes, such as 1,4.")]
Side = Annotated[int, typer.Option(help="Side of the picture in pixels.")]
Steps = Annotated[int, typer.Option(min=1, help="Steps that the model is deployed with.")]
Rank = Annotated[int, typer.Option(min=1)]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any key of train.")]
Times = Annotated[int, typer.Option(min=1, help="How many times it is timed.")]


def train(
    family: Family,
    size: Size = "full",
    methods: Annotated[str, typer.Option(help="Some of dopsd, naive, sft.")] = "dopsd,naive,sft",
    batch: Batch = "1",
    side: Side = 1024,
    num_steps: Steps = 4,
    rank: Rank = 64,
    iterations: Times = 5,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Time iterations of training: seconds and operations a sample, their share of the peak, and memory."""
    with mistakes_told():
        others = {"methods": methods.split(","), "rank": rank, "settings": options.said(settings or [])}
        said = {"family": family, "size": size, "side_px": side, "num_steps": num_steps, "iterations": iterations}
        _tell("train", batch, said | others, as_json=as_json)


def embed(
    family: Family, size: Size = "full", batch: Batch = "1", side: Side = 1024, iterations: Times = 5,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Time what embedding does: contexts of student and teacher, and latents; images a second."""
    with mistakes_told():
        said = {"family": family, "size": size, "methods": (), "side_px": side, "iterations": iterations}
        _tell("embed", batch, said, as_json=as_json)


def sample(
    family: Family, size: Size = "full", batch: Batch = "1", side: Side = 1024, num_steps: Steps = 4,
    iterations: Times = 5, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Time the drawing of pictures: the deployed steps, and the VAE."""
    with mistakes_told():
        said = {"family": family, "size": size, "methods": (), "side_px": side, "num_steps": num_steps}
        _tell("sample", batch, said | {"iterations": iterations}, as_json=as_json)


def start(
    family: Family, size: Size = "full", batch: Batch = "1", side: Side = 1024, rank: Rank = 64,
    settings: Settings = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Time what comes before the first step of a training: imports, the base from warm files, one iteration."""
    with mistakes_told():
        said = {"family": family, "size": size, "methods": (), "side_px": side, "rank": rank}
        _tell("start", batch, said | {"settings": options.said(settings or [])}, as_json=as_json)


def _tell(what: str, batch: str, said: Mapping[str, Any], *, as_json: bool) -> None:
    """Measure, and print a table or JSON."""
    question = importlib.import_module("dopsd.bench.train").Question
    engine = importlib.import_module(f"dopsd.bench.{what}")
    answer = engine.measure(question(**said, batches=[int(number) for number in batch.split(",")]))
    print(json.dumps(answer, indent=1) if as_json else importlib.import_module("dopsd.bench.table").table(answer))

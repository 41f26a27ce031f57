"""How fast the models train, and in how much memory; the engine is `python -m dopsd.bench`.

dopsd bench train --family z-image --size tiny --methods dopsd,naive,sft --batch 1,4
"""

import importlib
import json
from typing import Annotated

import typer

from dopsd import options
from flows.mistakes import mistakes_told
from flows.options import AsJson

Family = Annotated[str, typer.Option(help="z-image, flux2-klein-4b or flux2-klein-9b.")]
Size = Annotated[str, typer.Option(help="full (wants a GPU) or tiny.")]


def train(
    family: Family,
    size: Size = "full",
    methods: Annotated[str, typer.Option(help="Some of dopsd, naive, sft.")] = "dopsd,naive,sft",
    batch: Annotated[str, typer.Option(help="Batch sizes, such as 1,4.")] = "1",
    side: Annotated[int, typer.Option(help="Side of the picture in pixels.")] = 1024,
    num_steps: Annotated[int, typer.Option(min=1)] = 4,
    rank: Annotated[int, typer.Option(min=1)] = 64,
    iterations: Annotated[int, typer.Option(min=1, help="How many are timed.")] = 5,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any key of train.")] = None,
    as_json: AsJson = False,
) -> None:
    """Time iterations of training: seconds and operations a sample, their share of the peak, and memory."""
    engine = importlib.import_module("dopsd.bench.train")
    with mistakes_told():
        question = engine.Question(
            family=family,
            size=size,
            methods=methods.split(","),
            batches=[int(number) for number in batch.split(",")],
            side_px=side,
            num_steps=num_steps,
            rank=rank,
            iterations=iterations,
            settings=options.said(settings or []),
        )
        answer = engine.measure(question)
    print(json.dumps(answer, indent=1) if as_json else importlib.import_module("dopsd.bench.table").table(answer))

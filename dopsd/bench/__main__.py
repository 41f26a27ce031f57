"""Measure without the rest of the pipeline: only what `dopsd/` needs must be installed.

python -m dopsd.bench train --family z-image --size full --methods dopsd,naive,sft --batch 1,4 --json
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dopsd import options
from dopsd.bench import embed, memory, paper, sample, start, train
from dopsd.bench.models import MODELS
from dopsd.bench.table import table


def main(arguments: Sequence[str]) -> int:
    """Run one command, and print a table or JSON; a mistake ends with its message, and 1."""
    said = _parser().parse_args(arguments)
    try:
        answer = _COMMANDS[said.command](said)
    except ValueError as mistake:
        print(mistake, file=sys.stderr)
        return 1
    print(json.dumps(answer, indent=1) if said.json else table(answer))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dopsd.bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, summary in _SUMMARIES.items():
        command = commands.add_parser(name, help=summary)
        command.add_argument("--family", required=True, choices=list(MODELS))
        command.add_argument("--size", default="full", choices=["full", "tiny"])
        command.add_argument("--batch", default="1", help="sizes, such as 1,4")
        command.add_argument("--side", type=int, default=1024, help="of the picture, in pixels")
        command.add_argument("--json", action="store_true", help="print JSON and nothing else")
        if name != "embed":
            command.add_argument("--num-steps", type=int, default=4)
        if name in {"train", "embed", "sample"}:
            command.add_argument("--iterations", type=int, default=5, help="that are timed")
        if name in {"train", "count", "memory"}:
            command.add_argument("--methods", default=",".join(train.ARMS), help=f"some of {', '.join(train.ARMS)}")
        if name in {"train", "count", "memory", "start"}:
            command.add_argument("--rank", type=int, default=64)
        if name in {"train", "memory", "start"}:
            command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="any key of train")
    commands.choices["count"].add_argument("--peak", type=float, default=790, help="TFLOP/s that floors are of")
    commands.choices["memory"].set_defaults(methods="dopsd")
    return parser


def _question(said: argparse.Namespace) -> train.Question:
    """Gather what was said; what a command does not ask for is the usual."""
    asked = {key: getattr(said, key) for key in ("num_steps", "rank", "iterations") if key in said}
    return train.Question(
        family=said.family,
        size=said.size,
        methods=said.methods.split(",") if "methods" in said else (),
        batches=[int(size) for size in said.batch.split(",")],
        side_px=said.side,
        settings=options.said(said.set) if "set" in said else {},
        **asked,
    )


_SUMMARIES = {
    "train": "time iterations of training",
    "embed": "time the reading of captions and pictures",
    "sample": "time the drawing of pictures",
    "start": "time what comes before the first step",
    "count": "count what iterations cost, on paper",
    "memory": "say what memory they take, on paper",
}
_COMMANDS: Mapping[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "train": lambda said: train.measure(_question(said)),
    "embed": lambda said: embed.measure(_question(said)),
    "sample": lambda said: sample.measure(_question(said)),
    "start": lambda said: start.measure(_question(said)),
    "count": lambda said: paper.count(_question(said), said.peak),
    "memory": lambda said: memory.answer(_question(said)),
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

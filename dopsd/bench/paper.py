"""What an iteration costs on paper, at any size on any machine: operations, and memory by what it is for.

    python -m dopsd.bench count --family z-image --methods dopsd,sft --batch 1 --peak 790

The training's own objective is walked by tensors that have shapes and number formats, and no numbers.
"""

from dataclasses import dataclass
from typing import Any

import torch

from dopsd.bench.imagined import Imagined
from dopsd.bench.meter import Cost, metered
from dopsd.bench.models import model
from dopsd.bench.train import Question
from dopsd.dataset.examples import Examples
from dopsd.families.catalogue import family
from dopsd.footprint.lean import lean_
from dopsd.objective import Scene, objective
from dopsd.placement import Placement
from dopsd.recipe import Training
from dopsd.weights.adapter_roles import Shape, attach_
from dopsd.weights.roles import Roles

_GIB = 2**30
_COPIES = {"dopsd": 5, "sft": 4}
"""fp32 numbers a LoRA weight: itself, its gradient, two moments, and the EMA teacher's."""


@dataclass(frozen=True)
class Row:
    """One method at one batch: operations a sample-iteration, and GiB of base, of what learns, and held for backward.

    `floor_seconds` is what the operations take at the peak that was named: nothing that computes them all is faster.
    """

    method: str
    batch: int
    tflop: float
    floor_seconds: float
    base_gib: float
    learning_gib: float
    held_gib: float


def count(question: Question, peak_tflop_s: float) -> dict[str, Any]:
    """Answer as a JSON object with a row a method and batch; one state is counted, as all K are alike."""
    rows = [
        vars(_row(question, method, batch, peak_tflop_s)) for batch in question.batches for method in question.methods
    ]
    said = {
        "device": f"on paper, {peak_tflop_s:g} TFLOP/s",
        "dtype": "bfloat16",
        "versions": {"torch": torch.__version__},
    }
    return {"question": vars(question), **said, "rows": rows}


def _row(question: Question, method: str, batch: int, peak_tflop_s: float) -> Row:
    about, is_sft = model(question.family), method == "sft"
    network = about.network(question.size, Placement(torch.device("meta"), torch.bfloat16))
    base = sum(weight.nbytes for weight in network.parameters())
    shape = Shape(family(about.family).lora_targets, question.rank, question.rank)
    roles = attach_(network, shape, teacher="copy", seed=0)  # speaks as long as an EMA would, and needs no weights
    if method != "naive":
        lean_(network, Training(precision="bf16"))
    learning = _COPIES["sft" if is_sft else "dopsd"] * sum(weight.nbytes for weight in roles.student.values())
    rows = about.examples(question.size, question.side_px, count=batch)
    cost = _of_a_state(method, Imagined(about.denoiser(network)), roles, rows)
    states = 1 if is_sft else question.num_steps
    tflop = states * cost.flops / batch / 1e12
    held = cost.held_bytes * (states if method == "naive" else 1)
    return Row(method, batch, tflop, tflop / peak_tflop_s, base / _GIB, learning / _GIB, held / _GIB)


def _of_a_state(method: str, denoiser: Imagined, roles: Roles, examples: Examples) -> Cost:
    """Walk back from one state, in the number formats of a GPU."""
    training = Training(method="sft" if method == "sft" else "dopsd", num_steps=1)
    latents = torch.stack([example.latents for example in examples])
    student, teacher = [example.student for example in examples], [example.teacher for example in examples]
    scene = Scene(student, teacher, torch.randn_like(latents), latents)
    with metered(denoiser.network) as cost, torch.autocast("cpu", torch.bfloat16):
        for term in objective(training.method)(training).terms(denoiser, roles, scene):
            term.loss.backward()
    return cost

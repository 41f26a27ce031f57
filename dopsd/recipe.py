"""Every number of a training, with the paper's values as defaults; imports in a blink, without torch.

$ python -c "from dopsd.recipe import Training; print(Training(rank=16))"
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from dopsd.bounds import FORBID_UNKNOWN_KEYS, above_zero, at_least, one_of, within

Method = Literal[
    "dopsd", "sft", "sft-parent", "sft-adapter", "dreambooth", "pso", "pso_db", "sft-teacher", "offpolicy", "anchored",
]  # fmt: skip
"""The ways of tuning; `dopsd.objective` knows where each is."""

TAUGHT: tuple[Method, ...] = ("dopsd", "offpolicy", "sft-teacher", "anchored")
"""Those that follow a teacher, and learn nothing from a weak one."""

Checkpointing = Literal["none", "selective", "full"]
"""Keep everything for the way back; attention and products of matrices; or the input of each block alone."""

Teacher = Literal["ema", "frozen", "copy"]
"""A moving average of the student, the base as it was loaded, or the student of this very moment."""


@dataclass(frozen=True)
class Training:
    """How a model is tuned (arXiv:2605.05204, appendix D: Z-Image-Turbo, LoRA).

    What is trained: `weights` are those of a LoRA of `rank` and `alpha` on `targets` (suffixes of module names; empty
    is the family's choice), of a DoRA of the same shape, or all. `parent` is "base" or the name of the version whose
    adapter the student starts from. `precision` is that of the network's arithmetic (what learns, latents and losses
    are fp32 always); "auto" is bf16 on a GPU and fp32 on a CPU.

    The teacher of dopsd, offpolicy and sft-teacher: "ema" is a moving average of the student, whose memory,
    1 / (1 - `ema_decay`) iterations, grows to full length over the first `ema_warmup`; with all weights it lies on
    `ema_device`, beside the network or on the CPU. "frozen" is the bare base, "copy" the student of this moment.

    The loss: `loss` is the space of the disagreement: "velocity" is eq. 6, "x0" multiplies it by sigma squared as the
    authors' code does. `step_weights` are relative, one a step; empty weighs all alike. `num_steps` is the number of
    steps that the model is deployed with: the student rolls out exactly these, and probe and evaluation sample with
    them. `num_states` of their states, drawn at random, are learnt from in an iteration; 0 is all.

    The baselines: `num_samples` an image are drawn once by the untrained model (class pictures, losers, the teacher's
    pictures, fixed states). `prior_weight` is DreamBooth's; the `pso_` keys have the values of PSO's scripts. Of
    "anchored", which is ours, `anchor_weight` is how much the base counts beside the teacher.

    In what pieces, which changes how sums round and nothing else: `processes`, each with a GPU of its own, share a
    batch of `batch_size`, and each walks its rows back in `accumulate` parts. `sharded` divides among them, too, all
    weights where all learn, with gradients, moments and teacher. For the way back all is kept, or some is
    made again, as `checkpointing` says. The frozen weights of the blocks lie on `base_device`, beside the network or on
    the CPU, and come to it one by one. `compile` lets torch compile the blocks, which rounds otherwise.

    `base_storage` does change what is learnt: "int8" keeps those weights in eight bits a number.

    The steps: the learning rate grows to its full size over the first `learning_rate_warmup` iterations. The state is
    saved every `checkpoint_every` of them, and the last `checkpoints_kept` states stay.

    Beside it, 0 for never: every `sample_every` iterations, at the first and at the last, student and teacher draw for
    people to see. Every `stop_early` the few-step signals are measured; training ends when they have left the noise
    floor of the model that it began with `stop_after` times in a row, with the weights of the last time they had not.
    """

    method: Method = "dopsd"
    weights: Literal["lora", "dora", "full"] = "lora"
    teacher: Teacher = "ema"
    ema_decay: float = 0.9999
    ema_warmup: int = 0
    ema_device: Literal["network", "cpu"] = "network"
    loss: Literal["x0", "velocity"] = "x0"
    step_weights: tuple[float, ...] = ()
    num_steps: int = 4
    num_states: int = 0
    num_samples: int = 8
    prior_weight: float = 1.0
    anchor_weight: float = 4.0
    pso_beta: float = 5.0
    pso_loser_share: float = 0.1
    pso_prior_weight: float = 0.5
    iterations: int = 1000
    batch_size: int = 4
    learning_rate: float = 4e-5
    learning_rate_warmup: int = 0
    max_gradient_norm: float = 1.0
    rank: int = 64
    alpha: int = 128
    targets: tuple[str, ...] = ()
    processes: int = 1
    accumulate: int = 1
    sharded: bool = False
    checkpointing: Checkpointing = "none"
    base_device: Literal["network", "cpu"] = "network"
    base_storage: Literal["whole", "int8"] = "whole"
    compile: bool = False
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    seed: int = 0
    checkpoint_every: int = 100
    checkpoints_kept: int = 2
    sample_every: int = 100
    stop_early: int = 0
    stop_after: int = 2
    parent: str = "base"

    __pydantic_config__ = FORBID_UNKNOWN_KEYS

    def __post_init__(self) -> None:
        """Refuse what cannot train; raises ValueError naming the key."""
        for key, kind in get_type_hints(Training).items():
            if get_origin(kind) is Literal:
                one_of(key, getattr(self, key), get_args(kind))
        counts = ("num_steps", "num_samples", "iterations", "batch_size", "rank", "alpha")
        for key in (*counts, "checkpoint_every", "checkpoints_kept", "stop_after", "processes", "accumulate"):
            at_least(key, getattr(self, key), 1)
        for key in ("learning_rate", "max_gradient_norm", "pso_beta"):
            above_zero(key, getattr(self, key))
        shares = ("prior_weight", "anchor_weight", "pso_loser_share", "pso_prior_weight")
        for key in (*shares, "seed", "ema_warmup", "learning_rate_warmup", "sample_every", "stop_early"):
            at_least(key, getattr(self, key), 0)
        within("ema_decay", self.ema_decay, 0, 1)
        within("num_states", self.num_states, 0, self.num_steps)
        if self.batch_size < self.processes * self.accumulate:
            said = f"processes is {self.processes} and accumulate {self.accumulate}"
            raise ValueError(f"batch_size is {self.batch_size}, {said}: give every part a row at least")
        self._refuse_weights_and_parents()
        self._refuse_what_saves_nothing()

    @property
    def has_rest(self) -> bool:
        """Tell whether frozen weights lie otherwise than they are read."""
        return self.base_device == "cpu" or self.base_storage != "whole"

    def _refuse_what_saves_nothing(self) -> None:
        said = f"base_device is {self.base_device} and base_storage {self.base_storage}"
        if self.has_rest and self.weights == "full":
            raise ValueError(f"{said}: with weights: full nothing is frozen; leave them out, or train a lora")
        if self.has_rest and self.checkpointing == "none":
            raise ValueError(f"{said}: nothing is saved while all is kept for the way back; set checkpointing to full")
        if self.sharded and self.weights != "full":
            raise ValueError(f"sharded divides what learns, and a {self.weights} is small: set weights to full")
        if self.sharded and self.compile:
            raise ValueError("sharded gathers weights amid what compile makes one piece: leave one of the two out")
        if self.compile and self.checkpointing == "selective":
            raise ValueError("compile leaves none of the operations that selective checkpointing keeps: set it to full")

    def _refuse_weights_and_parents(self) -> None:
        if self.step_weights and (len(self.step_weights) != self.num_steps or min(self.step_weights) < 0):
            raise ValueError(f"step_weights is {list(self.step_weights)}: give {self.num_steps} numbers >= 0")
        if self.step_weights and sum(self.step_weights) == 0:
            raise ValueError("step_weights are all 0: nothing would be learnt; give one of them a weight")
        if not self.parent:
            raise ValueError('parent is empty: write "base" or the version to start from')
        if self.weights == "full" and self.parent != "base":
            raise ValueError(f"parent is {self.parent!r} and weights is full: all weights are trained from base alone")


def decisive(said: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out of a training's values those that change no weight: what is kept and shown, a guard that is off.

    Nor do the processes and the memory count, which a machine has and another one has not, nor a batch that is walked
    back whole, nor a base that is stored whole.
    """
    guard = () if said.get("stop_early") else ("stop_early", "stop_after")
    parts = () if said.get("accumulate", 1) > 1 else ("accumulate",)
    whole = ("base_storage",) if said.get("base_storage") == "whole" else ()
    memory = ("processes", "sharded", "checkpointing", "base_device", "compile")
    idle = ("checkpoints_kept", "sample_every", *memory, *guard, *parts, *whole)
    return {key: value for key, value in said.items() if key not in idle}

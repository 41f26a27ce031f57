"""Every number that teachers and versions are judged by, with start values; imports in a blink, without torch.

$ python -c "from dopsd.judging import Margins; print(Margins())"
"""

from dataclasses import dataclass
from typing import Literal, get_args

from dopsd.bounds import FORBID_UNKNOWN_KEYS, at_least, distinct_seeds, one_of, within


@dataclass(frozen=True)
class Probing:
    """How the teacher is tried before training: `seeds` pictures a training prompt, and how sure we want to be.

    The teacher passes when the lower end of the interval of its gain in likeness exceeds `minimum_gain` (in units of
    the likeness distance). `accept_weak_teacher` trains even so; the report says it did.
    """

    seeds: tuple[int, ...] = (0, 1, 2, 3)
    confidence: float = 0.95
    minimum_gain: float = 0.0
    accept_weak_teacher: bool = False

    __pydantic_config__ = FORBID_UNKNOWN_KEYS

    def __post_init__(self) -> None:
        """Refuse what cannot be measured; raises ValueError naming the key."""
        distinct_seeds(self.seeds)
        within("confidence", self.confidence, 0.5, 0.999)
        within("minimum_gain", self.minimum_gain, 0, 2)


Metric = Literal[
    "dino_d", "clip_s", "curvature", "sharpness", "contrast", "noise_floor", "diversity", "velocity_divergence",
    "frechet_to_base", "lpips_d", "vlm_j", "quality_s", "aesthetic_s", "fid", "kid", "geneval", "dpg",
]  # fmt: skip
"""What can be measured; docs/metrics.md has a paragraph on each."""
JUDGED: tuple[Metric, ...] = ("dino_d", "clip_s", "curvature", "sharpness", "contrast", "noise_floor")
"""What the gate judges by."""


@dataclass(frozen=True)
class Evaluation:
    """How models are compared: the same prompts and `seeds` for all of them, intervals of `confidence` over prompts.

    `metrics` are what is measured, among them all that the gate judges by.
    """

    seeds: tuple[int, ...] = (0, 1)
    confidence: float = 0.95
    num_resamples: int = 10_000
    metrics: tuple[Metric, ...] = (*JUDGED, "diversity", "velocity_divergence", "frechet_to_base")

    __pydantic_config__ = FORBID_UNKNOWN_KEYS

    def __post_init__(self) -> None:
        """Refuse what cannot be measured; raises ValueError naming the key."""
        distinct_seeds(self.seeds)
        within("confidence", self.confidence, 0.5, 0.999)
        at_least("num_resamples", self.num_resamples, 100)
        for metric in self.metrics:
            one_of("metrics", metric, get_args(Metric))
        if "diversity" in self.metrics and len(self.seeds) < 2:
            raise ValueError(f"seeds are {list(self.seeds)} and diversity compares pictures of a prompt: give two")


@dataclass(frozen=True)
class Margins:
    """How much of each score the gate lets go, in the score's own unit; start values, to be calibrated on real runs.

    Against the champion and the parent they bound one round; against the base they are the budget of all rounds
    together. `likeness_gain`: DINO-D must fall by more than this on the concept's prompts. `retention_loss`: CLIP-S on
    prompts without the concept may fall by less than this. `earlier_loss`: DINO-D may rise by less on the concepts that
    were learnt before. The rest are few-step signals on the prompts without the concept: curvature may rise by less
    than `curvature_rise`; log sharpness and log contrast must stay within plus or minus their margin (blur and
    over-sharpening are both failures); the log noise floor may rise by less than `noise_rise`. Nothing passes on fewer
    than `fewest_prompts`.
    """

    likeness_gain: float = 0.0
    retention_loss: float = 0.01
    earlier_loss: float = 0.02
    curvature_rise: float = 0.02
    sharpness_change: float = 0.2
    contrast_change: float = 0.2
    noise_rise: float = 0.2
    fewest_prompts: int = 8

    __pydantic_config__ = FORBID_UNKNOWN_KEYS

    def __post_init__(self) -> None:
        """Refuse negative margins; raises ValueError naming the key."""
        for key in self.__dataclass_fields__:
            at_least(key, getattr(self, key), 0)

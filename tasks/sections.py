"""The sections of params.yaml, one a stage, and what each key may be; their defaults are the recipe.

python -m tasks params        (every key with the value it has)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, field_validator, model_validator

from dopsd.judging import JUDGED, Evaluation, Margins
from tasks.pipeline import STAGES


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Models(_Section):
    """The family, and a folder in the layout of the hub for each model; no defaults: params.yaml chooses.

    Two are for baselines alone, and may stay empty: `undistilled` is what the base was distilled from (sft-parent),
    `dedistillation` the folder of an adapter that undoes the distillation (sft-adapter).
    """

    family: str
    base: str
    vlm: str
    dino: str
    clip: str
    undistilled: str = ""
    dedistillation: str = ""


class Ingest(_Section):
    """What may enter the dataset. Megabytes are decimal; captions are counted in characters.

    `txt_lines` says what the lines of a name.txt are: "joined" to one caption, or "captions" of their own.
    """

    source: str
    max_megabytes: float = Field(64, gt=0)
    max_megapixels: float = Field(64, gt=0)
    min_side_px: int = Field(16, ge=1)
    max_caption_characters: int = Field(2000, ge=1)
    txt_lines: Literal["joined", "captions"] = "joined"
    near_duplicates: Literal["keep", "drop"] = "keep"
    near_duplicate_bits: int = Field(4, ge=0, le=64)


class Caption(_Section):
    """How the vision-language model is asked for what nobody wrote; `placeholder` stands for the new concept."""

    instruction: str = "Describe this image in one sentence."
    placeholder: str = Field("[V]", min_length=1)
    batch_size: int = Field(8, ge=1)


class Embed(_Section):
    """The side of the square picture that everything learns at, and how many are encoded at once.

    `bucket_step_px` keeps pictures near their own shape: each goes to the bucket that fits it best, of sizes with about
    the square's area and sides in steps of so many pixels (64 at 1024); 0 makes all of them square.
    `teacher_context` is how the teacher is shown the picture: "vlm" (read with the caption), "reference" (latents, for
    a family that edits) or "both"; "auto" is the family's usual way. `teacher_image` is which picture: the "target", or
    "another" of the dataset with the target's caption, each paired with one by `pairing_seed`. `class_noun` says what
    the concept is ("star"): dreambooth and pso learn beside it what the class looked like before; empty for the others.
    """

    image_side_px: int = Field(1024, ge=8)
    bucket_step_px: int = Field(0, ge=0)
    batch_size: int = Field(8, ge=1)
    teacher_context: Literal["auto", "vlm", "reference", "both"] = "auto"
    teacher_image: Literal["target", "another"] = "target"
    pairing_seed: int = Field(0, ge=0)
    class_noun: str = ""

    @model_validator(mode="after")
    def _holds_whole_steps(self) -> "Embed":
        """Refuse steps that the square's own side is not made of."""
        side, step = self.image_side_px, self.bucket_step_px
        if step and side % step:
            near = max(1, round(side / step)) * step
            said = f"bucket_step_px is {step}, and image_side_px, {side}, no multiple of it"
            raise ValueError(f"{said}: set image_side_px to {near}, or take a step that divides it")
        return self


_NEEDS = {
    "lpips_d": ("lpips",), "fid": ("inception",), "kid": ("inception",), "vlm_j": ("judge",), "quality_s": ("judge",),
    "aesthetic_s": ("judge",), "geneval": ("segmenter", "geneval"), "dpg": ("judge", "dpg"),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Evaluate(Evaluation):
    """How models are compared, and on what: two files of prompts, one a line.

    `novel` puts the concept into new scenes, `retention` holds what must not change; so many training captions are said
    in other words. `class_noun` says what the concept is ("star") in words that any model knows; `kind` tells an
    object from a style. `earlier` are folders of panels that evaluate wrote for concepts learnt before;
    `dopsd run --parent v3` adds those of the line of v3.

    Some metrics need more, each a folder or a hub id: lpips_d needs `lpips`, fid and kid `inception`, geneval
    `segmenter` and the benchmark's file `geneval`, vlm_j, quality_s and aesthetic_s `judge`, dpg `judge` and its file
    `dpg`.
    """

    novel: str
    retention: str
    num_rewrites: int = Field(16, ge=1)
    class_noun: str = ""
    kind: Literal["object", "style"] = "object"
    earlier: tuple[str, ...] = ()
    lpips: str = ""
    inception: str = ""
    judge: str = ""
    segmenter: str = ""
    geneval: str = ""
    dpg: str = ""

    def __post_init__(self) -> None:
        """Refuse metrics whose model is not named, and a choice that the gate cannot judge by."""
        super().__post_init__()
        for metric in self.metrics:
            for key in _NEEDS.get(metric, ()):
                if not getattr(self, key):
                    raise ValueError(f"{key} is missing and metrics ask for {metric}: name a folder or a hub id")
        if missing := [metric for metric in JUDGED if metric not in self.metrics]:
            raise ValueError(f"metrics leave {missing[0]} out, which the gate judges by: add it")


class Register(_Section):
    """The name in the registry, and what the gate lets go."""

    model: str = Field("dopsd", pattern=r"^[\w.-]+$")
    margins: Margins = Margins()


class Replay(_Section):
    """How large a part of what a run learns are pictures of its parent and of those before it; 0 for none.

    `dopsd run --parent v3` puts them into the folder `replayed` of `ingest.source`.
    """

    share: float = Field(0, ge=0, lt=1)


class Machine(_Section):
    """What stages want of the machine that they run on; nothing that they make depends on it.

    `memory_gib` says, a stage, how much memory its GPU must have: the smallest that fits is taken. Where more than
    `images_per_shard` images are to be computed, workers of the pool `gpu` do so, `shards_at_once` at a time.
    """

    memory_gib: Mapping[str, PositiveFloat] = {}
    images_per_shard: int | None = Field(None, ge=1)
    shards_at_once: int = Field(4, ge=1)

    @field_validator("memory_gib")
    @classmethod
    def _are_stages(cls, said: Mapping[str, float]) -> Mapping[str, float]:
        names = [row.name for row in STAGES if row.needs == "gpu"]
        if unknown := sorted(said.keys() - set(names)):
            raise ValueError(f"{unknown[0]} is no stage that needs a GPU; there are {', '.join(names)}")
        return said


class Compare(_Section):
    """What `dopsd compare` compares on: a folder of concepts, and a command that makes it where it is missing.

    `domains` and `domains_drawn_by` are the same for the table of full fine-tuning: larger folders, each in one style.
    `families` says for another family than that of `models` which folders it has: `base`, `undistilled` and so on.
    """

    concepts: str = "data/concepts"
    drawn_by: str = ""
    domains: str = "data/domains"
    domains_drawn_by: str = ""
    families: Mapping[str, Mapping[str, str]] = {}

"""The numbers of a tiny base as a page and as JSON under docs/; both come from one measurement.

python -m recipes.tiny measure
"""

import json
from pathlib import Path

from dopsd.families.catalogue import teacher_context
from dopsd.metrics.statistics import Interval
from recipes.tiny.measure import Numbers, Sheet, as_json
from tasks.folders import sha256_of_folder

_PAGE = """\
# {title}, in numbers

Measured by `{command}` on the models under `models/`, on scenes and concepts that the recipe
never drew; `make test-slow` measures them again. Intervals are 95 % over prompts or concepts.

## It follows prompts, and it is step-distilled

{prompts} prompts, the same noise for every row. *Follows* is the share of the prompt's words that the tiny VLM reads
back from the picture; *Frechet* is the distance of DINO features (Gaussians with diagonal covariance) to {reference}
other true drawings; *sharpness* is the log gradient energy at half resolution.

| | forwards | follows prompt | CLIP-S | Frechet | sharpness |
|---|---|---|---|---|---|
{sheets}

How far 4 steps stray from the picture that the parent's 32 steps draw from the same noise, in DINO-D: the deployed
model {deployed_strays}, the parent itself {parent_strays}; paired, the few-step skill that distillation gave and
that tuning can destroy: **{few_step_skill}**. The parent's 4 steps are less sharp than its 32 by
{parent_blurs} in log energy, and farther from true drawings by {parent_is_farther} (Frechet,
jackknife over prompts); the deployed model's 4 steps are farther than those 32 by {deployed_is_farther}.

## It learns from a shown picture

{concepts} unseen concepts; one picture of each is shown {shown} and a *new* scene is asked for by `[V]`;
4 steps, the same noise. DINO-D is the distance to a true drawing of the asked scene.

| | DINO-D | share of the concept's words that the VLM reads back |
|---|---|---|
| student, text alone | {student_distance} | {student_names} |
| teacher, text and picture | {teacher_distance} | {teacher_names} |
| paired gain of the teacher | {teacher_gain} | |

## The captioner

{captions} drawings of unseen concepts; whole caption right: {exact}. By attribute: {attributes}.
The two colours of stripes and checks count in either order: by sight nobody can tell which is named first.

## How far it is

{so_far}
More fitting, from the shipped weights on, is one command; on a GPU, too (written for one, not
yet tried on one):

    {command_of_refine} --size 8 --device cuda
    {command}
"""
_FILES = {"z-image": "tiny-base", "flux2-klein": "tiny-base-flux2-klein"}
_SO_FAR = {
    "z-image": """\
Everything was fitted on two CPU cores, beside other work. The denoiser saw 205,000 pictures of a first world, 328,000
of one with coarser places, and 307,000 of this one (4,800 steps of 64), where each cell of a textured ground has one
of two tones at random: one prompt has many sharp answers. It was distilled at size 2 (700 and 120 steps). The
deployed steps are bent towards noise by a shift of 6 (Z-Image-Turbo: 3), because pictures of 25 tokens settle early:
before the last 1,100 of those steps the parent's 4 steps were farther from true drawings than its 32 by 1.1 in
Frechet distance at a shift of 3, by 2.1 at 6 and by 3.5 at 10 (measured once; no command here prints it). Patterns in
small objects are soft; the two tones of a ground are paler than they are drawn.
""",
    "flux2-klein": """\
Everything was fitted on two CPU cores, beside other work. The denoiser saw 211,000 pictures (3,300 steps of 64, on
20,000 scenes), a quarter of what the tiny Z-Image saw; it was distilled at size 1 (350 and 60 steps). Its steps are
bent by the pipeline's own rule for 25 tokens and 4 steps.
""",
}
_TITLES = {"z-image": "The tiny base", "flux2-klein": "The tiny FLUX.2-klein"}
_SHOWN = {"vlm": "in the VLM's context", "reference": "as reference tokens behind the noise"}


def write_report(name: str, numbers: Numbers, models: Path, docs: Path) -> None:
    """Write both files of the family called `name` into `docs`, with the digests of the models that were measured."""
    docs.mkdir(exist_ok=True)
    said = as_json(numbers) | {"models": digests(name, models)}
    (docs / f"{_FILES[name]}.json").write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
    (docs / f"{_FILES[name]}.md").write_text(_page(name, numbers), encoding="utf-8")


def digests(name: str, models: Path) -> dict[str, str]:
    """Digest all that the numbers of a family depend on."""
    measured = (f"tiny-{name}", f"tiny-{name}-parent", "tiny-qwen3-vl", "tiny-dino", "tiny-clip")
    return {folder: sha256_of_folder(models / folder) for folder in measured}


def _page(name: str, numbers: Numbers) -> str:
    rows = [
        ("true drawings", "-", numbers.true_drawings),
        ("**deployed: distilled, 4 steps**", "4", numbers.deployed_4_steps),
        ("its parent, 32 steps", "32", numbers.parent_32_steps),
        ("its parent, 4 steps", "4", numbers.parent_4_steps),
    ]
    option = "" if name == "z-image" else f" --family {name}"
    return _PAGE.format(
        title=_TITLES[name],
        command=f"python -m recipes.tiny measure{option}",
        command_of_refine=f"python -m recipes.tiny refine{option}",
        so_far=_SO_FAR[name],
        shown=_SHOWN[teacher_context(name, "auto")],
        prompts=numbers.deployed_4_steps.follows_prompt.count,
        reference=4 * numbers.deployed_4_steps.follows_prompt.count,
        sheets="\n".join(_row(*row) for row in rows),
        deployed_strays=_said(numbers.deployed_strays),
        parent_strays=_said(numbers.parent_strays),
        few_step_skill=_said(numbers.few_step_skill),
        parent_blurs=_said(numbers.parent_blurs),
        parent_is_farther=_said(numbers.parent_is_farther),
        deployed_is_farther=_said(numbers.deployed_is_farther),
        concepts=numbers.teacher_gain.count,
        student_distance=_said(numbers.student_distance),
        teacher_distance=_said(numbers.teacher_distance),
        teacher_gain=_said(numbers.teacher_gain),
        student_names=_said(numbers.student_names_concept),
        teacher_names=_said(numbers.teacher_names_concept),
        captions=numbers.captions_exact.count,
        exact=_said(numbers.captions_exact),
        attributes=", ".join(f"{name} {share:.3f}" for name, share in numbers.captions_by_attribute.items()),
    )


def _row(name: str, forwards: str, sheet: Sheet) -> str:
    cells = [
        name,
        forwards,
        _said(sheet.follows_prompt),
        _said(sheet.clip_s),
        f"{sheet.frechet:.4f}",
        _said(sheet.sharpness),
    ]
    return f"| {' | '.join(cells)} |"


def _said(interval: Interval) -> str:
    return f"{interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}]"

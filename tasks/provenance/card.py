"""The model card, as the hub of Hugging Face reads it: facts for programs in front, for people below.

>>> card(facts(Path(), "dopsd", "v7"), ["a [V] on the moon"])
"""

from collections.abc import Sequence

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from dopsd.weights.trained import FOLDER
from tasks.provenance.facts import Facts
from tasks.versions.version_page import scores_table, table

TASK = "text-to-image"
_ADAPTER = """\
from diffusers import DiffusionPipeline

pipeline = DiffusionPipeline.from_pretrained({base!r})
pipeline.load_lora_weights(".")
"""
_WHOLE = """\
from diffusers import AutoModel, DiffusionPipeline

transformer = AutoModel.from_pretrained({folder!r})
pipeline = DiffusionPipeline.from_pretrained({base!r}, transformer=transformer)
"""
_DRAW = """\
picture = pipeline({prompt!r}, num_inference_steps={steps}, guidance_scale=0.0).images[0]
"""


def card(facts: Facts, prompts: Sequence[str]) -> str:
    """Write the card of a version; `prompts` are scenes that it was judged by, and that the hub shows."""
    front = _front(facts, prompts).to_yaml()
    sections = [
        f"---\n{front}\n---",
        f"# {facts.model} {facts.record.version}",
        _use(facts, prompts),
        f"## Where it comes from\n\n{_origin(facts)}",
        f"## How it was judged\n\n{_judged(facts)}\n\n{scores_table(facts.record.lineage['scores'])}",
        "All of it stands in the files beside it; `dopsd provenance verify` tells whether they are what was signed.",
    ]
    return str(ModelCard("\n\n".join(sections) + "\n"))


def _front(facts: Facts, prompts: Sequence[str]) -> ModelCardData:
    params = facts.record.lineage["params"]
    return ModelCardData(
        base_model=facts.base[0],
        base_model_relation="finetune" if _is_whole(facts) else "adapter",
        library_name="diffusers",
        pipeline_tag=TASK,
        tags=[TASK, params["models"]["family"], params["train"]["method"], params["train"]["weights"]],
        instance_prompt=params["caption"]["placeholder"],
        widget=[{"text": prompt} for prompt in prompts],
        model_name=f"{facts.model} {facts.record.version}",
        eval_results=_results(facts),
    )


def _results(facts: Facts) -> list[EvalResult]:
    """Give a result a metric that could be measured; the panel it was measured on is its dataset."""
    found = []
    for key, row in facts.scores.items():
        panel, _, metric = key.partition("/")
        if row["mean"] is not None:
            name = metric.partition("@")[0]
            found.append(EvalResult(TASK, panel, panel, name, row["mean"], metric_name=metric))
    return found


def _use(facts: Facts, prompts: Sequence[str]) -> str:
    """Tell how to draw with it."""
    params = facts.record.lineage["params"]
    placeholder, steps = params["caption"]["placeholder"], params["train"]["num_steps"]
    noun = params["evaluate"]["class_noun"]
    called = f"`{placeholder}`, a {noun}," if noun else f"`{placeholder}`"
    code = (_WHOLE if _is_whole(facts) else _ADAPTER) + _DRAW
    spelled = code.format(base=facts.base[0], folder=FOLDER, prompt=(*prompts, placeholder)[0], steps=steps)
    return f"It draws {called} in {steps} steps without guidance, as it was trained to:\n\n```python\n{spelled}```"


def _origin(facts: Facts) -> str:
    record, said = facts.record, facts.record.lineage
    clean = {True: "clean", False: "with changes, which the commit of the version has", None: "outside of git"}
    rows = {
        "base": f"`{said['base']}`",
        "parent": record.parent,
        "images": f"{said['num_images']}, `{said['dataset']}`",
        "captions": f"`{said['captions']}`",
        "code": f"`{said['git_commit']}`, {clean[said['is_git_clean']]}",
        "version as a commit": f"`{record.commit}`",
        "libraries": f"{len(facts.libraries)}, `{said['environment_lock']}`",
        "weights": f"`{said['adapter']}`",
        "made by": f"{record.entered['by']}, {record.entered['at']}, started by {record.entered['trigger']}",
    }
    if said["upstream"] == "stale":
        rows["inputs"] = "**stale**, which a person accepted"
    if said["is_weak_teacher_accepted"]:
        rows["teacher"] = "**weak**, which a person accepted"
    return table(["", ""], [[name, text] for name, text in rows.items()])


def _judged(facts: Facts) -> str:
    rows = [
        [entry.at, entry.by, entry.verdict or entry.action, "<br>".join(filter(None, entry.reason.split("\n")))]
        for entry in facts.decisions
    ]
    return table(["when", "who", "decision", "why"], rows)


def _is_whole(facts: Facts) -> bool:
    weights: str = facts.record.lineage["params"]["train"]["weights"]
    return weights == "full"

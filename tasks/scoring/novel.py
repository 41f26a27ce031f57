"""Make a panel of novel scenes for a concept, once; then it is frozen data, and evaluate.novel names it.

    python -m tasks.scoring.novel --class-noun teapot --out panels/teapot.txt
    python -m tasks.scoring.novel --judge models/Qwen3-VL-8B-Instruct --out panels/teapot.txt

Four scenes a concept, and each training caption in other words, as in the paper (arXiv:2605.05204, appendix E). A
vision-language model that is shown the concept writes them where there is one, after caption has run; what it writes is
checked. Templates, drawn by seed, stand in for its scenes, and a rule, when scores are taken, for other words.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from random import Random

from dopsd.captioner import Captioner
from dopsd.placement import fastest
from tasks.folders import write_text
from tasks.images.dataset import dataset
from tasks.pipeline import PLACES, Room
from tasks.runner import RUNS
from tasks.scoring.panels import SAID_AS
from tasks.scoring.rewriting import rewritten
from tasks.sections import Embed

COUNT = 4
_SIDE_PX = 768
"""The side of the square picture that the model is shown."""
_OBJECT = (
    "a {} on a wooden table in a kitchen", "a {} in fresh snow at dawn", "a {} on a beach at low tide",
    "a {} on a shelf between old books", "a {} in tall grass after rain", "a {} under a street lamp at night",
    "a {} floating among clouds", "a {} on the surface of the moon", "a {} made of glass on black velvet",
    "a {} at the bottom of the sea, lit from above", "a {} painted red", "a wet {} on dark stone",
)  # fmt: skip
_STYLE = (
    "a lighthouse above a rough sea, {} style", "a cat asleep on a windowsill, {} style",
    "a crowded market street, {} style", "a bowl of fruit, {} style", "a snowy mountain at dusk, {} style",
    "an astronaut in a garden, {} style", "a city of towers seen from a train, {} style",
    "a portrait of a sailor, {} style",
)  # fmt: skip
_INSTRUCTION = {
    "object": "Write {count} short prompts for an image generator. Each puts the main subject of this picture into a "
    "new scene: two everyday ones, two imaginative ones. Call the subject {placeholder} and say nothing of its kind, "
    "colour or material. Answer with a JSON list of {count} strings and nothing else.",
    "style": "Write {count} short prompts for an image generator. Each shows another subject in another composition, "
    "in the style of this picture. Call the style {placeholder} style and do not describe it. Answer with a JSON list "
    "of {count} strings and nothing else.",
}


def templates(naming: str, *, kind: str = "object", seed: int = 0, count: int = COUNT) -> list[str]:
    """Draw `count` different scenes for a concept that is named `naming` ("[V]" or "[V] teapot")."""
    scenes = _OBJECT if kind == "object" else _STYLE
    return [scene.format(naming) for scene in Random(seed).sample(scenes, count)]


def read(answer: str, placeholder: str, taken: Sequence[str] = (), count: int = COUNT) -> list[str]:
    """Check what a model wrote: a JSON list of `count` different prompts, all with the concept, none of them taken.

    Raises ValueError saying what is wrong with it.
    """
    start, end = answer.find('["'), answer.rfind('"]')
    try:
        said = json.loads(answer[start : end + 2] if 0 <= start < end else answer)
    except ValueError as error:
        raise ValueError(f"the model's answer is not JSON: {answer[:80]!r}") from error
    if not isinstance(said, list) or not all(isinstance(text, str) for text in said):
        raise ValueError(f"the model's answer is no list of texts: {answer[:80]!r}")
    prompts = [" ".join(text.split()) for text in said]
    for text in prompts:
        if text.count(placeholder) != 1 or text in taken or prompts.count(text) > 1:
            raise ValueError(f"the model wrote {text!r}, which lacks {placeholder}, repeats it, or is not new")
    if len(prompts) != count:
        raise ValueError(f"the model wrote {len(prompts)} prompts, and {count} are asked for")
    return prompts


def main() -> None:
    """Write the panel; where the model's answer cannot be used, say why and take the templates."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--class-noun", default="", help="what the concept is, in plain words")
    parser.add_argument("--placeholder", default="[V]")
    parser.add_argument("--kind", choices=("object", "style"), default="object")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--judge", help="a Qwen3-VL folder or hub id that writes, shown the images of data/")
    parser.add_argument("--out", type=Path, required=True)
    said = parser.parse_args()
    if said.out.exists():
        parser.error(f"{said.out} is there, and a panel is frozen: choose another file")
    prompts, others = templates(said.placeholder, kind=said.kind, seed=said.seed), dict[str, str]()
    writer = f"templates, seed {said.seed}"
    if said.judge:
        scenes, others = _written(said.judge, said.kind, said.placeholder)
        prompts, writer = (scenes, said.judge) if scenes else (prompts, writer)
    head = f"# C: {said.class_noun or 'the concept'} in {COUNT} new scenes, written by {writer}. Frozen.\n"
    head += f"# Training captions in other words, written by {said.judge}, below.\n" if others else ""
    lines = [*prompts, *(f"{caption}{SAID_AS}{text}" for caption, text in others.items())]
    write_text(said.out, head + "".join(f"{line}\n" for line in lines))


def _written(judge: str, kind: str, placeholder: str) -> tuple[list[str], dict[str, str]]:
    """Let the model write scenes and other words for the dataset in data/; tell, and leave out, what cannot be used."""
    reads = {place: Path(PLACES[place]) for place in ("images", "captions")}
    pairs, captioner = dataset(Room(reads, {}, RUNS), Embed(image_side_px=_SIDE_PX)), Captioner(judge, fastest())
    captions = [pair.caption for pair in pairs]
    instruction = _INSTRUCTION[kind].format(count=COUNT, placeholder=placeholder)
    try:
        prompts = read(captioner.captions([pairs[0].picture()], instruction)[0], placeholder, captions)
    except ValueError as error:
        print(f"{error}; templates stand in for it")
        prompts = []
    return prompts, rewritten(captioner, pairs, placeholder, prompts)


if __name__ == "__main__":
    main()

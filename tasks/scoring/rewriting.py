"""Let a vision-language model say training captions in other words, once; a panel file keeps what it said.

>>> rewritten(captioner, pairs, "[V]", taken=novel)  # {"a [V] star on red": "on red ground stands [V]"}

The paper rewrites the caption of each target (arXiv:2605.05204, appendix E). An answer that cannot be used is told and
left out; the rule of tasks.scoring.panels stands in for it.
"""

from collections.abc import Sequence

from dopsd.captioner import Captioner
from tasks.images.dataset import Pair
from tasks.scoring.panels import SAID_AS

_INSTRUCTION = (
    "Here is a picture and its caption: {caption}\nSay the caption in other words, as one prompt for an image "
    "generator. Keep what is in the picture, where it is and how it looks. Call the main subject {placeholder} and say "
    "nothing of its kind, colour or material. Answer with the prompt and nothing else."
)


def rewritten(captioner: Captioner, pairs: Sequence[Pair], placeholder: str, taken: Sequence[str]) -> dict[str, str]:
    """Ask for every caption, shown with its picture; equal captions are asked for once.

    No rewrite is a caption, one of the `taken` prompts or another rewrite.
    """
    first: dict[str, Pair] = {}
    for pair in pairs:
        first.setdefault(pair.caption, pair)
    instructions = [_INSTRUCTION.format(caption=caption, placeholder=placeholder) for caption in first]
    answers = captioner.answers([pair.picture() for pair in first.values()], instructions)
    known, found = {*first, *taken}, dict[str, str]()
    for caption, answer in zip(first, answers, strict=True):
        text = " ".join(answer.split()).strip('"')
        if text.count(placeholder) == 1 and SAID_AS not in text and text not in known:
            known.add(text)
            found[caption] = text
        else:
            print(f"of {caption!r} the model made {text!r}, which lacks {placeholder}, repeats it, or is not new")
    return found

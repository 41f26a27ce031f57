"""A vision-language model as judge: it is shown pictures and a scale, and says one mark.

>>> judge = Judge("models/Qwen3-VL-8B-Instruct")
>>> judge.marks([Question("Is there a dog? Answer yes or no.", [picture])], YES_OR_NO)

The label is what it says, read strictly; the expected mark is the mean of the scale under its first token's
probabilities, finer and always there. An answer that cannot be read is NaN and is counted, never a low mark.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from dopsd.placement import CPU, Placement
from dopsd.pretrained import named
from dopsd.vision_language import VisionLanguage, load_vision_language, said

_WORD = re.compile(r"-?\d+(?:\.\d+)?|[^\W\d_]+")
_MOST_NEW_TOKENS = 32

Scale = Mapping[str, float]
"""Every answer there is, in lower case, and what it counts."""
YES_OR_NO: Scale = {"yes": 1.0, "no": 0.0}


@dataclass(frozen=True)
class Question:
    """What the judge is told beforehand, if anything, what it is asked, and the pictures it is shown, in order."""

    text: str
    images: Sequence[Image]
    system: str = ""


@dataclass(frozen=True)
class Mark:
    """What the judge said, the label read from it (NaN where there is no single one), and the expected mark."""

    said: str
    label: float
    expected: float

    @property
    def is_unread(self) -> bool:
        """Tell whether the answer could not be read."""
        return math.isnan(self.label)


class Judge:
    """A Qwen3-VL that gives marks, greedily: the same pictures get the same mark."""

    def __init__(self, model: str | Path, placement: Placement = CPU) -> None:
        """Load the model. Raises FileNotFoundError where it is missing or incomplete."""
        self.name = named(model)
        self._seeing: VisionLanguage = load_vision_language(model, placement)

    @torch.no_grad()
    def marks(self, questions: Sequence[Question], scale: Scale) -> list[Mark]:
        """Ask every question, for an answer on `scale`."""
        first = first_tokens(self._seeing.processor.tokenizer, scale)
        found: dict[int, Mark] = {}
        for batch in self._seeing.talks([_conversation(question) for question in questions]):
            told = self._seeing.model.generate(
                **batch.inputs,
                max_new_tokens=_MOST_NEW_TOKENS,
                do_sample=False,
                output_logits=True,
                return_dict_in_generate=True,
            )
            new = told.sequences[:, batch.inputs["input_ids"].shape[1] :]
            texts = self._seeing.processor.tokenizer.batch_decode(new, skip_special_tokens=True)
            for row, text, logits in zip(batch.rows, texts, told.logits[0].float().cpu(), strict=True):
                found[row] = Mark(text.strip(), label(text, scale), expected(logits, first, scale))
        return [found[row] for row in range(len(questions))]


def label(text: str, scale: Scale) -> float:
    """Read the one mark that an answer gives; NaN where it gives none, more than one, or another number.

    "4", "4.", "Score: 4 points" are 4; "3 or 4", "4/5", "3.5" and "four" are nothing on a scale of 1 to 4.
    """
    words = _WORD.findall(text.lower())
    marks = [word for word in words if word in scale or word[-1].isdigit()]
    return scale.get(marks[0], math.nan) if len(marks) == 1 else math.nan


def expected(logits: Tensor, first: Mapping[str, Sequence[int]], scale: Scale) -> float:
    """Average the scale under the probabilities of its labels' first tokens; logits have shape (vocabulary,)."""
    weights = torch.stack([logits[list(first[answer])].logsumexp(0) for answer in scale]).softmax(0)
    return float((weights * torch.tensor(list(scale.values()))).sum())


def first_tokens(tokenizer: Any, scale: Scale) -> dict[str, list[int]]:
    """Find the first token of each label, small or capitalised. Raises ValueError where two labels share one."""
    first = {
        answer: sorted({tokenizer.encode(form, add_special_tokens=False)[0] for form in (answer, answer.capitalize())})
        for answer in scale
    }
    tokens = [token for some in first.values() for token in some]
    if len(set(tokens)) < len(tokens):
        raise ValueError(f"the judge's tokenizer begins two of {', '.join(scale)} alike: choose another judge")
    return first


def _conversation(question: Question) -> list[dict[str, Any]]:
    before = [said("system", question.system)] if question.system else []
    return [*before, said("user", question.text, question.images)]

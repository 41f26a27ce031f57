"""The prompts that models are compared on: C, the concept in other words and new scenes; R, all that must not change.

    panel = concept_panel({"3f0c": "a [V] star on red"}, ["a [V] on the moon"], Naming("[V]", "star"))
    panel += retention_panel(prompts(Path("panels/retention.txt")))

Prompts are frozen data, one a line, "#" in front of a remark: comparisons of years hold only while they stay. A line
"a [V] on red => on red ground stands [V]" says a training caption in other words.
P, the panels of concepts that were learnt earlier, are kept by tasks.scoring.earlier.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from dopsd.metrics.prompting import plain_prompt

SAID_AS = " => "
"""Stands between a training caption and what a panel file says for it."""
Panel = Literal["concept", "retention", "earlier", "geneval", "dpg"]


@dataclass(frozen=True)
class Naming:
    """How prompts name the concept: a placeholder, and the noun of its class ("star", or "" where it has none)."""

    placeholder: str
    class_noun: str

    def plain(self, text: str) -> str:
        """Say a prompt to a model that has never met the concept."""
        return plain_prompt(text, self.class_noun, self.placeholder)


@dataclass(frozen=True)
class Prompt:
    """One prompt of a panel, and the same in plain words, for judges who have never met the concept.

    `target` is the id of the picture to compare with, if any: that whose caption a rewrite says in other words.
    """

    panel: Panel
    text: str
    plain: str
    target: str | None = None


def prompts(path: Path) -> list[str]:
    """Read a panel file; raises ValueError for a prompt that stands there twice, FileNotFoundError for no file."""
    said = [line for line in _lines(path) if SAID_AS not in line]
    for text in said:
        if said.count(text) > 1:
            raise ValueError(f"{path}: {text!r} stands there more than once; keep one")
    if not said:
        raise ValueError(f"{path} holds no prompt: write one a line")
    return said


def rewrites(path: Path) -> dict[str, str]:
    """Read from a panel file what it says for training captions, by caption."""
    return dict(line.split(SAID_AS, maxsplit=1) for line in _lines(path) if SAID_AS in line)


def concept_panel(
    captions: Mapping[str, str], novel: Sequence[str], naming: Naming, written: Mapping[str, str] = MappingProxyType({})
) -> list[Prompt]:
    """Say each training caption (by image id) in other words, then add the `novel` scenes.

    The words are those `written` for the caption; a rule finds them where there are none, or they are taken.
    Raises ValueError naming a prompt that leaves the concept out.
    """
    for text in (*novel, *written.values()):
        if naming.placeholder not in text:
            raise ValueError(f"evaluate.novel: there is no {naming.placeholder} in {text!r}; put it for the concept")
    taken = {*captions.values(), *novel}
    panel = []
    for identity, caption in sorted(captions.items()):
        said = [written[caption]] if caption in written else []
        text = next(text for text in chain(said, _rewrites(caption, naming)) if text not in taken)
        taken.add(text)
        panel.append(Prompt("concept", text, naming.plain(text), identity))
    return panel + [Prompt("concept", text, naming.plain(text)) for text in novel]


def retention_panel(texts: Sequence[str], naming: Naming) -> list[Prompt]:
    """Take prompts that have nothing to do with the concept; raises ValueError naming one that has."""
    for text in texts:
        if naming.placeholder in text:
            raise ValueError(f"evaluate.retention: {naming.placeholder} is in {text!r}; write prompts without it")
    return [Prompt("retention", text, text) for text in texts]


def benchmark_panel(name: Literal["geneval", "dpg"], texts: Sequence[str]) -> list[Prompt]:
    """Take the prompts of a benchmark as they are, without any rewriting."""
    return [Prompt(name, text, text) for text in texts]


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no panel {path}: write one prompt a line, or name another in params.yaml")
    lines = [line.strip() for line in path.read_text(encoding="utf-8").split("\n")]
    return [line for line in lines if line and not line.startswith("#")]


def _rewrites(caption: str, naming: Naming) -> Iterator[str]:
    """Say a caption in other words, nearest first: the concept with or without its noun, less detail, then a frame.

    No end: one of them is always new.
    """
    named = caption if naming.placeholder in caption else f"{naming.placeholder}, {caption}"
    shorter = named.rpartition(",")[0]
    short = [shorter] if naming.placeholder in shorter else []
    if naming.class_noun:
        yield _renamed(named, naming)
        yield from (_renamed(text, naming) for text in short)
    yield from short
    while True:
        named = f"a picture of {named}"
        yield named


def _renamed(caption: str, naming: Naming) -> str:
    """Turn "[V] star" into "[V]", and "[V]" into "[V] star"."""
    full = f"{naming.placeholder} {naming.class_noun}"
    return caption.replace(full, naming.placeholder) if full in caption else caption.replace(naming.placeholder, full)

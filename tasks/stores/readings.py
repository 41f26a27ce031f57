"""Which caption and which picture each entry of an image is made from.

>>> readings(pairs, params)["teacher"]  # the kind of entry, and a pair for each of `pairs`: another one's picture, say
>>> readings(pairs, params)["teacher.1"]  # the same with the second captions, where an image has some
"""

from collections.abc import Sequence
from dataclasses import replace

from dopsd.dataset.pairing import partners
from dopsd.metrics.prompting import plain_prompt
from tasks.images.dataset import Pair
from tasks.params import Params
from tasks.stores.entries import KEYS, Origin

Reading = tuple[str, Sequence[Pair]]


def readings(pairs: Sequence[Pair], params: Params) -> dict[str, Reading]:
    """List what is to be made of `pairs`, in their order: latents, and for every caption the contexts.

    An image with fewer captions than others is read with its first again, which costs nothing.
    """
    found: dict[str, Reading] = {kind: (kind, pairs) for kind in KEYS} | _contexts(pairs, params)
    for number in range(1, 1 + max((len(pair.others) for pair in pairs), default=0)):
        said = _contexts([pair.saying(number) for pair in pairs], params)
        found |= {f"{name}.{number}": reading for name, reading in said.items()}
    return found


def shelf_of(name: str) -> str:
    """Name the store that keeps the entries of a reading: those of all captions lie together."""
    return name.partition(".")[0]


def keys(found: dict[str, Reading], origin: Origin) -> dict[str, list[str]]:
    """Give the keys of all entries, by the name of the reading."""
    return {name: [KEYS[kind](pair, origin) for pair in pairs] for name, (kind, pairs) in found.items()}


def _contexts(pairs: Sequence[Pair], params: Params) -> dict[str, Reading]:
    """List the contexts for one caption each: student's and teacher's, and one in plain words if wanted."""
    found: dict[str, Reading] = {"student": ("student", pairs), "teacher": ("teacher", pairs)}
    if params.embed.teacher_image == "another":
        found["teacher"] = "teacher", _shown_another(pairs, params.embed.pairing_seed)
    if params.embed.class_noun:
        found["plain"] = "student", [_in_plain_words(pair, params) for pair in pairs]
    return found


def _shown_another(pairs: Sequence[Pair], seed: int) -> list[Pair]:
    """Put another picture of the concept beside each caption; raises ValueError where there is only one."""
    if len(pairs) < 2:
        raise ValueError("embed.teacher_image is another, and there is one image: add images, or set it to target")
    by_id = {pair.id: pair for pair in pairs}
    partner = partners(list(by_id), seed)
    return [replace(by_id[partner[pair.id]], caption=pair.caption) for pair in pairs]


def _in_plain_words(pair: Pair, params: Params) -> Pair:
    return replace(pair, caption=plain_prompt(pair.caption, params.embed.class_noun, params.caption.placeholder))

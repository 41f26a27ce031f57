"""Which caption and which picture each entry of an image is made from.

>>> readings(pairs, params)["teacher"]  # the kind of entry, and a pair for each of `pairs`: another one's picture, say
"""

from collections.abc import Sequence
from dataclasses import replace

from dopsd.examples import partners
from dopsd.metrics.prompting import plain_prompt
from tasks.dataset import Pair
from tasks.entries import KINDS, Kind
from tasks.params import Params

Reading = tuple[Kind, Sequence[Pair]]


def readings(pairs: Sequence[Pair], params: Params) -> dict[str, Reading]:
    """List what is to be made of `pairs`, in their order: three entries each, and one in plain words if wanted."""
    found: dict[str, Reading] = {name: (kind, pairs) for name, kind in KINDS.items()}
    if params.embed.teacher_image == "another":
        found["teacher"] = KINDS["teacher"], _shown_another(pairs, params.embed.pairing_seed)
    if params.embed.class_noun:
        found["plain"] = KINDS["student"], [_in_plain_words(pair, params) for pair in pairs]
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

"""How many images caption and embed would compute: their own keys, asked of the store before they are.

>>> counted(foreseen, sight)["embed"]  # Count(computed=3, reused=1000, certainty="exactly")

What a caption will say that is not written yet is unknown, and so are the keys that name it: "at most" tells that some
images were counted for such a key alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tasks.images.buckets import fitting
from tasks.images.caption_rows import written
from tasks.images.dataset import Pair
from tasks.images.rows import ImageRow
from tasks.params import Params
from tasks.planning.count import Count, joined
from tasks.planning.foreseen import Foreseen
from tasks.runner import RUNS
from tasks.stores.entries import Origin, caption_keys
from tasks.stores.readings import keys, readings, shelf_of
from tasks.stores.store import Store, opened


@dataclass(frozen=True)
class Sight:
    """What counting needs to know of a workspace: its params, its models' folders, the texts of its code."""

    root: Path
    params: Params
    models: Mapping[str, Path]
    code: Mapping[str, str]

    def store(self, kind: str) -> Store:
        """Open the store that the stages share."""
        return opened(self.root / RUNS, kind)


def counted(foreseen: Foreseen, sight: Sight) -> dict[str, Count]:
    """Count for both stages what a run of them would compute."""
    said = foreseen.captions if foreseen.captions is not None else _captions(foreseen, sight)
    return {"caption": _of_caption(foreseen, sight), "embed": _of_embed(foreseen, said, sight)}


def _of_caption(foreseen: Foreseen, sight: Sight) -> Count:
    """Count the images that the model is asked about, of those that no person wrote about."""
    wanted = _caption_keys(foreseen, sight)
    missing = sight.store("captions").missing(list(wanted.values()))
    return Count(len(missing), len(wanted) - len(missing), foreseen.certainty)


def _captions(foreseen: Foreseen, sight: Sight) -> dict[str, str]:
    """Give every caption that is known before the stage has its turn: people's, and what the model said before."""
    settings, kept = sight.params.caption, sight.store("captions")
    keys_of, found = _caption_keys(foreseen, sight), dict[str, str]()
    for image in foreseen.images:
        if image.caption:
            found[image.id] = image.caption
        elif text := kept.read(keys_of[image.id]):
            found[image.id] = written(image, text.decode(), "", settings).caption
    return found


def _caption_keys(foreseen: Foreseen, sight: Sight) -> dict[str, str]:
    silent = [image.id for image in foreseen.images if not image.caption]
    return dict(
        zip(silent, caption_keys(silent, sight.params, sight.models["vlm"], sight.root / RUNS, sight.code), strict=True)
    )


def _of_embed(foreseen: Foreseen, said: Mapping[str, str], sight: Sight) -> Count:
    """Count the images of which an entry is made; `sure` are those that lack one whatever will be said of them."""
    pairs = [_pair(image, said.get(image.id, f"\0 {image.id}"), sight) for image in foreseen.images]
    if not pairs:
        return Count(0, 0, foreseen.certainty)
    origin = Origin.of(sight.params, sight.models, sight.root / RUNS, sight.code)
    named = keys(readings(pairs, sight.params), origin)
    lacking = {name: sight.store(shelf_of(name)).missing(some) for name, some in named.items()}
    most = {position for some in lacking.values() for position in some}
    sure = {
        position
        for name, some in lacking.items()
        for position in some
        if name == "latents" or pairs[position].id in said
    }
    certainty = foreseen.certainty if most == sure else joined(foreseen.certainty, "at most")
    return Count(len(most), len(pairs) - len(most), certainty)


def _pair(image: ImageRow, caption: str, sight: Sight) -> Pair:
    size = fitting((image.width, image.height), sight.params.embed)
    return Pair(image.id, image.source, caption, Path(image.file), size, image.others)

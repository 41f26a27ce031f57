"""The colour of an object, as GenEval asks CLIP for it (arXiv:2310.11513, section 3).

>>> colour_of(picture, found, ClipScore("models/clip-l-14"))  # "red"
"""

from PIL import Image
from torch.nn.functional import normalize

from dopsd.metrics.faithfulness import ClipScore
from dopsd.metrics.segmenter import Found

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
_GREY = "#999"


def colour_of(image: Image.Image, found: Found, clip: ClipScore) -> str:
    """Name the colour whose descriptions, averaged, are nearest to the object cut out over grey."""
    said = [text for colour in COLOURS for text in _described(colour, found.name)]
    colours = normalize(clip.text_features(said), dim=-1).unflatten(0, (len(COLOURS), -1)).mean(1)
    seen = normalize(clip.image_features([cut_out(image, found)]), dim=-1)
    return COLOURS[int((seen @ normalize(colours, dim=-1).T).argmax())]


def cut_out(image: Image.Image, found: Found) -> Image.Image:
    """Show the object alone, over grey, in its box."""
    blank = Image.new("RGB", image.size, _GREY)
    return Image.composite(image.convert("RGB"), blank, Image.fromarray(found.mask)).crop(found.box)


def _described(colour: str, name: str) -> tuple[str, ...]:
    return f"a photo of a {colour} {name}", f"a photo of a {colour}-colored {name}", f"a photo of a {colour} object"

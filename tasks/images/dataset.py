"""The dataset as training sees it: pictures at the size that they are learnt at, each with its caption.

>>> dataset(room, params.embed)[0].picture()
>>> embedded(room)  # the same, once there are embeddings: with the caption and the size that they were made with
>>> judged(room)  # of these, the pictures of the concept alone
"""

from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from tasks.folders import Row, read_json, read_rows
from tasks.images import rows
from tasks.images.buckets import Size, fitting
from tasks.images.crop import cover, kept
from tasks.images.rows import CaptionRow, ImageRow
from tasks.pipeline import Room
from tasks.sections import Embed

REPLAYED = "replayed"
"""The folder in `ingest.source` of pictures that earlier versions learnt, and this one learns again."""


@dataclass(frozen=True)
class Pair:
    """One image and its caption, or several with the `others`; `source` is the name its owner knows.

    `crop` is the part of the stored picture that is seen at `size`, in its pixels, where sizes differ.
    """

    id: str
    source: str
    caption: str
    path: Path
    size: Size
    others: tuple[str, ...] = ()
    crop: tuple[float, ...] | None = None

    def saying(self, number: int) -> "Pair":
        """Put the caption of this number in the first place; one that is not there is the first."""
        return replace(self, caption=self.others[number - 1]) if 0 < number <= len(self.others) else self

    def picture(self) -> Image.Image:
        """Read the picture at the size it is trained at."""
        return cover(stored(self.path), width=self.size[0], height=self.size[1])


def stored(path: Path) -> Image.Image:
    """Read a picture of the dataset, and leave its file closed."""
    with Image.open(path) as image:
        return image.convert("RGB")


def dataset(room: Room, settings: Embed) -> list[Pair]:
    """Join `data/images` and `data/captions` by id; raises ValueError naming an image without a caption."""
    folder = room.reads["images"]
    captions = {row.id: row for row in rows.read(room.reads["captions"] / "captions.jsonl", CaptionRow)}
    images = rows.read(folder / "images.jsonl", ImageRow)
    for image in images:
        if image.id not in captions:
            raise ValueError(f"{image.source} has no caption in {room.reads['captions']}: run the stage caption")
    return [_pair(image, captions[image.id], folder, settings) for image in images]


def _pair(image: ImageRow, said: CaptionRow, folder: Path, settings: Embed) -> Pair:
    picture = image.width, image.height
    width, height = fitting(picture, settings)
    pair = Pair(image.id, image.source, said.caption, folder / image.file, (width, height), said.others)
    if not settings.bucket_step_px:
        return pair
    return replace(pair, crop=tuple(round(edge, 2) for edge in kept(picture, width=width, height=height)))


def teacher_context(room: Room) -> str:
    """Say how the teacher of `data/embeddings` was shown its pictures."""
    params = read_json(room.reads["embeddings"] / "manifest.json")["params"]
    return str(params.get("teacher_context", "vlm"))


def square(room: Room) -> Size:
    """Say the size that models draw to be judged, whatever the shapes that `data/embeddings` has of pictures."""
    side = read_json(room.reads["embeddings"] / "manifest.json")["params"]["image_side_px"]
    return side, side


def embedded(room: Room) -> list[Pair]:
    """Join `data/images` with what was embedded of them, caption and size as they were then."""
    folder, embeddings = room.reads["images"], room.reads["embeddings"]
    images, usual = {image.id: image for image in rows.read(folder / "images.jsonl", ImageRow)}, square(room)
    return [
        Pair(row["id"], images[row["id"]].source, row["caption"], folder / images[row["id"]].file, _size(row, usual))
        for row in read_rows(embeddings / "index.jsonl")
    ]


def _size(row: Row, usual: Size) -> Size:
    """Read at which size a picture was embedded; where nothing is said, all were square."""
    return (row["width"], row["height"]) if "crop" in row else usual


def judged(room: Room) -> list[Pair]:
    """Leave out of `embedded` what is learnt again: a version is judged on it by the panels of earlier concepts."""
    return [pair for pair in embedded(room) if not is_replayed(pair.source)]


def is_replayed(source: str) -> bool:
    """Tell by the name of a picture in `ingest.source` whether an earlier version learnt it first."""
    return source.startswith(f"{REPLAYED}/")

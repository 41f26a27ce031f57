"""The grids of versions on one picture: what each drew from the same prompts and seeds, where these are the same.

>>> grids(Path(), "dopsd", ["v6", "v7"]).save("grids.png")
"""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image, ImageDraw

from tasks.ancestry.records import records, stages
from tasks.pipeline import PLACES
from tasks.scoring.grid import GAP_PX
from tasks.versions.stored import stores
from tasks.versions.version_commit import outs


def grids(root: Path, model: str, versions: Sequence[str]) -> Image.Image:
    """Put the grids below each other, as DVC keeps them, each with its version in the empty corner.

    Raises FileNotFoundError where one is gone.
    """
    known = records(root, model)
    with stores(root) as stored, TemporaryDirectory() as folder:
        for version in versions:
            digests = outs(stages(root, known[version]))
            stored.bring(str(digests.get(PLACES["scores"])), Path(folder) / version)
        pictures = [Image.open(Path(folder) / version / "grid.png").convert("RGB") for version in versions]
    sheet = Image.new("RGB", (max(one.width for one in pictures), sum(one.height for one in pictures)), "white")
    top, pen = 0, ImageDraw.Draw(sheet)
    for version, picture in zip(versions, pictures, strict=True):
        sheet.paste(picture, (0, top))
        pen.text((GAP_PX, top + GAP_PX), version, "black")
        top += picture.height
    return sheet

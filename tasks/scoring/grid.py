"""Pictures in rows and columns, with words beside and above them, as one picture.

>>> grid({"target": [a, b], "adapter": [c, d]}, ["on red", "on blue"]).save("grid.png")
"""

import io
from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont

CELL_PX, GAP_PX, LABEL_PX, HEADING_PX, TEXT_PX = 160, 6, 84, 66, 13
_INK, _PAPER = (40, 40, 40), (255, 255, 255)
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def grid(rows: Mapping[str, Sequence[Image.Image | None]], headings: Sequence[str]) -> Image.Image:
    """Lay out one row a name and one column a heading; a cell without a picture stays empty."""
    step = CELL_PX + GAP_PX
    sheet = Image.new("RGB", (LABEL_PX + step * len(headings), HEADING_PX + step * len(rows)), _PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(TEXT_PX)
    for column, heading in enumerate(headings):
        text = _wrapped(heading, CELL_PX, pen, font)
        pen.multiline_text((LABEL_PX + step * column, HEADING_PX - GAP_PX), text, _INK, font, anchor="ld", spacing=2)
    for row, (name, pictures) in enumerate(rows.items()):
        top = HEADING_PX + step * row
        pen.text((GAP_PX, top + CELL_PX // 2), name, _INK, font, anchor="lm")
        for column, picture in enumerate(pictures):
            if picture is not None:
                sheet.paste(_scaled(picture), (LABEL_PX + step * column, top))
    return sheet


def png(image: Image.Image) -> bytes:
    """Encode without metadata: equal pictures, equal bytes."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _scaled(picture: Image.Image) -> Image.Image:
    """Bring a picture to the cell: small ones by whole pixels, so that what the model drew stays visible."""
    side = max(picture.size)
    if side <= CELL_PX // 2:
        factor = CELL_PX // side
        return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    size = round(picture.width * CELL_PX / side), round(picture.height * CELL_PX / side)
    return picture.resize(size, Image.Resampling.LANCZOS)


def _wrapped(text: str, width: int, pen: ImageDraw.ImageDraw, font: Font) -> str:
    """Break `text` into at most four lines no wider than `width` pixels; what does not fit is cut with an ellipsis."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and pen.textlength(longer, font) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    shown = lines[:3] + [" ".join(lines[3:])] * (len(lines) > 3)
    return "\n".join(_cut(line, width, pen, font) for line in shown)


def _cut(line: str, width: int, pen: ImageDraw.ImageDraw, font: Font) -> str:
    if pen.textlength(line, font) <= width:
        return line
    while line and pen.textlength(f"{line}...", font) > width:
        line = line[:-1]
    return f"{line}..."

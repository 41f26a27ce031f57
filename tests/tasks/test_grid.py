"""A grid shows every picture where it belongs, large enough to see."""

from PIL import Image

from tasks.scoring.grid import CELL_PX, GAP_PX, HEADING_PX, LABEL_PX, grid, png

COLOURS = ["red", "lime", "blue", "yellow"]
TILES = [Image.new("RGB", (40, 40), colour) for colour in COLOURS]


def centre(row: int, column: int) -> tuple[int, int]:
    """Give the middle of a cell."""
    step = CELL_PX + GAP_PX
    return LABEL_PX + step * column + CELL_PX // 2, HEADING_PX + step * row + CELL_PX // 2


def test_every_picture_stands_in_its_row_and_column() -> None:
    sheet = grid({"target": TILES[:2], "adapter": TILES[2:]}, ["one", "two"])
    places = [(row, column) for row in range(2) for column in range(2)]
    assert [sheet.getpixel(centre(*place)) for place in places] == [tile.getpixel((0, 0)) for tile in TILES]


def test_a_tiny_picture_grows_by_whole_pixels() -> None:
    chequered = Image.new("RGB", (40, 40))
    chequered.putdata([(255, 255, 255) if (n + n // 40) % 2 else (0, 0, 0) for n in range(1600)])
    sheet = grid({"a": [chequered]}, ["a"])
    cell = sheet.crop((LABEL_PX, HEADING_PX, LABEL_PX + CELL_PX, HEADING_PX + CELL_PX))
    assert {colour for _, colour in cell.getcolors() or []} == {(0, 0, 0), (255, 255, 255)}
    assert cell.resize((40, 40), Image.Resampling.NEAREST).tobytes() == chequered.tobytes()


def test_large_and_oblong_pictures_fit_their_cells() -> None:
    sheet = grid({"a": [Image.new("RGB", (2000, 1000), "red"), TILES[2]]}, ["a", "b"])
    assert sheet.getpixel((LABEL_PX + CELL_PX - 1, HEADING_PX)) == (255, 0, 0)
    assert sheet.getpixel((LABEL_PX + CELL_PX + 1, HEADING_PX)) == (255, 255, 255)
    assert sheet.getpixel((LABEL_PX, HEADING_PX + CELL_PX // 2 + 1)) == (255, 255, 255)


def test_a_heading_never_runs_into_the_next_column_or_the_picture() -> None:
    long = grid({"a": TILES[:2]}, ["a very long prompt " * 10 + "x" * 200, ""])
    short = grid({"a": TILES[:2]}, ["", ""])
    for box in ((LABEL_PX + CELL_PX, 0, long.width, HEADING_PX), (0, HEADING_PX, long.width, long.height)):
        assert long.crop(box).tobytes() == short.crop(box).tobytes()


def test_a_missing_picture_leaves_its_cell_empty_and_the_same_grid_is_the_same_bytes() -> None:
    sheet = grid({"a": [None, TILES[0]]}, ["", ""])
    assert sheet.getpixel(centre(0, 0)) == (255, 255, 255)
    assert png(sheet) == png(grid({"a": [None, TILES[0]]}, ["", ""]))

"""Where the convolutions of the Inception network of 2015 stand, by the names that torchvision gave them.

>>> BLOCKS["Mixed_7c"]  # four branches, side by side
"""

from typing import NamedTuple


class Step(NamedTuple):
    """One convolution: its name, its width, its kernel (height, width), its stride."""

    name: str
    width: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1


Piece = Step | tuple[Step, Step] | str
"""A convolution, two side by side, or a pool: "mean", "max", or "half", which halves the sides."""
_SQUARE, _TALL, _WIDE = (3, 3), (7, 1), (1, 7)


def _fine(pooled: int) -> tuple[tuple[Piece, ...], ...]:
    return (
        (Step("1x1", 64),),
        (Step("5x5_1", 48), Step("5x5_2", 64, (5, 5))),
        (Step("3x3dbl_1", 64), Step("3x3dbl_2", 96, _SQUARE), Step("3x3dbl_3", 96, _SQUARE)),
        ("mean", Step("_pool", pooled)),
    )


def _middle(inner: int) -> tuple[tuple[Piece, ...], ...]:
    return (
        (Step("1x1", 192),),
        (Step("7x7_1", inner), Step("7x7_2", inner, _WIDE), Step("7x7_3", 192, _TALL)),
        (
            Step("7x7dbl_1", inner), Step("7x7dbl_2", inner, _TALL), Step("7x7dbl_3", inner, _WIDE),
            Step("7x7dbl_4", inner, _TALL), Step("7x7dbl_5", 192, _WIDE),
        ),
        ("mean", Step("_pool", 192)),
    )  # fmt: skip


def _coarse(pool: str) -> tuple[tuple[Piece, ...], ...]:
    return (
        (Step("1x1", 320),),
        (Step("3x3_1", 384), (Step("3x3_2a", 384, (1, 3)), Step("3x3_2b", 384, (3, 1)))),
        (
            Step("3x3dbl_1", 448), Step("3x3dbl_2", 384, _SQUARE),
            (Step("3x3dbl_3a", 384, (1, 3)), Step("3x3dbl_3b", 384, (3, 1))),
        ),
        (pool, Step("_pool", 192)),
    )  # fmt: skip


STEM: tuple[Piece, ...] = (
    Step("Conv2d_1a_3x3", 32, _SQUARE, 2), Step("Conv2d_2a_3x3", 32, _SQUARE), Step("Conv2d_2b_3x3", 64, _SQUARE),
    "half", Step("Conv2d_3b_1x1", 80), Step("Conv2d_4a_3x3", 192, _SQUARE), "half",
)  # fmt: skip
UNPADDED = ("Conv2d_2a_3x3", "Conv2d_4a_3x3")
BLOCKS: dict[str, tuple[tuple[Piece, ...], ...]] = {
    "Mixed_5b": _fine(32), "Mixed_5c": _fine(64), "Mixed_5d": _fine(64),
    "Mixed_6a": (
        (Step("3x3", 384, _SQUARE, 2),),
        (Step("3x3dbl_1", 64), Step("3x3dbl_2", 96, _SQUARE), Step("3x3dbl_3", 96, _SQUARE, 2)),
        ("half",),
    ),
    "Mixed_6b": _middle(128), "Mixed_6c": _middle(160), "Mixed_6d": _middle(160), "Mixed_6e": _middle(192),
    "Mixed_7a": (
        (Step("3x3_1", 192), Step("3x3_2", 320, _SQUARE, 2)),
        (Step("7x7x3_1", 192), Step("7x7x3_2", 192, _WIDE), Step("7x7x3_3", 192, _TALL),
         Step("7x7x3_4", 192, _SQUARE, 2)),
        ("half",),
    ),
    "Mixed_7b": _coarse("mean"), "Mixed_7c": _coarse("max"),
}  # fmt: skip


def steps(piece: Piece) -> tuple[Step, ...]:
    """List the convolutions of a piece; a pool has none."""
    if isinstance(piece, str):
        return ()
    return (piece,) if isinstance(piece, Step) else piece

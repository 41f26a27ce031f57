"""The pictures of a training are each shown once, with what they are of."""

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from dopsd.looks import Look
from tasks.gallery import Gallery

CAPTIONS = {"a": "a [V] on red", "b": "a [V] on blue"}


class Decoder:
    """Draws grey squares as bright as the latents."""

    def pictures(self, latents: Tensor) -> list[Image.Image]:
        return [Image.new("RGB", (8, 8), (int(row.mean()),) * 3) for row in latents]


def seen(brightness: float) -> Look:
    steps = torch.tensor([0.0, 60.0, brightness]).view(3, 1, 1, 1, 1).expand(3, 2, 4, 2, 2)
    return Look(("a", "b"), steps, torch.full((2, 4, 2, 2), 200.0))


def test_every_look_is_shown_once_oldest_first(tmp_path: Path) -> None:
    shown: dict[tuple[str, int], Image.Image] = {}
    gallery = Gallery(tmp_path, CAPTIONS, Decoder)
    gallery.add(20, seen(120))
    gallery.add(0, seen(100))
    gallery.show(lambda name, step, picture: shown.update({(name, step): picture}))
    assert list(shown) == [("samples", 0), ("trajectory", 0), ("samples", 20), ("trajectory", 20)]
    assert shown["trajectory", 0].height > shown["samples", 0].height  # three steps; student and teacher
    values = {value for value in shown["samples", 20].get_flattened_data() if len(set(value)) == 1}
    assert {(120, 120, 120), (200, 200, 200)} <= values
    again = Gallery(tmp_path, CAPTIONS, Decoder)  # killed, and gone back to before iteration 20
    again.add(20, seen(120))
    again.add(40, seen(140))
    again.show(lambda name, step, picture: shown.update({(f"again {name}", step): picture}))
    assert list(shown)[4:] == [("again samples", 40), ("again trajectory", 40)]


def test_what_was_not_shown_when_the_process_died_is_shown_by_the_next(tmp_path: Path) -> None:
    Gallery(tmp_path, CAPTIONS, Decoder).add(0, seen(100))
    shown: list[str] = []
    Gallery(tmp_path, CAPTIONS, Decoder).show(lambda name, step, picture: shown.append(name))
    assert shown == ["samples", "trajectory"]


def test_nothing_is_loaded_where_nothing_is_to_be_shown(tmp_path: Path) -> None:
    def refused() -> Decoder:
        raise AssertionError

    Gallery(tmp_path, CAPTIONS, refused).show(lambda name, step, picture: None)

"""A crop has the size asked for, keeps the middle and adds nothing."""

import random

from PIL import Image

from tasks.images.crop import cover


def test_every_size_covers_the_target_without_an_empty_edge() -> None:
    rng = random.Random(0)
    for _ in range(300):
        white = Image.new("RGB", (rng.randint(1, 200), rng.randint(1, 200)), "white")
        width, height = rng.randint(1, 90), rng.randint(1, 90)
        cropped = cover(white, width=width, height=height)
        assert cropped.size == (width, height)
        assert cropped.getextrema() == ((255, 255),) * 3


def test_a_picture_of_the_right_size_is_not_touched() -> None:
    image = Image.effect_noise((40, 30), 50).convert("RGB")
    assert cover(image, width=40, height=30).tobytes() == image.tobytes()


def test_the_middle_stays() -> None:
    image = Image.new("RGB", (100, 40), "black")
    image.paste("white", (30, 0, 70, 40))
    assert cover(image, width=40, height=40).getextrema() == ((255, 255),) * 3

"""Near copies are found, all of them and nothing else."""

import random

from PIL import Image

from tasks.images.duplicates import Near, near, perceptual_hash


def test_the_fast_search_finds_what_comparing_all_pairs_finds() -> None:
    rng = random.Random(0)
    values = [rng.getrandbits(64) for _ in range(20)]
    values += [value ^ sum(1 << bit for bit in rng.sample(range(64), rng.randint(0, 9))) for value in values * 4]
    rng.shuffle(values)
    hashes = [f"{value:016x}" for value in values]
    for max_bits in (0, 1, 4, 8, 64):
        expected = []
        for later, value in enumerate(values):
            distances = [((value ^ values[earlier]).bit_count(), earlier) for earlier in range(later)]
            if distances and min(distances)[0] <= max_bits:
                expected.append(Near(later, min(distances)[1], min(distances)[0]))
        assert near(hashes, max_bits) == expected


def test_a_copy_in_another_size_looks_the_same_and_another_picture_does_not() -> None:
    picture = Image.radial_gradient("L").rotate(30, fillcolor=90).convert("RGB")
    copy, other = picture.resize((90, 90)), Image.linear_gradient("L").rotate(70).convert("RGB")
    hashes = [perceptual_hash(image) for image in (picture, copy, other)]
    assert [(pair.later, pair.earlier) for pair in near(hashes, 4)] == [(1, 0)]

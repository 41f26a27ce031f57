"""What is learnt from, and in which order."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dopsd.dataset.examples import Example, Examples, read_example, save_example
from dopsd.dataset.pairing import partners
from dopsd.dataset.turns import turn
from dopsd.family import Context


def test_an_entry_is_a_round_trip(examples: Examples, tmp_path: Path) -> None:
    shown = replace(examples.rows[0], teacher=Context(torch.ones(3, 32), reference=torch.zeros(4, 6, 6)))
    worded = replace(examples.rows[1], plain=Context(torch.ones(2, 32)))
    for example in (shown, worded):
        save_example(example, tmp_path / f"{example.id}.safetensors")
        again = read_example(tmp_path / f"{example.id}.safetensors")
        assert again.id == example.id
        assert torch.equal(again.student.tokens, example.student.tokens)
        assert torch.equal(again.teacher.tokens, example.teacher.tokens)
        assert torch.equal(again.latents, example.latents)
        assert (again.teacher.reference is None) == (example.teacher.reference is None)
        assert (again.plain is None) == (example.plain is None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["e0.safetensors", "e1.safetensors"]


def test_an_entry_of_several_captions_is_a_round_trip_and_holds_the_picture_once(
    examples: Examples, tmp_path: Path
) -> None:
    first = replace(examples.rows[0], teacher=Context(torch.ones(3, 32), reference=torch.zeros(4, 6, 6)))
    example = replace(first, others=(_reworded(first, 1), _reworded(first, 2)))
    save_example(example, tmp_path / "e0.safetensors")
    assert len(load_file(tmp_path / "e0.safetensors")) == 2 + 2 * 3
    again = read_example(tmp_path / "e0.safetensors")
    assert len(again.others) == 2
    for row, other in zip((again, *again.others), (example, *example.others), strict=True):
        assert torch.equal(row.student.tokens, other.student.tokens)
        assert torch.equal(row.teacher.tokens, other.teacher.tokens)
        assert row.latents is again.latents and row.teacher.reference is again.teacher.reference


def test_a_caption_that_the_teacher_does_not_read_is_a_foreign_file(tmp_path: Path) -> None:
    save_file(
        {name: torch.zeros(1) for name in ("student", "teacher", "latents", "student.1")}, tmp_path / "a.safetensors"
    )
    with pytest.raises(ValueError, match=r"an example holds .*'teacher\.1'"):
        read_example(tmp_path / "a.safetensors")


def test_of_several_captions_each_row_draws_one_by_seed_and_position_alone(examples: Examples) -> None:
    several = Examples(
        tuple(replace(row, others=(_reworded(row, 1), _reworded(row, 2))) for row in examples), "several"
    )

    def drawn(seed: int, steps: Sequence[int]) -> list[list[tuple[str, float]]]:
        return [[(row.id, row.student.tokens.mean().item()) for row in several.batch(step, 4, seed)] for step in steps]

    order = drawn(0, range(150))
    images = [[row.id for row in examples.batch(step, 4, 0)] for step in range(150)]
    assert [[name for name, _ in batch] for batch in order] == images
    assert drawn(0, [149, 7]) == [order[149], order[7]]
    assert drawn(1, range(150)) != order
    times = Counter(row for batch in order for row in batch)
    assert len(times) == 15
    assert max(abs(count - 40) for count in times.values()) < 4 * (120 * 1 / 3 * 2 / 3) ** 0.5
    assert any(len({words for _, words in batch}) > 1 for batch in order)


def test_the_digest_follows_the_content(examples: Examples, tmp_path: Path) -> None:
    for example in examples:
        save_example(example, tmp_path / f"{example.id}.safetensors")
    first = Examples.read(tmp_path)
    assert [row.id for row in first] == ["e0", "e1", "e2", "e3", "e4"]
    assert Examples.read(tmp_path).digest == first.digest
    save_example(replace(examples.rows[0], latents=torch.zeros(4, 6, 6)), tmp_path / "e0.safetensors")
    assert Examples.read(tmp_path).digest != first.digest


def test_an_empty_folder_and_a_foreign_or_torn_file_are_named(examples: Examples, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="run the embed stage"):
        Examples.read(tmp_path)
    save_file({"something": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"a\.safetensors holds \['something'\]"):
        Examples.read(tmp_path)
    save_example(examples.rows[0], tmp_path / "a.safetensors")
    content = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "a.safetensors").write_bytes(content[:-7])
    with pytest.raises(ValueError, match=r"a\.safetensors is damaged"):
        Examples.read(tmp_path)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7])
def test_all_are_seen_equally_often(examples: Examples, size: int) -> None:
    seen = Counter(row.id for step in range(5 * 4) for row in examples.batch(step, size, seed=0))
    assert set(seen.values()) == {4 * size}


def test_the_order_is_a_function_of_seed_and_step(examples: Examples) -> None:
    order = [[row.id for row in examples.batch(step, 2, seed=3)] for step in range(12)]
    assert order == [[row.id for row in examples.batch(step, 2, seed=3)] for step in range(12)]
    assert order != [[row.id for row in examples.batch(step, 2, seed=4)] for step in range(12)]
    assert order[:6] != order[6:]


def test_the_order_of_one_size_is_the_one_that_it_always_was(examples: Examples) -> None:
    order = "".join(row.id[1] for step in range(12) for row in examples.batch(step, 2, seed=3))
    assert order == "314023024121340403122410"


@pytest.mark.parametrize(
    ("lengths", "size", "epochs"), [([5, 3], 4, 4), ([4, 1], 4, 4), ([2, 4], 4, 2), ([3, 1, 1], 5, 5)]
)
def test_sizes_do_not_mix_and_all_are_seen_equally_often(
    examples: Examples, lengths: list[int], size: int, epochs: int
) -> None:
    mixed = Examples(tuple(_wide(examples.rows[n], lane, n) for lane, n in _numbered(lengths)), "mixed")
    round_ = sum(lengths) * epochs // size
    batches = [mixed.batch(step, size, seed=0) for step in range(3 * round_)]
    assert all(len(batch) == size and len({row.latents.shape for row in batch}) == 1 for batch in batches)
    for first in range(0, 3 * round_, round_):
        seen = Counter(row.id for batch in batches[first : first + round_] for row in batch)
        assert seen == {row.id: epochs for row in mixed}
    assert [row.id for row in mixed.batch(2 * round_ + 1, size, 0)] == [row.id for row in batches[2 * round_ + 1]]


def test_no_size_is_ever_far_ahead_of_another() -> None:
    lengths, size = [100, 37, 5, 1], 4
    taken = Counter[int]()
    for step in range(2 * sum(lengths)):
        now = turn(lengths, size=size, step=step, seed=1)
        assert now.number == taken[now.lane]
        taken[now.lane] += 1
        for lane, length in enumerate(lengths):
            assert abs(taken[lane] - (step + 1) * length / sum(lengths)) < len(lengths)
    orders = [[turn(lengths, size=size, step=step, seed=seed).lane for step in range(143)] for seed in (1, 2)]
    assert orders[0] != orders[1]


@pytest.mark.parametrize("count", [2, 3, 4, 10])
def test_none_is_its_own_partner_and_each_is_one_others(count: int) -> None:
    ids = [f"image-{n}" for n in range(count)]
    for seed in range(20):
        found = partners(ids, seed)
        assert all(name != other for name, other in found.items())
        assert sorted(found) == sorted(found.values()) == ids
        assert found == partners(ids[::-1], seed)


def test_one_alone_is_its_own_partner_and_seeds_pair_differently() -> None:
    assert partners(["only"], 0) == {"only": "only"}
    ids = [f"image-{n}" for n in range(10)]
    assert partners(ids, 0) != partners(ids, 1)


def test_one_more_image_changes_one_other_pairing() -> None:
    ids = [f"image-{n}" for n in range(10)]
    before, after = partners(ids, 0), partners([*ids, "new"], 0)
    assert sum(before[name] != after[name] for name in ids) == 1


def _reworded(row: Example, number: int) -> Example:
    tokens = torch.full((2 + number, 32), float(number))
    return replace(row, student=Context(tokens), teacher=Context(tokens + 1, row.teacher.reference))


def _numbered(lengths: Sequence[int]) -> list[tuple[int, int]]:
    return [(lane, number) for lane, length in enumerate(lengths) for number in range(length)]


def _wide(row: Example, lane: int, number: int) -> Example:
    return replace(row, id=f"w{lane}.{number}", latents=torch.zeros(4, 6, 6 + 2 * lane))

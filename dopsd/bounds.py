"""Which values a recipe may have; each refusal is a ValueError that names the key and says what to give.

>>> within("confidence", 0.95, 0.5, 0.999)
"""

from collections.abc import Sequence

FORBID_UNKNOWN_KEYS = {"extra": "forbid"}
"""What pydantic is told about every recipe that it reads."""


def one_of(key: str, value: str, allowed: Sequence[str]) -> None:
    """Refuse a word that is not among those `allowed`."""
    if value not in allowed:
        raise ValueError(f"{key} is {value!r}: choose one of {', '.join(allowed)}")


def at_least(key: str, value: float, bound: float) -> None:
    """Refuse a number below `bound`, and what is no number."""
    if not value >= bound:
        raise ValueError(f"{key} is {value}: give a number >= {bound}")


def above_zero(key: str, value: float) -> None:
    """Refuse a number that is not positive."""
    if not value > 0:
        raise ValueError(f"{key} is {value}: give a number > 0")


def within(key: str, value: float, low: float, high: float) -> None:
    """Refuse a number outside of `low` to `high`."""
    if not low <= value <= high:
        raise ValueError(f"{key} is {value}: give a number from {low} to {high}")


def distinct_seeds(seeds: Sequence[int]) -> None:
    """Refuse no seeds, and seeds that come twice or are negative."""
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise ValueError(f"seeds are {list(seeds)}: give at least one, all different, none negative")

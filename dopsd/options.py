"""The keys of a recipe as options of a command line; imports in a blink, without torch.

>>> value("learning_rate", "1e-4"), value("step_weights", "4,3,2,1")
"""

import argparse
from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin, get_type_hints

from dopsd.recipe import Training

_TRUTHS = {"true": True, "false": False}
KEYS = tuple(key for key in get_type_hints(Training) if key != "parent")
"""What may be said: all but the parent, which is a place in a folder here and a version there."""


def value(key: str, text: str) -> object:
    """Read `text` as what `key` takes; a list is separated by commas. Raises ValueError naming the key."""
    if key not in KEYS:
        raise ValueError(f"train.{key} is no key; there are {', '.join(KEYS)}")
    try:
        return _read(get_type_hints(Training)[key], text)
    except ValueError as error:
        raise ValueError(f"train.{key} is {text!r}: {error}") from error


def _read(kind: Any, text: str) -> object:
    if get_origin(kind) is tuple:
        return tuple(get_args(kind)[0](part) for part in text.split(",") if part)
    if kind is bool and text.lower() not in _TRUTHS:
        raise ValueError(f"write {' or '.join(_TRUTHS)}")
    return text if get_origin(kind) is Literal else _TRUTHS[text.lower()] if kind is bool else kind(text)


def said(settings: Sequence[str]) -> dict[str, object]:
    """Read texts of the form KEY=VALUE; raises ValueError naming what is no key or no value."""
    values = dict[str, object]()
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise ValueError(f"--set {setting}: write KEY=VALUE, such as --set rank=16")
        values[key] = value(key, text)
    return values


def add_to(parser: argparse.ArgumentParser) -> None:
    """Give `parser` an option a key, --learning-rate for example, that leaves nothing where it is not said."""
    for key in KEYS:
        kind = get_type_hints(Training)[key]
        choices = (
            f"one of {', '.join(get_args(kind))}" if get_origin(kind) is Literal else f"{getattr(Training, key)!r}"
        )
        parser.add_argument(f"--{key.replace('_', '-')}", default=argparse.SUPPRESS, metavar="VALUE", help=choices)


def chosen(asked: argparse.Namespace) -> Training:
    """Make the recipe of what was said, the rest is its default; raises ValueError naming the key."""
    return Training(**{key: value(key, text) for key, text in vars(asked).items() if key in KEYS})  # type: ignore[arg-type]

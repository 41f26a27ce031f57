"""Families by name: what is known of each without loading it, and its record, imported when asked for.

$ python -c "from dopsd.families.catalogue import family; print(family('z-image'))"
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # which imports torch; a plan asks how a teacher is shown pictures, and should not wait for that
    from dopsd.family import Family, TeacherContext


@dataclass(frozen=True)
class Listed:
    """Where a family's record is and where its encoder side, and how its teacher can be shown a picture.

    The usual way comes first.
    """

    module: str
    encoder: str
    teacher_contexts: "tuple[TeacherContext, ...]" = ("vlm",)


LISTED: Mapping[str, Listed] = {
    "z-image": Listed("dopsd.families.z_image", "dopsd.families.z_image_encoder"),
    "flux2-klein": Listed(
        "dopsd.families.flux2_klein", "dopsd.families.flux2_klein_encoder", ("reference", "vlm", "both")
    ),
}
NAMES = tuple(LISTED)


def listed(name: str) -> Listed:
    """Look up what is known of a family; raises ValueError listing the known ones."""
    if name not in LISTED:
        raise ValueError(f"there is no family {name!r}: choose one of {', '.join(NAMES)}")
    return LISTED[name]


def family(name: str) -> "Family":
    """Return the family called `name`; raises ValueError listing the known ones."""
    record: Family = import_module(listed(name).module).FAMILY
    return record


def teacher_context(name: str, wish: 'TeacherContext | Literal["auto"]') -> "TeacherContext":
    """Settle how a family's teacher is shown a picture, "auto" is the usual way; raises ValueError for one it lacks."""
    ways = listed(name).teacher_contexts
    if wish == "auto":
        return ways[0]
    if wish not in ways:
        known = ", ".join(("auto", *ways))
        raise ValueError(f"teacher_context is {wish!r}, which {name} cannot do: choose one of {known}")
    return wish

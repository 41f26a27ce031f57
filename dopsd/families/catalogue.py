"""Families by name, imported when asked for.

$ python -c "from dopsd.families.catalogue import family; print(family('z-image'))"
"""

from importlib import import_module

from dopsd.family import Family

_MODULES = {"z-image": "dopsd.families.z_image", "flux2-klein": "dopsd.families.flux2_klein"}
NAMES = tuple(_MODULES)


def family(name: str) -> Family:
    """Return the family called `name`; raises ValueError listing the known ones."""
    if name not in _MODULES:
        raise ValueError(f"there is no family {name!r}: choose one of {', '.join(NAMES)}")
    return import_module(_MODULES[name]).FAMILY

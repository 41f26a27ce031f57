"""The weights that training starts from, brought before DVC looks for them.

>>> bring_parent(Path())  # runs/parents/v3, where params.yaml says `train.parent: v3`
"""

from importlib import import_module
from pathlib import Path

from tasks.ancestry.records import BASE
from tasks.params import load


def bring_parent(root: Path) -> None:
    """Bring the version that is `train.parent`; from the base there is nothing to bring. Raises ValueError for none."""
    params = load(root)
    if params.train.parent != BASE:
        import_module("tasks.versions.registry").fetch(params.register.model, params.train.parent, root)

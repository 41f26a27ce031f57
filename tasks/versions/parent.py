"""What params.yaml names of versions before, brought before DVC looks for it: the weights of the parent, and panels.

>>> bring_parent(Path())  # runs/parents/v3, where params.yaml says `train.parent: v3`
"""

from importlib import import_module
from pathlib import Path

from tasks.ancestry.records import BASE
from tasks.params import load


def bring_parent(root: Path) -> None:
    """Bring the version that is `train.parent`, which the base is not, and the panels that `evaluate.earlier` names.

    Raises ValueError where there is no such version.
    """
    params = load(root)
    import_module("tasks.versions.learnt").bring(root, params)
    if params.train.parent != BASE:
        import_module("tasks.versions.registry").fetch(params.register.model, params.train.parent, root)

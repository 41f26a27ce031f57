"""The base as a version of the registry, under the alias `base`: v1 of a new project, and another one for a new base.

>>> enter(Path(), "dopsd", "tiny-z-image@5d0c...dir", folder="models/tiny-z-image", family="z-image")  # "v1"

It is entered before the first version that is made on it. Its commit has no data: nothing was trained to make a base.
Its weights stay where they are; name and digest say which they were.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tasks.ancestry.bases import Base
from tasks.ancestry.records import BASE, OF_BASE, spelled, texts
from tasks.tracking import connect
from tasks.versions import aliases, ledger, registry, version_commit
from tasks.versions.lineage import person, trigger
from tasks.versions.version_page import table


def enter(root: Path, model: str, base: str, *, folder: str, family: str, was: str | None = None) -> str:
    """Give a base a version, or find the one it has, and let the alias `base` name it; gives the version.

    Of two runs that enter the first versions of a project at once, one waits. `was` is the version to restore: of a
    base that a person deleted in MLflow there may be several.
    """
    with ledger.held(root):
        registry.open_for(model)
        version = _found(model, base, was) or _new(model, base)
        registry.check_number(model, was or version, version)
        if "commit" not in registry.bases(model)[version]:
            _keep(root, model, version, {"base": base, "folder": folder, "family": family})
        aliases.name_base(model, version)
    return version


def tags(base: str, entered: Mapping[str, str]) -> dict[str, str]:
    """Spell out as tags of its version what a base is, and who entered it."""
    return {registry.KIND: BASE, BASE: base, **entered}


def _found(model: str, base: str, was: str | None) -> str | None:
    known = [version for version, said in registry.bases(model).items() if said.get(BASE) == base]
    return next((version for version in known if was in (None, version)), None)


def _new(model: str, base: str) -> str:
    """Enter it; MLflow wants to be told of a place, and is told a name."""
    said = tags(base, {"by": person(), "trigger": trigger()})
    return f"v{connect().create_model_version(model, f'dopsd:///{BASE}/{quote(base)}', tags=said).version}"


def _keep(root: Path, model: str, version: str, known: Mapping[str, str]) -> None:
    """Commit it, and tell in MLflow what the commit tells; the tag `commit` comes last, and says that all is there."""
    told: dict[str, Any] = {"model": model, "version": version, **known, "entered": registry.entered(model, version)}
    commit = version_commit.kept(root, model, version, {OF_BASE: spelled(told)}, is_made=False)
    first = _committed(root, commit) if commit else {}
    told = first if first.get(BASE) == known[BASE] else told  # the tag may be one of a registry that is gone
    kept = Base(commit=commit or "none", **{key: told[key] for key in told.keys() - {"model"}})
    connect().update_model_version(model, version.removeprefix("v"), page(kept))
    for key, text in {**kept.entered, "commit": kept.commit}.items():
        registry.tag(model, version, key, text)


def _committed(root: Path, commit: str) -> dict[str, Any]:
    """Read what a commit tells of a base: it may be older than the registry."""
    told: dict[str, Any] = json.loads(texts(root, commit, OF_BASE).get(OF_BASE, "{}"))
    return told


def page(known: Base) -> str:
    """Spell out what stands on the page of a base, as Markdown."""
    entered = known.entered
    rows = {
        "base": f"`{known.base}`",
        "folder": f"`{known.folder}`",
        "family": known.family,
        "version as a commit": f"`{known.commit}`",
        "entered by": f"{entered['by']}, {entered['at']}, started by {entered['trigger']}",
        "made on it": "`dopsd lineage base` lists it",
    }
    said = "**base**: nothing was trained to make it, and every line of parents begins at it."
    return f"{said}\n\n{table(['', ''], [[name, text] for name, text in rows.items()])}"

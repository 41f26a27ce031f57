"""How answers about lineage look in a terminal: trees.

>>> Console().print(version(tree(Path(), "dopsd", "v7")))
"""

from collections.abc import Iterable
from typing import Any

from rich.markup import escape
from rich.tree import Tree as Picture

from tasks.ancestry.bases import Roots
from tasks.ancestry.difference import Difference
from tasks.ancestry.index import Image
from tasks.ancestry.spread import Spread
from tasks.ancestry.tree import Tree

_MOST = 20


def version(found: Tree) -> Picture:
    """Draw what a version was made of, and what came of it."""
    record, said = found.record, found.record.lineage
    top = Picture(_named(record.version, found))
    change = f", +{len(found.added)} -{len(found.removed)} against {record.parent}" if record.parent != "base" else ""
    images = top.add(f"images {said['dataset']}: {len(found.images)}{change}")
    _list(images, found.images if record.parent == "base" else [*found.added, *found.removed])
    top.add(f"captions {said['captions']}")
    top.add(escape(f"base {said['base']}"))
    clean = {True: "clean", False: "changed, see the commit of the version", None: "unknown"}[said["is_git_clean"]]
    top.add(f"code {said['git_commit']} ({clean}), version {record.commit}")
    top.add(escape(f"made by {record.entered['by']}, {record.entered['at']}, started by {record.entered['trigger']}"))
    top.add(f"run {record.run_id}")
    line = top.add("descends from")
    for name in found.ancestors:
        line = line.add(_named(name, found))
    heirs = top.add("descendants" if found.descendants else "no descendants")
    for name in found.descendants:
        heirs.add(_named(name, found))
    return top


def roots(found: Roots) -> Picture:
    """Draw what was made on each base."""
    top = Picture("base" if found.made else "no version was made on any base")
    for base, versions in found.made.items():
        row = top.add(escape("  ".join([*found.versions.get(base, []), base])))
        row.add(f"trained on it: {', '.join(found.begun.get(base, [])) or 'none of which there is a record'}")
        row.add(f"made on it, with their descendants: {', '.join(versions)}")
    return top


def image(found: Spread) -> Picture:
    """Draw where an image went."""
    top = Picture(escape(found.asked))
    matches = top.add("found as" if found.matches else "in no dataset of a version")
    for match in found.matches[:_MOST]:
        apart = f", {match.bits} of 64 bits differ" if match.kind == "looks alike" else ""
        matches.add(escape(f"{match.image.source} ({match.kind}{apart}) {match.image.id}"))
    for title, items in (
        ("datasets", found.datasets),
        ("learnt by", [f"{version}  run {found.runs[version]}" for version in found.trained]),
        ("and so by their descendants", [f"{version}  run {found.runs[version]}" for version in found.descendants]),
        ("serving", [f"{alias}: {version}" for alias, version in found.aliases.items()]),
    ):
        row = top.add(title if items else f"{title}: none")
        for item in items:
            row.add(item)
    return top


def apart(found: Difference) -> Picture:
    """Draw what differs, a branch a kind."""
    top = Picture(f"{found.old} -> {found.new}")
    _list(top.add(f"images +{len(found.added)}"), found.added)
    _list(top.add(f"images -{len(found.removed)}"), found.removed)
    for title, pairs in (
        ("captions", found.recaptioned),
        ("params", found.params),
        ("facts", found.facts),
        ("scores of the adapters", found.scores),
    ):
        row = top.add(f"{title}: {len(pairs)} differ")
        for name, (old, new) in pairs.items():
            row.add(escape(f"{name.split('@')[0]}  {_said(old)} -> {_said(new)}"))
    code = top.add(f"code: {len(found.code)} files differ")
    for name in found.code[:_MOST]:
        code.add(escape(name))
    top.add(f"grids and curves: runs {found.runs[0]} and {found.runs[1]} in MLflow")
    return top


def _named(version: str, found: Tree) -> str:
    roles = [alias for alias, holder in found.aliases.items() if holder == version]
    return "  ".join([version, found.verdicts.get(version, ""), *roles]).rstrip()


def _list(row: Picture, images: Iterable[Image]) -> None:
    some = list(images)
    for image in some[:_MOST]:
        row.add(escape(f"{image.source}  {image.id}"))
    if len(some) > _MOST:
        row.add(f"and {len(some) - _MOST} more: --json lists them")


def _said(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(end, float) for end in value):
        mean, low, high = value
        return f"{mean:.3f} [{low:.3f}, {high:.3f}]"
    return str(value)

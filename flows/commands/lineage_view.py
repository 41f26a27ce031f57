"""How answers about lineage look in a terminal: trees.

>>> Console().print(version(tree(Path(), "dopsd", "v7")))
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.tree import Tree as Picture

from tasks.ancestry.difference import Difference
from tasks.ancestry.index import Image
from tasks.ancestry.records import BASE
from tasks.ancestry.roots import Roots
from tasks.ancestry.spread import Spread
from tasks.ancestry.tree import Tree

_MOST = 20


def version(found: Tree) -> Picture:
    """Draw what a version was made of, and what came of it."""
    record, said = found.record, found.record.lineage
    top = Picture(_named(record.version, found))
    change = f", +{len(found.added)} -{len(found.removed)} against {record.parent}" if record.parent != BASE else ""
    images = top.add(f"images {said['dataset']}: {len(found.images)}{change}")
    _list(images, list(_marked(found)))
    top.add(f"captions {said['captions']}")
    top.add(escape(f"base {said['base']}"))
    clean = {True: "clean", False: "changed, see the commit of the version", None: "unknown"}[said["is_git_clean"]]
    top.add(f"code {said['git_commit']} ({clean}), version {record.commit}")
    top.add(escape(f"made by {_by(record.entered)}"))
    top.add(f"run {record.run_id}")
    line = top.add("descends from")
    for name in found.ancestors:
        line = line.add(_named(name, found))
    heirs = top.add("descendants" if found.descendants else "no descendants")
    for name in found.descendants:
        heirs.add(_named(name, found))
    return top


def roots(found: Roots) -> Picture:
    """Draw which versions each base is, and what was made on it."""
    top = Picture({0: "no version was made on any base", 1: "base"}.get(len(found.bases), "bases"))
    for one in found.bases:
        row = top.add(escape(f"{one.base}  base" if one.is_current else one.base))
        for known in one.versions:
            facts = row.add(known.version)
            facts.add(f"commit {known.commit}")
            facts.add(escape(f"folder {known.folder}, of the family {known.family}"))
            facts.add(escape(f"entered by {_by(known.entered)}"))
        if not one.versions:
            row.add("no version yet")
        row.add(f"trained on it: {', '.join(one.begun) or 'none of which there is a record'}")
        row.add(f"made on it, with their descendants: {', '.join(one.made) or 'none'}")
    return top


def image(found: Spread) -> Picture:
    """Draw where an image went."""
    top = Picture(escape(found.asked))
    matches = top.add("found as" if found.matches else "in no dataset of a version")
    if found.unread:
        top.add(escape(f"it cannot be read as an image ({found.unread}), so its looks were not compared"))
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
    _list(top.add(f"images +{len(found.added)}"), [_spelled(image) for image in found.added])
    _list(top.add(f"images -{len(found.removed)}"), [_spelled(image) for image in found.removed])
    for title, pairs in (("captions", found.recaptioned), ("params", found.params), ("facts", found.facts)):
        row = top.add(f"{title}: {len(pairs)} differ")
        for name, (old, new) in pairs.items():
            row.add(escape(f"{name}  {_said(old)} -> {_said(new)}"))
    row = top.add(f"scores of the adapters: {len(found.scores)} differ")
    for name, pair in found.scores.items():
        old, new = (_said(value, is_score=True) for value in pair)
        row.add(escape(f"{name.split('@')[0]}  {old} -> {new}"))
    code = top.add(f"code: {len(found.code)} files differ")
    for name in found.code[:_MOST]:
        code.add(escape(name))
    top.add(f"grids and curves: runs {found.runs[0]} and {found.runs[1]} in MLflow")
    return top


def _named(version: str, found: Tree) -> str:
    roles = [alias for alias, holder in found.aliases.items() if holder == version]
    return "  ".join([version, found.verdicts.get(version, ""), *roles]).rstrip()


def _by(entered: Mapping[str, str]) -> str:
    return f"{entered['by']}, {entered['at']}, started by {entered['trigger']}"


def _marked(found: Tree) -> Iterator[str]:
    """Spell out what a version has more and fewer than its parent, then what both have; of the base's all alike."""
    added = found.added if found.record.parent != BASE else []
    new = {image.id for image in added}
    yield from (f"+ {_spelled(image)}" for image in added)
    yield from (f"- {_spelled(image)}" for image in found.removed)
    yield from (_spelled(image) for image in found.images if image.id not in new)


def _spelled(image: Image) -> str:
    return f"{image.source}  {image.id}"


def _list(row: Picture, told: Sequence[str]) -> None:
    for line in told[:_MOST]:
        row.add(escape(line))
    if len(told) > _MOST:
        row.add(f"and {len(told) - _MOST} more: --json lists them")


def _said(value: Any, *, is_score: bool = False) -> str:
    if value is None:
        return "none"
    if not isinstance(value, list):
        return str(value)
    ends = ["unknown" if end is None else f"{end:.3f}" if isinstance(end, float) else str(end) for end in value]
    return f"{ends[0]} [{', '.join(ends[1:])}]" if is_score else f"[{', '.join(ends)}]"

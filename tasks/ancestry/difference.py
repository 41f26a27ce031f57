"""What sets two versions apart: images, captions, params, code, environment, parent and scores, from their records.

>>> difference(Path(), "dopsd", "v6", "v7").params  # {"train.learning_rate": (4e-05, 2e-05)}
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.ancestry.index import Image, opened
from tasks.ancestry.records import Record, contents, lines, records
from tasks.ancestry.tree import chosen
from tasks.git import said
from tasks.params import PARAMS_FILE
from tasks.versions.version_commit import LOCK, RECORD

_NAMED = ("parent", "base", "environment_lock", "upstream", "is_weak_teacher_accepted", "is_git_clean")
Pair = tuple[Any, Any]


@dataclass(frozen=True)
class Difference:
    """Two versions, old and new; pairs are (old, new). What is alike is left out.

    `recaptioned` maps image ids to captions. `code` names files whose text differs, those of no consequence, too.
    `scores` are of the two adapters, each as it was evaluated, as mean, low and high.
    """

    old: str
    new: str
    added: list[Image]
    removed: list[Image]
    recaptioned: Mapping[str, Pair]
    params: Mapping[str, Pair]
    code: list[str]
    facts: Mapping[str, Pair]
    scores: Mapping[str, Pair]
    runs: Pair


def difference(root: Path, model: str, old: str, new: str) -> Difference:
    """Compare two versions, or aliases; raises ValueError where one is not known."""
    known = records(root, model)
    one, two = (chosen(root, model, known, version) for version in (old, new))
    with opened(root, known) as index:
        added, removed = index.difference(two.images, one.images)
    return Difference(
        old=one.version,
        new=two.version,
        added=added,
        removed=removed,
        recaptioned=_recaptioned(root, one, two),
        params=_apart(dict(_flat(one.lineage["params"])), dict(_flat(two.lineage["params"]))),
        code=_code(root, one, two),
        facts=_apart({name: one.lineage[name] for name in _NAMED}, {name: two.lineage[name] for name in _NAMED}),
        scores=_apart(_scores(one), _scores(two)),
        runs=(one.run_id, two.run_id),
    )


def _apart(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Pair]:
    """Pair what differs; None where one side has no such thing."""
    both = sorted(old.keys() | new.keys())
    return {name: (old.get(name), new.get(name)) for name in both if old.get(name) != new.get(name)}


def _recaptioned(root: Path, one: Record, two: Record) -> dict[str, Pair]:
    """Pair the captions of images that both have."""
    blobs = [record.captions for record in (one, two) if record.captions]
    if len(set(blobs)) < 2:
        return {}
    known = contents(root, blobs)
    old, new = (
        {row["id"]: " | ".join([row["caption"], *row.get("others", [])]) for row in lines(known[blob][1])}
        for blob in blobs
    )
    return {name: pair for name, pair in _apart(old, new).items() if None not in pair}


def _code(root: Path, one: Record, two: Record) -> list[str]:
    apart = said(
        root,
        "diff",
        "--name-only",
        one.commit,
        two.commit,
        "--",
        ".",
        *(f":!{name}" for name in (RECORD, LOCK, PARAMS_FILE)),
    )
    return apart.splitlines()


def _scores(record: Record) -> dict[str, list[float | None]]:
    measured: Mapping[str, Any] = record.lineage["scores"]["models"].get("adapter", {})
    return {metric: [row["mean"], row["low"], row["high"]] for metric, row in measured.items()}


def _flat(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    """Spell nested params as dotted keys."""
    if not isinstance(value, Mapping):
        yield name, value
        return
    for key, part in value.items():
        yield from _flat(part, f"{name}.{key}" if name else str(key))

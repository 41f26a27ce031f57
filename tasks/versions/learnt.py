"""The panels of concepts that a parent and those before it learnt, laid out so that evaluate asks for them again.

>>> lay_out(Path(), "v3", load(Path()))  # ["runs/earlier/v2"], for `evaluate.earlier`

A concept is known by its placeholder; the newest version that learnt it has its panel. It comes out of DVC, and a
folder is named by a version, which never changes.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from tasks.ancestry.records import BASE, Record, in_order, records
from tasks.ancestry.tree import ancestors, chosen
from tasks.folders import md5_of_file, staged_folder
from tasks.params import Params
from tasks.pipeline import PLACES
from tasks.versions.stored import Stores, stores
from tasks.versions.version_commit import locked, outs

EARLIER = Path("runs/earlier")
_LIST = Path("panel/panel.jsonl")


def lay_out(root: Path, parent: str, params: Params) -> list[str]:
    """Lay out the panels of other concepts than that of `params`; gives what `evaluate.earlier` is to be.

    Folders that a person named there stay, and of a panel that one of them holds there is no second.
    """
    own = [folder for folder in params.evaluate.earlier if not Path(folder).is_relative_to(EARLIER)]
    lists = [root / folder / _LIST.name for folder in own]
    there = {md5_of_file(path) for path in lists if path.is_file()}
    with stores(root) as stored:
        panels = {record.version: _panel(root, record, stored) for record in _concepts(root, parent, params)}
        asked = [version for version in in_order(panels) if panels[version].get(_LIST.name) not in {None, *there}]
        return [*own, *(_laid_out(root, version, panels[version], stored) for version in asked)]


def bring(root: Path, params: Params) -> None:
    """Lay out again what `evaluate.earlier` names and is not there, in a new clone or on another machine, say."""
    wanted = [Path(folder) for folder in params.evaluate.earlier if Path(folder).is_relative_to(EARLIER)]
    lacking = [folder for folder in wanted if not (root / folder).is_dir()]
    if lacking:
        known = records(root, params.register.model)
        with stores(root) as stored:
            for folder in lacking:
                record = chosen(root, params.register.model, known, folder.name)
                _laid_out(root, record.version, _panel(root, record, stored), stored)


def _concepts(root: Path, parent: str, params: Params) -> Iterator[Record]:
    """Go back along the line of `parent`, and give the newest version of each concept but that of `params`."""
    model, seen = params.register.model, {params.caption.placeholder}
    known = {} if parent == BASE else records(root, model)
    line = [] if parent == BASE else [chosen(root, model, known, parent).version, *ancestors(known, parent)]
    for record in (known[version] for version in line if version in known):
        concept = record.lineage["params"].get("caption", {}).get("placeholder")
        if concept and concept not in seen:
            seen.add(concept)
            yield record


def _panel(root: Path, record: Record, stored: Stores) -> dict[str, str]:
    """Give DVC's digests of the files of a version's panel; none where `dopsd gc` or a takedown left too little."""
    digest = outs(locked(root, record.commit) or {}).get(PLACES["scores"])
    try:
        files = stored.files(digest) if digest else {}
    except FileNotFoundError:
        return {}
    panel = {Path(name).name: md5 for name, md5 in files.items() if Path(name).parent == _LIST.parent}
    return {} if any(stored.complaint(md5, is_strict=False) for md5 in panel.values()) else panel


def _laid_out(root: Path, version: str, panel: Mapping[str, str], stored: Stores) -> str:
    place = EARLIER / version
    if not (root / place).is_dir():
        with staged_folder(root / place) as staged:
            for name, md5 in panel.items():
                stored.bring(md5, staged / name)
    return str(place)

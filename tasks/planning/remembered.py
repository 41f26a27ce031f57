"""Keep what was reached in code that is still the same: following 140 files again takes half the time of a plan.

>>> remembered(sources, root, lambda: {"train": reach(...)})["train"].code

It is kept under the digest of every text that it depends on, beside a digest of its own: whatever is not exactly that
is reached again.
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from tasks.folders import read_json, sha256_of_json, write_json
from tasks.pipeline import Stage
from tasks.planning.reach import Reached

KEPT = Path("runs/reached.json")
_HERE = Path(__file__).parent


def remembered(
    sources: Mapping[str, str], stages: Iterable[Stage], root: Path, follow: Callable[[], Mapping[str, Reached]]
) -> dict[str, Reached]:
    """Give what `follow` finds for `stages` in `sources`, from the workspace `root` if they were followed before.

    A file that is torn, spoilt or can't be written costs time and nothing else.
    """
    asked = sha256_of_json([sources, repr(tuple(stages)), _this(), sys.version])
    found = _kept(root / KEPT, asked)
    if found is None:
        found = {name: asdict(one) | {"libraries": sorted(one.libraries)} for name, one in follow().items()}
        with suppress(OSError):  # a folder that may only be read
            write_json(root / KEPT, {"asked": asked, "found": found, "digest": sha256_of_json([asked, found])})
    return {name: Reached(**one | {"libraries": set(one["libraries"])}) for name, one in found.items()}


def _kept(path: Path, asked: str) -> dict[str, dict[str, Any]] | None:
    try:
        said = read_json(path)
        is_whole = said["asked"] == asked and said["digest"] == sha256_of_json([asked, said["found"]])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return said["found"] if is_whole else None


@cache
def _this() -> str:
    """Digest the code that follows."""
    return sha256_of_json([path.read_text(encoding="utf-8") for path in sorted(_HERE.glob("*.py"))])

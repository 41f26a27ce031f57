"""Render dvc.yaml from the table of stages; before them stands one that digests their code, so that DVC sees it.

    python -m tasks.dvcfile            (write it)
    python -m tasks.dvcfile --check    (exit 1 where it differs)

`fingerprint` runs when a source file changed in any way; the stages after it only where what they reach did.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

from tasks.folders import write_text
from tasks.pipeline import PLACES, STAGES, Stage
from tasks.planning.fingerprint import CODE, ROOMS, STAGE

DVC_FILE = Path("dvc.yaml")
_HEADER = "# Rendered by `python -m tasks.dvcfile` from tasks/pipeline.py; don't edit it by hand.\n"
_UNCACHED = {"cache": False, "persist": True}
"""An output that persists and isn't cached is never restored in place of a run."""


def main(arguments: list[str]) -> int:
    """Write dvc.yaml, or with --check say whether it is as it should be."""
    wanted = rendered()
    if "--check" not in arguments:
        write_text(DVC_FILE, wanted)
        return 0
    if DVC_FILE.is_file() and DVC_FILE.read_text() == wanted:
        return 0
    print(f"{DVC_FILE} differs from the table: run `python -m tasks.dvcfile`", file=sys.stderr)
    return 1


def rendered() -> str:
    """Spell out the whole file."""
    said = yaml.safe_dump({"stages": rows()}, sort_keys=False, allow_unicode=True, width=120)
    return _HEADER + said


def rows() -> dict[str, dict[str, Any]]:
    """Give every stage as DVC wants it, the digest of the code first."""
    return {STAGE: _fingerprint()} | {stage.name: _row(stage) for stage in STAGES}


def _fingerprint() -> dict[str, Any]:
    return {
        "desc": "digest the code that each stage reaches",
        "cmd": "python -m tasks.planning.fingerprint",
        "deps": list(ROOMS),
        "outs": [{str(CODE): dict(_UNCACHED)}],  # DVC does not see libraries
    }


def _row(stage: Stage) -> dict[str, Any]:
    return {
        "desc": stage.summary,
        "cmd": f"python -m tasks run {stage.name}",
        "params": [*stage.params, {str(CODE): [stage.name]}],
        "deps": [PLACES[place] for place in stage.reads],
        # registering acts on the world
        "outs": [PLACES[place] if stage.is_cached else {PLACES[place]: dict(_UNCACHED)} for place in stage.writes],
        "meta": {"needs": stage.needs},
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

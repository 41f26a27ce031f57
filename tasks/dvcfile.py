"""Render dvc.yaml from the table of stages and from the import graph, so that changed code reruns what it changes.

    python -m tasks.dvcfile            (write it)
    python -m tasks.dvcfile --check    (exit 1 where it differs)

Needs grimp, of the extra `dev`; dvc.yaml is committed, so that running the pipeline does not.
"""

import ast
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import grimp
import yaml

from tasks.folders import write_text
from tasks.pipeline import PLACES, STAGES, Stage

DVC_FILE = Path("dvc.yaml")
ROOMS = ("tasks", "dopsd")
_NO_TRACE = {"tasks.pipeline", "tasks.progress", "tasks.tracking"}
"""What leaves no trace in an output: the table (what matters of it is in dvc.yaml), the bar, the way to MLflow."""
_HEADER = (
    "# Rendered by `python -m tasks.dvcfile` from tasks/pipeline.py and the import graph; don't edit it by hand.\n"
)


def main(arguments: list[str]) -> int:
    """Write dvc.yaml, or with --check say whether it is as it should be."""
    wanted = rendered(grimp.build_graph(*ROOMS))
    if "--check" not in arguments:
        write_text(DVC_FILE, wanted)
        return 0
    if DVC_FILE.is_file() and DVC_FILE.read_text() == wanted:
        return 0
    print(f"{DVC_FILE} differs from the table and the imports: run `python -m tasks.dvcfile`", file=sys.stderr)
    return 1


def rendered(graph: grimp.ImportGraph) -> str:
    """Spell out the whole file."""
    stages = {stage.name: _row(stage, graph) for stage in STAGES}
    return _HEADER + yaml.safe_dump({"stages": stages}, sort_keys=False, allow_unicode=True, width=120)


def code(stage: Stage, graph: grimp.ImportGraph) -> list[str]:
    """List the files of ours that a stage reaches by imports, as paths from the root."""
    reached = _closure(stage.module, graph)
    if stage.is_cached:
        reached -= _NO_TRACE
    return sorted(filter(None, map(_path, reached)))


def _row(stage: Stage, graph: grimp.ImportGraph) -> dict[str, Any]:
    return {
        "desc": stage.summary,
        "cmd": f"python -m tasks run {stage.name}",
        "params": list(stage.params),
        "deps": code(stage, graph) + [PLACES[place] for place in stage.reads],
        # an output that persists and isn't cached is never restored in place of a run: registering acts on the world
        "outs": [PLACES[place] if stage.is_cached else {PLACES[place]: _UNCACHED} for place in stage.writes],
        "meta": {"needs": stage.needs},
    }


_UNCACHED = {"cache": False, "persist": True}


def _closure(module: str, graph: grimp.ImportGraph) -> set[str]:
    """Follow imports from `module`, also those that happen by name."""
    reached, waiting = set[str](), [module]
    while waiting:
        found = waiting.pop()
        if found in reached:
            continue
        reached.add(found)
        waiting += graph.find_modules_directly_imported_by(found)
        waiting += _imported_by_name(found, graph)
    return reached


def _imported_by_name(module: str, graph: grimp.ImportGraph) -> list[str]:
    """List the modules that stand as text in a module with `import_module`; raises ValueError where there are none."""
    text = _file(module).read_text(encoding="utf-8")
    if "import_module(" not in text:
        return []
    constants = (node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant))
    said = {value for value in constants if isinstance(value, str)}
    if not (named := sorted(said & graph.modules)):
        raise ValueError(f"{module} imports by names that don't stand in it: changes of those modules would go unseen")
    return named


def _path(module: str) -> str | None:
    """Give a module's file from the root; a package holds a docstring and nothing that could matter."""
    path = _file(module)
    return None if path.name == "__init__.py" else path.relative_to(Path.cwd()).as_posix()


def _file(module: str) -> Path:
    spec = find_spec(module)
    assert spec and spec.origin, f"{module} has no file"
    return Path(spec.origin)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

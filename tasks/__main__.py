"""Run stages one by one, without Prefect, DVC or a terminal: what dvc.yaml calls.

python -m tasks list
python -m tasks run ingest
python -m tasks shard embed --number 3 --of 100
python -m tasks lacking embed
python -m tasks params
python -m tasks parent v3
"""

import argparse
import errno
import importlib
import json
import os
import sys
import traceback
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from dopsd.processes.termination import heard
from tasks import params, passing, runner, weak_teacher
from tasks.devices.job import devices_for
from tasks.environment import settle
from tasks.folders import read_json
from tasks.pipeline import PLACES, STAGES, stage
from tasks.process import end_with_starter
from tasks.stores.shard import Shard

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do one command in the current folder: 0 when done, 1 for what a user can mend, told, 4 for a weak teacher."""
    settle()
    asked = _parser().parse_args(arguments)
    root = Path()
    try:
        if asked.command == "list":
            print(_table())
        elif asked.command == "params":
            print(json.dumps(params.resolved(params.load(root)), indent=2, ensure_ascii=False))
        elif asked.command == "lacking":
            print(json.dumps(runner.lacking(stage(asked.stage), root)))
        elif asked.command == "parent":
            name = params.load(root).register.model
            print(importlib.import_module("tasks.versions.registry").fetch(name, asked.version, root))
        else:
            if "DVC_STAGE" in os.environ:  # DVC, when killed, leaves its children alive
                end_with_starter()
            _work(asked, root)
    except weak_teacher.WeakTeacher as refusal:
        return _told(asked, refusal, root, weak_teacher.EXIT_CODE)
    except (ValueError, FileNotFoundError, FloatingPointError) as mistake:
        return _told(asked, mistake, root, 1)
    except OSError as error:
        if error.errno not in _DISK and not passing.may_pass(error):
            raise
        return _told(asked, error, root, 1)
    return 0


def _work(asked: argparse.Namespace, root: Path) -> None:
    """Run a stage, or a shard of it, on the device that it needs.

    How that ended is noted: DVC passes on that a stage failed, and not why.
    """
    name, state = asked.stage, root / runner.RUNS / asked.stage
    is_shard = asked.command == "shard"
    work = partial(runner.fill, shard=_shard(asked)) if is_shard else runner.run
    try:
        with heard(), devices_for(stage(name), params.load(root)):
            work(stage(name), root)
    except BaseException as failure:
        passing.note(state, failure)
        raise
    passing.note(state, None)


def _shard(asked: argparse.Namespace) -> Shard:
    among = read_json(asked.among) if asked.among else None
    return Shard(asked.number, asked.of, among and frozenset(key for keys in among.values() for key in keys))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tasks", description="Run the stages of the pipeline one by one.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="show the table of stages")
    commands.add_parser("params", help="show params.yaml with all defaults filled in")
    run = commands.add_parser("run", help="run one stage, whatever is cached")
    run.add_argument("stage", choices=[row.name for row in STAGES])
    shard = commands.add_parser("shard", help="make a part of what a stage keeps for each image, ahead of its run")
    shard.add_argument("stage", choices=[row.name for row in STAGES if row.has_shards])
    shard.add_argument("--number", type=int, required=True, help="which part, from 1 on")
    shard.add_argument("--of", type=int, required=True, help="how many parts there are")
    shard.add_argument("--among", type=Path, metavar="FILE", help="of these entries, as `lacking` prints them")
    lacking = commands.add_parser("lacking", help="print which entries for single images a run of a stage would make")
    lacking.add_argument("stage", choices=[row.name for row in STAGES if row.has_shards])
    parent = commands.add_parser("parent", help="fetch the adapter of a registered version, to train on from it")
    parent.add_argument("version", help="v3, or champion")
    return parser


def _table() -> str:
    """Lay the stages out, a line each."""
    rows = [["stage", "on", "reads", "writes", ""]]
    rows += [[row.name, row.needs, _paths(row.reads), _paths(row.writes), row.summary] for row in STAGES]
    widths = [max(len(row[column]) for row in rows) for column in range(4)] + [0]
    lines = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows)
    return "\n".join("  ".join(line) for line in lines)


def _paths(places: Sequence[str]) -> str:
    return " ".join(place if PLACES[place].startswith("$") else Path(PLACES[place]).name for place in places)


def _told(asked: argparse.Namespace, mistake: Exception, root: Path, code: int) -> int:
    """Say what is wrong in a message, and keep where it happened in a file for those who must know."""
    what = getattr(asked, "stage", asked.command)
    text = str(mistake)
    if isinstance(mistake, OSError) and mistake.errno in _DISK:
        text = f"{mistake.strerror} {mistake.filename or ''}: the disk is full; free some space and run again"
    place = root / runner.RUNS / what / "error.txt"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("".join(traceback.format_exception(mistake)))
    print(f"{what}: {text}", file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())

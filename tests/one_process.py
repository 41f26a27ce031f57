"""The stages of a fake workspace in this process, which is an interpreter a stage faster; DVC itself is real.

with stages_here(workspace.root): ...
assert repro(workspace, "embed") == ["embed"]
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dvc.repo import Repo
from dvc.utils.serialize import _yaml

from tasks import runner
from tasks.pipeline import STAGES, Stage, stage
from tasks.planning import fingerprint
from tests.fake_workspace import FakeWorkspace, body


@contextmanager
def stages_here(root: Path, *others: Stage) -> Iterator[pytest.MonkeyPatch]:
    """Be in `root`, and let DVC call the bodies of the stages, and of `others`, instead of starting processes."""

    def command(known: Any, **_: object) -> None:
        if known.name == fingerprint.STAGE:
            fingerprint.main()
        else:
            runner.run(stage(known.name), Path())

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("DVC_STAGE", "fake")
        patch.setattr("dvc.stage.run.cmd_run", command)
        patch.setattr(_yaml, "parse_yaml_for_update", _yaml.parse_yaml)  # looking for comments took a third of a run
        for row in (*STAGES, *others):
            patch.setitem(sys.modules, row.module, SimpleNamespace(run=body(row.name)))
        yield patch


def repro(workspace: FakeWorkspace, *targets: str, **options: bool) -> list[str]:
    """Do what `dvc repro` does; gives the stages that ran."""
    known = len(workspace.ran())
    with stages_here(workspace.root), Repo(str(workspace.root)) as repo:
        repo.reproduce(targets, **options)
    return workspace.ran()[known:]


@contextmanager
def child_here(command: list[str], variables: Mapping[str, str], stdout: int) -> Iterator[SimpleNamespace]:
    """Stand in for flows.reproduction.child: `dvc repro --single-item NAME [--force]` in this process."""
    *_, name = (word for word in command if word != "--force")
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()):
        for variable, value in variables.items():
            patch.setenv(variable, value)
        repro(FakeWorkspace(Path().resolve()), name, single_item=True, force="--force" in command)
    yield SimpleNamespace(wait=lambda timeout: 0, poll=lambda: 0)

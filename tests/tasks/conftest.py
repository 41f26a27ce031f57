"""Lend a workspace to the tests of stages."""

from pathlib import Path

import pytest
from workspace import Workspace, laid_out


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Lay out a workspace and go there."""
    monkeypatch.chdir(tmp_path)
    return laid_out(tmp_path)

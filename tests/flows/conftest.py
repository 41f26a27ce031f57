"""A Prefect server for all tests of the session and the processes that they start; a workspace for each test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL
from prefect.testing.utilities import prefect_test_harness

from tests.fake_workspace import FakeWorkspace


@pytest.fixture(scope="session")
def prefect() -> Iterator[str]:
    """Give its address."""
    with prefect_test_harness(server_startup_timeout=240):
        yield str(PREFECT_API_URL.value())


@pytest.fixture
def workspace(done: FakeWorkspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeWorkspace:
    """Copy the workspace that a file of tests has brought up to date once, `done`, and go there."""
    shutil.copytree(done.root, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return FakeWorkspace(tmp_path)

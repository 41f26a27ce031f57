"""A Prefect server for all tests of the session, and of the processes that they start."""

from collections.abc import Iterator

import pytest
from prefect.settings import PREFECT_API_URL
from prefect.testing.utilities import prefect_test_harness


@pytest.fixture(scope="session")
def prefect() -> Iterator[str]:
    """Give its address."""
    with prefect_test_harness(server_startup_timeout=240):
        yield str(PREFECT_API_URL.value())

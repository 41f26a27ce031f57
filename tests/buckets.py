"""A real S3 API on this machine, without any file of credentials that lies here.

with server() as address: reach(address, monkeypatch, tmp_path)
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from moto.server import ThreadedMotoServer

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "somebody", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def server() -> Iterator[str]:
    """Serve; gives the address."""
    served = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    served.start()
    yield "http://{}:{}".format(*served.get_host_and_port())
    served.stop()


def reach(address: str, monkeypatch: pytest.MonkeyPatch, empty: Path) -> None:
    """Let every client of S3 use the server, which forgets all buckets."""
    alone = {"AWS_CONFIG_FILE": str(empty / "none"), "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1"}
    for name, value in {**CREDENTIALS, **alone, "AWS_ENDPOINT_URL": address}.items():
        monkeypatch.setenv(name, value)
    urlopen(Request(f"{address}/moto-api/reset", method="POST")).close()

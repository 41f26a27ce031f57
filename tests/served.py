"""Programs that serve on this machine: a port for one, its page, what it answers, and waiting for any of it.

port = free_port(); until(partial(answers, f"http://127.0.0.1:{port}/health"))
"""

import json
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.request import Request, urlopen


def free_port() -> str:
    """Find a port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def until(is_so: Callable[[], object], within_s: float = 400.0) -> None:
    """Wait, and fail where it never is; look often at first, and less often at what takes minutes."""
    end, pause = time.monotonic() + within_s, 0.01
    while not is_so():
        assert time.monotonic() < end
        time.sleep(pause)
        pause = min(2 * pause, 0.5)


def answers(page: str) -> bool:
    """Tell whether a page is there."""
    try:
        with urlopen(page, timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def asked(api: str, path: str, **said: Any) -> Any:
    """Ask a Prefect server, again while it is too busy to answer; so whoever creates something names it by a key."""
    page = Request(f"{api}/{path}", json.dumps(said).encode(), {"Content-Type": "application/json"})
    end = time.monotonic() + 400
    while True:
        try:
            with urlopen(page, timeout=60) as answer:
                return json.loads(answer.read() or "null")
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(1)

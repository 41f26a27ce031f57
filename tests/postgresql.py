"""A PostgreSQL of our own, from Debian's packages, for as long as a block lasts.

with server(tmp_path) as databases: databases.make("mlflow"); databases.address("postgresql", "mlflow")
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.served import free_port

PASSWORD = "not-for-any-log"
_PLACES = "/usr/lib/postgresql"
_USER = "postgres"


@dataclass(frozen=True)
class Databases:
    """A server on this machine that asks for a password, and makes databases for its one user."""

    programs: Path
    port: str

    def make(self, *names: str) -> None:
        """Make empty databases."""
        for name in names:
            self.told(f"create database {name}", "postgres")

    def told(self, command: str, name: str) -> str:
        """Give what psql prints of a command's answer."""
        said = [str(self.programs / "psql"), "--tuples-only", "--no-align", "--command", command]
        done = subprocess.run([*said, self.address("postgresql", name)], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def address(self, driver: str, name: str) -> str:
        """Name a database, password and all."""
        return f"{driver}://{_USER}:{PASSWORD}@127.0.0.1:{self.port}/{name}"


@contextmanager
def server() -> Iterator[Databases]:
    """Lend a server; it is gone after the block, with all that it kept."""
    programs, folder = _programs(), Path(tempfile.mkdtemp(prefix="dopsd-postgresql-"))
    try:
        lent = Databases(programs, free_port())
        (folder / "password").write_text(PASSWORD)
        _hand_over(folder)
        _asked(programs / "initdb", "--auth=scram-sha-256", f"--pwfile={folder / 'password'}", "--no-sync",
               f"--username={_USER}", f"--pgdata={folder / 'data'}")  # fmt: skip
        told = f"-c listen_addresses=127.0.0.1 -c port={lent.port} -c unix_socket_directories= -c fsync=off"
        control = (programs / "pg_ctl", f"--pgdata={folder / 'data'}", "--wait")
        _asked(*control, f"--log={folder / 'log'}", f"--options={told}", "start")
        try:
            yield lent
        finally:
            _asked(*control, "--mode=immediate", "stop")
    finally:
        shutil.rmtree(folder)


def _programs() -> Path:
    """Find the newest that is installed, and install it where we may; PATH names only psql and its like."""
    if not (found := _found()) and os.getuid() == 0:
        subprocess.run(["apt-get", "install", "--yes", "--no-install-recommends", "postgresql"], check=True)
        found = _found()
    assert found, "this test wants a real PostgreSQL: `apt-get install postgresql` as root brings it"
    return found[-1]


def _found() -> list[Path]:
    folders = Path(_PLACES).glob("*/bin")
    return sorted((path for path in folders if (path / "initdb").exists()), key=lambda path: int(path.parent.name))


def _asked(program: Path, *arguments: str) -> None:
    """Run one of its programs; none of them serves root."""
    user = {"user": _USER, "group": _USER, "extra_groups": []} if os.getuid() == 0 else {}
    subprocess.run([program, *arguments], check=True, stdout=subprocess.DEVNULL, cwd="/", **user)


def _hand_over(folder: Path) -> None:
    """Let the user that Debian's package makes have the folder, where we are root."""
    if os.getuid() == 0:
        known = pwd.getpwnam(_USER)
        for path in (folder, *folder.iterdir()):
            os.chown(path, known.pw_uid, known.pw_gid)

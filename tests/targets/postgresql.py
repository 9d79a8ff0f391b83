"""A PostgreSQL server of the tests' own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

USER = "postgres"  # Debian's; the server refuses to run as root


class NoPostgreSQLError(RuntimeError):
    """There is no PostgreSQL, and it cannot be installed."""


@contextmanager
def postgresql() -> Generator[Path, None, None]:
    """Run a server, and yield the folder of its socket; it listens nowhere else."""
    binaries = _binaries()
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))  # a socket's path must be short
    is_root = os.geteuid() == 0
    if is_root:
        shutil.chown(folder, USER)

    def run(command: str, *options: str) -> None:
        subprocess.run(
            [binaries / command, "-D", folder / "data", *options],
            check=True,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            user=USER if is_root else None,
            extra_groups=[] if is_root else None,
        )

    try:
        run("initdb", "--auth=trust", f"--username={USER}", "--encoding=UTF8", "--no-sync")
        settings = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
        run("pg_ctl", "start", "--wait", "-o", settings, "-l", str(folder / "log"))
        try:
            yield folder
        finally:
            run("pg_ctl", "stop", "--wait", "-m", "immediate")
    finally:
        shutil.rmtree(folder)


def _binaries() -> Path:
    """Return where the server's commands are; on a Debian without them, root installs them.

    Raises:
        NoPostgreSQLError: If there are none.
    """
    found = _found()
    if found is None and os.geteuid() == 0 and Path("/usr/bin/apt-get").exists():
        apt_get("update")
        apt_get("install", "--yes", "--no-install-recommends", "postgresql")
        found = _found()
    if found is None:
        msg = "PostgreSQL's initdb and pg_ctl are not here: install postgresql"
        raise NoPostgreSQLError(msg)
    return found


def apt_get(*arguments: str) -> None:
    """Run apt-get quietly."""
    command = ["/usr/bin/apt-get", "--quiet=2", *arguments]
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(command, check=True, env=quiet, stdout=subprocess.DEVNULL)


def _found() -> Path | None:
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = shutil.which("initdb") or (debian[-1] if debian else None)
    return Path(found).resolve().parent if found else None

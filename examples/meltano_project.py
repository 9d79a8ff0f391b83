"""A Meltano project in its own folder, with the meltano.yml of this checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]

# Environment variables that must not reach the project, by prefix.
NOT_PASSED_ON = ("COVERAGE_", "DBT_", "MELTANO_", "TAP_CALLCAP_", "TARGET_", "VIRTUAL_ENV")

# Runs in the loader's environment, because the tap's environment has no DuckDB.
READER = """
import json, sys, duckdb
with duckdb.connect(sys.argv[1], read_only=True) as database:
    database.execute("set enable_progress_bar = false")  # it is printed where rows are
    found = database.execute(sys.argv[2])
    names = [column[0] for column in found.description]
    rows = [dict(zip(names, row)) for row in found.fetchall()]
    json.dump(rows, sys.stdout, default=lambda value: value.isoformat())
"""


class MeltanoError(RuntimeError):
    """A command failed; the message has the command and its output."""


class MeltanoProject:
    """A Meltano project with the tap of this checkout and its own DuckDB warehouse."""

    def __init__(
        self, folder: Path, settings: dict[str, str], variables: dict[str, str] | None = None
    ) -> None:
        """Create the project in an empty folder, or open one that has a meltano.yml.

        Args:
            folder: The folder.
            settings: The tap's settings by name; those in the caller's environment are ignored.
            variables: More environment variables, such as loaders' settings.
        """
        self.folder = folder
        self.warehouse = folder / "warehouse.duckdb"
        if not (folder / "meltano.yml").exists():
            definition = (CHECKOUT / "meltano.yml").read_text(encoding="utf-8")
            (folder / "meltano.yml").write_text(
                definition.replace("pip_url: -e .", f"pip_url: -e '{CHECKOUT}'"), encoding="utf-8"
            )
        # One for each Python version, so that tests with several versions do not share it.
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        self._home = CHECKOUT / ".cache" / f"meltano-{python}"
        self._environment = {
            name: text for name, text in os.environ.items() if not name.startswith(NOT_PASSED_ON)
        }
        self._environment |= {
            "MELTANO_CLI_LOG_FORMAT": "uncolored",
            "MELTANO_STATE_BACKEND_URI": (folder / "state").as_uri(),
            "NO_COLOR": "1",
        }
        self._environment |= {
            f"TAP_CALLCAP_{name.upper()}": text for name, text in settings.items()
        }
        self._environment |= variables or {}

    def install(self, *plugins: str) -> None:
        """Install the Meltano version of uv.lock, and with it plugins.

        Args:
            plugins: Names of the plugins; the tap and target-duckdb by default.
        """
        self._run(
            *(str(CHECKOUT / "uvw"), "sync", "--locked", "--only-group", "meltano"),
            *("--python", sys.executable, "--directory", str(CHECKOUT)),
            UV_PROJECT_ENVIRONMENT=str(self._home),
        )
        self.meltano("install", *(plugins or ("tap-callcap", "target-duckdb")))

    def meltano(self, *arguments: str, **environment: str) -> str:
        """Run a Meltano command and return its output.

        Raises:
            MeltanoError: If it fails.
        """
        return self._run(str(self._home / "bin" / "meltano"), *arguments, **environment)

    def start(self, *arguments: str, log: Path) -> subprocess.Popen[bytes]:
        """Start a Meltano command in a session of its own, with its output in a file."""
        with log.open("ab") as file:
            return subprocess.Popen(
                [self._home / "bin" / "meltano", *arguments],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def script(self, name: str, *arguments: str) -> str:
        """Run an example with the libraries that it names, and return its output.

        Raises:
            MeltanoError: If it fails.
        """
        script = str(CHECKOUT / "examples" / name)
        return self._run(
            *(str(CHECKOUT / "uvw"), "run", "--python", sys.executable, script), *arguments
        )

    def data_as_of(self) -> datetime:
        """Return the bookmark of the last run, in aware UTC."""
        (file,) = self.folder.glob("state/*/state.json")
        state = json.loads(file.read_text(encoding="utf-8"))["completed"]["singer_state"]
        text: str = state["bookmarks"]["calls"]["replication_key_value"]
        return datetime.fromisoformat(text.replace("Z", "+00:00"))

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Return the result of a query, with times as ISO 8601 text."""
        python = self.folder / ".meltano" / "loaders" / "target-duckdb" / "venv" / "bin" / "python"
        answer: list[dict[str, Any]] = json.loads(
            self._run(str(python), "-c", READER, str(self.warehouse), query)
        )
        return answer

    def _run(self, *command: str, **environment: str) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            msg = f"{' '.join(command[:4])} … exited with {done.returncode}:\n{done.stdout}"
            raise MeltanoError(msg)
        return done.stdout

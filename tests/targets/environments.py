"""Virtual environments for what must not be in the project's own: one for each target.

They are made once and kept in `.cache/`. Every version in them is the newest of one day that the
requirements allow, so that they are the same wherever and whenever they are made.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Sequence

CHECKOUT = Path(__file__).resolve().parents[2]
CACHE = CHECKOUT / ".cache" / "environments"
DAY = "2026-11-24"  # nothing that was published later
DEFINITIONS: dict[str, Any] = yaml.safe_load((CHECKOUT / "meltano.yml").read_text("utf-8"))


@dataclass(frozen=True)
class Environment:
    """A virtual environment that exists."""

    home: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.home / "bin" / "python"

    def command(self, name: str) -> Path:
        """Return the command of that name in it."""
        return self.home / "bin" / name

    def version(self, distribution: str) -> str:
        """Return the version of what is installed in it."""
        script = f"from importlib.metadata import version; print(version({distribution!r}))"
        return self.run(script).strip()

    def run(self, script: str, *arguments: str) -> str:
        """Run a script in it, and return what it printed.

        Raises:
            RuntimeError: If it fails; with all that it said.
        """
        done = subprocess.run(
            [self.python, "-c", script, *arguments], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout


@cache
def environment(name: str, requirements: Sequence[str]) -> Environment:
    """Return the environment with `requirements`, and make it where there is none."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    mark = sha256("\n".join([DAY, *requirements]).encode()).hexdigest()[:8]
    home = CACHE / f"{name}-{python}-{mark}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another run of the tests may be at it
        if not (home / "is-whole").exists():
            _uv("venv", "--clear", "--python", sys.executable, str(home))
            _uv("pip", "install", "--exclude-newer", DAY, "--python", str(home), *requirements)
            (home / "is-whole").touch()
    return Environment(home)


def pip_url(plugin: str, kind: str = "loaders") -> tuple[str, ...]:
    """Return what meltano.yml installs for a plugin."""
    (definition,) = (it for it in DEFINITIONS["plugins"][kind] if it["name"] == plugin)
    return tuple(definition["pip_url"].split())


def _uv(*arguments: str) -> None:
    command = [str(CHECKOUT / "uvw"), "--quiet", *arguments]
    bare = {name: text for name, text in os.environ.items() if name != "VIRTUAL_ENV"}
    subprocess.run(command, check=True, env=bare, cwd=CHECKOUT)

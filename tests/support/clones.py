"""What a user would clone of this checkout."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def copy_of_checkout(folder: Path) -> Path:
    """Copy the files of this checkout that Git knows, or would add, into a folder."""
    listed = _git("ls-files", "-z", "--cached", "--others", "--exclude-standard", folder=CHECKOUT)
    for name in filter(None, listed.split("\0")):
        if (CHECKOUT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / name, folder / name)
    return folder


def repository(folder: Path) -> str:
    """Make a repository of those files, which stands for the public one; returns its address."""
    copy_of_checkout(folder)
    _git("init", "--quiet", "--initial-branch=main", folder=folder)
    _git("add", "--all", folder=folder)
    author = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.com")
    _git(*author, "commit", "--quiet", "--message=All files", folder=folder)
    return folder.as_uri()


def _git(*arguments: str, folder: Path) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, check=True, cwd=folder, capture_output=True, text=True).stdout

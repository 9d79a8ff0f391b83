"""README's first command, from the sandbox to the page."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from meltano_project import CHECKOUT

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.targets,
    pytest.mark.skipif(sys.version_info >= (3, 14), reason="duckdb 1.1.3 has no wheel for it"),
    pytest.mark.skipif(sys.platform == "win32", reason="the project's scripts are for sh"),
]


def test_the_demo_ends_with_the_page() -> None:
    """Both loads are right, every model and test of dbt passes, and the page is there."""
    page = CHECKOUT / ".cache" / "demo" / "report.html"
    page.unlink(missing_ok=True)

    done = subprocess.run(
        [sys.executable, CHECKOUT / "examples" / "demo.py"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"PASS=\d+ WARN=0 ERROR=0 SKIP=0", done.stdout)
    assert page.as_uri() in done.stdout
    assert page.stat().st_size > 100_000

"""The examples are valid for the programs that read them, and load.sh keeps the bookmark."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from support.running import COMMAND, bookmark_of, clean_environment
from tap_callcap.sandbox import CallBook, Callcap, Sandbox, made_up_calls

if TYPE_CHECKING:
    from collections.abc import Callable

CHECKOUT = Path(__file__).parents[1]
EXAMPLES = CHECKOUT / "examples"
WORKFLOWS = [*(CHECKOUT / ".github" / "workflows").glob("*.yml"), EXAMPLES / "github-actions.yml"]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_workflows_are_such_as_github_takes(file: Path) -> None:
    """Each keeps to GitHub's schema of workflows."""
    check = [Path(sys.executable).with_name("check-jsonschema")]
    options = ["--builtin-schema", "vendor.github-workflows", "--quiet"]
    done = subprocess.run([*check, *options, file], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(sys.version_info < (3, 11), reason="zizmor has no version for it")
def test_workflows_have_no_known_weakness() -> None:
    """Zizmor finds nothing, in the example neither."""
    zizmor = str(Path(sys.executable).with_name("zizmor"))
    files = [*WORKFLOWS, CHECKOUT / ".github" / "dependabot.yml"]
    command = [zizmor, "--offline", "--quiet", "--no-progress", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflow_runs_what_meltano_yml_has() -> None:
    """It names plugins and an environment that there are, at the version that is tested."""
    text = (EXAMPLES / "github-actions.yml").read_text("utf-8")
    definition = yaml.safe_load((CHECKOUT / "meltano.yml").read_text("utf-8"))
    (job,) = yaml.safe_load(text)["jobs"].values()

    assert job["env"]["MELTANO_ENVIRONMENT"] in {it["name"] for it in definition["environments"]}
    assert "target-postgres" in {it["name"] for it in definition["plugins"]["loaders"]}
    assert "meltano[s3]==4.4.1" in text
    assert '"meltano==4.4.1"' in (CHECKOUT / "pyproject.toml").read_text("utf-8")


@pytest.mark.parametrize("script", ["load.sh"])
def test_scripts_are_such_as_bash_takes(script: str) -> None:
    """Bash parses it, and it can be executed."""
    file = EXAMPLES / script
    done = subprocess.run(["/bin/bash", "-n", file], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert file.stat().st_mode & 0o111


TOOLS = ("bash", "cat", "dirname", "env", "mkdir", "mkfifo", "mktemp", "mv", "perl", "rm")
"""What load.sh may use: macOS has them too, with the same options."""

TARGET = """
import json, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit("The target was told to end"))
states = [line for line in sys.stdin if '"type":"STATE"' in line]
print(json.dumps(json.loads(states[-1])["value"]))
"""


def load(folder: Path, sandbox: Sandbox, *target: str, has_flock: bool = True) -> Any:
    """Start load.sh with tools that every system has, and a target that prints the last STATE."""
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    names = [*TOOLS, "flock"] if has_flock else TOOLS
    for name, path in [("tap-callcap", COMMAND), *((name, shutil.which(name)) for name in names)]:
        assert path, name
        (tools / name).unlink(missing_ok=True)
        (tools / name).symlink_to(path)
    settings = {"API_KEY": "sandbox", "API_URL": sandbox.url, "PAGE_SIZE": "3"}
    return subprocess.Popen(
        [EXAMPLES / "load.sh", "state.json", *(target or (sys.executable, "-c", TARGET))],
        cwd=folder,
        env={
            **clean_environment(),
            **{f"TAP_CALLCAP_{name}": text for name, text in settings.items()},
            "PATH": str(tools),
            "TMPDIR": str(folder),
        },
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def sandbox_of(calls: int) -> Sandbox:
    """A served account."""
    now = datetime.now(timezone.utc)
    book = CallBook(made_up_calls(calls, seed=3, start=now - timedelta(days=9), end=now))
    return Sandbox(Callcap(book))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no bash")
@pytest.mark.parametrize("has_flock", [True, False], ids=["flock", "no flock"])
@pytest.mark.parametrize("whom", [os.kill, os.killpg], ids=["alone", "group"])
def test_a_signal_to_load_reaches_the_tap_alone(
    has_flock: bool, whom: Callable[[int, int], None], tmp_path: Path
) -> None:
    """The tap ends after a STATE, the target loads the rest, and the bookmark is kept."""
    started: Queue[Any] = Queue()
    with sandbox_of(300) as sandbox:

        def stop(_: object) -> None:
            if len(sandbox.callcap.requests) == 60:  # after the first window
                process = started.get()
                whom(process.pid, signal.SIGTERM)
                whom(process.pid, signal.SIGTERM)

        sandbox.callcap.before_answer = stop
        process = load(tmp_path, sandbox, has_flock=has_flock)
        started.put(process)
        _, log = process.communicate(timeout=120)
        assert process.returncode == 143, log
        assert "The target was told to end" not in log
        first = json.loads((tmp_path / "state.json").read_text("utf-8"))
        sandbox.callcap.before_answer = None
        again = load(tmp_path, sandbox, has_flock=has_flock)
        again.communicate(timeout=120)
    assert again.returncode == 0
    second = json.loads((tmp_path / "state.json").read_text("utf-8"))
    assert bookmark_of(first) < bookmark_of(second)
    assert {file.name for file in tmp_path.iterdir()} == {"tools", "state.json", "state.json.lock"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no bash")
def test_a_target_that_fails_fails_load(tmp_path: Path) -> None:
    """Its code counts where the tap has succeeded, and the bookmark stays."""
    fails = "import sys; sys.stdin.read(); sys.exit(3)"
    with sandbox_of(1) as sandbox:
        process = load(tmp_path, sandbox, sys.executable, "-c", fails)
        process.communicate(timeout=120)
        assert process.returncode == 3
        absent = load(tmp_path, sandbox, "no-such-target")
        _, log = absent.communicate(timeout=120)
    assert absent.returncode == 1
    assert "The target has ended before the tap" in log
    assert (tmp_path / "state.json").read_text("utf-8") == "{}\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no bash")
@pytest.mark.parametrize("has_flock", [True, False], ids=["flock", "no flock"])
def test_never_two_runs_at_once(has_flock: bool, tmp_path: Path) -> None:
    """The second one leaves the first alone."""
    codes: list[int] = []

    def start_another(_: object) -> None:
        if not codes:
            codes.append(0)
            other = load(tmp_path, sandbox, has_flock=has_flock)
            other.communicate(timeout=120)
            codes.append(other.returncode)

    with sandbox_of(1) as sandbox:
        sandbox.callcap.before_answer = start_another
        process = load(tmp_path, sandbox, has_flock=has_flock)
        process.communicate(timeout=120)
    assert (codes, process.returncode) == ([0, 75], 0)


def test_every_example_is_listed() -> None:
    """README of the examples names each of them."""
    listed = (EXAMPLES / "README.md").read_text("utf-8")
    files = {file.name for file in EXAMPLES.glob("*") if file.is_file()}

    assert {file for file in files if f"({file})" not in listed} == {
        "README.md",
        "meltano_project.py",
    }

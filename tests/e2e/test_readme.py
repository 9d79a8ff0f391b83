"""The command lines of README and the other documents, run as they are written.

Each block of commands runs in a fresh folder of a user who has nothing but the tools that the text
names. A local repository stands for the public one, and a sandbox for Callcap.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest
import yaml

from support.clones import CHECKOUT, repository
from support.documents import BLOCKS, FOUND
from support.running import COMMAND, clean_environment
from tap_callcap.sandbox import VENDOR_EXAMPLE, CallBook, Callcap, Sandbox, made_up_calls
from targets.environments import DEFINITIONS, environment, pip_url

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(sys.platform == "win32", reason="the commands are for sh"),
]

NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)
ADDRESS = "export CALLCAP_REPOSITORY=…  # what you would give to git clone"
MELTANO_ADD = 'echo "CALLCAP_REPOSITORY=$CALLCAP_REPOSITORY" >> .env'
MELTANO_CLONE = "echo 'TAP_CALLCAP_API_KEY=…' >> .env"
INSTALL = 'uv tool install "git+$CALLCAP_REPOSITORY"'
INSTALL_FROM_CLONE = "uv tool install ."
KEY = "export TAP_CALLCAP_API_KEY=…"
PIPES = "set -o pipefail"
SANDBOX = 'uv tool install "tap-callcap[sandbox] @ git+$CALLCAP_REPOSITORY"'
DOCTOR = "callcap-doctor --config=ENV            # or --config=config.json, as for the tap"
DEMO = "./uvw run examples/demo.py"

RUN_HERE = {ADDRESS, MELTANO_ADD, MELTANO_CLONE, INSTALL, INSTALL_FROM_CLONE, KEY, PIPES, SANDBOX}
RUN_HERE |= {DOCTOR, DEMO}
RUN_ELSEWHERE = {
    "./uvw run pytest --cov": ".ci/run",
    "uv sync            # install everything into .venv": ".ci/run",
    "./uvw sync             # everything into .venv; ./uvw is uv, fetched if it is missing": (
        ".ci/run"
    ),
    "./uvw run pytest -m e2e --write-matrix": "CONTRIBUTING.md",  # by hand: it takes long
    "docker build --tag tap-callcap .": "tests/e2e/test_container.py",
    "mf query --group-by metric_time__month,callcap_call__campaign_name --metrics \\": (
        "tests/targets/test_metrics.py"
    ),
    "docker build --tag callcap-postgres --build-arg TARGET=meltanolabs-target-postgres==0.8.1 .": (
        "tests/e2e/test_container.py"
    ),
}


def test_every_block_of_commands_is_run() -> None:
    """No document has commands that no test runs, and no test runs commands that are not there."""
    assert len(BLOCKS) == len(FOUND), "two blocks begin with the same line"
    assert BLOCKS.keys() == RUN_HERE | RUN_ELSEWHERE.keys()
    for command, file in RUN_ELSEWHERE.items():
        words = command.split("#")[0].strip().removeprefix("uv ").removeprefix("./uvw ")
        assert words.split(" --build-arg")[0] in (CHECKOUT / file).read_text("utf-8")


@dataclass
class User:
    """Somebody with a home of their own, on a machine with some tools."""

    home: Path
    sandbox: Sandbox
    tools: dict[str, Path]
    values: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where the commands are run."""
        return self.home / "work"

    @property
    def variables(self) -> dict[str, str]:
        """The environment."""
        (self.home / "tools").mkdir(exist_ok=True)
        for name, tool in self.tools.items():
            if not (self.home / "tools" / name).is_symlink():
                (self.home / "tools" / name).symlink_to(tool)
        path = [f"{self.home}/tools", f"{self.home}/.local/bin", "/usr/bin", "/bin"]
        dropped = ("COVERAGE_", "MELTANO_", "PIPX_", "TAP_", "TARGET_", "UV_PROJECT", "VIRTUAL_")
        around = clean_environment().items()
        return {name: text for name, text in around if not name.startswith(dropped)} | {
            "HOME": str(self.home),
            "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
            "PATH": os.pathsep.join(path),
            "TAP_CALLCAP_API_URL": self.sandbox.url,
        }

    def text_of(self, block: str) -> str:
        """A block as written, with values where it has an ellipsis."""
        return re.sub(r"(\w+)=…", lambda found: f"{found[1]}={self.values[found[1]]}", block)

    def run(self, *blocks: str, folder: Path | None = None) -> str:
        """Run blocks in one shell that ends at the first failure; returns what they printed."""
        self.folder.mkdir(exist_ok=True)
        script = "".join(map(self.text_of, blocks))
        done = subprocess.run(
            ["/bin/bash", "-eu", "-c", script],
            cwd=folder or self.folder,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=500,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the repository."""
    return repository(tmp_path_factory.mktemp("public") / "tap-callcap")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A Callcap with some calls, one of them with demographics."""
    calls = made_up_calls(30, seed=5, start=NOW - timedelta(days=30), end=NOW)
    callcap = Callcap(CallBook([*calls, VENDOR_EXAMPLE]), clock=lambda: NOW + timedelta(hours=1))
    with Sandbox(callcap) as served:
        yield served


@pytest.fixture
def user(tmp_path: Path, sandbox: Sandbox) -> User:
    """One with Python and the tap's dependencies' downloads."""
    values = {"TAP_CALLCAP_API_KEY": "sandbox"}
    return User(tmp_path, sandbox, {"python3": Path(sys.base_prefix, "bin", "python3")}, values)


@pytest.fixture
def newcomer(user: User, address: str) -> User:
    """One who has uv and pipx, too, and knows the address."""
    found = shutil.which("uv") or next((CHECKOUT / ".cache").glob("uv-*/bin/uv"))
    user.tools["uv"] = Path(found)
    user.tools["pipx"] = environment("pipx", ("pipx==1.18.4",)).command("pipx")
    user.values["CALLCAP_REPOSITORY"] = address
    return user


def requested_sections(sandbox: Sandbox) -> set[str]:
    """The sections of calls that were asked for."""
    asked = [each.params for each in sandbox.callcap.requests if each.path == "/v2/get/calls/"]
    return {section for each in asked for section in each["detail"].split(",")}


def loaded_by(user: User) -> list[str]:
    """The lines that target-jsonl wrote, in one file or one for each run."""
    files = user.folder.glob("calls*.jsonl")
    return [line for file in files for line in file.read_text("utf-8").splitlines()]


def test_plain_pipes_load_and_keep_the_bookmark(user: User) -> None:
    """The key is checked; everything comes once, and then only what changed."""
    target = environment("target-jsonl", pip_url("target-jsonl")).command("target-jsonl")
    load = COMMAND.with_name("callcap-load")
    user.tools |= {"tap-callcap": COMMAND, "callcap-load": load, "target-jsonl": target}
    user.run(BLOCKS[KEY], BLOCKS[PIPES])
    assert len(loaded_by(user)) == 31
    user.sandbox.callcap.advance(timedelta(hours=3), new_calls=2)
    user.sandbox.callcap.advance(timedelta(minutes=15))

    user.run(f"export TAP_CALLCAP_API_KEY={user.values['TAP_CALLCAP_API_KEY']}\n", BLOCKS[PIPES])

    assert len(loaded_by(user)) == 33
    assert "demographics" not in requested_sections(user.sandbox)


@pytest.mark.targets
@pytest.mark.parametrize("tool", ["uv", "pipx", "python3"])
def test_the_tap_is_installed_from_the_address(newcomer: User, tool: str) -> None:
    """Each of the lines alone gives the command, which checks the key."""
    (line,) = (line for line in BLOCKS[INSTALL].splitlines() if line.startswith(f"{tool} "))

    said = newcomer.run(BLOCKS[ADDRESS], f"{line}\n", *BLOCKS[KEY].splitlines(keepends=True)[:2])

    assert "tap-callcap" in said


@pytest.mark.targets
@pytest.mark.parametrize("tool", ["uv", "./uvw"])
def test_the_tap_is_installed_from_a_clone(newcomer: User, tool: str) -> None:
    """As it is, and as a wheel."""
    newcomer.run(BLOCKS[ADDRESS], 'git clone --quiet "$CALLCAP_REPOSITORY"\n')
    lines = BLOCKS[INSTALL_FROM_CLONE].splitlines()
    (line,) = (line for line in lines if line.startswith(f"{tool} "))

    newcomer.run(f"{line}\n", folder=newcomer.folder / "tap-callcap")

    newcomer.run(*BLOCKS[KEY].splitlines(keepends=True)[:2])


@pytest.mark.targets
def test_the_sandbox_is_installed_and_answers(newcomer: User) -> None:
    """It serves at the address that it prints."""
    *before, last = BLOCKS[SANDBOX].splitlines(keepends=True)
    newcomer.run(BLOCKS[ADDRESS], *before)
    command = newcomer.home / ".local" / "bin" / last.strip()
    with subprocess.Popen(
        [command], env=newcomer.variables, stdout=subprocess.PIPE, text=True
    ) as it:
        assert it.stdout
        found = re.search(r"http://[^/\s]+", it.stdout.readline())
        assert found
        with urlopen(f"{found[0]}/sandbox/truth") as answer:
            assert json.load(answer)
        it.terminate()


@pytest.mark.targets
@pytest.mark.skipif(sys.version_info >= (3, 14), reason="Meltano 3.9 does not run on it")
@pytest.mark.parametrize("meltano", ["meltano==3.9.5", "meltano==4.4.1"])
def test_a_project_of_ones_own_gets_the_tap(newcomer: User, meltano: str) -> None:
    """Calls come, no demographics are asked for, nothing else is loaded, the bookmark is kept."""
    newcomer.tools["meltano"] = environment("meltano", (meltano, "setuptools<81")).command(
        "meltano"
    )
    newcomer.run("meltano init project\n")
    project = newcomer.folder / "project"
    definition = yaml.safe_load((project / "meltano.yml").read_text("utf-8"))
    loaders = [it for it in DEFINITIONS["plugins"]["loaders"] if it["name"] == "target-jsonl"]
    definition["plugins"] = {"loaders": loaders}
    (project / "meltano.yml").write_text(yaml.safe_dump(definition), "utf-8")
    *_, run = BLOCKS[MELTANO_ADD].splitlines(keepends=True)

    newcomer.run(BLOCKS[ADDRESS], BLOCKS[MELTANO_ADD], folder=project)
    loaded = project / "output" / "calls.jsonl"
    assert len(loaded.read_text("utf-8").splitlines()) == 31
    newcomer.sandbox.callcap.advance(timedelta(hours=3), new_calls=2)
    newcomer.sandbox.callcap.advance(timedelta(minutes=15))
    newcomer.run(run, folder=project)

    assert len(loaded.read_text("utf-8").splitlines()) == 33
    assert [file.name for file in (project / "output").glob("*.jsonl")] == ["calls.jsonl"]
    assert "demographics" not in requested_sections(newcomer.sandbox)


@pytest.mark.targets
@pytest.mark.skipif(sys.version_info >= (3, 14), reason="duckdb 1.1.3 has no wheel for it")
def test_a_clone_is_a_project(newcomer: User) -> None:
    """It loads the warehouse."""
    newcomer.tools["meltano"] = environment("meltano", ("meltano==4.4.1", "setuptools<81")).command(
        "meltano"
    )
    newcomer.run(BLOCKS[ADDRESS], 'git clone --quiet "$CALLCAP_REPOSITORY"\n')
    clone = newcomer.folder / "tap-callcap"

    newcomer.run(BLOCKS[MELTANO_CLONE], folder=clone)

    assert (clone / "warehouse.duckdb").stat().st_size > 0
    assert "demographics" not in requested_sections(newcomer.sandbox)


@pytest.mark.targets
@pytest.mark.skipif(sys.version_info >= (3, 14), reason="duckdb 1.1.3 has no wheel for it")
def test_the_demo_runs_in_a_clone(newcomer: User) -> None:
    """It compares the warehouse with the sandbox itself."""
    newcomer.run(BLOCKS[ADDRESS], 'git clone --quiet "$CALLCAP_REPOSITORY"\n')

    said = newcomer.run(BLOCKS[DEMO], folder=newcomer.folder / "tap-callcap")

    assert "warehouse and sandbox were equal" in said


@pytest.mark.targets
def test_the_doctors_lines_run(user: User) -> None:
    """As a table and as JSON."""
    user.tools["callcap-doctor"] = COMMAND.with_name("callcap-doctor")
    assert user.run(f"{user.text_of(KEY)}\n", BLOCKS[DOCTOR])

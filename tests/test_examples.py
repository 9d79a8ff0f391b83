"""The examples are valid for the programs that read them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

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


def test_every_example_is_listed() -> None:
    """README of the examples names each of them."""
    listed = (EXAMPLES / "README.md").read_text("utf-8")
    files = {file.name for file in EXAMPLES.glob("*") if file.is_file()}

    assert {file for file in files if f"({file})" not in listed} == {
        "README.md",
        "meltano_project.py",
    }

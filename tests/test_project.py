"""The project's files agree with the code, the commands and the wheel."""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
import zipfile
from importlib.metadata import distribution, distributions, version
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from dotenv import dotenv_values

from support.running import about
from support.written_settings import (
    CHECKOUT,
    KINDS,
    PROPERTIES,
    WRITTEN,
    brought_up_to_date,
    type_of,
)
from tap_callcap.environment import ENVIRONMENT_PREFIX, read_environment
from tap_callcap.settings import SETTINGS
from tap_callcap.validation import config_errors

MELTANO: dict[str, Any] = yaml.safe_load((CHECKOUT / "meltano.yml").read_text(encoding="utf-8"))
EXTRACTOR: dict[str, Any] = MELTANO["plugins"]["extractors"][0]
HUB: dict[str, Any] = yaml.safe_load((CHECKOUT / "docs/meltano-hub.yml").read_text("utf-8"))
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = sorted(file.name for file in CHECKOUT.glob("*.md"))


# Settings


@pytest.mark.parametrize("file", WRITTEN)
def test_settings_are_written_down_as_the_code_has_them(file: str) -> None:
    """README, meltano.yml and .env.example know every setting: else run written_settings.py."""
    assert (CHECKOUT / file).read_text(encoding="utf-8") == brought_up_to_date(file)


@pytest.mark.parametrize("definition", [EXTRACTOR, HUB], ids=["meltano.yml", "hub"])
def test_meltano_knows_every_setting(definition: dict[str, Any]) -> None:
    """Names, kinds, defaults and secrets are those that the command's --about has."""
    settings = {setting["name"]: setting for setting in definition["settings"]}

    properties: dict[str, Any] = about()["settings"]["properties"]
    assert list(settings) == list(properties)
    for name, setting in settings.items():
        assert setting["kind"] == KINDS[type_of(properties[name])]
        assert setting.get("value") == properties[name].get("default")
        assert setting.get("sensitive", False) == properties[name].get("secret", False)
    assert definition["settings_group_validation"] == [SETTINGS["required"]]


@pytest.mark.parametrize("definition", [EXTRACTOR, HUB], ids=["meltano.yml", "hub"])
def test_meltano_knows_the_taps_capabilities(definition: dict[str, Any]) -> None:
    """Meltano uses what it is told that the tap can do, no more and no less."""
    assert sorted(definition["capabilities"]) == sorted(about()["capabilities"])


def test_the_hub_has_the_same_definition() -> None:
    """The definition for other projects differs only in where the tap is from, and sets nothing."""
    ours = {name: it for name, it in EXTRACTOR.items() if name not in {"pip_url", "config"}}
    assert {name: HUB[name] for name in ours} == ours
    assert HUB["pip_url"] == "git+${CALLCAP_REPOSITORY}"  # the tap is not on PyPI yet
    assert "!calls.demographics" in HUB["select"]


def test_the_hub_gets_what_it_asks_for() -> None:
    """A listing has these properties and no others; its logo is a picture."""
    optional = {"capabilities", "definition", "description", "domain_url", "executable", "keywords"}
    optional |= {"logo_url", "maintenance_status", "pip_url", "prereq", "select", "settings"}
    optional |= {"settings_group_validation", "usage"}
    assert HUB.keys() == {"name", "namespace", "variant", "label"} | optional
    assert "meltano_sdk" in HUB["keywords"]  # how the hub finds taps of the SDK
    logo = CHECKOUT / "docs" / Path(HUB["logo_url"]).name
    assert logo.read_text("utf-8").startswith('<svg xmlns="http://www.w3.org/2000/svg"')


def test_env_example_is_a_valid_config() -> None:
    """Each line of .env.example can be taken as it stands, once a key is put in."""
    text = (CHECKOUT / ".env.example").read_text(encoding="utf-8")
    every_line = re.sub(rf"^# (?={ENVIRONMENT_PREFIX})", "", text, flags=re.MULTILINE)
    given = {
        name: value or "" for name, value in dotenv_values(stream=StringIO(every_line)).items()
    }

    assert list(given) == [ENVIRONMENT_PREFIX + name.upper() for name in PROPERTIES]
    config = read_environment({name: value or "" for name, value in given.items()}, SETTINGS)
    assert config.keys() == PROPERTIES.keys() - {"api_key"}
    assert config_errors({**config, "api_key": "key"}, SETTINGS) == []


def test_env_example_sets_nothing_but_the_required() -> None:
    """Whoever copies .env.example gets the defaults."""
    given = dotenv_values(CHECKOUT / ".env.example")

    assert given == {ENVIRONMENT_PREFIX + name.upper(): "" for name in SETTINGS["required"]}


# Meltano


@pytest.mark.parametrize(
    "plugin",
    [
        plugin
        for kind in MELTANO["plugins"].values()
        for plugin in kind
        if "inherit_from" not in plugin
    ],
    ids=lambda plugin: str(plugin["name"]),
)
def test_plugins_need_no_hub(plugin: dict[str, Any]) -> None:
    """Meltano asks its hub for what a definition lacks; loaders are held to tried versions."""
    assert {"namespace", "pip_url", "executable"} <= plugin.keys()
    parts = plugin["pip_url"].replace("-e ./examples/bigquery", "").split()
    assert plugin["name"] == "tap-callcap" or all("==" in it for it in parts)


def test_the_bigquery_target_is_run_with_its_check() -> None:
    """The package of the example has the command and the version that meltano.yml names."""
    (loader,) = (it for it in MELTANO["plugins"]["loaders"] if it["name"] == "target-bigquery")
    package = (CHECKOUT / "examples" / "bigquery" / "pyproject.toml").read_text("utf-8")

    assert f'\n{loader["executable"]} = "target_bigquery_checked:' in package
    assert f'dependencies = ["{loader["pip_url"].split()[0]}"]' in package
    assert loader["config"]["method"] == "gcs_stage"


# Commands and documents


def test_commands_exist() -> None:
    """The distribution has the four commands, and they can be imported."""
    commands = distribution("tap-callcap").entry_points.select(group="console_scripts")

    assert {command.name for command in commands} == {
        *("tap-callcap", "callcap-doctor", "callcap-load", "callcap-sandbox"),
    }
    assert all(callable(command.load()) for command in commands)


def test_ci_runs_the_readmes_test_command() -> None:
    """What README tells people to run is what has to pass."""
    (command,) = re.findall(r"^\./uvw run pytest.*$", README, re.MULTILINE)

    assert f"step {command}  #" in (CHECKOUT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "document",
    [*DOCUMENTS, *(f"docs/{file.name}" for file in sorted((CHECKOUT / "docs").glob("*.md")))],
)
def test_links_within_the_project_lead_somewhere(document: str) -> None:
    """No document points to a file that is not there."""
    file = CHECKOUT / document
    paths = re.findall(r"\]\(([^)#]+)", file.read_text(encoding="utf-8"))
    paths = [path for path in paths if "://" not in path]

    assert [path for path in paths if not (file.parent / path).exists()] == []


def test_the_changelog_begins_with_this_version() -> None:
    """Users find the version that they run at the top of the changelog."""
    changelog = (CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8")
    first = re.search(r"^## (\S+)", changelog, re.MULTILINE)

    assert first is not None
    assert first[1] == version("tap-callcap")


def test_only_one_backoff_is_installed() -> None:
    """`backoff` and `python-backoff` have the same files: the later one would win."""
    names = {str(each.metadata["Name"]).lower() for each in distributions()}

    assert "python-backoff" in names
    assert "backoff" not in names


# What is published


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all of a release: built and checked as the workflow does it."""
    folder = tmp_path_factory.mktemp("release")
    subprocess.run([CHECKOUT / ".ci" / "build", folder], check=True, cwd=CHECKOUT)
    return folder


@pytest.fixture(scope="module")
def dist(release: Path) -> Path:
    """Its sdist and wheel."""
    return release / "dist"


def test_the_workflow_publishes_what_is_tried_here(dist: Path) -> None:
    """It builds by the same script and uploads the same folder; what that has can be uploaded."""
    workflow = yaml.safe_load((CHECKOUT / ".github/workflows/release.yml").read_text("utf-8"))
    steps = {name: job.get("steps", []) for name, job in workflow["jobs"].items()}
    assert {"run": ".ci/build release"} in steps["build"]
    assert steps["publish"][-1]["with"] == {"packages-dir": "release/dist", "attestations": True}
    assert sorted(file.suffix for file in dist.iterdir()) == [".gz", ".whl"]
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        assert archive.read(metadata).startswith(b"Metadata-Version: 2.5\n")


def test_a_release_is_made_by_what_was_tried() -> None:
    """The build backend is pinned by hashes, and each action by the hash of a commit."""
    project = (CHECKOUT / "pyproject.toml").read_text("utf-8")
    backend = re.search(r'^requires = \["(hatchling==[\d.]+)"\]', project, re.MULTILINE)
    assert backend
    constraints = (CHECKOUT / ".ci" / "build-constraints.txt").read_text("utf-8")
    assert re.search(rf"^{backend[1]} \\\n    --hash=sha256:", constraints, re.MULTILINE)
    for workflow in (CHECKOUT / ".github" / "workflows").glob("*.yml"):
        uses = re.findall(r"uses: (?!\$/)(.*)", workflow.read_text("utf-8"))
        assert [
            each for each in uses if not re.fullmatch(r"\S+@[0-9a-f]{40}  # v[\d.]+", each)
        ] == []


def test_the_sbom_lists_what_the_tap_needs(release: Path) -> None:
    """Every dependency is in it, at the version of the lock, and no tool of the developers."""
    (file,) = release.glob("*.cdx.json")
    sbom = json.loads(file.read_text("utf-8"))
    found = {part["name"]: part["version"] for part in sbom["components"]}
    needed = {re.split(r"[^\w-]", text)[0] for text in distribution("tap-callcap").requires or []}
    assert (sbom["bomFormat"], sbom["specVersion"]) == ("CycloneDX", "1.5")
    assert sbom["metadata"]["component"]["name"] == "tap-callcap"
    assert found.items() >= {name: version(name) for name in needed - {"s3fs", "pyarrow"}}.items()
    assert "pytest" not in found


def test_pythons_are_the_same_everywhere() -> None:
    """Classifiers, the workflow's matrix and the least Python agree."""
    project = (CHECKOUT / "pyproject.toml").read_text("utf-8")
    claimed = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', project)
    workflow = yaml.safe_load((CHECKOUT / ".github/workflows/test.yml").read_text("utf-8"))
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == claimed
    assert f'requires-python = ">={claimed[0]}"' in project


def test_the_wheel_has_all_that_runs_and_no_more(dist: Path) -> None:
    """Modules, schemas, the mark of types and the licence are in the wheel; tests are not."""
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        about = f"tap_callcap-{version('tap-callcap')}.dist-info"
        commands = archive.read(f"{about}/entry_points.txt").decode()

    modules = (CHECKOUT / "tap_callcap").rglob("*.py")
    schemas = (CHECKOUT / "schemas").glob("*.json")
    expected = {file.relative_to(CHECKOUT).as_posix() for file in modules}
    expected |= {f"tap_callcap/schemas/{file.name}" for file in schemas}
    assert {name for name in names if not name.startswith(about)} == {
        *expected,
        "tap_callcap/py.typed",
    }
    assert f"{about}/licenses/LICENSE" in names
    assert "tap-callcap = " in commands


def test_the_sdist_has_what_builds_and_tests(dist: Path) -> None:
    """It can be tested from, and nothing else of a working copy gets out."""
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        paths = {name.partition("/")[2] for name in archive.getnames()}

    assert {path.partition("/")[0] for path in paths} == {
        *("tap_callcap", "schemas", "tests", "dbt", "docs", "examples", "benchmarks"),
        *("pyproject.toml", "uv.lock", "uvw", "Dockerfile", ".dockerignore", ".github"),
        *("LICENSE", "meltano.yml", ".ci", ".env.example", ".gitignore", "PKG-INFO"),
        *DOCUMENTS,
    }
    assert {"schemas/calls.json", "tests/test_project.py", ".ci/run"} <= paths
    assert not [path for path in paths if "__pycache__" in path]

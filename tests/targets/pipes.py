"""A plain pipe from the installed tap into an installed target, with the state in a file."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

from support.running import COMMAND, clean_environment, discovered

if TYPE_CHECKING:
    from targets.loader import Loader


class PipeError(AssertionError):
    """One of the two failed; says what it printed."""


def load(
    loader: Loader,
    api_url: str,
    *,
    tap: dict[str, Any],
    target: dict[str, Any],
    catalog: dict[str, Any] | None = None,
) -> None:
    """Run `tap | target` once, from the last STATE in its folder.

    Args:
        loader: The target.
        api_url: Address of the sandbox.
        tap: Settings of the tap besides.
        target: Settings of the target besides.
        catalog: What is selected; every property of calls by default.

    Raises:
        PipeError: If one of the two fails.
    """
    files = {
        "tap": {"api_key": "sandbox", "api_url": api_url, "retry_minutes": 0, **tap},
        "catalog": catalog or discovered(demographics=True),
        "target": loader.config | target,
    }
    for name, content in files.items():
        (loader.folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    state = loader.folder / "state.json"
    if not state.exists():
        state.write_text("{}", encoding="utf-8")
    source = [str(COMMAND), "--config=tap.json", "--catalog=catalog.json", "--state=state.json"]
    sink = [*loader.command(), "--config", "target.json"]
    with (
        (loader.folder / "log").open("w+", encoding="utf-8") as log,
        subprocess.Popen(
            source, cwd=loader.folder, env=clean_environment(), stdout=subprocess.PIPE, stderr=log
        ) as writer,
        subprocess.Popen(
            sink,
            cwd=loader.folder,
            env={**os.environ, **loader.variables},
            stdin=writer.stdout,
            stdout=subprocess.PIPE,
            stderr=log,
        ) as reader,
    ):
        if writer.stdout is not None:
            writer.stdout.close()  # so that the tap notices where the target ends early
        states, _ = reader.communicate(timeout=300)
        codes = (writer.wait(timeout=60), reader.returncode)
        log.seek(0)
        if any(codes):
            msg = f"tap and target exited with {codes}:\n{log.read()}"
            raise PipeError(msg)
    if states:  # none where the bookmark stayed, from a target that passes on no older STATE
        state.write_text(states.decode().splitlines()[-1], encoding="utf-8")

"""Imports run one way: each module knows only those below it."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).parents[1] / "tap_callcap"

LAYERS = (
    # from the bottom: a line may import from itself and from the lines above it
    ("signals", "what ends the process"),
    ("load", "runs a target in parts"),
    ("instants", "time and zones"),
    ("windows", "windows of time"),
    ("records", "bytes of a call in, one record out"),
    ("api", "requests, answers, HTTP"),
    ("environment", "what its variables ask for"),
    ("settings", "what the user asks for"),
    ("validation", "what is wrong with it"),
    ("redaction", "what may reach the log"),
    ("sync", "from bookmark to bookmark"),
    ("singer", "the SDK's inside"),
    ("streams", "the streams as a table"),
    ("tap", "the tap"),
    ("command", "the command"),
    ("doctor", "asks a live Callcap what its documentation leaves open"),
    ("__main__", "its errors in one line each"),
)

USES_OF_THE_SDK = {
    "singer": "singer_sdk",
    "tap": "singer_sdk",
    "command": "singer_sdk",
    "doctor": "singer_sdk.plugin_base._ConfigInput",  # the config as the command takes it
    "settings": "singer_sdk.typing",  # writes the settings as JSON Schema
    "validation": "singer_sdk.plugin_base.JSONSchemaValidator",  # which fills in defaults
}
"""Who may import what of the SDK, besides its exceptions, which all may."""

SANDBOX = "sandbox"  # Callcap on this machine: knows nothing of the tap, which does not know it


def modules() -> Iterator[tuple[str, Path]]:
    """Each module as a file, with the layer that it belongs to."""
    for path in sorted(PACKAGE.rglob("*.py")):
        layer = path.relative_to(PACKAGE).with_suffix("").parts[0]
        if layer != "__init__":
            yield layer, path


def imports_of(path: Path) -> Iterator[str]:
    """The full names that a module imports, for types too: `from a import b` is `a.b`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layers_imported(path: Path) -> set[str]:
    """The layers of the tap that a module imports from."""
    names = [name.split(".") for name in imports_of(path)]
    return {name[1] for name in names if name[0] == "tap_callcap"}


def test_every_module_has_its_layer() -> None:
    """A new module is put into the table on purpose."""
    assert {layer for layer, _ in modules()} == {SANDBOX, *dict(LAYERS)}


@pytest.mark.parametrize("layer", [name for name, _ in LAYERS])
def test_imports_run_one_way(layer: str) -> None:
    """What a module imports lies in its own layer or below it."""
    order = [name for name, _ in LAYERS]
    allowed = set(order[: order.index(layer) + 1])
    for module_layer, path in modules():
        if module_layer == layer:
            assert layers_imported(path) <= allowed, path


def test_the_sandbox_and_the_tap_do_not_know_each_other() -> None:
    """The sandbox shares no code with the tap, so that both cannot be wrong in the same way."""
    for layer, path in modules():
        assert not (layer == SANDBOX and layers_imported(path) - {SANDBOX}), path


def test_only_the_singer_package_and_the_tap_touch_the_sdk() -> None:
    """A new version of the SDK breaks nothing else; only its exceptions are for all."""
    for layer, path in modules():
        of_sdk = [name for name in imports_of(path) if name.split(".")[0] == "singer_sdk"]
        allowed = ("singer_sdk.exceptions", USES_OF_THE_SDK.get(layer, "singer_sdk.exceptions"))
        assert all(name.startswith(allowed) for name in of_sdk), (path, of_sdk)

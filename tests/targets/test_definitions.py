"""meltano.yml lists every setting of a loader: Meltano passes on no other."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from targets.databases import PostgreSQL, Snowflake
from targets.environments import DEFINITIONS
from targets.files import CSV

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from targets.loader import Loader

LOADERS: dict[str, dict[str, Any]] = {it["name"]: it for it in DEFINITIONS["plugins"]["loaders"]}
OBJECTS = {"stream_maps", "stream_map_config", "faker_config", "batch_config"}
"""Settings that are set as a whole."""


def names(properties: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the settings that a schema has, those in objects with a dot."""
    for name, schema in properties.items():
        if "properties" in schema and name not in OBJECTS:
            yield from names(schema["properties"], f"{prefix}{name}.")
        else:
            yield prefix + name


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        PostgreSQL,
        *(pytest.param(kind, marks=pytest.mark.targets) for kind in (Snowflake, CSV)),
    ],
    ids=lambda kind: str(kind.name),
)
def test_a_definition_has_every_setting_of_its_target(kind: type[Loader]) -> None:
    """As the target's own --about tells them."""
    command = kind.environment().command(kind.name)
    said = subprocess.run(
        [command, "--about", "--format=json"], check=True, capture_output=True
    ).stdout
    properties = json.loads(said)["settings"]["properties"]

    assert {it["name"] for it in LOADERS[kind.name]["settings"]} == {*names(properties)}


@pytest.mark.parametrize("name", ["target-postgres", "target-duckdb", "target-snowflake"])
def test_loaders_run_in_parts(name: str) -> None:
    """Each is run by callcap-load, and named to it."""
    assert LOADERS[name]["executable"].endswith("/tap-callcap/venv/bin/callcap-load")
    assert LOADERS[name]["env"] == {"CALLCAP_LOAD_TARGET": name}

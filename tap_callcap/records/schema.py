"""Finds the schemas, in a wheel and in a checkout."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any, TypeAlias

JSONSchema: TypeAlias = dict[str, Any]
"""A JSON Schema, or a part of one."""


def load_schema(name: str) -> JSONSchema:
    """Return the schema of the stream `name`, a new dict at each call.

    An installation without that schema raises FileNotFoundError.
    """
    # A wheel has schemas/ inside the package, a checkout beside it.
    for home in (resources.files("tap_callcap"), Path(__file__).parents[2]):
        file = home / "schemas" / f"{name}.json"
        if file.is_file():
            schema: JSONSchema = json.loads(file.read_text(encoding="utf-8"))
            return schema
    msg = f"schemas/{name}.json is missing: the installation is incomplete: reinstall tap-callcap"
    raise FileNotFoundError(msg)

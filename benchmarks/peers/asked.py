"""The config and query that every peer uses, so that all request the same."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

SCHEMA = Path(__file__).parents[2] / "schemas" / "calls.json"


def config_path() -> Path:
    """Where the command line says that the config is."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    path: Path = parser.parse_args().config
    return path.resolve()


def read_json(path: Path) -> dict[str, Any]:
    """What a file holds."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def params(since: str) -> dict[str, str]:
    """The query of all calls modified from `since` on, an RFC 3339 time, but for the page."""
    return {
        "search_last_modified_start": since[:16].replace("T", " "),
        "search_startdate": "2000-01-01",
        "search_enddate": "2030-01-01",
        "search_timezone": "UTC",
        "detail": "all,import,notes,scorecards,summaries",
        "show": "1000",
    }

# /// script
# requires-python = ">=3.10"
# dependencies = ["dlt[duckdb,filesystem,postgres]==1.31.0"]
# [tool.uv]
# exclude-newer = "2026-11-20T00:00:00Z"
# ///
"""dlt's rest_api source, either only iterated (fetching and decoding) or loaded.

When iterated, it prints the id of each call, to show that it has read them all.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"  # dlt reads it when it is imported

import dlt
from dlt.sources.rest_api import rest_api_source

from asked import config_path, params, read_json

if TYPE_CHECKING:
    from pathlib import Path

    from dlt.common.destination import Destination


def main() -> None:
    """Iterate over every call, or load them into files beside the config or into a database."""
    path = config_path()
    config = read_json(path)
    source = rest_api_source({
        "client": {
            "base_url": config["api_url"],
            "auth": {"type": "bearer", "token": config["api_key"]},
            "paginator": {
                "type": "page_number",
                "base_page": 1,
                "total_path": "pagination.last_page",
            },
        },
        "resources": [
            {
                "name": "calls",
                "primary_key": "call_id",
                "endpoint": {
                    "path": "get/calls/",
                    "data_selector": "call",
                    "params": params(config["start_date"]),
                },
            }
        ],
    })
    into = "JSON Lines" if config.get("into_files") else config.get("into")
    if into is None:
        for call in source.resources["calls"]:
            sys.stdout.write(f'{{"type":"RECORD","record":{{"call_id":"{call["call_id"]}"}}}}\n')
        return
    source.max_table_nesting = config.get("max_table_nesting")
    folder = path.parent
    dlt.pipeline(
        "calls",
        pipelines_dir=str(folder / "pipelines"),
        destination=destination(into, folder, config),
        dataset_name="callcap",
    ).run(source, loader_file_format="jsonl" if into == "JSON Lines" else None)


def destination(name: str, folder: Path, config: dict[str, Any]) -> Destination:
    """Where dlt loads to."""
    if name == "DuckDB":
        return dlt.destinations.duckdb(str(folder / "warehouse.duckdb"))
    if name == "PostgreSQL":
        return dlt.destinations.postgres(
            f"postgresql://postgres:any@{quote(config['server'], safe='')}/postgres"
        )
    return dlt.destinations.filesystem(bucket_url=(folder / "loaded").as_uri())


if __name__ == "__main__":
    main()

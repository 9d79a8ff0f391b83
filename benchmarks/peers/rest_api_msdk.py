# /// script
# requires-python = ">=3.10"
# dependencies = ["tap-rest-api-msdk==1.4.2", "setuptools<81"]  # its SDK needs pkg_resources
# [tool.uv]
# exclude-newer = "2026-11-20T00:00:00Z"
# ///
"""tap-rest-api-msdk, which needs only a config, with this project's schema in its format."""

from __future__ import annotations

import json
from typing import Any

from tap_rest_api_msdk.tap import TapRestApiMsdk

from asked import SCHEMA, config_path, params, read_json


def flattened(schema: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Properties by the names that the tap makes of nested ones; it makes arrays into text."""
    flat: dict[str, Any] = {}
    for name, part in schema["properties"].items():
        if "object" in part["type"]:
            flat |= flattened(part, f"{prefix}{name}_")
        elif "array" in part["type"]:
            flat[prefix + name] = {"type": ["string", "null"]}
        else:
            flat[prefix + name] = part
    return flat


def main() -> None:
    """Write every call to standard output."""
    path = config_path()
    config = read_json(path)
    schema = path.with_name("schema.json")
    flat = {"type": "object", "properties": flattened(read_json(SCHEMA))}
    schema.write_text(json.dumps(flat), encoding="utf-8")
    stream = {
        "name": "calls",
        "path": "/get/calls/",
        "schema": str(schema),
        "primary_keys": ["call_id"],
        "replication_key": "last_modified",
        "records_path": "$.call[*]",
        "params": params(config["start_date"]),
    }
    TapRestApiMsdk(
        config={
            "api_url": config["api_url"],
            "auth_method": "bearer_token",
            "bearer_token": config["api_key"],
            "streams": [stream],
            "pagination_request_style": "page_number_paginator",
            "pagination_response_style": "page",
            "pagination_next_page_param": "page",
            # It goes on while this is there, and so reads one page more, an empty one.
            "next_page_token_path": "$.call[0].call_id",
        }
    ).sync_all()


if __name__ == "__main__":
    main()

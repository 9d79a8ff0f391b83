# /// script
# requires-python = ">=3.10"
# dependencies = ["airbyte-cdk==7.39.1"]
# [tool.uv]
# exclude-newer = "2026-11-20T00:00:00Z"
# ///
"""A declarative source of airbyte-cdk: a manifest, run by the CDK's own command."""

from __future__ import annotations

import json
import sys
from typing import Any

from airbyte_cdk.cli.source_declarative_manifest import run

from asked import SCHEMA, config_path, params, read_json


def manifest(schema: dict[str, Any], query: dict[str, str]) -> dict[str, Any]:
    """The source as data."""
    requester = {
        "type": "HttpRequester",
        "url_base": "{{ config['api_url'] }}",
        "path": "/get/calls/",
        "authenticator": {
            "type": "BearerAuthenticator",
            "api_token": "{{ config['api_key'] }}",
        },
        "request_parameters": query,
    }
    paginator = {
        "type": "DefaultPaginator",
        "pagination_strategy": {"type": "PageIncrement", "page_size": 1000, "start_from_page": 1},
        "page_token_option": {
            "type": "RequestOption",
            "inject_into": "request_parameter",
            "field_name": "page",
        },
    }
    return {
        "version": "7.39.1",
        "type": "DeclarativeSource",
        "spec": {"type": "Spec", "connection_specification": {"type": "object", "properties": {}}},
        "check": {"type": "CheckStream", "stream_names": ["calls"]},
        "streams": [
            {
                "type": "DeclarativeStream",
                "name": "calls",
                "primary_key": ["call_id"],
                "schema_loader": {"type": "InlineSchemaLoader", "schema": schema},
                "retriever": {
                    "type": "SimpleRetriever",
                    "requester": requester,
                    "record_selector": {
                        "type": "RecordSelector",
                        "extractor": {"type": "DpathExtractor", "field_path": ["call"]},
                    },
                    "paginator": paginator,
                },
            }
        ],
    }


def main() -> None:
    """Write every call to standard output."""
    path, schema = config_path(), read_json(SCHEMA)
    query = params(read_json(path)["start_date"])
    stream = {"name": "calls", "json_schema": schema, "supported_sync_modes": ["full_refresh"]}
    sync = {
        "stream": stream,
        "sync_mode": "full_refresh",
        "destination_sync_mode": "append",
    }
    files = {"catalog": {"streams": [sync]}, "manifest": manifest(schema, query)}
    for name, content in files.items():
        path.with_name(f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    sys.argv[1:] = [
        "read",
        f"--config={path}",
        f"--catalog={path.with_name('catalog.json')}",
        f"--manifest-path={path.with_name('manifest.json')}",
    ]
    run()


if __name__ == "__main__":
    main()

# /// script
# requires-python = ">=3.10"
# dependencies = ["singer-python==6.8.0", "requests==2.34.2"]
# [tool.uv]
# exclude-newer = "2026-11-20T00:00:00Z"
# ///
"""A tap in the style of the singer-io organisation: requests, Transformer, write_record."""

from __future__ import annotations

import requests

import singer
from asked import SCHEMA, params, read_json
from singer import metadata, utils


def main() -> None:
    """Write every call to standard output."""
    config = utils.parse_args(["api_key", "api_url", "start_date"]).config
    schema = read_json(SCHEMA)
    mdata = metadata.to_map(
        metadata.get_standard_metadata(
            schema, "calls", ["call_id"], ["last_modified"], "INCREMENTAL"
        )
    )
    singer.write_schema("calls", schema, ["call_id"], ["last_modified"])
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {config['api_key']}"
    state: dict[str, object] = {}
    bookmark = ""
    page, last_page = 1, 1
    with singer.Transformer() as transformer:
        while page <= last_page:
            response = session.get(
                f"{config['api_url']}/get/calls/",
                params={**params(config["start_date"]), "page": str(page)},
                timeout=300,
            )
            response.raise_for_status()
            answer = response.json()
            extracted = utils.now()
            for call in answer["call"]:
                record = transformer.transform(call, schema, mdata)
                singer.write_record("calls", record, time_extracted=extracted)
                bookmark = max(bookmark, record["last_modified"])
            state = singer.write_bookmark(state, "calls", "last_modified", bookmark)
            singer.write_state(state)
            page, last_page = page + 1, answer["pagination"]["last_page"]


if __name__ == "__main__":
    main()

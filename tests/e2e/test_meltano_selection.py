"""What a real Meltano selects is what is requested from the API."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from meltano_project import MeltanoProject
from support.running import STREAMS
from support.selecting import selected_by_meltano
from tap_callcap.sandbox import VENDOR_EXAMPLE, CallBook, Callcap, Sandbox, made_up_calls

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(sys.version_info >= (3, 14), reason="Meltano does not run on it"),
    pytest.mark.skipif(sys.platform == "win32", reason="the project's scripts are for sh"),
]

NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A Callcap with some calls."""
    calls = made_up_calls(9, seed=5, start=NOW - timedelta(days=30), end=NOW)
    book = CallBook([*calls, VENDOR_EXAMPLE])
    with Sandbox(Callcap(book, clock=lambda: NOW + timedelta(hours=1))) as served:
        yield served


@pytest.fixture(scope="module")
def project(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> MeltanoProject:
    """A project with the tap."""
    project = MeltanoProject(tmp_path_factory.mktemp("selection"), {"api_url": sandbox.url})
    project.install("tap-callcap")
    return project


SELECTIONS: dict[str, tuple[list[str], set[str], str]] = {
    "nothing, which is *.*": (["*.*"], {"calls"}, "all but demographics"),
    "an object": (["calls.caller"], {"calls"}, "caller"),
    "demographics": (["calls.demographics", "accounts"], {"accounts", "calls"}, "demographics"),
}


@pytest.mark.parametrize(("select", "streams", "details"), SELECTIONS.values(), ids=SELECTIONS)
def test_what_meltano_selects_is_what_is_requested(
    select: list[str], streams: set[str], details: str, project: MeltanoProject, sandbox: Sandbox
) -> None:
    """Sections of calls, and streams; the catalog is the one that the tests write themselves."""
    sandbox.callcap.requests.clear()
    lines = project.meltano("invoke", "tap-callcap", TAP_CALLCAP__SELECT=json.dumps(select))
    messages = [json.loads(line) for line in lines.splitlines() if line.startswith('{"type":')]
    assert {line["stream"] for line in messages if line["type"] == "SCHEMA"} == streams
    asked = [each for each in sandbox.callcap.requests if each.path == "/v2/get/calls/"]
    sections = {part for each in asked for part in each.params["detail"].split(",")}
    if details == "all but demographics":
        assert "all" in sections
        assert "demographics" not in sections
        assert "calls.demographics is selected only by a wildcard" in lines
    else:
        assert sections == {details}
        records = [line["record"] for line in messages if line["type"] == "RECORD"]
        assert any(record.get(details) for record in records)

    dumped = project.meltano(
        "invoke", "--dump=catalog", "tap-callcap", TAP_CALLCAP__SELECT=json.dumps(select)
    )
    catalog = json.loads(dumped[dumped.index('{\n  "streams"') :])
    assert selections_in(catalog) == selections_in(selected_by_meltano(*select))


def selections_in(catalog: dict[str, Any]) -> dict[tuple[str, ...], bool]:
    """What a catalog selects, by stream and breadcrumb."""
    return {
        (stream["tap_stream_id"], *entry["breadcrumb"]): entry["metadata"]["selected"]
        for stream in catalog["streams"]
        if stream["tap_stream_id"] in STREAMS
        for entry in stream["metadata"]
    }

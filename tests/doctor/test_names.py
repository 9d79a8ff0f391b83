"""Names of fields are shown, names that may be data are not."""

from __future__ import annotations

from typing import Any

import pytest

from tap_callcap.doctor.names import outline, unknown_fields

SCHEMA: dict[str, Any] = {
    "properties": {
        "call_id": {"type": ["string"]},
        "caller": {"properties": {"name": {}}},
        "items": {"items": {"properties": {"line_memo": {}}}},
    }
}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"status": "success", "minor": []}, "{status, minor[]}"),
        (
            {"minor": [{"id": 1, "tag": None}, {"id": 2, "tag": {"label": "x"}}]},
            "{minor[]{id, tag{label}}}",
        ),
        ({"minor": {"sale": {"id": 1}, "vendor": {"id": 2}}}, "{minor{…{id}}}"),
        ({"Fred Smith": 1, "316-555": 2, "status": 3}, "{status, 2 that may be data}"),
        (
            {f"{'x' * n}": n for n in range(1, 30)} | {"a_" + "y" * n: n for n in range(20)},
            "{49 that may be data}",
        ),
        ([{"fred": 1}, {"id": 1}, {"id": 2}], "[]{id, 1 that may be data}"),
        ("text", ""),
    ],
    ids=["list", "nested", "by data", "odd names", "many", "once", "no object"],
)
def test_an_outline_has_the_names_of_fields(value: Any, expected: str) -> None:
    """Fields come again and again; data do not."""
    assert outline(value) == expected


def test_unknown_fields_are_named_by_their_path() -> None:
    """Known ones are left out, and so are those of few calls."""
    rows: list[dict[str, Any]] = [
        {"call_id": "1", "caller": {"name": "x", "line": 1}, "items": [{"line-memo": 1, "more": 2}]}
    ] * 30
    rows[7] = {"fred": 1, "caller": [], "items": [3], "queue.time": 1}
    assert unknown_fields(rows, SCHEMA) == ["caller.line", "items[].more", "2 that may be data"]


def test_few_calls_show_no_unknown_fields() -> None:
    """There is too little to compare them with."""
    assert unknown_fields([{"more": 1, "Fred": 2}] * 2, SCHEMA) == ["2 that may be data"]

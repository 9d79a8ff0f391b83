"""The dbt package on Snowflake and BigQuery, as far as they can be had without an account."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from support.written_dbt import COLUMNS
from tap_callcap.records.schema import load_schema
from tap_callcap.sandbox import CallBook, Callcap, Sandbox
from targets.databases import EMULATED, BigQuery, Snowflake
from targets.dbt_package import NOW, PACKAGE, TIMEZONE, every_stream
from targets.environments import environment, pip_url
from targets.marts_truth import DAILY, by, call_rows, caller_rows, daily_rows, expected
from targets.pipes import load
from targets.truth import flattened, kind_of

if TYPE_CHECKING:
    from pathlib import Path

    from tap_callcap.records.schema import JSONSchema
    from tap_callcap.sandbox import Call

pytestmark = [pytest.mark.e2e, pytest.mark.targets]

DBT_CORE = pip_url("dbt-callcap", "utilities")[0]
NESTED = {"object", "array"}
VARIABLES = json.dumps({"callcap_schema": "callcap", "callcap_timezone": TIMEZONE})


def run_dbt(script: str, python: Path, folder: Path, *arguments: str) -> None:
    """Run a script in whose process dbt runs, over what is in a folder."""
    command: list[str | Path] = [
        python,
        EMULATED / script,
        *arguments,
        *("--project-dir", PACKAGE, "--profiles-dir", PACKAGE, "--no-use-colors"),
        *("--target-path", folder / "target", "--log-path", folder / "logs"),
        *("--vars", VARIABLES),
    ]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "DBT_CALLCAP_DATABASE": "SANDBOX", "DBT_CALLCAP_SCHEMA": "ANALYTICS"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stdout + done.stderr


def bigquery_fields(properties: dict[str, JSONSchema], *, is_flat: bool) -> list[dict[str, Any]]:
    """Return the fields that target-bigquery makes, as BigQuery's API writes them."""
    fields = []
    for name, part in properties.items():
        kind = kind_of(part)
        is_record = kind in NESTED and not is_flat
        field: dict[str, Any] = {
            "name": name,
            "type": BigQuery.column_types["string" if kind in NESTED and is_flat else kind],
            "mode": "REPEATED" if is_record and kind == "array" else "NULLABLE",
        }
        if is_record:
            inner = part["items"] if kind == "array" else part
            field["fields"] = bigquery_fields(inner["properties"], is_flat=False)
        fields.append(field)
    return fields


@pytest.mark.parametrize("is_flat", [False, True], ids=["nested", "flattened"])
def test_bigquery_parses_every_model(is_flat: bool, tmp_path: Path) -> None:
    """Each model compiles to SQL that BigQuery's grammar has, with the columns it should have."""
    tables = {}
    for stream in ("calls", "accounts", "csrs", "call_counts"):
        schema = load_schema(stream)
        columns = flattened(schema, 3) if is_flat else schema["properties"]
        tables[stream] = bigquery_fields(columns, is_flat=is_flat)
    (tmp_path / "tables.json").write_text(json.dumps(tables), encoding="utf-8")
    home = environment("dbt-bigquery", (DBT_CORE, "dbt-bigquery==1.11.3", "sqlglot==30.30.0"))

    run_dbt(
        *("bigquery_for_dbt.py", home.python, tmp_path),
        *(str(tmp_path / "tables.json"), str(tmp_path / "target"), "--target", "bigquery"),
    )

    found = json.loads((tmp_path / "target" / "columns.json").read_text("utf-8"))
    assert found.keys() == {file.stem for file in PACKAGE.glob("models/*/*.sql")}
    for model, columns in COLUMNS.items():
        assert set(columns) <= set(found[model])
    nulls = set()
    for file in (tmp_path / "target" / "compiled").rglob("stg_*.sql"):
        sql = file.read_text("utf-8")
        nulls |= {line.strip() for line in sql.splitlines() if "cast(null" in line}
    assert nulls == set()  # every property was found


def test_snowflake_builds_every_model(tmp_path: Path, all_calls: list[Call]) -> None:
    """On fakesnow, over what the real target loaded, the marts have Python's figures."""
    loader = Snowflake(tmp_path, None)
    with Sandbox(Callcap(CallBook(all_calls), clock=lambda: NOW)) as sandbox:
        load(loader, sandbox.url, tap={}, target={}, catalog=every_stream())
    home = environment(
        "dbt-snowflake",
        (DBT_CORE, "dbt-snowflake==1.11.6", "fakesnow==0.12.1", "snowflake-connector-python<5"),
    )
    run_dbt(
        *("fakesnow_for_dbt.py", home.python, tmp_path),
        *(str(tmp_path / "database"), "build", "--target", "snowflake", "--threads", "1"),
    )
    rows = call_rows(all_calls)
    for model, keys, wanted in (
        ("callcap__calls", ("call_id",), rows),
        ("callcap__daily", DAILY, daily_rows(rows.values())),
        ("callcap__callers", ("caller_id",), caller_rows(rows.values())),
    ):
        found = by(loader.query(f"select * from analytics.{model}"), *keys)  # noqa: S608 - ours
        assert found == expected(wanted), model
    counted = loader.query("select * from analytics.callcap__completeness")
    assert {row["status"] for row in counted} == {"complete"}
    assert len(counted) == 30

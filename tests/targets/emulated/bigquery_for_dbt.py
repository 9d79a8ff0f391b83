"""Compiles the dbt package for BigQuery, without BigQuery, and parses what comes out.

    python bigquery_for_dbt.py SCHEMAS TARGET_PATH [options of dbt compile]

SCHEMAS is a JSON file with the columns of each table that target-bigquery would make. dbt asks
BigQuery for nothing else; it only makes a client, for which nobody logs in here.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import sqlglot
from dbt.adapters.bigquery import BigQueryAdapter, BigQueryColumn, BigQueryRelation, credentials
from dbt.cli.main import dbtRunner
from google.auth.credentials import AnonymousCredentials
from google.cloud.bigquery import SchemaField
from sqlglot.optimizer.qualify import qualify

TABLES = {
    table: [SchemaField.from_api_repr(field) for field in fields]
    for table, fields in json.loads(Path(sys.argv[1]).read_text("utf-8")).items()
}


def get_relation(
    _: BigQueryAdapter, database: str, schema: str, identifier: str
) -> BigQueryRelation | None:
    """Return a table that is there."""
    if identifier not in TABLES:
        return None
    return BigQueryRelation.create(database=database, schema=schema, identifier=identifier)


def get_columns_in_relation(_: BigQueryAdapter, relation: BigQueryRelation) -> list[BigQueryColumn]:
    """Return its columns, as the adapter makes them of BigQuery's answer."""
    return [
        BigQueryColumn(field.name, field.field_type, field.fields, field.mode)
        for field in TABLES[relation.identifier]
    ]


if __name__ == "__main__":
    credentials.default = lambda **_: (AnonymousCredentials(), "sandbox")
    BigQueryAdapter.get_relation = get_relation
    BigQueryAdapter.get_columns_in_relation = get_columns_in_relation
    result = dbtRunner().invoke(["compile", "--no-populate-cache", *sys.argv[3:]])
    if result.exception:
        raise result.exception
    if not result.success:
        sys.exit(1)
    compiled = sorted(Path(sys.argv[2]).glob("compiled/callcap/models/*/*.sql"))
    columns = {}
    for file in compiled:
        (tree,) = sqlglot.parse(file.read_text("utf-8"), dialect="bigquery")
        if tree.is_star:
            tree = qualify(tree, validate_qualify_columns=False)
        columns[file.stem] = tree.named_selects
    Path(sys.argv[2], "columns.json").write_text(json.dumps(columns), encoding="utf-8")

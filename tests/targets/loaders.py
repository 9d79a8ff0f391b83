"""Every loader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from targets.databases import BigQuery, DuckDB, PostgreSQL, Snowflake
from targets.files import CSV, JSONLines, Parquet

if TYPE_CHECKING:
    from targets.loader import Loader

LOADERS: tuple[type[Loader], ...] = (
    *(DuckDB, PostgreSQL, Snowflake, BigQuery),
    *(Parquet, JSONLines, CSV),
)
"""As docs/targets.md has them."""

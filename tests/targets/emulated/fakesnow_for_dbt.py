"""Runs the real dbt-snowflake, in its own environment, on fakesnow in the same process.

    python fakesnow_for_dbt.py FOLDER [options of dbt]

fakesnow knows neither the transactions' comments nor the descriptions that dbt leaves in Snowflake.
"""

from __future__ import annotations

import sys

import fakesnow
from dbt.cli.main import dbtRunner

if __name__ == "__main__":
    database = sys.argv.pop(1)
    with fakesnow.patch(db_path=database):
        result = dbtRunner().invoke(sys.argv[1:])
    if result.exception:
        raise result.exception
    sys.exit(0 if result.success else 1)

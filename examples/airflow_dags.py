"""Load calls into PostgreSQL with Airflow: one backfill of past years, then the changes every hour.

Put load.sh into the folder of this file. The workers need tap-callcap and target-postgres on their
PATH, and these environment variables: TAP_CALLCAP_API_KEY, TARGET_POSTGRES_SQLALCHEMY_URL,
STATES, a folder that all workers share, and CALLCAP_FIRST_YEAR and CALLCAP_LAST_YEAR of the
backfill. Run callcap_backfill once, then enable callcap.
"""

import os
from datetime import datetime, timezone
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

LOAD = f"{Path(__file__).with_name('load.sh')} $STATES/$SHARD.json target-postgres --config=ENV"
FIRST, LAST = (int(os.environ[f"CALLCAP_{which}_YEAR"]) for which in ("FIRST", "LAST"))
YEARS = range(FIRST, LAST + 1)  # the DAG callcap starts where the last one ends

common = {
    "start_date": datetime(2026, 1, 1, tzinfo=timezone.utc),
    "catchup": False,
    "max_active_runs": 1,
    "default_args": {"retries": 2},  # a retry continues where the task stopped
}


def new_year(year: int) -> str:
    """Return the first instant of a year, in UTC."""
    return f"{year}-01-01T00:00:00Z"


with DAG("callcap", schedule="@hourly", **common):
    BashOperator(
        task_id="load",
        bash_command=LOAD,
        env={"SHARD": "calls", "TAP_CALLCAP_START_DATE": new_year(YEARS.stop)},
        append_env=True,
    )

with DAG("callcap_backfill", schedule=None, **common):
    BashOperator.partial(
        task_id="year",
        bash_command=LOAD,
        append_env=True,
        max_active_tis_per_dag=4,  # all tasks share the API's rate limit
    ).expand(
        env=[
            {
                "SHARD": str(year),
                "TAP_CALLCAP_START_DATE": new_year(year),
                "TAP_CALLCAP_END_DATE": new_year(year + 1),
            }
            for year in YEARS
        ]
    )

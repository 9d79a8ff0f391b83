"""Load calls into PostgreSQL with Airflow: one backfill of past years, then the changes every hour.

Put load.sh and check_counts.py into the folder of this file. The workers need tap-callcap and
target-postgres on their PATH, and these environment variables: TAP_CALLCAP_API_KEY,
TARGET_POSTGRES_SQLALCHEMY_URL, TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA, STATES, a folder that all
workers share, and CALLCAP_FIRST_YEAR and CALLCAP_LAST_YEAR of the backfill. Run callcap_backfill
once, then enable callcap. The tasks `check` are optional: they fail if the number of rows in the
warehouse differs from the number of records that the run wrote.
"""

import os
from datetime import datetime, timezone
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

HERE = Path(__file__).parent
# callcap-load loads in parts: if everything is killed, a retry repeats less than a minute.
LOAD = (
    f"CALLCAP_LOAD_COUNTS=$STATES/$SHARD.counts {HERE}/load.sh $STATES/$SHARD.json"
    " callcap-load target-postgres --config=ENV"
)
CHECK = f"{HERE}/check_counts.py target-postgres $STATES/$SHARD.counts"
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
    hour = {"SHARD": "calls", "TAP_CALLCAP_START_DATE": new_year(YEARS.stop)}
    load = BashOperator(task_id="load", bash_command=LOAD, env=hour, append_env=True)
    check = BashOperator(task_id="check", bash_command=CHECK, env=hour, append_env=True)
    load >> check

with DAG("callcap_backfill", schedule=None, **common):
    years = [
        {
            "SHARD": str(year),
            "TAP_CALLCAP_START_DATE": new_year(year),
            "TAP_CALLCAP_END_DATE": new_year(year + 1),
        }
        for year in YEARS
    ]
    load = BashOperator.partial(
        task_id="year",
        bash_command=LOAD,
        append_env=True,
        max_active_tis_per_dag=4,  # all tasks share the API's rate limit
    ).expand(env=years)
    check = BashOperator.partial(task_id="check", bash_command=CHECK, append_env=True).expand(
        env=years
    )
    load >> check

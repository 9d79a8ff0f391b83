"""Calls into PostgreSQL with Airflow: each hour what changed, and once all the years before.

Lay load.sh beside this file. The workers need tap-callcap and target-postgres on their PATH, and in
their environment TAP_CALLCAP_API_KEY, TARGET_POSTGRES_SQLALCHEMY_URL and STATES, a folder that they
share. Run callcap_backfill first; then switch on callcap.
"""

from datetime import datetime, timezone
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

LOAD = f"{Path(__file__).with_name('load.sh')} $STATES/$SHARD.json target-postgres --config=ENV"
YEARS = range(2020, 2026)  # callcap reads on from the end of the last one

common = {
    "start_date": datetime(2026, 1, 1, tzinfo=timezone.utc),
    "catchup": False,
    "max_active_runs": 1,
    "default_args": {"retries": 2},  # a task that was killed goes on where it stopped
}


def new_year(year: int) -> str:
    """Return when a year begins."""
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
        max_active_tis_per_dag=4,  # the API is the same for all of them
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

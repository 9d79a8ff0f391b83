"""Load calls into PostgreSQL with Dagster: a backfill by months, then the changes every hour.

Put load.sh into the folder of this file. Dagster's workers need tap-callcap and target-postgres on
their PATH, and these environment variables: TAP_CALLCAP_API_KEY, TARGET_POSTGRES_SQLALCHEMY_URL,
STATES, a folder that all workers share, and CALLCAP_FIRST_MONTH and CALLCAP_LAST_MONTH of the
backfill, such as 2020-01 and 2025-12. Materialize all partitions of calls_by_month, then start the
schedule of calls, which reads from the end of the last month on.
"""

import os
import subprocess
from datetime import datetime
from pathlib import Path

import dagster

LOAD = Path(__file__).with_name("load.sh")


def first_of_next_month(month: str) -> datetime:
    """Return the first day after a month such as 2025-12."""
    day = datetime.strptime(month, "%Y-%m")  # noqa: DTZ007 - a day of the calendar
    return day.replace(year=day.year + day.month // 12, month=day.month % 12 + 1)


END = first_of_next_month(os.environ["CALLCAP_LAST_MONTH"])
MONTHS = dagster.MonthlyPartitionsDefinition(
    start_date=f"{os.environ['CALLCAP_FIRST_MONTH']}-01", end_date=f"{END:%Y-%m-%d}"
)


def load(context: dagster.AssetExecutionContext, state: str, **settings: str) -> None:
    """Run load.sh with a bookmark and settings of its own."""
    file = Path(os.environ["STATES"], f"{state}.json")
    context.log.info("Loading with the bookmark %s", file)
    subprocess.run(
        [LOAD, file, "callcap-load", "target-postgres", "--config=ENV"],
        check=True,
        env={**os.environ, **settings},
    )


@dagster.asset(
    partitions_def=MONTHS,
    pool="callcap",  # a limit of this pool keeps all runs below the API's rate limit
    retry_policy=dagster.RetryPolicy(max_retries=2),  # a retry continues where the run stopped
)
def calls_by_month(context: dagster.AssetExecutionContext) -> None:
    """Calls last modified in a month."""
    window = context.partition_time_window
    load(
        context,
        context.partition_key[:7],
        TAP_CALLCAP_START_DATE=window.start.isoformat(),
        TAP_CALLCAP_END_DATE=window.end.isoformat(),
    )


@dagster.asset(
    deps=[calls_by_month], pool="callcap", retry_policy=dagster.RetryPolicy(max_retries=2)
)
def calls(context: dagster.AssetExecutionContext) -> None:
    """Calls modified since the last month of the backfill; each run goes on from the last."""
    load(context, "calls", TAP_CALLCAP_START_DATE=f"{END:%Y-%m-%d}T00:00:00Z")


hourly = dagster.ScheduleDefinition(
    name="hourly", target=dagster.AssetSelection.assets(calls), cron_schedule="7 * * * *"
)

definitions = dagster.Definitions(
    assets=[calls_by_month, calls],
    schedules=[hourly],
    executor=dagster.in_process_executor,  # a run is one asset, whose work is done by load.sh
)

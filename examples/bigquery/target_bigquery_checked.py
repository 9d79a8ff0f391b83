"""z3-target-bigquery, with a failure when rows are refused, and STATE only after the MERGE.

Version 0.7.2 of the target ignores many errors of its workers, passes STATE on after five minutes
although the rows are not yet in the table, and does not always wait for its workers.
"""

from __future__ import annotations

import copy
import os
import sys
import threading
import time
from typing import Any

from google.api_core.exceptions import Forbidden, NotFound
from google.auth.exceptions import GoogleAuthError
from google.cloud.bigquery import Client
from target_bigquery.target import TargetBigQuery

insert_rows_json = Client.insert_rows_json


class RefusedRowsError(Exception):
    """BigQuery has answered an insert with errors."""

    def __init__(self, refused: list[dict[str, Any]]) -> None:
        """Keep reasons and columns; the messages may contain values."""
        self.errors = [error for row in refused for error in row["errors"]]
        super().__init__(f"{len(refused)} rows")


def insert_or_raise(self: Client, *arguments: Any, **options: Any) -> list[dict[str, Any]]:
    """Insert rows, and raise if BigQuery refuses some of them."""
    refused: list[dict[str, Any]] = insert_rows_json(self, *arguments, **options)
    if refused:
        raise RefusedRowsError(refused)
    return refused


def stop(error: BaseException | None) -> None:
    """End the process at once: before a MERGE, and without STATE."""
    errors = getattr(error, "errors", None) or ()
    why = {f"{it.get('reason')} {it.get('location') or ''}".strip() for it in errors}
    if isinstance(error, (GoogleAuthError, Forbidden, NotFound)):
        why = {str(error)}  # other messages may contain values
    reasons = ", ".join([type(error).__name__, *sorted(why)])
    sys.stderr.write(
        f"target-bigquery: rows were not loaded ({reasons}). No STATE was passed on for them, so "
        "the next run loads them again. The job history of BigQuery has the details.\n"
    )
    sys.stderr.flush()
    os._exit(1)  # a worker cannot end the process otherwise


class Errors:
    """Takes the place of the pipe for errors, which the target does not always read."""

    send = staticmethod(lambda error: stop(error[0]))


class CheckedTarget(TargetBigQuery):
    """The target, which ends with an error unless all rows are in the table."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Let errors of all threads end the process.

        Raises:
            SystemExit: If the settings ask for what cannot be checked.
        """
        super().__init__(*arguments, **options)
        unchecked = {"process_pool", "storage_write_batch_mode"}
        for name, value in self.config.get("options", {}).items():
            if name in unchecked and value:
                sys.exit(f"target-bigquery: options.{name} cannot be checked: remove it")
        if self.config.get("method") == "gcs_stage" and not self.config.get("bucket"):
            sys.exit("target-bigquery: method gcs_stage needs a bucket: set bucket, or method")
        self.error_notifier = Errors()
        sys.excepthook = lambda _, error, __: stop(error)
        threading.excepthook = lambda failed: stop(failed.exc_value)
        Client.insert_rows_json = insert_or_raise

    def drain_all(self, is_endofpipe: bool = False) -> None:  # noqa: FBT001, FBT002 - the SDK's
        """Load and merge all rows, then write STATE; later rows go to new temporary tables."""
        if self.config.get("overwrite") and not is_endofpipe:
            return  # it would replace the rows of this run by those that follow
        state = copy.deepcopy(self._latest_state)
        sinks = list(self._sinks_active.values())
        self._drain_all(sinks, 1)
        self._wait_for_workers()
        for sink in sinks:
            sink.clean_up()
            if not is_endofpipe:
                self.add_sink(sink.stream_name, sink.schema, sink.key_properties)
        if state:
            self._write_state_message(state)
        self._reset_max_record_age()

    def _process_batch_message(self, _: dict[str, Any]) -> None:  # noqa: PLR6301 - the SDK's
        sys.exit("target-bigquery: it loads no BATCH messages: remove batch_config from the tap")

    def _wait_for_workers(self) -> None:
        while self.queue.unfinished_tasks:
            self.resize_worker_pool()  # an idle worker may have left
            time.sleep(0.1)
        for _ in self.workers:
            self.queue.put(None)
        for worker in self.workers:
            worker.join()
        self.workers.clear()
        self.queue = self.queue_cls()


if __name__ == "__main__":
    CheckedTarget.cli()

"""Runs the real z3-target-bigquery, in its own environment, with Google's services in this process.

    FAULTS='{"refused": [...]}' python on_google_apis.py checked|plain FOLDER [options]

Google's clients and all that the target does with them are their own. It only waits less: for a
table to be seen everywhere, and for a queue in which nothing comes.
"""

from __future__ import annotations

import json
import multiprocessing.dummy
import os
import queue
import sys
import threading
import time
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
from bigquery_service import Faults, Service
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, storage
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import (
    BigQueryWriteGrpcTransport,
)
from google_apis import Rest, WriteAPI
from target_bigquery import batch_job, core, gcs_stage, storage_write, streaming_insert
from target_bigquery.target import TargetBigQuery
from target_bigquery_checked import CheckedTarget

PAUSE, PATIENCE = 0.1, 2.0  # seconds


def pause(seconds: float) -> None:
    """Sleep less."""
    time.sleep(min(seconds, PAUSE))


class Queue(queue.Queue[Any]):
    """The target's queue for its workers, which end after half a minute without work."""

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: FBT002 - as it is
        """Wait less."""
        return super().get(block, timeout and min(timeout, PATIENCE))


def main() -> None:
    """Run the target."""
    faults = Faults(**json.loads(os.environ.get("FAULTS", "{}")))
    target = {"checked": CheckedTarget, "plain": TargetBigQuery}[sys.argv.pop(1)]
    service = Service(Path(sys.argv.pop(1)), faults)
    appends = WriteAPI(service)
    connect(Rest(service), appends.address)
    hurry(faults)
    try:
        target.cli()
    finally:
        for thread in threading.enumerate():
            if isinstance(thread, core.BaseWorker):
                thread.join()  # it is not over before that, also after an error
        appends.server.stop(None)


def connect(rest: Rest, address: str) -> None:
    """Let all of Google's clients that the target makes talk to these."""

    @cache
    def bigquery_client(credentials: core.BigQueryCredentials) -> bigquery.Client:
        return _on(rest, bigquery.Client(credentials.project, AnonymousCredentials()))

    @cache
    def storage_client(credentials: core.BigQueryCredentials) -> storage.Client:
        return _on(rest, storage.Client(credentials.project, AnonymousCredentials()))

    @cache
    def write_client(_: core.BigQueryCredentials) -> BigQueryWriteClient:
        channel = grpc.insecure_channel(address)
        return BigQueryWriteClient(transport=BigQueryWriteGrpcTransport(channel=channel))

    for module in (core, batch_job, gcs_stage, storage_write, streaming_insert):
        for name, factory in {
            "bigquery_client_factory": bigquery_client,
            "gcs_client_factory": storage_client,
            "storage_client_factory": write_client,
        }.items():
            if hasattr(module, name):
                setattr(module, name, factory)


def hurry(faults: Faults) -> None:
    """Shorten waiting, and what a fault would take minutes to need."""
    core.time = SimpleNamespace(sleep=pause, strftime=time.strftime)
    storage_write.sleep = pause
    multiprocessing.dummy.Queue = Queue
    if faults.dead:
        batch_job.bigquery_client_factory = None
    if faults.held:
        for sink in (
            batch_job.BigQueryBatchJobSink,
            gcs_stage.BigQueryGcsStagingSink,
            storage_write.BigQueryStorageWriteSink,
            streaming_insert.BigQueryStreamingInsertSink,
        ):  # as if there were work for a second worker
            sink.WORKER_CREATION_MIN_INTERVAL = sink.WORKER_CAPACITY_FACTOR = 0
    if faults.ages:
        TargetBigQuery._MAX_RECORD_AGE_IN_MINUTES = -1  # noqa: SLF001 - as if they had passed


def _on(rest: Rest, client: Any) -> Any:
    client._http.mount("https://", rest)  # noqa: SLF001 - its session
    return client


def serve() -> None:
    """Run the target for each line of stdin in a process of its own, all imported; print the code.

    Returns in these processes alone.
    """
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if not child:
            os.chdir(job["folder"])
            for number, name in enumerate(("input", "output", "log")):
                os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | (number and os.O_TRUNC)), number)
            sys.stdin = os.fdopen(0)
            os.environ["FAULTS"] = job["faults"]
            sys.argv = job["command"]
            return
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - the answer
    sys.exit()


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    main()

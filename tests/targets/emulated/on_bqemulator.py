"""Runs the real z3-target-bigquery, in its own environment, on an emulator of BigQuery.

    BIGQUERY_EMULATOR_HOST=http://127.0.0.1:… python on_bqemulator.py [options of target-bigquery]

The emulator asks for no credentials, and takes no qualified names in a MERGE's SET; all else that
the target does is its own.
"""

from __future__ import annotations

import re
from functools import cache, partialmethod

from google.auth.credentials import AnonymousCredentials
from google.cloud.bigquery import Client
from target_bigquery import core, streaming_insert
from target_bigquery.target import TargetBigQuery

SET = re.compile(r"UPDATE SET .*? WHEN NOT MATCHED", re.DOTALL)


@cache
def client_of(credentials: core.BigQueryCredentials) -> Client:
    """Return a client of the emulator."""
    return Client(project=credentials.project, credentials=AnonymousCredentials())


def query(self: Client, original: object, text: str, *options: object, **more: object) -> object:
    """Ask with bare names behind SET."""
    text = SET.sub(lambda found: re.sub(r"target\.(`\w+`) =", r"\1 =", found[0]), text)
    return original(self, text, *options, **more)


core.bigquery_client_factory = streaming_insert.bigquery_client_factory = client_of
Client.query = partialmethod(query, Client.query)

if __name__ == "__main__":
    TargetBigQuery.cli()

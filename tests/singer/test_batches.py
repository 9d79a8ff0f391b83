"""BATCH messages: files, records and state."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from support.histories import BEGINNING
from support.running import bookmark_of, discovered, lines_of, run_tap
from tap_callcap.sandbox import CallBook, Callcap, made_up_calls

if TYPE_CHECKING:
    from pathlib import Path

    from support.running import Run

NOW = BEGINNING


def callcap() -> Callcap:
    """An account with 250 calls of the last year."""
    start = NOW - timedelta(days=365)
    return Callcap(CallBook(made_up_calls(250, seed=4, start=start, end=NOW)), clock=lambda: NOW)


def batched(folder: Path, account: Callcap, **options: Any) -> Run:
    """A run that writes its records to gzipped files of 20 lines."""
    config = {
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "storage": {"root": folder.as_uri()},
        "batch_size": 20,
    }
    return run_tap(account, batch_config=config, page_size=7, **options)


def test_batches_hold_every_call(tmp_path: Path) -> None:
    """All calls are in the files, in the form of RECORD messages."""
    account = callcap()
    run = batched(tmp_path, account)
    records = [
        record
        for message in run.messages
        if message["type"] == "BATCH"
        for record in lines_of(message)
    ]
    plain = {record["call_id"]: record for record in run_tap(account).records}
    assert {record["call_id"] for record in records} == account.book.ids
    assert all(record["accounts"] == plain[record["call_id"]]["accounts"] for record in records)
    assert bookmark_of(run.state) == "2026-03-03T14:58:00Z"


def test_state_never_precedes_the_manifests_it_covers(tmp_path: Path) -> None:
    """Every call behind a STATE's bookmark is in a file named before it."""
    account = callcap()
    run = batched(tmp_path, account)
    written: set[str] = set()
    states = 0
    for message in run.messages:
        if message["type"] == "BATCH":
            written |= {record["call_id"] for record in lines_of(message)}
        elif message["type"] == "STATE":
            states += 1
            rest = run_tap(account, state=message["value"])
            assert written | rest.ids == account.book.ids
    assert states > 2


def test_batches_honour_deselection(tmp_path: Path) -> None:
    """What the catalog deselects is in no file, which the SDK by itself does not do."""
    run = batched(tmp_path, callcap(), catalog=discovered(caller__name=False, notes=False))
    for message in run.messages:
        if message["type"] == "BATCH":
            for record in lines_of(message):
                assert "notes" not in record
                assert "name" not in record["caller"]

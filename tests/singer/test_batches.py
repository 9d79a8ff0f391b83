"""BATCH messages: files, records and state."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shutil
import stat
from datetime import timedelta
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any

import fsspec
import msgspec
import pytest
from singer_sdk.exceptions import ConfigurationError

from support.direct_client import DirectClient
from support.histories import BEGINNING, KillableWriter
from support.kills import ENCODINGS, rows_of
from support.running import bookmark_of, discovered, lines_of, run_tap
from tap_callcap.sandbox import CallBook, Callcap, made_up_calls
from tap_callcap.singer.storage import check_batch_config
from tap_callcap.singer.writer import BlockWriter
from tap_callcap.tap import TapCallcap

if TYPE_CHECKING:
    from collections.abc import Callable
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


def files_in(folder: Path) -> list[Path]:
    """All files below a folder."""
    return [path for path in folder.rglob("*") if path.is_file()]


def manifests_of(run: Run) -> list[str]:
    """The URLs of all files that a run announced."""
    return [url for line in run.messages if line["type"] == "BATCH" for url in line["manifest"]]


def config_of(folder: Path, **changes: Any) -> dict[str, Any]:
    """A batch_config, with other values by path, such as `encoding__format`."""
    config: dict[str, Any] = {
        "encoding": {"format": "jsonl"},
        "storage": {"root": folder.as_uri()},
    }
    for path, value in changes.items():
        *parts, name = path.split("__")
        target = config
        for part in parts:
            target = target[part]
        target[name] = value
        if value is None:
            del target[name]
    return config


@pytest.mark.parametrize("compression", ["gzip", "none", None])
def test_files_are_compressed_as_announced(compression: str | None, tmp_path: Path) -> None:
    """Targets believe what the message says, and so do these tests."""
    config = config_of(tmp_path, encoding__compression=compression, batch_size=100)
    run = run_tap(callcap(), batch_config=config)
    batches = [line for line in run.messages if line["type"] == "BATCH"]
    assert {line["encoding"].get("compression") for line in batches} == {compression}
    found = [record["call_id"] for line in batches for record in lines_of(line)]
    assert (len(found), set(found)) == (250, callcap().book.ids)
    for path in files_in(tmp_path):
        assert (path.read_bytes()[:2] == b"\x1f\x8b") == (compression == "gzip")
        assert path.name.endswith(".json.gz" if compression == "gzip" else ".json")


@pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")
def test_only_their_owner_can_read_batches(tmp_path: Path) -> None:
    """Whatever the umask: files and new folders hold personal data."""
    before = os.umask(0)
    try:
        config = config_of(tmp_path / "a" / "b", storage__prefix="calls/of-")
        run = run_tap(callcap(), batch_config=config)
    finally:
        os.umask(before)
    assert run.code == 0
    (file, *_) = files_in(tmp_path)
    assert file.parent == tmp_path / "a" / "b" / "calls"
    for path in tmp_path.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_a_root_may_be_a_path(tmp_path: Path) -> None:
    """As well as a URL; a filter may leave a stream map without records."""
    config = config_of(tmp_path, storage__root=str(tmp_path / "calls"))
    maps = {"calls": {"__filter__": "call_id == ''"}, "talks": {"__source__": "calls"}}
    run = run_tap(callcap(), batch_config=config, stream_maps=maps)
    batches = [line for line in run.messages if line["type"] == "BATCH"]
    assert {line["stream"] for line in batches} == {"talks"}
    assert {path.as_uri() for path in files_in(tmp_path)} == set(manifests_of(run))


def test_batches_go_to_any_storage(tmp_path: Path) -> None:
    """Such as one in memory, which stands for a bucket."""
    run = run_tap(callcap(), batch_config=config_of(tmp_path, storage__root="memory://calls"))
    urls = manifests_of(run)
    assert all(url.startswith("memory://") for url in urls)
    memory = fsspec.filesystem("memory")
    lines = [line for url in urls for line in memory.cat(url).splitlines()]
    assert {msgspec.json.decode(line)["call_id"] for line in lines} == callcap().book.ids
    memory.rm("/calls", recursive=True)


class StoppedError(BaseException):
    """What a signal raises."""


def stop(*_: Any) -> None:
    """Stand for a signal."""
    raise StoppedError


def stop_behind(function: Callable[..., Any]) -> Callable[..., Any]:
    """Stand for a signal right behind `function`."""

    def stopped(*args: Any, **options: Any) -> None:
        function(*args, **options)
        stop()

    return stopped


def no_link(*_: Any, **__: Any) -> None:
    """Stand for a file system where a file without a name gets none."""
    raise OSError


STOPS: dict[str, tuple[str, dict[str, Callable[..., Any]]]] = {
    "named": ("{folder}", {"os.link": stop_behind(os.link)}),
    "copied": ("{folder}", {"os.link": no_link, "shutil.copyfileobj": stop}),
    "uploaded": ("memory://stopped", {"shutil.copyfileobj": stop_behind(shutil.copyfileobj)}),
    "announced": ("{folder}", {}),
    "uploaded and announced": ("memory://stopped", {}),
}


@pytest.mark.parametrize(("root", "patches"), STOPS.values(), ids=STOPS)
def test_a_stop_leaves_no_file_that_is_not_announced(
    root: str,
    patches: dict[str, Callable[..., Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither one that is written in part nor one whose message was not written."""
    config = config_of(tmp_path, storage__root=root.format(folder=tmp_path.as_uri()))
    write = KillableWriter.write_message

    def stop_at_batch(writer: Any, message: Any) -> None:
        if message.to_dict()["type"] == "BATCH":
            stop()
        write(writer, message)

    for name, patch in patches.items():
        monkeypatch.setattr(name, patch)
    if not patches:
        monkeypatch.setattr(KillableWriter, "write_message", stop_at_batch)
    with pytest.raises(StoppedError):
        run_tap(callcap(), batch_config=config)
    assert files_in(tmp_path) == []
    assert fsspec.filesystem("memory").find("/stopped") == []


@pytest.mark.parametrize("name", ["os.link", "os.open"])
def test_files_are_the_same_where_they_cannot_be_without_a_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on macOS and some network drives: complete, announced, for their owner only."""
    opened, unnamed = os.open, getattr(os, "O_TMPFILE", -1)

    def named_only(path: Any, flags: int, *mode: int) -> int:
        if flags & unnamed == unnamed:
            raise OSError(errno.EOPNOTSUPP, "Not supported")
        return opened(path, flags, *mode)

    monkeypatch.setattr(name, no_link if name == "os.link" else named_only)
    run = run_tap(callcap(), batch_config=config_of(tmp_path))
    (file,) = files_in(tmp_path)
    assert manifests_of(run) == [file.as_uri()]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    lines = file.read_bytes().splitlines()
    assert {msgspec.json.decode(line)["call_id"] for line in lines} == callcap().book.ids


def test_an_error_in_the_other_thread_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a full disk; no BATCH and no STATE for what is not written."""

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tap_callcap.singer.encodings.Lines.write", full)
    client = DirectClient(callcap())
    writer = KillableWriter()
    tap = TapCallcap(
        config={"api_key": "sandbox", "batch_config": config_of(tmp_path)},
        client_factory=lambda _: client,
        message_writer=writer,
    )
    with pytest.raises(OSError, match="No space left") as caught:
        tap.sync_all()
    assert caught.value.filename == "batch_config.storage.root"
    assert {line["type"] for line in writer.lines} == {"SCHEMA"}
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("encoding", ENCODINGS, ids=["gzip", "arrow", "jsonl", "parquet"])
def test_a_file_that_was_announced_stays(
    encoding: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop may come right behind its message; the file stays as it was."""
    if encoding["format"] != "jsonl":
        pytest.importorskip("pyarrow")

    class StoppedWriter(BlockWriter):
        def write_message(self, message: Any) -> None:
            super().write_message(message)
            if message.to_dict()["type"] == "BATCH":
                stop()

    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr("tap_callcap.singer.writer.sys.stdout", out)
    client = DirectClient(callcap())
    tap = TapCallcap(
        config={"api_key": "sandbox", "batch_config": config_of(tmp_path, encoding=encoding)},
        client_factory=lambda _: client,
        message_writer=StoppedWriter(),
    )
    with pytest.raises(StoppedError):
        tap.sync_all()
    assert isinstance(out.buffer, io.BytesIO)
    lines = [json.loads(line) for line in out.buffer.getvalue().splitlines()]
    assert [path.as_uri() for path in files_in(tmp_path)] == lines[-1]["manifest"]
    assert {row["call_id"] for row in rows_of(lines[-1])} == callcap().book.ids


CONFIGS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "empty": (lambda _: {}, ".encoding must be an object with compression and format"),
    "no storage": (lambda path: config_of(path, storage=None), ".storage must be an object with"),
    "unknown": (
        lambda path: config_of(path, batchsize=5),
        ".batchsize is unknown: did you mean ba",
    ),
    "unknown in it": (
        lambda path: config_of(path, encoding__x=5),
        ".encoding.x is unknown: did you mean one of compression, format?",
    ),
    "size 0": (lambda path: config_of(path, batch_size=0), ".batch_size must be an integer of at"),
    "size true": (lambda path: config_of(path, batch_size=True), ".batch_size must be an integer"),
    "size text": (lambda path: config_of(path, batch_size="9"), ".batch_size must be an integer"),
    "no format": (lambda path: config_of(path, encoding__format=None), ".encoding.format must be"),
    "arrow, compressed": (
        lambda path: config_of(path, encoding__format="arrow", encoding__compression="gzip"),
        ".encoding.compression must be none for arrow",
    ),
    "format": (lambda path: config_of(path, encoding__format="csv"), ".encoding.format must be "),
    "compression": (
        lambda path: config_of(path, encoding__compression="zip"),
        ".encoding.compression must be ",
    ),
    "prefix": (lambda path: config_of(path, storage__prefix=5), ".storage.prefix must be "),
    "prefix from the top": (
        lambda path: config_of(path, storage__prefix="/else/"),
        ".storage.prefix must stay below the root",
    ),
    "prefix upwards": (
        lambda path: config_of(path, storage__prefix="a/../../else"),
        ".storage.prefix must stay below the root",
    ),
    "params": (lambda path: config_of(path, storage__params=[]), ".storage.params must be "),
    "no root": (lambda path: config_of(path, storage__root=None), ".storage.root must be a folder"),
    "blank root": (lambda path: config_of(path, storage__root=" "), ".storage.root must be a "),
    "home": (lambda path: config_of(path, storage__root="~/calls"), ".storage.root must be a fol"),
    "host": (
        lambda path: config_of(path, storage__root="file://data/calls"),
        ".storage.root must have three slashes after file:",
    ),
    "s3": (
        lambda path: config_of(path, storage__root="s3://bucket/calls"),
        ".storage.root needs another package: install tap-callcap[s3]",
    ),
    "no such place": (
        lambda path: config_of(path, storage__root="xyz://calls"),
        ".storage.root needs another package: install fsspec's for xyz",
    ),
    "a file": (
        lambda path: config_of(path, storage__root=(path / "file" / "below").as_uri()),
        "/file is none",
    ),
}


@pytest.mark.parametrize(("make", "line"), CONFIGS.values(), ids=CONFIGS)
def test_a_wrong_batch_config_is_one_line(
    make: Callable[[Path], Any], line: str, tmp_path: Path
) -> None:
    """Before any request; nothing is written."""
    (tmp_path / "file").touch()
    account = callcap()
    with pytest.raises(ConfigurationError, match=re.escape(line)) as caught:
        run_tap(account, batch_config=make(tmp_path))
    assert "batch_config" in str(caught.value)
    assert account.requests == []
    assert [path.name for path in files_in(tmp_path)] == ["file"]


def test_a_folder_must_be_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the one in which it would be made."""
    monkeypatch.setattr("tap_callcap.singer.storage.os.access", lambda *_: False)
    with pytest.raises(ConfigurationError, match=r"storage.root must be writable, and .* is not"):
        run_tap(callcap(), batch_config=config_of(tmp_path / "new"))


@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_columns_need_their_extra(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing package is one line that names the extra, before any request."""
    find = PathFinder.find_spec
    monkeypatch.setattr(
        "tap_callcap.singer.storage.find_spec",
        lambda name: None if name == "pyarrow" else find(name),
    )
    account = callcap()
    line = rf"{form} needs another package: install tap-callcap\[{form}\]"
    with pytest.raises(ConfigurationError, match=line):
        run_tap(account, batch_config=config_of(tmp_path, encoding__format=form))
    assert account.requests == []


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


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ({"encoding": "jsonl"}, "batch_config.encoding must be an object"),
        ({"encoding": {"format": "xml"}}, "batch_config.encoding.format must be"),
        ({"encoding": {"format": "jsonl", "compression": "zip"}}, "compression must be gzip"),
        ({"storage": {"root": "file:///b", "prefix": 5}}, "storage.prefix must be text"),
        ({"storage": {"root": "file:///b", "params": []}}, "storage.params must be an object"),
    ],
    ids=str,
)
def test_the_first_thing_that_is_wrong_is_named(config: dict[str, Any], line: str) -> None:
    """By its path in `batch_config`, whatever the JSON Schema lets pass."""
    sound = {"encoding": {"format": "jsonl"}, "storage": {"root": "file:///b"}}
    with pytest.raises(ConfigurationError, match=line):
        check_batch_config({**sound, **config})

"""The setting `batch_config`: all of it is checked before any request."""

from __future__ import annotations

import os
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from fsspec import get_filesystem_class
from singer_sdk.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KNOWN = {
    "": ("batch_size", "encoding", "storage"),
    "encoding": ("compression", "format"),
    "storage": ("params", "prefix", "root"),
}
"""The names in each part of `batch_config`."""
FORMATS = ("jsonl", "parquet", "arrow")


def local_folder(root: str) -> Path | None:
    """The folder on this machine that a storage root is, none if it is elsewhere."""
    parts = urlsplit(root)
    if len(parts.scheme) < 2:  # noqa: PLR2004 - C: is a drive
        return Path(root)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


def check_batch_config(config: Mapping[str, Any]) -> None:
    """Check that files can be written as `batch_config` asks for.

    Raises:
        ConfigurationError: If not.
    """
    for line in _problems(config):
        msg = f"Setting batch_config{line}"
        raise ConfigurationError(msg)


def _problems(config: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong, the first first: the name below `batch_config`, and what it must be."""
    for part, known in KNOWN.items():
        given = config.get(part) if part else config
        prefix = f".{part}" if part else ""
        if not isinstance(given, dict):
            yield f"{prefix} must be an object with {' and '.join(known)}"
        else:
            for name in set(given) - set(known):
                near = get_close_matches(name, known, n=1) or [f"one of {', '.join(known)}"]
                yield f"{prefix}.{name} is unknown: did you mean {near[0]}?"
    yield from _value_problems(config)
    form = config["encoding"]["format"]
    if form != "jsonl" and not find_spec("pyarrow"):
        yield f".encoding.format {form} needs another package: install tap-callcap[{form}]"
    yield from _root_problems(config["storage"]["root"])


def _value_problems(config: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with single values."""
    size = config.get("batch_size")
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
        yield ".batch_size must be an integer of at least 1"
    encoding, storage = config["encoding"], config["storage"]
    if encoding.get("format") not in FORMATS:
        yield f".encoding.format must be {', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
    if encoding.get("compression") not in {None, "gzip", "none"}:
        yield ".encoding.compression must be gzip or none"
    if encoding.get("format") == "arrow" and encoding.get("compression") == "gzip":
        yield ".encoding.compression must be none for arrow: its readers do not decompress files"
    prefix = storage.get("prefix") or ""
    if not isinstance(prefix, str):
        yield ".storage.prefix must be text"
    elif prefix.startswith("/") or ".." in prefix.split("/"):
        yield ".storage.prefix must stay below the root: without / before it, and without .. in it"
    if not isinstance(storage.get("params", {}), dict):
        yield ".storage.params must be an object"
    root = storage.get("root")
    if not isinstance(root, str) or not root.strip() or root.startswith("~"):
        yield ".storage.root must be a folder, such as file:///data/batches"


def _root_problems(root: str) -> Iterator[str]:
    folder = local_folder(root)
    if folder is None:
        scheme = urlsplit(root).scheme
        try:
            get_filesystem_class(scheme)
        except (ImportError, ValueError):
            extra = "tap-callcap[s3]" if scheme in {"s3", "s3a"} else f"fsspec's for {scheme}"
            yield f".storage.root needs another package: install {extra}"
        return
    if root.startswith("file:") and urlsplit(root).netloc not in {"", "localhost"}:
        yield ".storage.root must have three slashes after file:, as in file:///data/batches"
    existing = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not existing.is_dir():
        yield f".storage.root must be a folder, and {existing} is none"
    elif not os.access(existing, os.W_OK | os.X_OK):
        yield f".storage.root must be writable, and {existing} is not"

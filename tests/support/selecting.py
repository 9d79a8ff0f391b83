"""Catalogs as Meltano 4.4.1 writes them: `selected` at every stream and property."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import Any

from support.running import STREAMS, catalog_of


def selected_by_meltano(*patterns: str) -> dict[str, Any]:
    """The discovered catalog as Meltano hands it to the tap for `select: [patterns]`."""
    catalog = catalog_of(*STREAMS)
    rules = [("*", "properties.*", False), ("*", "", False)]
    for is_exclusion in (False, True):  # in which order Meltano applies them
        for pattern in patterns:
            if pattern.startswith("!") == is_exclusion:
                rules += _rules(pattern.removeprefix("!"), selected=not is_exclusion)
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            for name, breadcrumb, selected in rules:
                if fnmatch(stream["tap_stream_id"], name) and fnmatch(
                    ".".join(entry["breadcrumb"]), breadcrumb
                ):
                    entry["metadata"]["selected"] = selected
    return catalog


def _rules(pattern: str, *, selected: bool) -> list[tuple[str, str, bool]]:
    """Stream, breadcrumb and selection: for the property of a pattern, and what it is in."""
    stream, *names = pattern.split(".")
    names = names or ["*"]
    lengths = range(len(names) + 1) if selected else [len(names)]
    paths = [".".join(f"properties.{name}" for name in names[:length]) for length in lengths]
    paths += [""] if names == ["*"] else []
    return [(stream, path, selected) for path in paths]

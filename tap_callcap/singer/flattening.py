"""Flattening as the SDK does it, with each key worked out once instead of in every record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from singer_sdk.helpers._flattening import flatten_key  # noqa: PLC2701 - the SDK has no other
from singer_sdk.singerlib.json import serialize_json

if TYPE_CHECKING:
    from collections.abc import Container

    from singer_sdk.helpers._flattening import FlatteningOptions

Branches: TypeAlias = "dict[str, tuple[str, Branches | None]]"
"""By the keys of an object: their flat keys, and the branches below, none where it ends."""


class Flattener:
    """Flattens records as the SDK does: the same keys in the same order, the same texts.

    Args:
        options: How deep, and how keys are joined.
        columns: Names of the properties of the flattened schema.
    """

    def __init__(self, options: FlatteningOptions, columns: Container[str]) -> None:
        self._options = options
        self._columns = columns
        self._branches: Branches = {}

    def __call__(self, record: dict[str, Any]) -> dict[str, Any]:
        """The record with its objects' fields at the top, and its arrays as JSON."""
        flat: dict[str, Any] = {}
        self._flatten(record, self._branches, (), flat)
        return flat

    def _flatten(
        self, value: dict[str, Any], branches: Branches, path: tuple[str, ...], flat: dict[str, Any]
    ) -> None:
        for key, item in value.items():
            if key not in branches:
                branches[key] = self._branch(key, path)
            flat_key, below = branches[key]
            if not isinstance(item, (dict, list)):
                flat[flat_key] = item
            elif below is None or isinstance(item, list):
                flat[flat_key] = serialize_json(item)
            else:
                self._flatten(item, below, (*path, key), flat)

    def _branch(self, key: str, path: tuple[str, ...]) -> tuple[str, Branches | None]:
        options = self._options
        flat_key = flatten_key(
            key, list(path), options.separator, max_key_length=options.max_key_length
        )
        ends = flat_key in self._columns or len(path) >= options.max_level
        return flat_key, None if ends else {}

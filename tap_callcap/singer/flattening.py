"""Flattening as the SDK does it, but with each key made once instead of once a record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from singer_sdk.helpers._flattening import flatten_key  # noqa: PLC2701 - the SDK has no other
from singer_sdk.singerlib.json import serialize_json

if TYPE_CHECKING:
    from collections.abc import Container

    from singer_sdk.helpers._flattening import FlatteningOptions

Branches: TypeAlias = "dict[str, tuple[str, Branches | None]]"
"""For each key of an object: its flat key, and the branches below it, none if it is not split."""


class Flattener:
    """Flattens records: the same keys, order and values as the SDK's `flatten_record`.

    Args:
        options: The SDK's: depth, separator, length of keys.
        columns: Names of the properties of the flattened schema.
    """

    def __init__(self, options: FlatteningOptions, columns: Container[str]) -> None:
        self._options = options
        self._columns = columns
        self._branches: Branches = {}

    def __call__(self, record: dict[str, Any]) -> dict[str, Any]:
        """`record` with the fields of its objects at the top level and its arrays as JSON text."""
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

"""The names of fields, without those that may be data. Pure."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from tap_callcap.records.shapes import API_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tap_callcap.records.json import JSON
    from tap_callcap.records.schema import JSONSchema

_NAME = re.compile(r"[a-z][A-Za-z_-]{0,29}")  # no digits, no blanks, no capitalized names
_MOST = 40  # names of one object: with more, they are data
_FEW = 3  # calls; a name in fewer may be data, such as the name of a person


def outline(value: JSON) -> str:
    """The names in `value` and below: `status, minor[]{id, label}`.

    An object whose values are all objects may have data as its names, so these are left out.
    """
    if isinstance(value, list):
        return f"[]{_braced([item for item in value if isinstance(item, dict)])}"
    if not isinstance(value, dict):
        return ""
    if len(value) > 1 and all(isinstance(inner, dict) for inner in value.values()):
        return f"{{…{_braced(list(value.values()))}}}"
    return _braced([value])


def _braced(objects: list[dict[str, JSON]]) -> str:
    if not objects:
        return ""
    merged: dict[str, JSON] = {}
    for each in objects:
        merged |= {name: inner for name, inner in each.items() if inner or name not in merged}
    counted = Counter(name for each in objects for name in each)
    shown, hidden = _shown(counted, dict.fromkeys(counted, len(objects)), 1)
    parts = [name + outline(merged[name]) for name in shown]
    return f"{{{', '.join([*parts, *_not_shown(hidden)])}}}"


def unknown_fields(rows: Iterable[Mapping[str, JSON]], schema: JSONSchema) -> list[str]:
    """The paths of the fields in `rows` that `schema` does not have."""
    counted: Counter[str] = Counter()
    parents: Counter[str] = Counter()
    for row in rows:
        _count(row, schema, "", counted, parents)
    objects = {path: parents[path.rpartition(".")[0]] for path in counted}
    shown, hidden = _shown(counted, objects, _FEW)
    return [*sorted(shown), *_not_shown(hidden)]


def _count(
    value: JSON, schema: JSONSchema, path: str, counted: Counter[str], parents: Counter[str]
) -> None:
    """Count the unknown fields below `path`, and the objects that are there."""
    if isinstance(value, list):
        for item in value:
            _count(item, schema.get("items", {}), f"{path}[]", counted, parents)
    if not isinstance(value, dict) or "properties" not in schema:
        return
    parents[path] += 1
    known = {API_NAMES.get(name, name): part for name, part in schema["properties"].items()}
    for name, inner in value.items():
        # A dot in a name would look like a path.
        below = f"{path}.{name.replace('.', '?')}"
        if name in known:
            _count(inner, known[name], below, counted, parents)
        else:
            counted[below] += 1


def _shown(counted: Counter[str], objects: Mapping[str, int], least: int) -> tuple[list[str], int]:
    """The names that half of the objects have, and `least`; and how many are not shown."""
    names = [
        path.removeprefix(".")
        for path, count in counted.items()
        if _NAME.fullmatch(path.rpartition(".")[2]) and count >= max(least, objects[path] / 2)
    ]
    if len(names) > _MOST:
        names = []
    return names, len(counted) - len(names)


def _not_shown(hidden: int) -> list[str]:
    return [f"{hidden:,} that may be data"] if hidden else []

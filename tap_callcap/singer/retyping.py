"""Types that a catalog gives to properties: those that records cannot have are refused. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from singer_sdk.exceptions import ConfigurationError

from tap_callcap.records.shapes import EXTRA

if TYPE_CHECKING:
    from tap_callcap.records.schema import JSONSchema

SCALARS = frozenset({"string", "integer", "number", "boolean"})


def with_possible_types(
    schema: JSONSchema,
    known: JSONSchema,
    name: str,
    warnings: list[str],
    *,
    is_key: bool = False,
) -> JSONSchema:
    """The catalog's `schema` of `name`, where an instant in any text format is a date-time.

    Args:
        schema: The schema in the catalog.
        known: The tap's own.
        name: Path of the stream or property.
        warnings: Gets a line for each other format.
        is_key: Whether it is required, so that a value must not go elsewhere for its type.

    Raises:
        ConfigurationError: If a property has a type that its values cannot be converted to.
    """
    asked, own = _kind(schema), _kind(known)
    is_instant = known.get("format") == "date-time"
    is_json = known.get("contentMediaType") == "application/json"
    is_possible = asked in {own, "string"} or {asked, own} <= SCALARS
    if is_json:
        is_possible = asked == "string" or not name.endswith(f".{EXTRA}")
    if is_key and not is_instant:
        asked = "date-time" if schema.get("format") == "date-time" else asked
        is_possible = asked in {own, "string"}
    if (is_instant and asked != "string") or not is_possible:
        possible = " or ".join(dict.fromkeys((own, "string")))
        msg = f"The catalog gives {name} the type {asked}, which it cannot have: {possible}"
        raise ConfigurationError(msg)
    schema = dict(schema)
    if not is_key and "null" in known["type"] and "null" not in schema["type"]:
        kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        schema["type"] = [*kinds, "null"]  # which values may be, whatever the catalog says
    if is_instant and schema.get("format") not in {None, "date-time"}:
        warnings.append(f"{name} comes as a date-time, not in the catalog's {schema['format']}")
        schema["format"] = "date-time"
    if asked == own == "object":
        own_parts, keys = known["properties"], known.get("required", ())
        schema["properties"] = {
            key: with_possible_types(
                part, own_parts.get(key, part), f"{name}.{key}", warnings, is_key=key in keys
            )
            for key, part in schema["properties"].items()
        }
    elif asked == own == "array":
        items = schema["items"], known["items"]
        schema["items"] = with_possible_types(*items, f"{name}[]", warnings)
    return schema


def _kind(schema: JSONSchema) -> str:
    """The type of a property, besides null."""
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    return str(next(kind for kind in kinds if kind != "null"))

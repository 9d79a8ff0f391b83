"""Replaces personal fields by tokens: equal values have equal tokens. Pure.

A token is the HMAC-SHA-256 of the field's text in a record, in hexadecimal. Without the key nobody
can find the telephone number behind a token, not even by trying all numbers.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from singer_sdk.exceptions import ConfigurationError

from tap_callcap.instants import UnreadableError
from tap_callcap.records.coercion import kind_of
from tap_callcap.records.json import json_text
from tap_callcap.records.shapes import EXTRA, Array, Leaf, Object

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_callcap.records.coercion import Coerce
    from tap_callcap.records.json import JSON
    from tap_callcap.records.schema import JSONSchema
    from tap_callcap.records.shapes import Shape

HASHED = "hashed"  # the kind of such a value
OF_TEXT = frozenset({"string", "json"})  # kinds that can be hashed: a token is a text
TELEPHONE_NUMBERS = frozenset({
    "caller.caller_id",
    "accounts.campaign.callcap_number",
    "accounts.campaign.dialed_number",
    "accounts.campaign.destination_number",
})
LONG_NUMBER = 11  # digits of a North American number with its country code


@dataclass(frozen=True, slots=True)
class Hashing:
    """Which fields become tokens, by paths such as `summaries[].text`, and by what key."""

    paths: frozenset[str] = frozenset()
    key: str = ""

    def applied_to(self, shape: Object) -> Object:
        """`shape` with tokens in place of those fields.

        Raises:
            ConfigurationError: If one of them is not a text field of it.
        """
        return self._object(shape, "")

    def _object(self, shape: Object, prefix: str) -> Object:
        fields = (
            replace(field, shape=self._shape(field.shape, prefix + field.name))
            for field in shape.fields
        )
        return replace(shape, fields=tuple(fields))

    def _shape(self, shape: Shape, path: str) -> Shape:
        match shape:
            case Object():
                return self._object(shape, f"{path}.")
            case Array(items):
                return Array(self._shape(items, f"{path}[]"))
            case Leaf(kind, coerce) if path in self.paths:
                if kind not in OF_TEXT:
                    msg = (
                        f"Setting hash_fields names {path}, which is not a text field in the "
                        "catalog"
                    )
                    raise ConfigurationError(msg)
                return Leaf(HASHED, self._hashed(coerce, path in TELEPHONE_NUMBERS))
        return shape

    def _hashed(self, coerce: Coerce, is_number: bool) -> Coerce:  # noqa: FBT001 - one caller
        """The coercion that makes a token of what `coerce` returns."""
        key = self.key.encode()

        def to_token(value: JSON) -> JSON:
            try:
                text = coerce(value)
            except UnreadableError:
                text = json_text(value)  # in `_extra` anybody could read it
            if not text or text.isspace():
                return text
            plain = normalized_number(text) if is_number else text
            return hmac.digest(key, plain.encode(), "sha256").hex()

        return to_token


NO_HASHING: Hashing = Hashing()


def normalized_number(number: str) -> str:
    """A telephone number by its digits alone, without the country code of North America."""
    digits = re.sub(r"\D", "", number, flags=re.ASCII)
    if len(digits) == LONG_NUMBER and digits.startswith("1"):
        return digits[1:]
    return digits or number.strip()


def has_hidden_parts(shape: Shape) -> bool:
    """Whether parts of `shape` are hashed or not selected."""
    if isinstance(shape, Object):
        return bool(shape.passed_over) or any(
            has_hidden_parts(field.shape) for field in shape.fields
        )
    if isinstance(shape, Array):
        return has_hidden_parts(shape.items)
    return shape.kind == HASHED


def problem_with(path: str, schema: JSONSchema) -> str | None:
    """Why the field at `path` of records with `schema` cannot be hashed, if it cannot."""
    kinds = dict(_fields_of(schema, ""))
    if path not in kinds:
        near = get_close_matches(path, kinds, n=1)
        hint = f"did you mean {near[0]}?" if near else "see the paths in --discover"
        return f"names {path!r}, which is not a field: {hint}"
    if path in schema["required"]:
        return f"names {path!r}, which is a key and cannot be hashed"
    if kinds[path] not in OF_TEXT:
        return f"names {path!r}, which is not a text field"
    return None


def _fields_of(schema: JSONSchema, path: str) -> Iterator[tuple[str, str]]:
    """Paths of the plain fields of `schema`, each with its kind."""
    if "object" in schema["type"]:
        for name, part in schema["properties"].items():
            if name != EXTRA:
                yield from _fields_of(part, f"{path}.{name}" if path else name)
    elif "array" in schema["type"]:
        yield from _fields_of(schema["items"], f"{path}[]")
    else:
        yield path, kind_of(schema)

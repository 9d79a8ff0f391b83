"""From an ordinary call's JSON straight to its record: a msgspec Struct compiled from its shape.

What the decoder makes is what is written. Only what the API writes otherwise than the schema types
it is touched in between: times, the digits of numbers, absent objects. A call that is not ordinary,
for an unknown field or a value of another type, raises, and `records.py` reads it with care.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Union

import msgspec

from tap_callcap.shapes import EXTRA, Array, Object, Value
from tap_callcap.values import LARGEST_INTEGER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tap_callcap.shapes import Shape
    from tap_callcap.values import Reading

NOT_ORDINARY = (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError)
"""What the decoder raises for a call that is not ordinary."""

OF_ANY_TYPE = frozenset({"entry"})  # texts that the API writes as booleans and numbers too

# Kinds whose values are written as they come; those of any other are read.
_Integer = Annotated[int, msgspec.Meta(ge=-LARGEST_INTEGER - 1, le=LARGEST_INTEGER)]
_Never = Annotated[int, msgspec.Meta(gt=0, lt=0)]  # of what no call may have
_AS_THEY_COME: dict[str, Any] = {"string": str, "integer": _Integer, "boolean": bool}

_OF_VERSION = {"call_id": "string", "last_modified": "date-time"}  # attributes with their kinds


def tells_version(shape: Object) -> bool:
    """Whether the Structs of a shape have what makes a call's version, each as it is read here."""
    kinds = {field.name: getattr(field.shape, "kind", "") for field in shape.fields}
    return kinds.items() >= _OF_VERSION.items()


def struct_decoder(shape: Object, *, has_extra: bool) -> msgspec.json.Decoder[msgspec.Struct]:
    """The decoder of a call's JSON to its record; raises one of `NOT_ORDINARY` for some calls."""
    struct = _struct(shape, "call", [EXTRA] if has_extra else [])
    return msgspec.json.Decoder(struct, float_hook=Decimal)


def _struct(shape: Object, name: str, nulls: Sequence[str] = ()) -> type[msgspec.Struct]:
    """The Struct of an object: the fields of its shape, and `nulls`, which no call may have."""
    attributes: list[tuple[str, Any, Any]] = []
    keys: dict[str, str] = {}  # by attribute: names in JSON may be no names in Python
    finish = _Finish()

    def add(key: str, taken: Any, default: object = None) -> str:  # noqa: ANN401 - an annotation has no type
        attribute = key if key in _OF_VERSION else f"field_{len(attributes)}"
        attributes.append((attribute, taken, default))
        keys[attribute] = key
        return attribute

    for each in nulls:
        add(each, _Never)
    for field in shape.fields:
        taken = _taken(field.shape, field.name)
        attribute = add(field.key, Union[taken, None])  # noqa: UP007 - Any has no `|`
        if taken is Any and isinstance(field.shape, Value):
            finish.read(attribute, field.shape.reading)
        elif isinstance(field.shape, Object):
            finish.fill(attribute, taken())
        if field.key != field.name:  # read under one name, written under another
            finish.move(attribute, add(field.name, _Never))
    for key in sorted(shape.passed_over):
        finish.drop(add(key, Any, msgspec.UNSET))
    return msgspec.defstruct(
        name,
        attributes,
        namespace=finish.namespace,
        forbid_unknown_fields=True,
        gc=False,  # a tree of values has no cycles
        kw_only=True,
        rename=keys,
    )


def _taken(shape: Shape, name: str) -> Any:  # noqa: ANN401 - an annotation has no type
    """The type that the decoder takes; anything, where it is to be read."""
    match shape:
        case Object():
            return _struct(shape, name)
        case Array(items):
            item: Any = _taken(items, name)
            return None if item is Any else list[item]  # no list of what is to be read
        case Value(kind) if name not in OF_ANY_TYPE:
            return _AS_THEY_COME.get(kind, Any)
    return Any


class _Finish:
    """What is done to a Struct once it is decoded, as the source text of a function.

    Written out field by field, as dataclasses do: a loop over names takes three times as long.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._names: dict[str, Any] = {"UNSET": msgspec.UNSET}

    def read(self, name: str, reading: Reading) -> None:
        """Put what `reading` makes of a value in its place."""
        self._when(f"{name} is not None", name, f"{self._named(reading)}(self.{name})")

    def fill(self, name: str, empty: msgspec.Struct) -> None:
        """Put `empty` in place of an absent object."""
        self._when(f"{name} is None", name, self._named(empty))

    def move(self, name: str, other: str) -> None:
        """Put a value in another place."""
        self._lines.append(f"self.{other} = self.{name}")
        self._lines.append(f"self.{name} = UNSET")

    def drop(self, name: str) -> None:
        """Leave a value out."""
        self._when(f"{name} is not UNSET", name, "UNSET")

    @property
    def namespace(self) -> dict[str, Callable[[msgspec.Struct], None]]:
        """A class's body that does it; a ValueError in it makes the decoder raise."""
        if not self._lines:
            return {}
        source = "\n    ".join(["def finish(self):", *self._lines])
        exec(source, self._names)  # noqa: S102 - attributes of our own making, no data
        return {"__post_init__": self._names["finish"]}

    def _when(self, condition: str, name: str, value: str) -> None:
        self._lines.append(f"if self.{condition}: self.{name} = {value}")

    def _named(self, value: object) -> str:
        """The name of `value` in the source text."""
        name = f"value_{len(self._names)}"
        self._names[name] = value
        return name

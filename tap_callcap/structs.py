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


def struct_decoder(shape: Object, *, has_extra: bool) -> msgspec.json.Decoder[msgspec.Struct]:
    """The decoder of a call's JSON to its record; raises one of `NOT_ORDINARY` for some calls."""
    struct = _struct(shape, "call", [EXTRA] if has_extra else [])
    return msgspec.json.Decoder(struct, float_hook=Decimal)


def _struct(shape: Object, name: str, nulls: Sequence[str] = ()) -> type[msgspec.Struct]:
    """The Struct of an object: the fields of its shape, and `nulls`, which no call may have."""
    attributes: list[tuple[str, Any, Any]] = [(each, _Never, None) for each in nulls]
    finish = _Finish()
    keys: dict[str, str] = {}  # of the attributes that have another one in the call
    for field in shape.fields:
        attribute = field.name
        if field.key != field.name:  # read under one name, written under another
            attribute = f"{field.name}_read"
            keys[attribute] = field.key
            attributes.append((field.name, _Never, None))
            finish.moves.append((attribute, field.name))
        taken = _taken(field.shape, field.name)
        attributes.append((attribute, Union[taken, None], None))  # noqa: UP007 - Any has no `|`
        if taken is Any and isinstance(field.shape, Value):
            finish.readings.append((attribute, field.shape.reading))
        elif isinstance(field.shape, Object):
            finish.empties.append((attribute, taken()))
    for number, key in enumerate(sorted(shape.passed_over)):
        attribute = f"passed_over_{number}"
        keys[attribute] = key
        attributes.append((attribute, Any, None))
        finish.drops.append(attribute)
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
    """What is done to a Struct once it is decoded."""

    def __init__(self) -> None:
        self.readings: list[tuple[str, Reading]] = []
        self.empties: list[tuple[str, msgspec.Struct]] = []
        self.moves: list[tuple[str, str]] = []
        self.drops: list[str] = []

    @property
    def namespace(self) -> dict[str, Callable[[msgspec.Struct], None]]:
        """A class's body that does it; a ValueError in it makes the decoder raise."""
        readings, empties = tuple(self.readings), tuple(self.empties)
        moves, drops = tuple(self.moves), tuple(self.drops)

        def finish(self: msgspec.Struct) -> None:
            for name, read in readings:
                value = getattr(self, name)
                if value is not None:
                    setattr(self, name, read(value))
            for name, empty in empties:
                if getattr(self, name) is None:
                    setattr(self, name, empty)
            for name, other in moves:
                setattr(self, other, getattr(self, name))
                setattr(self, name, msgspec.UNSET)
            for name in drops:
                setattr(self, name, msgspec.UNSET)

        return {"__post_init__": finish} if readings or empties or moves or drops else {}

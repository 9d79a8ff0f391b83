"""The fast way from a call's JSON to its record: a msgspec Struct compiled from its shape.

The decoder makes the record itself. Only values that the API writes in another form than the
schema's are changed in between: times, decimal numbers, absent objects. A call with an unknown
field or a value of another type raises, and `shaper.py` converts it in the careful way.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Union

import msgspec
from msgspec import UNSET, Struct

from tap_callcap.records.coercion import LARGEST_INTEGER
from tap_callcap.records.shapes import ABSENT, EXTRA, Array, Leaf, Object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tap_callcap.records.coercion import Coerce
    from tap_callcap.records.shapes import Shape

DECODE_ERRORS = (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError)
"""What the decoder raises for a call that only the careful way can convert."""

MIXED_TYPES = frozenset({"entry"})  # texts that the API also writes as booleans and numbers

_VERSION = {"call_id": "string", "last_modified": "date-time"}  # names with their kinds

_Integer = Annotated[int, msgspec.Meta(ge=-LARGEST_INTEGER - 1, le=LARGEST_INTEGER)]
_Never = Annotated[int, msgspec.Meta(gt=0, lt=0)]  # the type of a field that no call may have
_UNCOERCED: dict[str, Any] = {"string": str, "integer": _Integer, "boolean": bool}  # by kind


def has_version(shape: Object) -> bool:
    """Whether records of a shape hold the version of their call: its id and its last change."""
    kinds = {field.name: getattr(field.shape, "kind", "") for field in shape.fields}
    return kinds.items() >= _VERSION.items()


def struct_decoder(shape: Object, *, has_extra: bool) -> msgspec.json.Decoder[Struct]:
    """The decoder of a call's JSON to its record; raises one of `DECODE_ERRORS` for some calls.

    Where the shape `has_version`, records have attributes `call_id` and `last_modified`.
    """
    struct = _struct(
        shape,
        unexpected=[EXTRA] if has_extra else [],
        required=_VERSION if has_version(shape) else [],
    )
    return msgspec.json.Decoder(struct, float_hook=Decimal)


def _struct(
    shape: Object, *, unexpected: Iterable[str] = (), required: Iterable[str] = ()
) -> type[Struct]:
    """The Struct of an object.

    Args:
        shape: Its fields.
        unexpected: Names that records have, always null, and calls must not have.
        required: Attributes that must hold more than white space.
    """
    attributes: list[tuple[str, Any, Any]] = []
    keys: dict[str, str] = {}  # by attribute, because a key need not be a name in Python

    def add(key: str, kind: Any, default: object = None) -> str:  # noqa: ANN401 - an annotation has no type
        attribute = key if key in _VERSION else f"field_{len(attributes)}"
        attributes.append((attribute, kind, default))
        keys[attribute] = key
        return attribute

    coerced: list[tuple[str, Coerce]] = []
    objects: list[str] = []
    renamed: list[tuple[str, str]] = []
    for name in unexpected:
        add(name, _Never)
    for field in shape.fields:
        kind = _type_of(field.shape, field.name)
        attribute = add(field.key, Union[kind, None])  # noqa: UP007 - Any has no `|`
        if isinstance(field.shape, Object):
            objects.append(attribute)
        elif isinstance(field.shape, Leaf) and kind is Any:
            coerced.append((attribute, field.shape.coerce))
        if field.key != field.name:
            renamed.append((attribute, add(field.name, _Never)))
    dropped = [add(key, Any, UNSET) for key in sorted(shape.passed_over)]

    needs_finish = coerced or objects or renamed or dropped
    finish = _finisher(coerced, objects, renamed, dropped, required)
    return msgspec.defstruct(
        "Object",
        attributes,
        namespace={"__post_init__": finish} if needs_finish else {},
        forbid_unknown_fields=True,
        gc=False,  # a tree of values has no cycles
        kw_only=True,
        rename=keys,
    )


def _finisher(
    coerced: Sequence[tuple[str, Coerce]],
    objects: Sequence[str],
    renamed: Sequence[tuple[str, str]],
    dropped: Sequence[str],
    required: Iterable[str],
) -> Callable[[Struct], None]:
    """What the decoder calls with each Struct; a ValueError in it makes the decoder raise."""

    def finish(struct: Struct) -> None:
        for name, coerce in coerced:
            value = getattr(struct, name)
            if value is not None:
                setattr(struct, name, coerce(value))
        for name in objects:
            if getattr(struct, name) is None:
                setattr(struct, name, ABSENT)
        for name, other in renamed:
            setattr(struct, other, getattr(struct, name))
            setattr(struct, name, UNSET)
        for name in dropped:
            setattr(struct, name, UNSET)
        for name in required:
            value = getattr(struct, name)
            if not value or value.isspace():
                raise ValueError

    return finish


def _type_of(shape: Shape, name: str) -> Any:  # noqa: ANN401 - an annotation has no type
    """The type that the decoder takes for a value; `Any` where it is coerced."""
    match shape:
        case Object():
            return _struct(shape)
        case Array(items):
            item: Any = _type_of(items, name)
            return None if item is Any else list[item]  # items that are coerced: the careful way
        case Leaf(kind) if name not in MIXED_TYPES:
            return _UNCOERCED.get(kind, Any)
    return Any

"""From an ordinary call's JSON straight to its record: a msgspec Struct compiled from its shape.

What the decoder makes is what is written. Only what the API writes otherwise than the schema types
it is touched in between: times, the digits of numbers, absent objects. A call that is not ordinary,
for an unknown field or a value of another type, raises, and `records.py` reads it with care.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Union

import msgspec

from tap_callcap.records.coercion import LARGEST_INTEGER
from tap_callcap.records.shapes import EXTRA, Array, Leaf, Object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tap_callcap.records.coercion import Coerce
    from tap_callcap.records.shapes import Shape

NOT_ORDINARY = (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError)
"""What the decoder raises for a call that is not ordinary."""

DEEPEST = 50  # objects in objects, finished in one function; Python indents a hundred times only
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


def struct_decoder(
    shape: Object, *, has_extra: bool, as_dict: bool = False
) -> msgspec.json.Decoder[msgspec.Struct]:
    """The decoder of a call's JSON to its record; raises one of `NOT_ORDINARY` for some calls.

    Where `tells_version` says so, each record has the `call_id` and `last_modified` of its version.
    Absent objects are in it as they are written, unless it is to be made `as_dict`.
    """
    struct = _struct(
        shape,
        "call",
        _Finish(as_dict=as_dict),
        nulls=[EXTRA] if has_extra else [],
        needed=_OF_VERSION if tells_version(shape) else [],
    )
    return msgspec.json.Decoder(struct, float_hook=Decimal)


def _struct(
    shape: Object,
    name: str,
    finish: _Finish,
    *,
    nulls: Iterable[str] = (),
    needed: Iterable[str] = (),
) -> type[msgspec.Struct]:
    """The Struct of an object, and in `finish` what is done to it once it is decoded.

    Args:
        shape: Its fields.
        name: For whoever debugs it.
        finish: Where an object is part of another, this is part of the other's.
        nulls: Further fields, which no call may have.
        needed: Attributes that every call must have, with more than spaces.
    """
    attributes: list[tuple[str, Any, Any]] = []
    keys: dict[str, str] = {}  # by attribute: names in JSON may be no names in Python

    def add(key: str, taken: Any, default: object = None) -> str:  # noqa: ANN401 - an annotation has no type
        attribute = key if key in _OF_VERSION else f"field_{len(attributes)}"
        attributes.append((attribute, taken, default))
        keys[attribute] = key
        return attribute

    for each in nulls:
        add(each, _Never)
    for field in shape.fields:
        inner = finish.inner()
        taken = _taken(field.shape, field.name, inner)
        attribute = add(field.key, Union[taken, None])  # noqa: UP007 - Any has no `|`
        if taken is Any and isinstance(field.shape, Leaf):
            finish.read(attribute, field.shape.coerce)
        elif isinstance(field.shape, Object):
            finish.enter(attribute, inner, taken())
        if field.key != field.name:  # read under one name, written under another
            finish.move(attribute, add(field.name, _Never))
    for key in sorted(shape.passed_over):
        finish.drop(add(key, Any, msgspec.UNSET))
    for attribute in needed:
        finish.need(attribute)
    return msgspec.defstruct(
        name,
        attributes,
        namespace=finish.namespace,
        forbid_unknown_fields=True,
        gc=False,  # a tree of values has no cycles
        kw_only=True,
        rename=keys,
    )


def _taken(shape: Shape, name: str, inner: _Finish) -> Any:  # noqa: ANN401 - an annotation has no type
    """The type that the decoder takes; anything, where it is to be read."""
    match shape:
        case Object():
            return _struct(shape, name, inner)
        case Array(items):
            item: Any = _taken(items, name, inner.apart())
            return None if item is Any else list[item]  # no list of what is to be read
        case Leaf(kind) if name not in OF_ANY_TYPE:
            return _AS_THEY_COME.get(kind, Any)
    return Any


class _Finish:
    """What is done to a Struct once it is decoded, as the source text of a function.

    Written out field by field, as dataclasses do: a loop over names takes three times as long. So
    are the Structs in it, since a call of a function for each would cost as much as what it does.
    """

    def __init__(
        self, *, as_dict: bool, depth: int = 0, names: dict[str, Any] | None = None
    ) -> None:
        self.struct = f"struct_{depth}"
        self.lines: list[str] = []
        self._as_dict = as_dict
        self._depth = depth
        self._names: dict[str, Any] = {"UNSET": msgspec.UNSET} if names is None else names

    def inner(self) -> _Finish:
        """The same for a Struct in this one: a part of it, or one of its own far down."""
        if self._depth == DEEPEST:
            return self.apart()
        return _Finish(as_dict=self._as_dict, depth=self._depth + 1, names=self._names)

    def apart(self) -> _Finish:
        """The same for a Struct that is finished by itself."""
        return _Finish(as_dict=self._as_dict)

    def read(self, name: str, coerce: Coerce) -> None:
        """Put what `reading` makes of a value in its place."""
        self.lines += [
            f"value = {self._at(name)}",
            "if value is not None:",
            f"    {self._at(name)} = {self._named(coerce)}(value)",
        ]

    def enter(self, name: str, inner: _Finish, empty: msgspec.Struct) -> None:
        """Put `empty` in place of an absent object, and finish one that is there."""
        lines = inner.lines if inner.is_part else []
        if lines:
            inner.function(empty)
        # Encoded once, not with each call.
        absent = empty if self._as_dict else msgspec.Raw(msgspec.json.encode(empty))
        self.lines += [
            f"struct_{self._depth + 1} = {self._at(name)}",
            f"if struct_{self._depth + 1} is None:",
            f"    {self._at(name)} = {self._named(absent)}",
        ]
        if lines:
            self.lines += ["else:", *(f"    {line}" for line in lines)]

    def move(self, name: str, other: str) -> None:
        """Put a value in another place."""
        self.lines.append(f"{self._at(other)} = {self._at(name)}")
        self.lines.append(f"{self._at(name)} = UNSET")

    def drop(self, name: str) -> None:
        """Leave a value out."""
        self.lines.append(f"{self._at(name)} = UNSET")

    def need(self, name: str) -> None:
        """Refuse a text that is absent or blank."""
        self.lines.append(
            f"if not {self._at(name)} or {self._at(name)}.isspace(): raise ValueError"
        )

    @property
    def namespace(self) -> dict[str, Callable[[msgspec.Struct], None]]:
        """A class's body that does it; a ValueError in it makes the decoder raise."""
        return {"__post_init__": self.function} if self.lines and not self.is_part else {}

    @property
    def is_part(self) -> bool:
        """Whether the Struct is finished by the function of the one that it is in."""
        return self._depth > 0

    @property
    def function(self) -> Callable[[msgspec.Struct], None]:
        """What does it to a Struct."""
        source = "\n    ".join([f"def finish({self.struct}):", *self.lines])
        exec(source, self._names)  # noqa: S102 - attributes of our own making, no data
        function: Callable[[msgspec.Struct], None] = self._names.pop("finish")
        return function

    def _at(self, name: str) -> str:
        return f"{self.struct}.{name}"

    def _named(self, value: object) -> str:
        """The name of `value` in the source text."""
        name = f"value_{len(self._names)}"
        self._names[name] = value
        return name

"""Stream maps: names in them that fit nothing, numbers in them, and errors that say where."""

from __future__ import annotations

import ast
import json
from decimal import Decimal
from difflib import get_close_matches
from fnmatch import fnmatch
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from singer_sdk.exceptions import ConfigurationError
from singer_sdk.mapper import NULL_STRING, CustomStreamMap, RemoveRecordTransform

from tap_callcap.singer.selection import selected_part

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from singer_sdk.mapper import StreamMap

    from tap_callcap.records.shaper import Record
    from tap_callcap.singer.stream import CallcapStream

FILTER = "__filter__"
OPTIONS = ("__alias__", "__else__", FILTER, "__key_properties__", "__source__")
OF_EXPRESSIONS = frozenset({"_", "record", "config", "__stream_name__", "__original_stream_name__"})
"""Names in expressions besides properties and functions; `fake` needs Faker."""
ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)


def check_stream_maps(maps: Mapping[str, Any], streams: Sequence[CallcapStream]) -> None:
    """Check that each stream and property that stream maps name exists.

    Raises:
        ConfigurationError: If one does not: what a map was to remove would go out.
    """
    parts = {key: part if isinstance(part, dict) else {} for key, part in maps.items()}
    for key, options in parts.items():  # all of them first: the SDK would not say where
        _check_alias(key, options)
        for name, expression in options.items():
            if name not in OPTIONS or name == FILTER:
                _check_syntax(f"{key}.{name}", expression)
    for key, options in parts.items():
        source = options.get("__source__", key)
        found = [stream for stream in streams if fnmatch(stream.name, str(source))]
        if not found:
            place = f"{key}.__source__" if "__source__" in options else key
            names = [stream.name for stream in streams]
            msg = f"Setting stream_maps.{place} names no stream{_near(str(source), names)}"
            raise ConfigurationError(msg)
        for name, expression in options.items():
            if problem := _problem(name, expression, found):
                msg = f"Setting stream_maps.{key}.{name} {problem}"
                raise ConfigurationError(msg)
    _check_names_written(streams)


def _check_alias(key: str, options: Mapping[str, Any]) -> None:
    """Check that the `__alias__` in the map `key` can be the name of a stream."""
    if "__alias__" not in options:
        return
    if "__source__" in options:  # the SDK would make it a property
        wrong = f"has no effect beside __source__: rename {key}"
    elif not options["__alias__"]:
        wrong = "must not be empty"
    else:
        return
    msg = f"Setting stream_maps.{key}.__alias__ {wrong}"
    raise ConfigurationError(msg)


def _check_names_written(streams: Sequence[CallcapStream]) -> None:
    """Check that no two streams are written under one name: a target would mix their records."""
    names: set[str] = set()
    for stream in streams:
        for each in stream.stream_maps if stream.selected else ():
            if isinstance(each, RemoveRecordTransform):
                continue
            if each.stream_alias in names:
                msg = (
                    f"Setting stream_maps writes two streams as {each.stream_alias}: give each a "
                    "name of its own"
                )
                raise ConfigurationError(msg)
            names.add(each.stream_alias)


def _check_syntax(place: str, expression: object) -> None:
    """Check that what stands at `place` in stream maps is one expression, if it is text."""
    if not isinstance(expression, str) or expression == NULL_STRING:
        return
    try:
        statements = ast.parse(expression).body  # of which the SDK would take the first
    except (SyntaxError, ValueError):
        statements = []
    if len(statements) != 1 or not isinstance(statements[0], ast.Expr):
        msg = (
            f"Setting stream_maps.{place} is no expression: write a property, a calculation, or a "
            "fixed text in quotes of its own, as \"'text'\""
        )
        raise ConfigurationError(msg)


def _problem(name: str, expression: object, streams: Sequence[CallcapStream]) -> str | None:
    """What is wrong with a property's expression, or with an option, in a map of `streams`."""
    if name.startswith("__") and name not in OPTIONS:
        return f"is no option of stream maps{_near(name, OPTIONS)}"
    if name in OPTIONS and name != FILTER:
        return None
    known = {
        each
        for stream in streams
        for schema in (stream.schema, stream.effective_schema)
        for each in schema["properties"]
    }
    if expression is None or expression == NULL_STRING:
        if name == FILTER or name in known:
            return None
        return f"removes a property that does not exist{_near(name, known)}"
    for stream in streams:
        if isinstance(expression, str) and stream.selected:
            for used in _unknown_names(name, expression, stream):
                why = "is not selected" if used in known else "does not exist"
                return f"uses {used}, which {why}{_near(used, known - {used})}"
    return None


def _unknown_names(name: str, expression: str, stream: CallcapStream) -> list[str]:
    """The names in the expression for a property that are nothing of a stream's records."""
    custom = next(each for each in stream.stream_maps if isinstance(each, CustomStreamMap))
    selected = selected_part(stream.effective_schema, stream.mask)["properties"]
    known = {*selected, *custom.expr_evaluator.functions, *OF_EXPRESSIONS}
    known |= ({"self"} if name in selected else set()) | ({"fake"} if custom.fake else set())
    nodes = [*ast.walk(ast.parse(expression))]
    names = [node for node in nodes if isinstance(node, ast.Name)]
    known |= {node.id for node in names if isinstance(node.ctx, ast.Store)}
    options = custom.map_config or {}
    unset = [
        f"config[{node.slice.value!r}]"
        for node in nodes
        if isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and node.value.id == "config"
        and isinstance(node.slice, ast.Constant)
        and node.slice.value not in options
    ]
    return [node.id for node in names if node.id not in known] + unset


def _near(name: str, known: Collection[str]) -> str:
    if any(name.startswith(f"{each}_") for each in known):
        return ": stream maps see records before they are flattened"
    near = get_close_matches(name, sorted(known), n=1)
    return f": did you mean {near[0]}?" if near else ""


def prepare(stream_map: StreamMap) -> None:
    """Let expressions take what records hold; where one fails, name it."""
    if isinstance(stream_map, CustomStreamMap):
        evaluator = stream_map.expr_evaluator
        _let_absent_fields_be_null(evaluator)
        for kind in ARITHMETIC:
            evaluator.operators[kind] = partial(_calculate, evaluator.operators[kind])
        dumps = partial(json.dumps, default=float)  # of Decimal, which json does not know
        evaluator.functions["json"] = SimpleNamespace(dumps=dumps, loads=json.loads)
        stream_map.transform = partial(_with_keys, stream_map.transform, stream_map)  # type: ignore[method-assign]
        evaluate = stream_map._eval  # noqa: SLF001 - the SDK has nothing public
        stream_map._eval = partial(_evaluate, evaluate, stream_map.stream_alias)  # type: ignore[method-assign]  # noqa: SLF001


def _calculate(operator: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:  # noqa: ANN401 - any values
    """`left` and `right` by `operator`; a Decimal, which records hold, and a float as Decimals."""
    if isinstance(left, Decimal) and isinstance(right, float):
        right = Decimal(str(right))
    elif isinstance(left, float) and isinstance(right, Decimal):
        left = Decimal(str(left))
    return operator(left, right)


def _evaluate(evaluate: Callable[..., Any], alias: str, **parts: Any) -> Any:  # noqa: ANN401 - any values
    """What an expression makes of a record.

    Raises:
        ConfigurationError: If it fails; the message holds no value.
    """
    try:
        return evaluate(**parts)
    except Exception as error:
        msg = (
            f"The expression for {parts['property_name'] or FILTER} of {alias} in "
            f"stream_maps failed with {type(error).__name__} for a record. Most "
            "properties may be null: write (revenue or 0), or (notes or '')"
        )
        raise ConfigurationError(msg) from error


def _with_keys(
    transform: Callable[[Record], dict[str, Any] | None], stream_map: StreamMap, record: Record
) -> dict[str, Any] | None:
    """What `transform` makes of a record.

    Raises:
        ConfigurationError: If it has no key, so that a target could not tell it from others.
    """
    mapped = transform(record)
    if mapped is not None:
        for key in stream_map.transformed_key_properties or ():
            if mapped.get(key) is None:
                msg = (
                    f"The key {key} of {stream_map.stream_alias} is null for a record: correct "
                    f"stream_maps, its {key} or its __key_properties__"
                )
                raise ConfigurationError(msg)
    return mapped


def _let_absent_fields_be_null(evaluator: Any) -> None:  # noqa: ANN401 - simpleeval has no types
    """Let `caller['zip']` be null where a record's `caller` is absent, and so on further in."""
    subscript: Callable[[ast.Subscript], Any] = evaluator.nodes[ast.Subscript]

    def field(node: ast.Subscript) -> Any:  # noqa: ANN401 - any value of a record
        try:
            return subscript(node)
        except (KeyError, TypeError):
            if evaluator.nodes[type(node.value)](node.value) in ({}, None):
                return None
            raise

    evaluator.nodes[ast.Subscript] = field

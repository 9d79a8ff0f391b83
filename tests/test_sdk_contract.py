"""What the tap uses of the SDK's inside: where a new version of the SDK breaks it, this says so."""

from __future__ import annotations

import ast
import inspect
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import pytest
from singer_sdk import Stream, Tap
from singer_sdk.about import TextFormatter
from singer_sdk.mapper import CustomStreamMap, PluginMapper, StreamMap
from singer_sdk.singerlib.encoding import GenericSingerWriter

import tap_callcap
from tap_callcap.singer.full_table import FullTableStream
from tap_callcap.singer.incremental import IncrementalStream
from tap_callcap.singer.stream import CallcapStream
from tap_callcap.singer.writer import BlockWriter
from tap_callcap.streams import STREAMS
from tap_callcap.tap import TapCallcap

PACKAGE = Path(tap_callcap.__file__).parent
KNOWS_THE_SDK = ("singer/", "tap.py")
"""The modules that may use private names of the SDK."""

PRIVATE_IMPORTS = {
    "singer_sdk.helpers._batch.BatchConfig",
    "singer_sdk.helpers._batch.SDKBatchMessage",
    "singer_sdk.helpers._flattening.FlatteningOptions",
    "singer_sdk.helpers._flattening.flatten_key",
    "singer_sdk.helpers._util.load_json",
    "singer_sdk.plugin_base._ConfigInput",
}
PRIVATE_ATTRIBUTES = {
    Stream: {
        "_input_schema",
        "_mask",
        "_metadata",
        "_stream_maps",
        "_stream_version",
        "_tap",
        "_tap_input_catalog",
    },
    Tap: {"_config"},
}
"""Set by the SDK's `__init__`."""

PRIVATE_METHODS: dict[tuple[type, str], str] = {
    (CustomStreamMap, "_eval"): "(self, expr, expr_parsed, record, property_name)",
    (Stream, "_check_max_record_limit"): "(self, current_record_index)",
    (Stream, "_finalize_state"): "(self, state)",
}
"""Called by the tap."""

OVERRIDDEN: dict[tuple[type, str], str] = {
    (Stream, "_sync_batches"): "(self, batch_config, context)",
    (Stream, "_sync_records"): "(self, context, *, write_messages)",
    (Stream, "_write_state_message"): "(self)",
    (Stream, "get_records"): "(self, context)",
    (Stream, "get_replication_key_signpost"): "(self, context)",
    (Stream, "log"): "(self, message, *args, level, **kwargs)",
    (Stream, "metadata"): "property",
    (Stream, "stream_maps"): "property",
    (Tap, "_handle_termination"): "(self, signum, frame)",
    (Tap, "_setup_signal_handlers"): "(self)",
    (Tap, "_validate_config"): "(self, *, raise_errors)",
    (Tap, "cb_config"): "(ctx, param, value)",
    (Tap, "cb_test"): "(ctx, param, value)",
    (Tap, "discover_streams"): "(self)",
    (Tap, "get_singer_command"): "()",
    (Tap, "invoke"): "(*, about, about_format, config, state, catalog)",
    (Tap, "setup_mapper"): "(self)",
    (Tap, "sync_all"): "(self)",
    (GenericSingerWriter, "serialize_message"): "(self, message)",
    (GenericSingerWriter, "write_message"): "(self, message)",
}
"""Overridden by the tap, or set on an instance of the SDK's."""

CALLED: dict[tuple[type, str], str] = {
    (PluginMapper, "register_raw_stream_schema"): "(self, stream_name, schema, key_properties)",
    (StreamMap, "flatten_record"): "(self, record)",
    (StreamMap, "transform"): "(self, record)",
    (TextFormatter, "format_about"): "(self, about_info)",
    (Tap, "append_builtin_config"): "(config_jsonschema)",
}
"""Public, and not made for subclasses or scripts; two of them are replaced."""

SIGNATURES: dict[tuple[type, str], str] = PRIVATE_METHODS | OVERRIDDEN | CALLED
OURS: dict[type, list[type]] = {
    Stream: [CallcapStream, IncrementalStream, FullTableStream, *STREAMS],
    Tap: [TapCallcap],
    GenericSingerWriter: [BlockWriter],
}
SHARED = {"__doc__", "__init__", "__module__", "__parameters__", "__orig_bases__"}
"""Names that every class has."""


def signature_of(method: Any) -> str:
    """A signature without types and defaults, or the kind of a property."""
    if isinstance(method, (property, cached_property)):
        return "property"
    parameters = [
        each.replace(annotation=inspect.Parameter.empty, default=inspect.Parameter.empty)
        for each in inspect.signature(method).parameters.values()
    ]
    return str(inspect.Signature(parameters))


@pytest.mark.parametrize(
    ("owner", "name"), SIGNATURES, ids=[f"{owner.__name__}.{name}" for owner, name in SIGNATURES]
)
def test_a_method_is_as_the_tap_expects(owner: type, name: str) -> None:
    """It exists with the parameters that the tap passes on, or gets as an override."""
    assert signature_of(getattr(owner, name)) == SIGNATURES[owner, name]


@pytest.mark.parametrize("name", sorted(PRIVATE_IMPORTS))
def test_a_private_name_can_be_imported(name: str) -> None:
    """The SDK still has it, in the same module."""
    module, _, attribute = name.rpartition(".")
    assert hasattr(import_module(module), attribute)


def test_private_attributes_are_set() -> None:
    """The SDK's `__init__` still sets what the tap reads."""
    tap = TapCallcap(config={"api_key": "key"})
    for owner, names in PRIVATE_ATTRIBUTES.items():
        instance: Any = tap if owner is Tap else tap.streams["calls"]
        assert {name for name in names if not hasattr(instance, name)} == set()


def test_every_override_is_listed() -> None:
    """Each method of ours that replaces one of the SDK's stands in `OVERRIDDEN`."""
    found = {
        (owner, name)
        for owner, classes in OURS.items()
        for ours in classes
        for name, value in vars(ours).items()
        if name in dir(owner) and name not in SHARED
        if inspect.isroutine(value) or isinstance(value, (property, cached_property))
        if not name.startswith("__")
    }
    assert found - set(OVERRIDDEN) == set()
    assert set(OVERRIDDEN) - found == set()


def private_imports(tree: ast.Module) -> set[str]:
    """Full names of what a module imports from private places of the SDK."""
    nodes = [each for each in ast.walk(tree) if isinstance(each, (ast.Import, ast.ImportFrom))]
    names = {
        f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
        for node in nodes
        for alias in node.names
    }
    return {
        name
        for name in names
        if name.startswith("singer_sdk.") and any(part[0] == "_" for part in name.split("."))
    }


def private_uses(tree: ast.Module) -> set[str]:
    """Names with an underscore of attributes that a module reads, sets or calls."""
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr[0] == "_" and node.attr[:2] != "__"
    }


class BareStream(Stream):
    """A stream that has only what the SDK gives it."""

    def get_records(self, context: Any) -> list[dict[str, Any]]:  # noqa: PLR6301 - the SDK's signature
        """None."""
        del context
        return []


class BareTap(Tap):
    """A tap that has only what the SDK gives it."""

    name = "bare"
    config_jsonschema: ClassVar[dict[str, Any]] = {"properties": {}}

    def discover_streams(self) -> list[BareStream]:
        """One."""
        schema = {"type": "object", "properties": {"id": {"type": "string"}}}
        return [BareStream(self, schema=schema, name="stream")]


def sdk_names() -> set[str]:
    """Private names of the SDK's classes, and of what they set on their instances."""
    tap = BareTap(config={})
    stream = tap.streams["stream"]
    instances = [tap, stream, tap.mapper, stream.state_manager, *stream.stream_maps]
    names = {name for each in instances for name in {*dir(each), *vars(each)}}
    return {name for name in names if name[0] == "_" and name[:2] != "__"}


@pytest.mark.parametrize(
    "file",
    sorted(PACKAGE.rglob("*.py")),
    ids=lambda file: file.relative_to(PACKAGE).as_posix(),
)
def test_no_other_private_name_is_used(file: Path) -> None:
    """Whoever needs another one lists it here, and only where the SDK's inside is known."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    listed = set().union(*PRIVATE_ATTRIBUTES.values()) | {name for _, name in SIGNATURES}
    if file.relative_to(PACKAGE).as_posix().startswith(KNOWS_THE_SDK):
        assert private_imports(tree) - PRIVATE_IMPORTS == set()
        assert (private_uses(tree) & sdk_names()) - listed == set()
    else:
        assert private_imports(tree) == set()


def test_the_lists_have_nothing_that_is_not_used() -> None:
    """What the tap has stopped using leaves the lists."""
    trees = [ast.parse(each.read_text(encoding="utf-8")) for each in PACKAGE.rglob("*.py")]
    assert set().union(*map(private_imports, trees)) == PRIVATE_IMPORTS
    uses = set().union(*map(private_uses, trees))
    listed = set().union(*PRIVATE_ATTRIBUTES.values()) | {name for _, name in PRIVATE_METHODS}
    assert listed - uses == set()

"""The tap: its settings, its streams, its command line."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from copy import deepcopy
from functools import partial
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from click import ClickException, Option
from singer_sdk import Tap
from singer_sdk.about import TextFormatter
from singer_sdk.exceptions import ConfigurationError, ConfigValidationError, FatalAPIError
from singer_sdk.helpers.capabilities import PluginCapabilities, TapCapabilities
from singer_sdk.tap_base import CliTestOptionValue

from tap_callcap.environment import read_dotenv, read_environment, typed, unused_variables
from tap_callcap.redaction import redact_logs
from tap_callcap.settings import SETTINGS, client_of
from tap_callcap.signals import HANG_UP, ignore_signals
from tap_callcap.singer.incremental import IncrementalStream
from tap_callcap.singer.inputs import (
    apply_selection,
    check_catalog,
    check_selected,
    check_state,
    read_json_object,
    with_replication_methods,
)
from tap_callcap.singer.maps import check_stream_maps
from tap_callcap.singer.storage import FORMATS, check_batch_config
from tap_callcap.singer.stream import CallcapStream
from tap_callcap.singer.writer import BlockWriter
from tap_callcap.streams import STREAMS
from tap_callcap.validation import config_errors, settings_without_effect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    from click import Command, Context
    from singer_sdk.about import AboutInfo
    from singer_sdk.helpers.capabilities import CapabilitiesEnum
    from singer_sdk.plugin_base import _ConfigInput
    from singer_sdk.singerlib.encoding import GenericSingerWriter

    from tap_callcap.api.client import Client
    from tap_callcap.records.schema import JSONSchema
    from tap_callcap.settings import Settings

FROM_ENVIRONMENT = "ENV"  # instead of a file


class _AboutText(TextFormatter, format_name="text"):
    """What `--about` says without `--format`: the SDK's text, with descriptions of the settings."""

    def format_about(self, about_info: AboutInfo) -> str:
        text = super().format_about(about_info)
        for name, part in about_info.settings["properties"].items():
            line = f"  - Name: {name}\n"
            text = text.replace(line, f"{line}    Description: {part['description']}\n")
        return text


class TapCallcap(Tap):
    """Singer tap for Callcap call tracking."""

    name = "tap-callcap"
    config_jsonschema: ClassVar[JSONSchema] = deepcopy(SETTINGS)  # the SDK's are added below
    message_writer_class: type[GenericSingerWriter[Any, Any]] = BlockWriter
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        # Without ACTIVATE_VERSION: a target would delete the calls that were edited meanwhile.
        TapCapabilities.CATALOG,
        TapCapabilities.STATE,
        TapCapabilities.DISCOVER,
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.BATCH,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]

    def __init__(
        self,
        *,
        client_factory: Callable[[Settings], Client] = client_of,
        config: dict[str, Any] | None = None,
        parse_env_config: bool = False,
        **options: Any,
    ) -> None:
        self.client_factory = client_factory
        environment = self._read_environment() if parse_env_config else {}
        catalog = options.get("catalog")
        if isinstance(catalog, dict):
            options["catalog"] = with_replication_methods(catalog)
        super().__init__(config={**(config or {}), **environment}, **options)
        streams = self._streams_of_this_tap()
        if self.input_catalog is not None:
            apply_selection(streams, self.input_catalog)
            check_selected(streams)
        if options.get("setup_mapper", True):
            check_stream_maps(self.config.get("stream_maps") or {}, streams)
            if "batch_config" in self.config:
                check_batch_config(self.config["batch_config"])

    @classmethod
    def _read_environment(cls) -> dict[str, Any]:
        """The settings in the environment, and below them those in `.env` of the working folder."""
        return read_environment({**read_dotenv(), **os.environ}, cls.config_jsonschema)

    @classmethod
    def _warn_of_unused_variables(cls, given: _ConfigInput) -> None:
        environment: dict[str, str | None] = dict(os.environ)
        with suppress(ConfigurationError, OSError):  # an error only where .env is to be read
            environment = {**read_dotenv(), **environment}
        schema, is_read = cls.config_jsonschema, given.parse_env
        config = given.config | (read_environment(environment, schema) if is_read else {})
        for line in (
            *unused_variables(environment, schema, config, is_read=is_read),
            *settings_without_effect(config),
        ):
            cls.logger.warning("%s", line)

    def _streams_of_this_tap(self) -> list[CallcapStream]:
        return [stream for stream in self.streams.values() if isinstance(stream, CallcapStream)]

    @classmethod
    def cb_config(cls, ctx: Context, param: Option, value: tuple[str, ...]) -> _ConfigInput:
        """Read the config, and from here on hide its secrets in the log."""
        given = super().cb_config(ctx, param, tuple({FROM_ENVIRONMENT}.intersection(value)))
        for name in value:
            if name != FROM_ENVIRONMENT:  # read once: it may be a pipe
                read = partial(Path(name).read_text, encoding="utf-8")
                given.config |= read_json_object(read, f"config {name}")[1]
        config = given.config | (cls._read_environment() if given.parse_env else {})
        parts = cls.config_jsonschema["properties"].items()
        secrets = (config.get(name) for name, part in parts if part.get("secret"))
        redact_logs(secret for secret in secrets if isinstance(secret, str) and secret)
        return given

    @classmethod
    def get_singer_command(cls) -> Command:
        """The command, with this tap's meaning of `--test` in its help."""
        command = super().get_singer_command()
        for param in command.params:
            if isinstance(param, Option) and param.name == "test":
                param.help = (
                    "Check with Callcap that api_key, timezone and page_size work, without "
                    "writing records. --test=schema writes the schemas without a request."
                )
        return command

    @classmethod
    def cb_test(cls, ctx: Context, param: Option, value: str) -> None:
        """Check that calls can be read; the SDK would write a record of each stream instead."""
        if value == CliTestOptionValue.Disabled.value:
            return
        if value not in {known.value for known in CliTestOptionValue}:
            msg = f"--test={value} is unknown: write --test, or --test=schema"
            raise ConfigurationError(msg)
        given: _ConfigInput = ctx.params["config"]
        cls._warn_of_unused_variables(given)
        if value == CliTestOptionValue.Schema.value:
            super().cb_test(ctx, param, value)  # which exits
        tap = cls(config=given.config, parse_env_config=given.parse_env)
        for stream in tap.streams.values():
            if isinstance(stream, IncrementalStream):
                stream.check()
        ctx.exit()

    @classmethod
    def invoke(cls, **options: Any) -> None:
        """Check the files, then run; an error in them is one line."""
        names = [stream.name for stream in STREAMS]
        for option, check in (("state", check_state), ("catalog", check_catalog)):
            if options.get(option) is not None:
                text, value = read_json_object(options[option].read, option)
                check(value, names)
                options[option] = StringIO(text)
        if not options.get("about"):
            cls._warn_of_unused_variables(options["config"])
        try:
            super().invoke(**options)
        except ConfigValidationError as error:  # of which the SDK would write several lines
            raise ConfigurationError(str(error)) from None
        except BrokenPipeError:
            msg = "The target has ended before the tap: see the target's log"
            raise ClickException(msg) from None

    def discover_streams(self) -> Sequence[CallcapStream]:
        """Every stream of the tap."""
        return [stream(self) for stream in STREAMS]

    def setup_mapper(self) -> None:
        """Set the mapper up; each stream that is selected registers itself."""
        super(Tap, self).setup_mapper()

    def sync_all(self) -> None:  # type: ignore[misc]  # final, but there is no hook at a run's end
        """Read every selected stream, then fail if a stream deferred a failure."""
        try:
            super().sync_all()
        except BaseException:  # a signal, too
            for stream in self.streams.values():
                if isinstance(stream, IncrementalStream):
                    stream.log_early_end()
            raise
        streams = (each for each in self.streams.values() if isinstance(each, CallcapStream))
        if lines := [line for stream in streams for line in stream.failures]:
            raise FatalAPIError("; ".join(lines))

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the SDK's signature
        """End the run after whole lines, the last of them the STATE of the last checkpoint."""
        ignore_signals()
        leave = partial(sys.exit, 128 + signum)
        if isinstance(self.message_writer, BlockWriter):
            self.message_writer.stop(leave)
        else:
            leave()

    def _setup_signal_handlers(self) -> None:
        super()._setup_signal_handlers()
        # The SDK leaves SIGHUP out; nohup has it ignored.
        if HANG_UP is not None and signal.getsignal(HANG_UP) is not signal.SIG_IGN:
            signal.signal(HANG_UP, self._handle_termination)

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Check the config; the SDK's own messages would show values, perhaps the key.

        Raises:
            ConfigValidationError: If it is wrong and `raise_errors`.
        """
        for name in [name for name, value in self._config.items() if value is None]:
            del self._config[name]  # the SDK would take a null, which templates leave, for a value
        for name, part in self.config_jsonschema["properties"].items():
            if "number" in part["type"] and isinstance(self._config.get(name), str):
                self._config[name] = typed(self._config[name], part["type"])  # Meltano sends texts
        errors = config_errors(self._config, self.config_jsonschema)
        if errors and raise_errors:
            raise ConfigValidationError("; ".join(errors), errors=errors)
        return errors


TapCallcap.append_builtin_config(TapCallcap.config_jsonschema)
_BATCHES = TapCallcap.config_jsonschema["properties"]["batch_config"]["properties"]
_BATCHES["encoding"]["properties"]["format"]["enum"] = [*FORMATS]  # SDK 0.54 does not know all

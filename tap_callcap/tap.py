"""The tap: its settings and its streams."""

from __future__ import annotations

import os
import signal
import sys
import threading
from copy import deepcopy
from functools import partial
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from click import Option
from dotenv import find_dotenv, load_dotenv
from singer_sdk import Tap
from singer_sdk.exceptions import ConfigurationError, ConfigValidationError, FatalAPIError
from singer_sdk.helpers._classproperty import classproperty  # noqa: PLC2701 - as its users
from singer_sdk.helpers.capabilities import PluginCapabilities, TapCapabilities
from singer_sdk.tap_base import CliTestOptionValue

from tap_callcap.redaction import redact_logs
from tap_callcap.settings import SETTINGS, client_of, read_environment
from tap_callcap.singer.incremental import IncrementalStream
from tap_callcap.singer.inputs import check_catalog, check_selected, check_state, read_json_object
from tap_callcap.singer.stream import CallcapStream
from tap_callcap.singer.writer import BlockWriter
from tap_callcap.streams import STREAMS
from tap_callcap.validation import problems

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    from click import Command, Context
    from singer_sdk.helpers.capabilities import CapabilitiesEnum
    from singer_sdk.plugin_base import _ConfigInput
    from singer_sdk.singerlib.encoding import GenericSingerWriter

    from tap_callcap.api.client import Client
    from tap_callcap.records.schema import JSONSchema
    from tap_callcap.settings import Settings

FROM_ENVIRONMENT = "ENV"  # instead of a file
SHUTDOWN_TIMEOUT = 5.0  # seconds from a signal to the end, whatever the target does


class TapCallcap(Tap):
    """Singer tap for Callcap call tracking."""

    name = "tap-callcap"
    config_jsonschema: ClassVar[JSONSchema] = deepcopy(SETTINGS)  # the SDK adds its own to it
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
        self, *, client_factory: Callable[[Settings], Client] = client_of, **options: Any
    ) -> None:
        self.client_factory = client_factory
        super().__init__(**options)
        if self.input_catalog is not None:
            for stream in self._streams_of_this_tap():
                if stream.name not in self.input_catalog:
                    stream.selected = False
            check_selected(self._streams_of_this_tap())

    def _streams_of_this_tap(self) -> list[CallcapStream]:
        return [stream for stream in self.streams.values() if isinstance(stream, CallcapStream)]

    @classmethod
    def cb_config(cls, ctx: Context, param: Option, value: tuple[str, ...]) -> _ConfigInput:
        """Read the config, and keep what is secret in it out of the log from here on."""
        for name in value:
            if name != FROM_ENVIRONMENT:
                read_json_object(partial(Path(name).read_text, encoding="utf-8"), f"config {name}")
        given = super().cb_config(ctx, param, value)
        config = given.config | (cls._env_var_config if given.parse_env else {})
        parts = cls.config_jsonschema["properties"].items()
        secrets = (config.get(name) for name, part in parts if part.get("secret"))
        redact_logs(secret for secret in secrets if isinstance(secret, str) and secret)
        return given

    @classmethod
    def get_singer_command(cls) -> Command:
        """The command, with what `--test` means here."""
        command = super().get_singer_command()
        for param in command.params:
            if isinstance(param, Option) and param.name == "test":
                param.help = (
                    "Ask Callcap whether key, timezone and page_size work, without reading calls; "
                    "--test=schema writes the schemas and asks nothing."
                )
        return command

    @classmethod
    def cb_test(cls, ctx: Context, param: Option, value: str) -> None:
        """Prove that calls can be read; the SDK would write a record of each stream, if any."""
        if value in {CliTestOptionValue.Disabled.value, CliTestOptionValue.Schema.value}:
            super().cb_test(ctx, param, value)
            return
        given: _ConfigInput = ctx.params["config"]
        tap = cls(config=given.config, parse_env_config=given.parse_env)
        for stream in tap.streams.values():
            if isinstance(stream, IncrementalStream):
                stream.check()
        ctx.exit()

    @classmethod
    def invoke(cls, **options: Any) -> None:
        """Run the command; what is wrong with its files is one line."""
        names = [stream.name for stream in STREAMS]
        for option, check in (("state", check_state), ("catalog", check_catalog)):
            if options.get(option) is not None:
                text, value = read_json_object(options[option].read, option)
                check(value, names)
                options[option] = StringIO(text)
        try:
            super().invoke(**options)
        except ConfigValidationError as error:  # of which the SDK would write several lines
            raise ConfigurationError(str(error)) from None

    def discover_streams(self) -> Sequence[CallcapStream]:
        """The streams that there are."""
        return [stream(self) for stream in STREAMS]

    def sync_all(self) -> None:  # type: ignore[misc]  # final, but where else does a run end?
        """Read every selected stream, then fail for what was put off meanwhile."""
        super().sync_all()
        streams = (each for each in self.streams.values() if isinstance(each, CallcapStream))
        if lines := [line for stream in streams for line in stream.failures]:
            raise FatalAPIError("; ".join(lines))

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the SDK's signature
        """End the run with whole lines; the STATE of its last checkpoint is already among them."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        # A target that reads no more must not keep the tap from ending.
        hard_end = threading.Timer(SHUTDOWN_TIMEOUT, os._exit, [128 + signum])
        hard_end.daemon = True
        hard_end.start()
        leave = partial(sys.exit, 128 + signum)
        if isinstance(self.message_writer, BlockWriter):
            self.message_writer.stop(leave)
        else:
            leave()

    @classproperty
    def _env_var_config(cls) -> dict[str, Any]:  # noqa: N805 - a class's property
        """The settings in the environment, and in the `.env` of the working folder.

        The SDK's own looks for `.env` from where it is installed, and leaves numbers as text.
        """
        try:
            load_dotenv(find_dotenv(usecwd=True))
        except UnicodeDecodeError:
            msg = "The .env of the working folder, or of one above it, is no text"
            raise ConfigurationError(msg) from None
        cls.append_builtin_config(cls.config_jsonschema)
        return read_environment(os.environ, cls.config_jsonschema)

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """What is wrong with the config; the SDK's own shows values, and so may show the key.

        Raises:
            ConfigValidationError: If something is, and `raise_errors`.
        """
        self.append_builtin_config(self.config_jsonschema)
        for name in [name for name, value in self._config.items() if value is None]:
            del self._config[name]  # as templates leave it; the SDK would take it for a value
        errors = problems(self._config, self.config_jsonschema)
        if errors and raise_errors:
            raise ConfigValidationError("; ".join(errors), errors=errors)
        return errors

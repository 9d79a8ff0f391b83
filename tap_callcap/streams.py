"""The streams: one class each, which read like a table."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import TYPE_CHECKING, Any

from singer_sdk import Stream
from singer_sdk.exceptions import FatalAPIError
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.mapper import SameRecordTransform
from singer_sdk.singerlib import RecordMessage
from singer_sdk.singerlib.catalog import REPLICATION_INCREMENTAL

from tap_callcap.client import Client
from tap_callcap.detail import detail_of
from tap_callcap.fingerprint import Fingerprint
from tap_callcap.messages import BlockWriter
from tap_callcap.records import compile_record
from tap_callcap.replication import Checkpoint, Replication
from tap_callcap.schema import load_schema
from tap_callcap.settings import UTC_ZONE, Settings
from tap_callcap.values import UnreadableError, format_instant, parse_instant
from tap_callcap.windows import UTC

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from singer_sdk.helpers._batch import BatchConfig
    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.singerlib import MetadataMapping
    from singer_sdk.tap_base import Tap


class CallsStream(Stream):
    """Phone calls and text conversations."""

    name = "calls"
    primary_keys: Sequence[str] = ("call_id",)
    replication_key: str | None = "last_modified"
    not_by_default = ("demographics",)  # only some accounts have it, and it is about people

    # Records leave records.py as the schema wants them.
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    def __init__(self, tap: Tap) -> None:
        super().__init__(tap, schema=load_schema(self.name))
        self._writes_state = True
        self._fingerprint: Fingerprint | None = None

    @property
    def metadata(self) -> MetadataMapping:
        """The catalog's metadata, or the default with what is not selected by default."""
        is_new = self._metadata is None
        metadata = super().metadata
        if is_new and self._tap_input_catalog is None:
            for name in self.not_by_default:
                metadata["properties", name].selected_by_default = False
        return metadata

    def get_records(self, context: Context | None) -> Iterable[Record]:  # noqa: ARG002 - the SDK's signature
        """Every call of the range, in the order of its windows; state follows each window."""
        settings = Settings.from_config(self.config)
        is_incremental = self.replication_method == REPLICATION_INCREMENTAL
        client = _client(settings)
        replication = Replication(
            client,
            settings,
            detail=self._detail(),
            bookmark=self.bookmark if is_incremental else None,
        )
        shape = None
        as_dict = not self._is_written_as_it_is
        for event in replication.run():
            if isinstance(event, Checkpoint):
                if is_incremental:
                    self._checkpoint(event.until, client)
                continue
            shape = shape or compile_record(
                self.effective_schema,
                replication.zone,
                self.logger.warning,
                known=self.schema,
                is_selected=self.mask.__getitem__,
                as_dict=as_dict,
            )
            yield from map(shape, event)
        self.logger.info("Done: data as of %s", self._bookmark_text() or "no window yet")

    @property
    def bookmark(self) -> datetime | None:
        """The end of the last window that an earlier run read whole, in aware UTC.

        Raises:
            FatalAPIError: If the state has one that is not an instant.
        """
        text = self._bookmark_text()
        if text is None:
            return None
        try:
            return parse_instant(str(text), UTC_ZONE)
        except UnreadableError:
            msg = "The state's bookmark of calls is not a date and time: correct the state"
            raise FatalAPIError(msg) from None

    def _bookmark_text(self) -> str | None:
        return self.stream_state.get("replication_key_value")

    def _checkpoint(self, until: datetime, client: Client) -> None:
        """Move the bookmark to `until`, never back, and write it behind its records."""
        if self.bookmark is not None and until <= self.bookmark:
            return
        if self._fingerprint is None:
            self._fingerprint = self._compared_fingerprint(client)
        self.stream_state["replication_key"] = self.replication_key
        self.stream_state["replication_key_value"] = format_instant(until)
        self.stream_state["asked"] = self._fingerprint.to_state()
        self.state_manager.is_flushed = False
        if self._writes_state:
            self._write_state_message()

    def _compared_fingerprint(self, client: Client) -> Fingerprint:
        """What this run asks for; says what earlier runs did not ask for."""
        before = Fingerprint.from_state(self.stream_state.get("asked"))
        start_date = Settings.from_config(self.config).start_date
        now = Fingerprint(
            None if start_date is None else format_instant(start_date),
            self._detail(),
            self._accounts(client, () if before is None else before.accounts),
        )
        if (bookmark := self._bookmark_text()) is not None:
            for line in now.missing(before, bookmark):
                self.logger.warning(line)
        return now

    def _accounts(self, client: Client, seen: tuple[str, ...]) -> tuple[str, ...]:
        """Ids of the accounts that the key sees; those `seen` before where it may not list them."""
        try:
            return client.accounts()
        except FatalAPIError as error:
            self.logger.info("%s; accounts granted later will not be noticed", error)
            return seen

    @property
    def _is_written_as_it_is(self) -> bool:
        """Whether nobody looks into the records: no stream map, no flattening, no batch."""
        return self.get_batch_config(self.config) is None and all(
            isinstance(each, SameRecordTransform) and not each.flattening_enabled
            for each in self.stream_maps
        )

    def _generate_record_messages(self, record: Record) -> Generator[RecordMessage, None, None]:
        """The messages of a record that is shaped: the SDK's own would mask and conform it."""
        for stream_map in self.stream_maps:
            mapped = stream_map.transform(record)
            if mapped is not None:
                yield RecordMessage(
                    stream_map.stream_alias, mapped, self._stream_version, datetime.now(UTC)
                )

    def generate_child_contexts(self, *_: Any, **__: Any) -> Iterable[Context | None]:  # noqa: PLR6301 - the SDK's signature
        """No stream is a child of another."""
        return ()

    def _detail(self) -> str:
        names = self.effective_schema["properties"]
        return detail_of(name for name in names if self.mask["properties", name])

    def log(self, message: str, *args: Any, level: int = logging.INFO, **options: Any) -> None:
        """Log, but for the SDK's line that an error occurred: the error itself is one line."""
        if level < logging.ERROR:
            super().log(message, *args, level=level, **options)

    # The SDK's own state: it would put timestamps of records where this tap has ends of windows.

    def _increment_stream_state(self, *_: Any, **__: Any) -> None:
        pass

    def _write_starting_replication_value(self, *_: Any, **__: Any) -> None:
        pass

    def get_replication_key_signpost(self, *_: Any, **__: Any) -> None:
        """No signpost: the bookmark is ours."""

    def _write_state_message(self) -> None:
        super()._write_state_message()
        if isinstance(self._tap.message_writer, BlockWriter):
            self._tap.message_writer.flush()

    def get_batches(
        self, batch_config: BatchConfig, context: Context | None = None
    ) -> Iterable[tuple[Any, list[str]]]:
        """Batches of files; the SDK writes the state behind each manifest."""
        self._writes_state = False
        return super().get_batches(batch_config, context)


def _client(settings: Settings) -> Client:
    return Client(
        api_url=settings.api_url,
        api_key=settings.api_key,
        user_agent=settings.user_agent,
        timeout=settings.request_timeout,
        retry_budget=settings.retry_budget,
        requests_per_second=settings.requests_per_second,
        connections=settings.concurrency,
    )


STREAMS: tuple[type[CallsStream], ...] = (CallsStream,)
"""Every stream of the tap."""

"""The streams: one class each, which read like a table."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from dataclasses import replace
from datetime import MAXYEAR, timedelta
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from singer_sdk.exceptions import ConfigurationError, FatalAPIError
from singer_sdk.singerlib.catalog import REPLICATION_INCREMENTAL

from tap_callcap.api.client import Client
from tap_callcap.api.errors import NoAccessError
from tap_callcap.api.search import detail_of
from tap_callcap.instants import UTC, UnreadableError, format_instant, parse_instant
from tap_callcap.settings import Settings
from tap_callcap.singer.stream import CallcapStream
from tap_callcap.sync.call_ids import CallsById
from tap_callcap.sync.fingerprint import Fingerprint
from tap_callcap.sync.prefetch import Workers
from tap_callcap.sync.references import csr_row, walk
from tap_callcap.sync.replication import Checkpoint, Replication
from tap_callcap.windows import ALL_HISTORY

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from tap_callcap.records.shaper import Record

CHECKED_FOR = timedelta(seconds=20)  # who checks waits for the answer


class CallsStream(CallcapStream):
    """Phone calls and text conversations."""

    name = "calls"
    primary_keys: Sequence[str] = ("call_id",)
    replication_key: str | None = "last_modified"
    not_by_default = ("demographics",)  # only some accounts have it, and it is about people

    _fingerprint: Fingerprint | None = None

    def get_chunks(self) -> Iterable[Sequence[Record]]:
        """Every call of the range, in the order of its windows; state follows each window."""
        settings = Settings.from_config(self.config)
        is_incremental = self.replication_method == REPLICATION_INCREMENTAL
        if is_incremental and settings.filters.is_relative:
            msg = (
                "Setting filters.search_range needs replication_method FULL_TABLE for calls: days "
                "counted from each run would pass over calls; set filters.search_startdate instead"
            )
            raise ConfigurationError(msg)
        for line in settings.filters.warnings():
            self.logger.warning(line)
        client = _client(settings)
        source = self._source(settings, client, is_incremental=is_incremental)
        for event in source.run():
            if isinstance(event, Checkpoint):
                if is_incremental:
                    self._checkpoint(event.until, client)
            else:
                yield event
        data_as_of = self._bookmark_text() or "no window yet"
        self.logger.info("Done: data as of %s; %s", data_as_of, source.summary)

    def _source(
        self, settings: Settings, client: Client, *, is_incremental: bool
    ) -> Replication | CallsById:
        """Where the calls of this run come from."""
        detail = self._detail()
        shaper_in = partial(self.shaper, hashing=settings.hashing)
        if settings.call_ids:
            return CallsById(
                client,
                settings,
                detail=detail,
                shaper_in=shaper_in,
                defer_failure=self.defer_failure,
            )
        return Replication(
            client,
            settings,
            detail=detail,
            bookmark=self.bookmark if is_incremental else None,
            shaper_in=shaper_in,
            waited=lambda: getattr(self._tap.message_writer, "waited", 0.0),
        )

    def check(self) -> None:
        """Say what proves that this stream can be read.

        Raises:
            FatalAPIError: If it cannot, with what to do.
        """
        given = Settings.from_config(self.config)
        settings = replace(given, retry_budget=min(given.retry_budget, CHECKED_FOR))
        client = _client(settings)
        replication = Replication(
            client, settings, detail=self._detail(), bookmark=None, shaper_in=self.shaper
        )
        self.logger.info("%s", replication.check())

    @property
    def bookmark(self) -> datetime | None:
        """The end of the last window that an earlier run read whole, in aware UTC.

        Raises:
            FatalAPIError: If the state has one that is not an instant.
        """
        text = self._bookmark_text()
        if text is None:
            return None
        with contextlib.suppress(UnreadableError):
            instant = parse_instant(str(text), UTC)
            if instant.year < MAXYEAR:  # the days around it are dates too
                return max(instant, ALL_HISTORY)
        msg = "The state's bookmark of calls is not a date and time: correct the state"
        raise FatalAPIError(msg)

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
        self._write_state_message()

    def _compared_fingerprint(self, client: Client) -> Fingerprint:
        """What this run asks for; says what earlier runs did not ask for."""
        before = Fingerprint.from_state(self.stream_state.get("asked"))
        settings = Settings.from_config(self.config)
        start_date = settings.start_date
        now = Fingerprint(
            None if start_date is None else format_instant(start_date),
            self._detail(),
            self._accounts(client, () if before is None else before.accounts),
            settings.filters.fingerprint(settings.zone),
        )
        if (bookmark := self._bookmark_text()) is not None:
            for line in now.missing(before, bookmark):
                self.logger.warning(line)
        return now

    def _accounts(self, client: Client, seen: tuple[str, ...]) -> tuple[str, ...]:
        """Ids of the accounts that the key sees; those `seen` before where it may not list them."""
        try:
            return client.accounts(once=True)
        except FatalAPIError as error:
            self.logger.info("%s; accounts granted later will not be noticed", error)
            return seen

    def _detail(self) -> str:
        names = self.effective_schema["properties"]
        return detail_of(name for name in names if self.mask["properties", name])


class ReferenceStream(CallcapStream):
    """What calls refer to: read in full, and only when it is asked for."""

    selected_by_default = False
    access: ClassVar[str]
    """Whose key it needs."""

    def get_chunks(self) -> Iterable[Sequence[Record]]:
        """Every row; an error is put off, because calls can be read all the same."""
        settings = Settings.from_config(self.config)
        workers = Workers(settings.concurrency)
        try:
            shaper = self.shaper(UTC)
            for row in self.rows(_client(settings), workers):
                yield [shaper(row)]
        except FatalAPIError as error:
            needs = f". It needs {self.access}" if isinstance(error, NoAccessError) else ""
            self.defer_failure(f"Stream {self.name} could not be read: {error}{needs}")

    @staticmethod
    @abstractmethod
    def rows(client: Client, workers: Workers) -> Iterable[Record]:
        """Every row, with the names of its schema."""


class AccountsStream(ReferenceStream):
    """Corporate accounts, their divisions, and the locations of these."""

    name = "accounts"
    primary_keys: Sequence[str] = ("account_type", "account_id")
    access = "the key of a login that may list its accounts"

    @staticmethod
    def rows(client: Client, workers: Workers) -> Iterable[Record]:
        """Every account, those above first."""
        return walk(client.accounts_below, workers)


class CsrsStream(ReferenceStream):
    """Call takers whom Callsurance knows."""

    name = "csrs"
    primary_keys: Sequence[str] = ("csr_id",)
    access = "the key of a login that may list the call takers of Callsurance"

    @staticmethod
    def rows(client: Client, _: Workers) -> Iterable[Record]:
        """Every call taker, in one request."""
        return map(csr_row, client.csrs())


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


STREAMS: tuple[type[CallcapStream], ...] = (AccountsStream, CallsStream, CsrsStream)
"""Every stream of the tap."""

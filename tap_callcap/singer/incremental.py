"""Streams that are read window by window, from bookmark to bookmark."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING

from singer_sdk.exceptions import ConfigurationError, FatalAPIError
from singer_sdk.singerlib.catalog import REPLICATION_INCREMENTAL

from tap_callcap.api.search import detail_of
from tap_callcap.instants import format_instant
from tap_callcap.settings import Settings
from tap_callcap.singer.stream import CallcapStream
from tap_callcap.sync.bookmark import Bookmark
from tap_callcap.sync.call_ids import calls_by_id
from tap_callcap.sync.fingerprint import Asked
from tap_callcap.sync.opening import check
from tap_callcap.sync.progress import Progress
from tap_callcap.sync.replication import Checkpoint, Doubt, Replication

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from tap_callcap.api.client import Client
    from tap_callcap.records.shaper import Record
    from tap_callcap.sync.fingerprint import Fingerprint

LONG_GAP = timedelta(days=1)  # a failed run names a minute, or a repeated hour
TEST_RETRY_BUDGET = timedelta(seconds=20)  # a person waits for the answer of --test


class IncrementalStream(CallcapStream):
    """A stream whose records have a `last_modified` by which the API searches."""

    replication_key: str

    _fingerprint: Fingerprint | None = None
    _progress: Progress | None = None

    def log_early_end(self) -> None:
        """Say what a run has done that did not end well."""
        if self._progress is not None and self.bookmark.is_instant:
            self._progress.close(self.bookmark.text, is_done=False)

    def get_chunks(self) -> Iterable[Sequence[Record]]:
        """Every call of the range, in the order of its windows; STATE follows each window."""
        settings = self._checked_settings()
        is_incremental = self.replication_method == REPLICATION_INCREMENTAL
        client = self.client(settings)
        progress = self._progress = Progress(client, lambda: self.target_wait_seconds)
        for event in self._events(settings, client, progress, is_incremental=is_incremental):
            match event:
                case Checkpoint(until):
                    if is_incremental:
                        self._checkpoint(until, client)
                case Doubt(certain):
                    self.bookmark.doubt(certain)
                case records:
                    progress.calls += len(records)
                    yield records
        progress.close(self.bookmark.text, is_done=True)
        self._progress = None

    def _checked_settings(self) -> Settings:
        """The settings, after a warning of what may surprise.

        Raises:
            ConfigurationError: If this stream cannot be read with them.
        """
        settings = Settings.from_config(self.config)
        if self.replication_method == REPLICATION_INCREMENTAL and settings.filters.is_relative:
            msg = (
                "Setting filters.search_range needs replication_method FULL_TABLE for calls: days "
                "counted from each run would skip calls; set filters.search_startdate instead"
            )
            raise ConfigurationError(msg)
        for line in settings.filters.warnings():
            self.logger.warning(line)
        for gap in settings.accepted_gaps:
            if gap.length > LONG_GAP:
                self.logger.warning(
                    "accepted_gaps has more than a day, %s: what cannot be read in it is lost with "
                    "only a warning; keep to the minutes that failed runs named",
                    gap,
                )
        return settings

    def _events(
        self, settings: Settings, client: Client, progress: Progress, *, is_incremental: bool
    ) -> Iterator[list[Record] | Checkpoint | Doubt]:
        """The records of the calls that the settings ask for, and checkpoints."""
        detail = self._detail()
        shaper_in = partial(self.shaper, hashing=settings.hashing)
        if settings.call_ids:
            return calls_by_id(
                client,
                settings,
                detail=detail,
                shaper_in=shaper_in,
                defer_failure=self.defer_failure,
            )
        bookmark = self.bookmark.read_until if is_incremental else None
        return Replication(client, settings, detail, bookmark, shaper_in, progress).run()

    def check(self) -> None:
        """Log what proves that this stream can be read.

        Raises:
            FatalAPIError: If it cannot, with what to do.
        """
        given = self._checked_settings()
        settings = replace(given, retry_budget=min(given.retry_budget, TEST_RETRY_BUDGET))
        self.logger.info("%s", check(self.client(settings), settings, self._detail()))

    @cached_property
    def bookmark(self) -> Bookmark:
        """The bookmark in this stream's part of the state."""
        return Bookmark(self.stream_state, self.replication_key)

    def _checkpoint(self, until: datetime, client: Client) -> None:
        """Move the bookmark to `until`, never back, and write STATE after its records."""
        if not self.bookmark.is_before(until):
            return
        if self._fingerprint is None:
            self._fingerprint = self._compared_fingerprint(client)
        self.bookmark.move(until, self._fingerprint)
        self.write_state()

    def _compared_fingerprint(self, client: Client) -> Fingerprint:
        """What this run asks for; warns of what earlier runs did not ask for."""
        before = self.bookmark.fingerprint
        settings = Settings.from_config(self.config)
        start_date = settings.start_date
        asked = Asked(
            None if start_date is None else format_instant(start_date),
            self._detail(),
            self._accounts(client),
            settings.filters.meanings(settings.zone),
            settings.api_key,
        )
        if self.bookmark.text is not None:
            for line in asked.missing(before, self.bookmark.text):
                self.logger.warning(line)
        return asked.fingerprint(before)

    def _accounts(self, client: Client) -> tuple[str, ...] | None:
        """Ids of the accounts that the key sees, none if it may not list them."""
        try:
            return client.accounts(once=True)
        except FatalAPIError as error:
            self.logger.info("%s; accounts granted later will not be noticed", error)
            return None

    def _detail(self) -> str:
        names = self.effective_schema["properties"]
        return detail_of(name for name in names if self.mask["properties", name])

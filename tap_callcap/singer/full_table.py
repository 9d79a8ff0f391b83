"""Streams that are read in full on every run, and only when they are selected."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from singer_sdk.exceptions import ConfigurationError, FatalAPIError

from tap_callcap.api.errors import NoAccessError
from tap_callcap.instants import UTC
from tap_callcap.settings import Settings
from tap_callcap.singer.stream import CallcapStream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tap_callcap.api.client import Client
    from tap_callcap.records.shaper import Record


class FullTableStream(CallcapStream):
    """A stream of few requests beside the calls."""

    selected_by_default = False
    access: ClassVar[str]
    """The login whose key may read it."""

    def get_chunks(self) -> Iterable[Sequence[Record]]:
        """Every row; an error fails the run at its end, because calls can still be read."""
        settings = Settings.from_config(self.config)
        try:
            shaper = self.shaper(UTC)
            for row in self.rows(self.client(settings), settings, self.defer_failure):
                yield [shaper(row)]
        except (ConfigurationError, FatalAPIError) as error:
            needs = f". It needs {self.access}" if isinstance(error, NoAccessError) else ""
            self.defer_failure(f"Stream {self.name} could not be read: {error}{needs}")

    @staticmethod
    @abstractmethod
    def rows(
        client: Client, settings: Settings, defer_failure: Callable[[str], None]
    ) -> Iterable[Record]:
        """Every row, with the names of its schema; `defer_failure` is told what lacks."""

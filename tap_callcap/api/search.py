"""The API's `detail` parameter: which sections of a call it shall send. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# The sections that `all` stands for, and those that must be named besides it.
OF_ALL = ("accounts", "caller", "callsurance", "webmatch")
BESIDES = ("demographics", "import", "notes", "scorecards", "sentiment", "summaries")


def detail_of(selected: Iterable[str]) -> str:
    """The `detail` parameter that asks for the selected top-level properties of a call."""
    wanted = set(selected)
    of_all = [section for section in OF_ALL if section in wanted]
    besides = [section for section in BESIDES if section in wanted]
    return ",".join((["all"] if len(of_all) == len(OF_ALL) else of_all) + besides)


def sections_of(detail: str) -> set[str]:
    """The sections that a `detail` parameter asks for."""
    named = set(detail.split(",")) - {""}
    return named - {"all"} | set(OF_ALL) if "all" in named else named

"""A short run of the fuzzing in `tests/faults.py`, and the inputs that once failed."""

from __future__ import annotations

from typing import Any

import pytest
from singer_sdk.exceptions import FatalAPIError

from support import fuzz
from support.canaries import KEY, NUMBER
from support.running import state_at
from tap_callcap.tap import TapCallcap


@pytest.mark.parametrize(("kind", "inputs"), [("answers", 50), ("inputs", 60), ("config", 150)])
def test_random_inputs_are_taken_or_refused(kind: str, inputs: int) -> None:
    """No traceback, no hang, no invalid record, no canary in the log; many of both outcomes."""
    tally = sum((fuzz.one(kind, seed) for seed in range(inputs)), fuzz.Tally())
    assert tally.finds == []
    assert tally.inputs == inputs
    assert tally.records > 40
    assert min(tally.outcomes["taken"], tally.outcomes["refused"]) > 10


def test_a_find_is_a_find(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever should not happen is counted, with its seed."""

    def found(what: str) -> fuzz.Tally:
        return fuzz.Tally() + fuzz.one(what, 1)

    def failing(_: object) -> list[Any]:
        raise KeyError(KEY)

    def hanging(_: object) -> list[Any]:
        while True:
            pass

    def telling(_: object) -> list[Any]:
        raise FatalAPIError(NUMBER)

    def invalid(_: object) -> list[Any]:
        schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
        return [
            {"type": "SCHEMA", "stream": "calls", "schema": schema},
            {"type": "RECORD", "stream": "calls", "record": {"a": "x"}},
        ]

    monkeypatch.setattr(fuzz, "LONGEST", 1)
    for play, outcome in (
        (failing, "traceback"),
        (hanging, "hang"),
        (telling, "canary"),
        (invalid, "invalid record"),
    ):
        monkeypatch.setattr(fuzz, "answers", play)
        tally = found("answers")
        assert tally.outcomes == {outcome: 1}
        assert tally.finds[0][:2] == ("answers", 1)


@pytest.mark.parametrize(
    "bookmark", ["9999-12-31T23:59:59Z", "9999-12-31 23:59:59", "", "x", 5, True, []], ids=repr
)
def test_a_bookmark_without_days_around_it_is_one_line(bookmark: Any) -> None:
    """Dates at the end of the calendar are no bookmarks."""
    with pytest.raises(FatalAPIError, match="bookmark of calls is not a date and time"):
        fuzz.run_of(lambda found: found, state=state_at(bookmark))


@pytest.mark.parametrize("bookmark", ["0001-01-01", "0001-01-01T00:00:00Z", "1999-12-31"])
def test_a_bookmark_before_all_calls_reads_all(bookmark: str) -> None:
    """No call is as old as that."""
    messages = fuzz.run_of(lambda found: found, state=state_at(bookmark))
    ids = {line["record"]["call_id"] for line in messages if line["type"] == "RECORD"}
    assert ids == fuzz.account().book.ids


@pytest.mark.parametrize("name", ["stream_maps", "stream_map_config", "batch_config"])
def test_a_setting_of_null_is_not_set(name: str) -> None:
    """Not only to this tap, to the SDK as well."""
    assert name not in TapCallcap(config=fuzz.config_of(**{name: None})).config

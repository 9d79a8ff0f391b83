"""The command `callcap-doctor`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NoReturn, Protocol

import click

from tap_callcap.api.transport import local_clock
from tap_callcap.command import run
from tap_callcap.doctor.examination import LONGEST_RETRY, Examination
from tap_callcap.doctor.probes import rows_of
from tap_callcap.doctor.report import about, as_json, as_table
from tap_callcap.settings import Settings, client_of
from tap_callcap.tap import TapCallcap


class GivenConfig(Protocol):
    """What the tap's option --config returns."""

    config: dict[str, Any]
    parse_env: bool


def examine(config: GivenConfig, *, as_json_object: bool) -> None:
    """Ask Callcap what its documentation leaves open, and print the answers."""
    tap = TapCallcap(config=config.config, parse_env_config=config.parse_env)
    settings = Settings.from_config(tap.config)
    retry_budget = min(settings.retry_budget, LONGEST_RETRY)
    client = client_of(replace(settings, retry_budget=retry_budget))
    rows = rows_of(Examination(client, settings, local_clock))
    facts = about(settings, client.requests)
    click.echo((as_json if as_json_object else as_table)(rows, facts))


def command(of_tap: click.Command) -> click.Command:
    """The command, which takes its config as that of the tap does."""
    (config,) = (param for param in of_tap.params if param.name == "config")
    as_object = click.Option(
        ["--json", "as_json_object"], is_flag=True, help="Print one JSON object, not a table."
    )
    return click.Command(
        "callcap-doctor",
        callback=examine,
        params=[config, as_object],
        help=(
            "Find out how Callcap behaves where its documentation leaves it open, with about forty "
            "requests, and print a table. Nothing else is written, and the table contains no data "
            "of calls or accounts."
        ),
    )


def main() -> NoReturn:
    """Run the command; each of its errors is one line."""
    run(command)


if __name__ == "__main__":
    main()

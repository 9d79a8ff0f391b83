"""The command `callcap-sandbox`, once it is loaded."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from tap_callcap.sandbox.book import CallBook
from tap_callcap.sandbox.call import VENDOR_EXAMPLE, Call
from tap_callcap.sandbox.callcap import BASE_PATH, Callcap, real_time
from tap_callcap.sandbox.made_up import made_up_calls
from tap_callcap.sandbox.server import LOOPBACK, listening, server_for
from tap_callcap.sandbox.switch_texts import parse_switches, switch_list
from tap_callcap.sandbox.switches import BadSwitchError

if TYPE_CHECKING:
    import socket
    from datetime import datetime

_YEAR = timedelta(days=365.25)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--host", default=LOOPBACK, show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=8010,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--calls",
    default=2000,
    show_default=True,
    type=click.IntRange(0, 1_000_000),
    help="Number of made-up calls.",
)
@click.option(
    "--years",
    default=5.0,
    show_default=True,
    type=click.FloatRange(0, 25, min_open=True),
    help="Length of the period, up to now, that the calls are spread over.",
)
@click.option(
    "--seed",
    default=0,
    show_default=True,
    help="Seed of the made-up calls; the same seed makes the same calls.",
)
@click.option(
    "--imports",
    default=0,
    type=click.IntRange(min=0),
    metavar="N",
    help="Let N of these calls begin in 1970 or in ten years.",
)
@click.option(
    "--api-key", default="sandbox", show_default=True, help="API key that the server accepts."
)
@click.option(
    "--switch",
    "pairs",
    multiple=True,
    metavar="NAME=VALUE",
    help="Set how the API behaves where its documentation leaves it open. Repeatable; see "
    "--switches.",
)
@click.option(
    "--live",
    default=0.0,
    type=click.FloatRange(0, 10_000),
    metavar="N",
    help="Add N calls and edit N calls each minute.",
)
@click.option(
    "--behind",
    default=0,
    type=click.IntRange(0, 10_000_000),
    metavar="MINUTES",
    help="Set the sandbox's clock this many minutes behind this machine's, so that POST "
    "/sandbox/advance can move it. (The tap reads nothing later than this machine's clock.)",
)
@click.option(
    "--switches",
    "shows_switches",
    is_flag=True,
    help="List the switches with their values and descriptions, and exit.",
)
def main(  # noqa: PLR0913, PLR0917 - one for each option
    host: str,
    port: int,
    calls: int,
    years: float,
    seed: int,
    imports: int,
    api_key: str,
    pairs: tuple[str, ...],
    live: float,
    behind: int,
    shows_switches: bool,  # noqa: FBT001 - a flag
) -> None:
    """Serve the documented Callcap API with made-up calls, to try the tap without an account."""
    if shows_switches:
        for name, accepted, description in switch_list():
            click.echo(f"{name} = {accepted}")
            click.echo(click.wrap_text(description, 96, "    ", "    "))
        return
    try:
        switches = parse_switches(pairs)
    except BadSwitchError as error:
        raise click.ClickException(str(error)) from error
    listener = _listener(host, port)
    late = timedelta(minutes=behind)
    now = real_time() - late
    callcap = Callcap(
        CallBook(_calls_until(now, calls, years, seed, min(imports, calls))),
        clock=lambda: real_time() - late,
        switches=switches,
        api_key=api_key,
        seed=seed,
        live=live,
    )
    server = server_for(callcap)
    url = _url(host, listener.getsockname()[1])
    click.echo(
        f"Serving {len(callcap.book):,} made-up calls up to {now:%Y-%m-%d} at {url}\n"
        "To read them with the tap:\n"
        f"  export TAP_CALLCAP_API_URL={url} TAP_CALLCAP_API_KEY={api_key}\n"
        "  tap-callcap --config=ENV\n"
        "Press Ctrl-C to stop."
    )
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:  # uvicorn has shut down and re-raises the signal
        click.echo("Stopped.")


def _calls_until(now: datetime, count: int, years: float, seed: int, imports: int) -> list[Call]:
    """Return made-up calls; the first is the vendor's example, even if it is older than `years`."""
    calls = made_up_calls(count, seed=seed, start=now - years * _YEAR, end=now, imports=imports)
    if calls and VENDOR_EXAMPLE not in calls:
        calls[0] = VENDOR_EXAMPLE
    return calls


def _listener(host: str, port: int) -> socket.socket:
    try:
        return listening(host, port)
    except OSError as error:
        msg = f"Cannot listen on {host} port {port}: {error.strerror}. Choose another --port."
        raise click.ClickException(msg) from error


def _url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{BASE_PATH}"

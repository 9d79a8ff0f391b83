"""The client behind a proxy: what goes through it, and what is said where it does not work."""

from __future__ import annotations

import socket
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.asking import HOST, KEY, client_of, failure_of, page_of
from support.fault_runs import account, settings_for
from support.fault_server import FaultServer, answer, dripping, playing, tunnel_to
from support.running import run_command

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path


VARIABLES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


@pytest.fixture
def proxy() -> Iterator[FaultServer]:
    """A proxy that writes down what it sees, and refuses all."""
    with FaultServer(after=answer(502)) as server:
        yield server


@pytest.fixture
def _proxies_everywhere(proxy: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy in every variable that can name one."""
    for name in VARIABLES:
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")


@pytest.mark.usefixtures("_proxies_everywhere")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "127.9.9.9", "127.1"])
@pytest.mark.parametrize("no_proxy", [None, "", "callcap.com"], ids=str)
def test_this_machine_is_never_asked_through_a_proxy(
    host: str, no_proxy: str | None, proxy: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither key nor query leave it, whatever the environment says."""
    if no_proxy is not None:
        monkeypatch.setenv("NO_PROXY", no_proxy)
    with FaultServer(host="0.0.0.0") as server:  # noqa: S104 - on each loopback address
        page_of(client_of(server, api_url=f"http://{host}:{server.port}/v2"))
    assert len(server.seen) == 1
    assert proxy.connections == 0


@pytest.mark.usefixtures("_proxies_everywhere")
def test_this_machine_by_ipv6_is_never_asked_through_a_proxy(proxy: FaultServer) -> None:
    """An address in brackets is understood, too."""
    try:
        server = FaultServer(host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    with server:
        page_of(client_of(server, api_url=f"HTTP://[::1]:{server.port}/v2///"))
    assert [seen.path for seen in server.seen] == ["/v2/get/calls/"]
    assert proxy.connections == 0


@pytest.mark.usefixtures("_proxies_everywhere")
def test_this_machine_by_tls_is_never_asked_through_a_proxy(
    proxy: FaultServer, tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS makes no difference."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with FaultServer(tls=tls) as server:
        page_of(client_of(server))
    assert proxy.connections == 0


def test_the_command_keeps_the_key_from_a_proxy(proxy: FaultServer, tmp_path: Path) -> None:
    """A whole run against this machine shows a proxy nothing."""
    callcap = account()
    variables = dict.fromkeys(VARIABLES, f"http://127.0.0.1:{proxy.port}")
    with FaultServer(after=playing(callcap)) as server:
        run = run_command(
            folder=tmp_path, config=settings_for(server, page_size=50), environment=variables
        )
    assert run.ids == callcap.book.ids
    assert proxy.connections == 0


def test_a_proxy_is_used(
    tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTPS goes through HTTPS_PROXY by CONNECT, so that the proxy sees neither key nor query."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with FaultServer(tls=tls) as server, FaultServer(after=tunnel_to(server.port)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        client = client_of(server, api_url=f"https://{HOST}:{server.port}/v2")
        assert page_of(client).total_records == 0
        assert page_of(client).total_records == 0
        monkeypatch.setenv("NO_PROXY", HOST)
        addresses = socket.getaddrinfo("127.0.0.1", server.port, type=socket.SOCK_STREAM)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_: addresses)
        assert page_of(client).total_records == 0
    assert [seen.method for seen in proxy.seen] == ["CONNECT"]
    assert KEY not in str(proxy.seen)
    assert len(server.seen) == 3


def test_the_command_works_on_a_corporate_network(
    tls: ssl.SSLContext, certificate: Path, tmp_path: Path
) -> None:
    """Behind a proxy, against a server whose certificate is of a private CA: all calls come."""
    callcap = account()
    with (
        FaultServer(after=playing(callcap), tls=tls) as server,
        FaultServer(after=tunnel_to(server.port)) as proxy,
    ):
        variables = {
            "HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}",
            "REQUESTS_CA_BUNDLE": str(certificate),
        }
        url = f"https://{HOST}:{server.port}/v2"
        run = run_command(
            folder=tmp_path,
            config=settings_for(server, api_url=url, concurrency=4),
            environment=variables,
        )
    assert run.code == 0, run.log
    assert run.ids == callcap.book.ids
    assert {seen.method for seen in proxy.seen} == {"CONNECT"}
    assert 1 <= len(proxy.seen) <= 5
    assert len(server.seen) > 20


@pytest.mark.parametrize(
    "address", ["http://", "ftp://x:1", "http://[::1", "http://x:99999", "canary://x"]
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
def test_a_proxy_must_be_an_address(
    variable: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is none is one line that names the variable."""
    monkeypatch.setenv(variable, address)
    with FaultServer() as server:
        message = failure_of(client_of(server, api_url=f"https://{HOST}/v2"))
    assert message == (
        "GET /v2/get/calls/ failed: HTTPS_PROXY or ALL_PROXY is not the address of a proxy: set "
        "it to one such as http://proxy.example:8080"
    )


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks4"])
def test_a_socks_proxy_needs_a_package(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is not installed, the line says what to install."""
    monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "socks", None)
    monkeypatch.setattr("tap_callcap.api.connections.find_spec", lambda _: None)
    with FaultServer() as server:
        message = failure_of(client_of(server, api_url=f"https://{HOST}/v2"))
    assert "names a SOCKS proxy, which needs PySocks: install the package PySocks" in message


REFUSALS = {
    407: "the proxy answered 407: it requires a login: set HTTPS_PROXY to http://user:password@",
    403: "the proxy answered 403: check HTTPS_PROXY, and whether the proxy allows the host of api",
    400: "the proxy answered 400: check HTTPS_PROXY, and whether the proxy allows the host of api",
}


@pytest.mark.parametrize("code", REFUSALS)
def test_a_proxy_that_refuses_is_one_line_at_once(
    code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another try would not mend it."""
    with FaultServer(after=answer(code)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        client = client_of(proxy, api_url=f"https://{HOST}/v2", retry_budget=timedelta(minutes=10))
        assert failure_of(client).startswith(f"GET /v2/get/calls/ failed: {REFUSALS[code]}")
    assert [seen.method for seen in proxy.seen] == ["CONNECT"]


@pytest.mark.parametrize("code", [429, 502, 503])
def test_a_proxy_in_trouble_is_asked_again(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may not reach Callcap for a moment; where that stays so, the line says what to check."""
    with FaultServer(after=answer(code)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        message = failure_of(client_of(proxy, api_url=f"https://{HOST}/v2"))
    assert f"the proxy answered {code}. Gave up at try 1" in message
    assert message.endswith("check the network, api_url and HTTPS_PROXY")


def test_a_proxy_that_is_down_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line says that it is the proxy that cannot be reached."""
    with FaultServer() as proxy:
        pass
    monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{proxy.port}")
    message = failure_of(client_of(proxy, api_url=f"https://{HOST}/v2"))
    assert "failed: there is no connection to the proxy (NewConnectionError). Gave up" in message


def test_a_proxy_that_drips_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of an exchange holds while a proxy is asked to CONNECT."""
    drip = dripping({"X-Padding": "x" * 5000})
    with FaultServer(drip) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        failure_of(
            client_of(
                proxy,
                api_url=f"https://{HOST}/v2",
                timeout=timedelta(seconds=0.4),
            )
        )
        assert proxy.finished == 0

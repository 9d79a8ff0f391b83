"""The client on networks with their own certificates and proxies."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.asking import KEY, client_of, failure_of, page_of
from support.fault_runs import account, settings_for
from support.fault_server import CLOSE, FaultServer, answer, dripping, hang, playing, tunnel_to
from support.running import run_command

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a private CA, `ca.pem`, and a server's key and certificate, `server.pem`."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl command to make certificates with")
    folder = tmp_path_factory.mktemp("tls")
    extensions = "subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n"
    (folder / "extensions.txt").write_text(extensions, encoding="utf-8")
    new = "-nodes -newkey rsa:2048"
    for command in (
        (
            f"req -x509 {new} -days 2 -subj /CN=Private -keyout ca.key -out ca.pem"
            " -addext keyUsage=critical,keyCertSign"  # Python 3.13 asks for it
        ),
        f"req {new} -subj /CN=localhost -keyout server.key -out server.csr",
        (
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2"
            " -extfile extensions.txt -out server.crt"
        ),
    ):
        subprocess.run([openssl, *command.split()], check=True, capture_output=True, cwd=folder)
    parts = (folder / "server.crt", folder / "server.key")
    (folder / "server.pem").write_text("".join(part.read_text("utf-8") for part in parts), "utf-8")
    return folder


@pytest.fixture
def certificate(authority: Path) -> Path:
    """The certificate of the private CA."""
    return authority / "ca.pem"


@pytest.fixture
def tls(authority: Path) -> ssl.SSLContext:
    """What a server speaks whose certificate is of that CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "server.pem")
    return context


@pytest.fixture(autouse=True)
def _no_network_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the proxies and CAs of the developer's shell out."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.delenv("no_proxy", raising=False)


def test_a_certificate_that_is_not_trusted_is_one_line(tls: ssl.SSLContext) -> None:
    """Another try would not mend it, and the key is not sent."""
    with FaultServer(tls=tls) as server:
        assert failure_of(client_of(server)) == (
            "GET /v2/get/calls/ failed: the server's certificate is not trusted: "
            "check REQUESTS_CA_BUNDLE and api_url"
        )
    assert server.connections == 1
    assert not server.seen


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_private_ca_is_trusted(
    variable: str, tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A company's own CA is named by the usual variables."""
    monkeypatch.setenv(variable, str(certificate))
    with FaultServer(tls=tls) as server:
        client = client_of(server)
        assert [page_of(client).total_records for _ in range(3)] == [0, 0, 0]
    assert server.connections == 1


@pytest.mark.parametrize("text", [None, "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_file_of_cas_must_be_one(
    text: str | None, tls: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is missing, or that holds something else, is one line that names the variable."""
    bundle = tmp_path / "bundle.pem"
    if text is not None:
        bundle.write_text(text)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    with FaultServer(tls=tls) as server:
        assert "check api_url, HTTPS_PROXY, REQUESTS_CA_BUNDLE" in failure_of(client_of(server))
    assert not server.seen


@pytest.mark.parametrize("key", ["a\nb", "日本"])
def test_a_key_that_no_header_can_hold_is_one_line(key: str) -> None:
    """The settings refuse such a key; should one come here all the same, it is not shown."""
    with FaultServer() as server:
        message = failure_of(client_of(server, api_key=key))
    assert "the request cannot be sent" in message
    assert not server.seen


def test_a_proxy_is_used(
    tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTPS goes through HTTPS_PROXY by CONNECT, so that the proxy sees neither key nor query."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with FaultServer(tls=tls) as server, FaultServer(after=tunnel_to(server.port)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        client = client_of(server)
        assert page_of(client).total_records == 0
        assert page_of(client).total_records == 0
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
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
        run = run_command(
            folder=tmp_path, config=settings_for(server, concurrency=4), environment=variables
        )
    assert run.code == 0, run.log
    assert run.ids == callcap.book.ids
    assert {seen.method for seen in proxy.seen} == {"CONNECT"}
    assert 1 <= len(proxy.seen) <= 5
    assert len(server.seen) > 20


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "http://", "ftp://x:1", "http://[::1"])
def test_a_proxy_must_be_usable(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that is none, or of a kind that this installation cannot use, is one line."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with FaultServer() as server:
        message = failure_of(client_of(server, api_url=server.url.replace("http", "https")))
    assert "check api_url, HTTPS_PROXY" in message


def test_a_proxy_that_refuses_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy may be down for a moment, and one that stays so fails with what it did."""
    with FaultServer(after=answer(407)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        message = failure_of(client_of(proxy, api_url="https://127.0.0.1:9/v2"))
    assert "the connection to the proxy broke (" in message
    assert "Gave up at try 1" in message


def test_a_drip_feed_over_tls_ends(
    tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit of an exchange holds for encrypted ones as well, also while they hang."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    slow = timedelta(seconds=0.4)
    drip = dripping(CLOSE, lambda body: b" " * 5000 + body)
    for act in (drip, hang):
        with FaultServer(act, tls=tls) as server:
            message = failure_of(client_of(server, timeout=slow))
            assert server.finished == 0
        assert "no whole answer came within request_timeout_seconds" in message


def test_a_proxy_that_drips_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of an exchange holds while a proxy is asked to CONNECT."""
    drip = dripping({"X-Padding": "x" * 5000})
    with FaultServer(drip) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        failure_of(
            client_of(
                proxy,
                api_url="https://127.0.0.1:9/v2",
                timeout=timedelta(seconds=0.4),
            )
        )
        assert proxy.finished == 0

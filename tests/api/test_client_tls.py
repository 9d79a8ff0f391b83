"""The client on networks with their own certificates."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.asking import client_of, failure_of, page_of
from support.fault_server import CLOSE, FaultServer, dripping, hang

if TYPE_CHECKING:
    import ssl
    from pathlib import Path


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

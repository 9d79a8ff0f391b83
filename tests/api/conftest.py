"""Fixtures for tests of the client: certificates, and no network settings of the shell."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.asking import HOST

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a private CA, `ca.pem`, and a server's key and certificate, `server.pem`."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl command to make certificates with")
    folder = tmp_path_factory.mktemp("tls")
    extensions = f"subjectAltName=IP:127.0.0.1,DNS:{HOST}\nauthorityKeyIdentifier=keyid\n"
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

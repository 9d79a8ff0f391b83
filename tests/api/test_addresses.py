"""Addresses on this machine are known in every form, and redirects are told apart."""

from __future__ import annotations

import pytest

from tap_callcap.api.addresses import changes_slash_only, is_loopback, redirect_remedy

PATH = "/get/calls/"
URL = f"https://api.callcap.com/v2{PATH}?page=1&detail=all%2Cnotes"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *((host, True) for host in ("127.0.0.1", "127.9.9.9", "127.1", "2130706433", "0x7f.1")),
        *((host, True) for host in ("::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1")),
        *((host, True) for host in ("localhost", "LocalHost", "localhost.")),
        *((host, False) for host in ("128.0.0.1", "10.0.0.1", "::2", "::ffff:10.0.0.1", "", "0")),
        *((host, False) for host in ("api.callcap.com", "localhost.example", "xlocalhost")),
        ("127.0.0.1.example", False),
    ],
)
def test_this_machine_is_known_in_every_form(host: str, expected: bool) -> None:
    """What stays on this machine needs no TLS and no proxy; nothing else is taken for it."""
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    "location",
    [
        "https://api.callcap.com/v2/get/calls",
        "https://API.callcap.com:443/v2/get/calls?page=1&detail=all,notes",
        "//api.callcap.com/v2/get/calls?page=1&detail=all%2Cnotes#top",
        "/v2/get/calls",
        "../calls",
    ],
)
def test_a_slash_is_all_that_changes(location: str) -> None:
    """However such a redirect is written, with the query or without."""
    assert changes_slash_only(URL, location)


def test_an_id_may_be_quoted_or_not() -> None:
    """A redirect may quote a path in another way than the request."""
    assert changes_slash_only("https://x/v2/get/calls/1_1%3A1/", "/v2/get/calls/1_1:1")
    assert changes_slash_only("https://x/v2/get/calls/1_1%3A1", "/v2/get/calls/1_1%3a1/")


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("", "it redirects without saying where: check api_url"),
        ("https://[x/v2/get/calls", "it redirects without saying where: check api_url"),
        ("https://x:99999/v2/get/calls", "it redirects without saying where: check api_url"),
        ("/login?next=/v2/get/calls/", "to another page, as to a login: check api_url and api_key"),
        ("/v2/get/calls/login", "to another page, as to a login: check api_url and api_key"),
        ("ftp://x/v2/get/calls", "to another page, as to a login: check api_url and api_key"),
        ("https://x/+1 602-555-0100/get/calls", "to another page, as to a login"),
        (URL, "it redirects back and forth: check api_url"),
        ("/v2/get/calls/?page=2", "it redirects back and forth: check api_url"),
        ("/v2/get/calls?session=1", "it redirects back and forth: check api_url"),
        ("http://api.callcap.com/v2/get/calls", "to plain http, which would show the key"),
        ("https://api.callcap.com:8443/v2/get/calls", "to https://api.callcap.com:8443/v2, if"),
        ("https://x.example/v2/get/calls/", "has moved: set api_url to https://x.example/v2, if"),
        ("https://a@x.example/get/calls/", "has moved: set api_url to https://x.example, if"),
        ("/v3/get/calls?page=1", "has moved: set api_url to https://api.callcap.com/v3, if"),
        ("http://localhost:80/v2/get/calls", "set api_url to http://localhost/v2, if"),
        ("https://[::2]/v2/get/calls", "set api_url to https://[::2]/v2, if that is Callcap's"),
    ],
)
def test_another_redirect_is_explained(location: str, words: str) -> None:
    """It says where the API is now, if that can be known; never the query."""
    assert not changes_slash_only(URL, location)
    assert words in redirect_remedy(URL, location, PATH)

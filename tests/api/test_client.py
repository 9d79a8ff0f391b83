"""One request to Callcap: the query that is sent, and how each answer is read."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import msgspec
import pytest
from singer_sdk.exceptions import FatalAPIError

from support.asking import (
    CALLS,
    KEY,
    UTC,
    WINDOW,
    ask,
    client_of,
    failure_of,
    page_of,
)
from support.fast_time import FastTime
from support.fault_server import (
    TOO_LONG,
    FaultServer,
    answer,
    broken,
    compressed,
    envelope,
    good,
    redirect,
)
from tap_callcap.api import transport
from tap_callcap.api.errors import BadRequestError, ForeignZoneError, NoAccessError
from tap_callcap.api.responses import NothingFound
from tap_callcap.api.search import Search

if TYPE_CHECKING:
    from pathlib import Path

    from support.fault_server import Act, Connection, Seen

DATE, DATE_TEXT = datetime(2026, 11, 24, 10, tzinfo=UTC), "Tue, 24 Nov 2026 10:00:00 GMT"
NOTHING = answer(404, '{"status": "nothing"}', {"Date": DATE_TEXT})


@pytest.mark.parametrize(
    ("zone", "start", "end"),
    [
        pytest.param("UTC", "2026-07-01 04:59", "2026-11-01 06:31", id="utc"),
        pytest.param("US/Arizona", "2026-06-30 21:59", "2026-10-31 23:31", id="arizona"),
        pytest.param("US/Central", "2026-06-30 23:59", "2026-11-01 01:31", id="central"),
    ],
)
def test_a_search_is_asked_for_exactly(zone: str, start: str, end: str) -> None:
    """A window is asked for in the zone's wall clock, with a minute around it, and all dates."""
    search = Search(ZoneInfo(zone), 500, "all,notes")
    with FaultServer(answer(204)) as server:
        client_of(server).calls(search, WINDOW, 3)
    assert server.seen[0].method == "GET"
    assert server.seen[0].path == "/v2/get/calls/"
    assert server.seen[0].query == {
        "search_last_modified_start": start,
        "search_last_modified_end": end,
        "search_startdate": "1900-01-01",
        "search_enddate": "2099-12-31",
        "search_timezone": zone,
        "order": "oldest",
        "detail": "all,notes",
        "show": "500",
        "page": "3",
    }


def test_the_headers_say_who_asks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The key goes as a bearer's, whatever a .netrc has for that host; no cookie comes back."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with FaultServer(good(headers={"Set-Cookie": "session=1; Path=/"})) as server:
        client = client_of(server, api_url=server.url + "/")
        ask(client)
        ask(client)
    for seen in server.seen:
        assert seen.path == "/v2/get/calls/"
        assert seen.headers["Authorization"] == f"Bearer {KEY}"
        assert seen.headers["Accept"] == "application/json"
        assert seen.headers["User-Agent"] == "tap-callcap/test"
        assert "Cookie" not in seen.headers


@pytest.mark.parametrize("act", [good(CALLS), compressed(CALLS)], ids=["plain", "gzip in chunks"])
def test_a_page_is_read(act: Any) -> None:
    """The calls of a page come out as the API sent them."""
    with FaultServer(act) as server:
        page = page_of(client_of(server))
    assert (page.number, page.last_page, page.total_records) == (1, 1, 1)
    assert [msgspec.json.decode(call) for call in page.calls] == CALLS


def test_a_connection_is_kept() -> None:
    """Requests after each other share a connection, whatever they are answered."""
    script = (good(CALLS), compressed(CALLS), answer(404, '{"status": "none"}'), answer(204))
    with FaultServer(*script, answer(401, "{}"), answer(400, "<html>")) as server:
        client = client_of(server)
        for _ in script:
            ask(client)
        for _ in range(2):
            failure_of(client)
        for _ in range(10):
            client.accounts()
    assert len(server.seen) == 16
    assert server.connections == 1


def test_threads_share_a_client() -> None:
    """Each of several threads keeps a connection of its own, and gets its own answers."""
    with FaultServer() as server, ThreadPoolExecutor(4) as pool:
        client = client_of(server, connections=4)
        pages = pool.map(lambda _: page_of(client), range(100))
        assert all(page.number == 1 for page in pages)
    assert len(server.seen) == 100
    assert server.connections <= 4


FINAL = {
    300: "check api_url",
    304: "check api_url",
    301: "it redirects without saying where: check api_url",
    400: "it refuses the request: check timezone, page_size and filters",
    401: "the key is not valid: check api_key",
    403: "the key has no access to this: check what its login may see",
    404: "there is no such address: check api_url",
    407: (
        "a proxy answers: it requires a login: set HTTPS_PROXY to http://user:password@host:port"
    ),
    410: "check api_url",
    206: "check api_url",
}


@pytest.mark.parametrize("code", FINAL)
def test_a_final_answer_is_not_asked_for_again(code: int) -> None:
    """What another try cannot mend is one line at once: what happened, where, what to do."""
    with FaultServer(answer(code, "<html>" if code != 304 else "")) as server:
        message = failure_of(client_of(server))
    assert message == f"Callcap answered {code} to GET /v2/get/calls/; {FINAL[code]}"
    assert len(server.seen) == 1


def test_a_400_is_told_apart() -> None:
    """A refused request has an error of its own: another zone or window may do."""
    with FaultServer(answer(400)) as server, pytest.raises(BadRequestError):
        ask(client_of(server))


def test_the_vendors_words_are_scrubbed() -> None:
    """Of an error's body, status and message are shown, without numbers, mails and the key."""
    said = (
        f'{{"status": "unauthorized", "message": "Key {KEY} of +1 602-555-0100, bo@x.org, is bad"}}'
    )
    with FaultServer(answer(401, said)) as server:
        message = failure_of(client_of(server))
    assert message == (
        "Callcap answered 401 to GET /v2/get/calls/ (unauthorized … … of … … … is bad); "
        "the key is not valid: check api_key"
    )


def test_the_key_is_removed_from_the_vendors_words() -> None:
    """Also a key that looks like a plain word, and so would not be scrubbed."""
    said = '{"status": "unauthorized", "message": "the key sesame, or (sesame), is bad"}'
    with FaultServer(answer(401, said)) as server:
        message = failure_of(client_of(server, api_key="sesame"))
    assert "(unauthorized the key … or … is bad)" in message
    assert "sesame" not in message


def test_a_redirect_takes_the_key_nowhere() -> None:
    """A redirect to this host or to another is an error: it would lose the query, or the key."""
    with FaultServer() as elsewhere:
        host = f"http://localhost:{elsewhere.port}"
        for code in (301, 302, 303, 307, 308):
            for location, words in (
                ("/v2/other/", "it redirects to another page"),
                (f"{host}/v2/get/calls/", f"the API has moved: set api_url to {host}/v2"),
            ):
                with FaultServer(redirect(location, code)) as server:
                    assert words in failure_of(client_of(server))
                assert len(server.seen) == 1
    assert elsewhere.seen == []


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["/v2/get/calls", "http://127.0.0.1:{}/v2/get/calls?page=1"])
def test_a_redirect_of_the_last_slash_is_followed(code: int, location: str) -> None:
    """The query, the method and the key stay; once learned, it costs no further requests."""

    def redirecting(connection: Connection, seen: Seen) -> bool:
        if not seen.path.endswith("/"):
            return good(CALLS)(connection, seen)
        here = location.format(server.port).replace("page=1", urlencode(seen.query))
        return redirect(here, code)(connection, seen)

    with FaultServer(after=redirecting) as server:
        client = client_of(server)
        assert [page_of(client).total_records for _ in range(3)] == [1, 1, 1]
        client.accounts()
    slashed, *others = server.seen
    assert slashed.path == "/v2/get/calls/"
    assert [seen.path for seen in others] == ["/v2/get/calls"] * 3 + ["/v2/get/accounts"]
    assert {seen.headers["Authorization"] for seen in server.seen} == {f"Bearer {KEY}"}
    assert {seen.method for seen in server.seen} == {"GET"}
    assert all(seen.query == slashed.query for seen in others[:3])


def test_a_redirect_to_and_fro_is_followed_once() -> None:
    """A server that wants the slash, and does not want it, is no circle to run in."""

    def redirecting(connection: Connection, seen: Seen) -> bool:
        path = seen.path.removesuffix("/") if seen.path.endswith("/") else f"{seen.path}/"
        return redirect(path)(connection, seen)

    with FaultServer(after=redirecting) as server:
        assert "it redirects back and forth: check api_url" in failure_of(client_of(server))
    assert len(server.seen) == 2


@pytest.mark.parametrize(
    ("code", "body", "status"),
    [(404, '{"status": "nothing", "message": "No calls"}', "nothing"), (204, "", "")],
    ids=["404 with a status", "204"],
)
def test_nothing_found_is_an_answer(code: int, body: str, status: str) -> None:
    """A 204, and a 404 that says its status in JSON, are handed on for the reader to judge."""
    with FaultServer(answer(code, body)) as server:
        nothing = ask(client_of(server))
    assert isinstance(nothing, NothingFound)
    assert (nothing.code, nothing.status) == (code, status)


MEANINGS: dict[str, tuple[int, str, type[Exception], str]] = {
    "200 unauthorized": (200, "unauthorized", FatalAPIError, "not valid: check api_key"),
    "200 Unauthorized": (200, " Unauthorized", FatalAPIError, "not valid: check api_key"),
    "200 invalid key": (200, "invalid_api_key", FatalAPIError, "not valid: check api_key"),
    "400 unauthorized": (400, "unauthorized", FatalAPIError, "not valid: check api_key"),
    "403 unauthorized": (403, "unauthorized", FatalAPIError, "not valid: check api_key"),
    "404 unauthorized": (404, "unauthorized", FatalAPIError, "not valid: check api_key"),
    "200 forbidden": (200, "forbidden", NoAccessError, "check what its login may see"),
    "200 bad request": (200, "bad request", BadRequestError, "check timezone, page_size"),
}


@pytest.mark.parametrize(("code", "status", "kind", "words"), MEANINGS.values(), ids=MEANINGS)
def test_a_status_may_say_more_than_the_code(
    code: int, status: str, kind: type[Exception], words: str
) -> None:
    """What another try cannot mend is an error at once, also where a 200 says so."""
    with FaultServer(answer(code, f'{{"status": "{status}"}}')) as server:
        client = client_of(server, retry_budget=timedelta(minutes=10))
        with pytest.raises(FatalAPIError, match=words) as caught:
            ask(client)
    assert type(caught.value) is kind
    assert f"Callcap answered {code} to GET /v2/get/calls/ (" in str(caught.value)
    assert len(server.seen) == 1


@pytest.mark.parametrize("status", ["not found", "nothing to say", "no records"])
def test_a_200_may_say_that_nothing_was_found(status: str) -> None:
    """It is handed on as a 404, for the reader to judge."""
    with FaultServer(answer(200, f'{{"status": "{status}"}}')) as server:
        nothing = ask(client_of(server))
    assert isinstance(nothing, NothingFound)
    assert (nothing.code, nothing.status) == (404, status)


@pytest.mark.parametrize("status", ["Success", " SUCCESS "])
def test_success_may_be_written_in_capitals(status: str) -> None:
    """That is no failure to be retried."""

    def shouting(connection: Connection, seen: Seen) -> bool:
        body = envelope(seen).replace(b'"success"', f'"{status}"'.encode())
        return answer(200, body)(connection, seen)

    with FaultServer(shouting) as server:
        assert page_of(client_of(server)).total_records == 0


@pytest.mark.parametrize("code", [401, 403, 400, 410])
def test_a_refusal_needs_no_body(code: int) -> None:
    """Where the code says what to do, a body that cannot be read does not hide it."""
    encoded = answer(code, "canary", {"Content-Encoding": "br"})
    for act in (
        encoded,
        broken(TOO_LONG, code=code),
        answer(code, "{", {"Content-Encoding": "gzip"}),
    ):
        with FaultServer(act) as server:
            assert f"answered {code} to GET" in failure_of(client_of(server))


@pytest.mark.parametrize("body", ["", '{"message": "x"}', '["status"]', "<html>"])
def test_another_404_is_an_error(body: str) -> None:
    """A 404 without a status in JSON comes from something else than the API."""
    with FaultServer(answer(404, body)) as server:
        assert "Callcap answered 404" in failure_of(client_of(server))


def test_accounts_must_answer() -> None:
    """The control request takes nothing but a success."""
    with FaultServer(good(), answer(404, '{"status": "x"}'), answer(204)) as server:
        client = client_of(server)
        client.accounts()
        for code in (404, 204):
            with pytest.raises(FatalAPIError, match=f"answered {code} to GET /v2/get/accounts/; "):
                client.accounts()
    assert {(seen.path, len(seen.query)) for seen in server.seen} == {("/v2/get/accounts/", 0)}


@pytest.mark.parametrize(
    ("zone", "error"), [("US/Central", ForeignZoneError), ("", FatalAPIError)], ids=["other", "no"]
)
def test_the_zone_of_an_answer_is_checked(zone: str, error: type[Exception]) -> None:
    """An answer in another zone, or in none that it names, is an error at once."""
    body = f'{{"status": "success", "search": {{"timezone": "{zone}"}}}}'
    with FaultServer(answer(200, body)) as server, pytest.raises(error, match="timezone"):
        ask(client_of(server))
    assert len(server.seen) == 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FastTime:
    """The clock by which an exchange is timed, faked."""
    faked = FastTime()
    monkeypatch.setattr(transport, "time", faked)
    return faked


def test_the_servers_clock_is_before_the_search(clock: FastTime) -> None:
    """The server's clock is the answer's Date less the time that the exchange took."""

    def slow(*args: Any) -> bool:
        clock.sleep(2)
        return good(headers={"Date": DATE_TEXT})(*args)

    with FaultServer(slow) as server:
        page = page_of(client_of(server))
    lead = DATE - page.clock
    assert lead.total_seconds() == pytest.approx(2, abs=0.01)


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("ahead", [timedelta(hours=3), timedelta(0), timedelta(hours=-3)], ids=str)
@pytest.mark.parametrize("act", [good(headers={"Date": DATE_TEXT}), NOTHING], ids=["200", "404"])
def test_the_earlier_clock_counts(ahead: timedelta, act: Act) -> None:
    """A clock that is ahead makes nobody skip calls; the answer tells how far apart the two are."""
    local = DATE - ahead
    with FaultServer(act) as server:
        found = ask(client_of(server, now=lambda: local))
    assert found.clock_skew is not None
    assert abs(found.clock - min(local, DATE)) < timedelta(seconds=1)
    assert abs(found.clock_skew - ahead) < timedelta(seconds=1)


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("text", ["Tue, 24 Nov 2026 10:00:00", "Tue, 24 Nov 2026 11:00:00 +0100"])
def test_a_date_is_read_in_its_zone(text: str) -> None:
    """A Date with an offset keeps to it; one without means UTC, not this machine's zone."""
    with FaultServer(good(headers={"Date": text})) as server:
        page = page_of(client_of(server))
    assert abs(page.clock - DATE) < timedelta(seconds=1)


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("text", ["", "yesterday", "Tue, 24 Nov 99999999999 10:00:00 GMT"])
def test_without_a_date_this_machines_clock_serves(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Where an answer has no readable Date, the clock is this machine's, and that is said once."""
    with FaultServer(after=good(headers={"Date": text})) as server:
        client = client_of(server, now=lambda: DATE)
        pages = [page_of(client) for _ in range(2)]
    assert {(page.clock, page.clock_skew) for page in pages} == {(DATE, None)}
    assert [line.getMessage() for line in caplog.records] == [
        "Callcap's answers have no Date: this machine's clock is used"
    ]


def test_a_body_without_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """More bytes than a page can have are not read, so that memory stays bounded."""
    monkeypatch.setattr(transport, "LARGEST_BODY", 1000)
    with FaultServer(answer(200, b" " * 1000 + b"{}")) as server:
        assert failure_of(client_of(server)).endswith("lower page_size")
    assert len(server.seen) == 1

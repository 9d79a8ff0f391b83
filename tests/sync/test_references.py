"""The streams `accounts` and `csrs`."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest
from jsonschema import Draft202012Validator
from singer_sdk.exceptions import FatalAPIError

from support.direct_client import DirectClient
from support.histories import BEGINNING, KillableWriter
from support.running import STREAMS, Run, bookmark_of, catalog_of, run_command, run_tap
from tap_callcap.api.errors import NoAccessError
from tap_callcap.records.schema import load_schema
from tap_callcap.sandbox import Answer, CallBook, Callcap, Sandbox, Switches, made_up_calls
from tap_callcap.sync.prefetch import Workers
from tap_callcap.sync.references import csr_row, walk
from tap_callcap.tap import TapCallcap

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tap_callcap.sandbox import Asked

NOW = BEGINNING
ACCOUNTS, CSRS = "/v2/get/accounts/", "/v2/get/callsurance/csrs/"


def some_calls(**switches: Any) -> Callcap:
    """An account with calls of all companies."""
    book = CallBook(made_up_calls(300, seed=5, start=NOW - timedelta(days=90), end=NOW))
    return Callcap(book, switches=Switches(**switches), clock=lambda: NOW)


def true_accounts(callcap: Callcap) -> dict[tuple[str, int], tuple[str, int | None, int | None]]:
    """Name, corporate and division of each account, read off the calls."""
    truth: dict[tuple[str, int], tuple[str, int | None, int | None]] = {}
    for call in callcap.book:
        corporate, division, location = (
            call["accounts"][level] for level in ("corporate", "division", "location")
        )
        truth["corporate", corporate["id"]] = (corporate["name"], None, None)
        truth["division", division["id"]] = (division["name"], corporate["id"], None)
        above = (corporate["id"], division["id"])
        truth["location", location["id"]] = (location["name"], *above)
    return truth


@pytest.mark.parametrize("dialect", ["json", "coldfusion"])
@pytest.mark.parametrize("concurrency", [1, 4])
def test_every_account_comes_with_those_above_it(dialect: str, concurrency: int) -> None:
    """The walk finds each account once, typed, and says to which ones it belongs."""
    callcap = some_calls(dialect=dialect)
    run = run_tap(callcap, catalog=catalog_of("accounts"), concurrency=concurrency)
    rows = run.records_of("accounts")
    found = {
        (row["account_type"], row["account_id"]): (
            row["account_name"],
            row["corporate_id"],
            row["division_id"],
        )
        for row in rows
    }
    truth = true_accounts(callcap)
    assert found == truth
    assert len(rows) == len(truth)
    assert {row["_extra"] for row in rows} == {None}
    kinds = [row["account_type"] for row in rows]
    assert kinds == sorted(kinds)  # those above come first: corporate, division, location
    parents = [kind for kind, _ in truth if kind != "location"]
    assert [asked.path for asked in callcap.requests] == [ACCOUNTS] * (1 + len(parents))


@pytest.mark.parametrize("dialect", ["json", "coldfusion"])
def test_every_call_taker_comes_with_one_type_of_access(dialect: str) -> None:
    """`access` is a word or a list for the API; here it is a boolean and a list."""
    callcap = some_calls(dialect=dialect)
    rows = run_tap(callcap, catalog=catalog_of("csrs")).records_of("csrs")
    csrs = [call["callsurance"]["csr"] for call in callcap.book if call["callsurance"]]
    truth = {csr["id"]: csr["name"] for csr in csrs if csr["id"]}
    assert {row["csr_id"]: row["csr_name"] for row in rows} == truth
    validator = Draft202012Validator(load_schema("csrs"))
    for row in rows:
        validator.validate(row)
        assert row["access_is_global"] == (row["access"] == [])
        assert row["_extra"] is None


@pytest.mark.parametrize(
    ("access", "typed"),
    [
        ("global", (True, [])),
        (" Global ", (True, [])),
        ([], (False, [])),
        ([{"account_type": "division", "account_id": 7}], (False, [7])),
        ({"account_type": "division", "account_id": "7"}, (False, ["7"])),
        (None, (None, None)),
        ("", (None, "")),
        ("some", (None, "some")),
    ],
    ids=repr,
)
def test_access_is_typed(access: object, typed: tuple[bool | None, object]) -> None:
    """Whatever the word, it is told whether the access is to all, or that nobody says."""
    row = csr_row({"csr_id": 0, "access": access})
    places = row["access"]
    if isinstance(places, list):
        places = [place["account_id"] for place in places]
    assert (row.get("access_is_global"), places) == typed


def test_unknown_fields_go_to_extra(caplog: pytest.LogCaptureFixture) -> None:
    """What the schemas do not know is kept, and named in the log once without its value."""
    callcap = some_calls()
    rows = {
        ACCOUNTS: ("children", {"account_type": "location", "account_id": "7", "phone": "c4n4ry"}),
        CSRS: ("csr", {"csr_id": 7, "access": "c4n4ry", "email": "c4n4ry"}),
    }

    def answered(asked: Asked) -> Answer:
        name, row = rows[asked.path]
        return Answer.of({"status": "success", name: [row]})

    callcap.before_answer = answered
    run = run_tap(callcap, catalog=catalog_of("accounts", "csrs"))
    (account,), (csr,) = run.records_of("accounts"), run.records_of("csrs")
    assert (account["account_id"], account["corporate_id"]) == (7, None)
    assert json.loads(account["_extra"]) == {"phone": "c4n4ry"}
    assert json.loads(csr["_extra"]) == {"access": "c4n4ry", "email": "c4n4ry"}
    assert csr["access_is_global"] is None
    assert "Field phone: unknown" in caplog.text
    assert "c4n4ry" not in caplog.text


@pytest.mark.parametrize("row", [None, 5, {}, {"csr_id": None}, {"csr_id": True}, {"csr_id": "x"}])
def test_a_call_taker_without_an_id_is_an_error(row: object) -> None:
    """A row without a key could not be written."""
    with pytest.raises(FatalAPIError, match="without a readable csr_id"):
        csr_row(row)


@pytest.mark.parametrize(
    "row",
    [
        *(None, [], {}, {"account_type": "division"}, {"account_id": 5}),
        *({"account_type": kind, "account_id": 5} for kind in ("", " ", 5, None)),
        *({"account_type": "division", "account_id": id_} for id_ in ("", "x", -1, 0.5, None)),
    ],
    ids=repr,
)
def test_an_account_without_type_and_id_is_an_error(row: object) -> None:
    """A row without a key could not be written; the others come, and the run fails at its end."""
    failures: list[str] = []
    good = {"account_type": "location", "account_id": 7}
    assert list(walk(lambda _: [row, good], Workers(1), failures.append)) == [good]
    (line,) = failures
    assert "below the login without a readable account_type and account_id" in line


def test_the_walk_takes_accounts_where_they_are() -> None:
    """A login may see a division without its corporate; an account is walked into once."""
    below: dict[Any, list[Any]] = {
        None: [("division", 2), ("corporate", 1)],
        ("division", "2"): [("location", 3)],
        ("corporate", "1"): [("division", 2), ("division", 4), ("region", 9)],
        ("division", "4"): [("location", 3), ("location", 5)],
    }

    def children(account: Any) -> list[Mapping[str, object]]:
        return [{"account_type": kind, "account_id": id_} for kind, id_ in below.pop(account)]

    rows = [tuple(row.values()) for row in walk(children, Workers(2), pytest.fail)]
    assert rows == [
        ("division", 2),
        ("corporate", 1),
        ("2", "location", 3),
        ("1", "division", 4),
        ("1", "region", 9),
        ("1", "4", "location", 5),
    ]
    assert below == {}


def test_the_walk_names_what_cannot_be_read() -> None:
    """An error, or no list where others have one: the line names the account, the others come."""
    corporates = [{"account_type": "corporate", "account_id": each} for each in (1, 2, 3)]
    below: dict[Any, Any] = {
        None: corporates,
        ("corporate", "1"): FatalAPIError("Callcap answered 500"),
        ("corporate", "2"): None,
        ("corporate", "3"): [],
    }
    failures: list[str] = []
    assert list(walk(below.__getitem__, Workers(1), failures.append)) == corporates
    failed, absent = failures
    assert failed == "The accounts below corporate 1 could not be read: Callcap answered 500"
    assert absent.startswith("Callcap lists corporate 2, but has nothing below it")


def test_one_account_or_call_taker_that_cannot_be_read_costs_only_itself() -> None:
    """The rows of the others come; the error at the end names both."""
    callcap, writer = some_calls(), KillableWriter()
    direct = DirectClient(callcap)
    client = Mock(wraps=direct, requests=0, retries=0)
    client.csrs.side_effect = lambda: [*direct.csrs(), {"csr_name": "without an id"}]
    (corporate, *_) = direct.accounts_below(None) or []
    assert isinstance(corporate, dict)
    failing = ("corporate", str(corporate["account_id"]))

    def below(account: Any) -> Any:
        if account == failing:
            msg = "Callcap answered 500"
            raise FatalAPIError(msg)
        return direct.accounts_below(account)

    client.accounts_below.side_effect = below
    tap = TapCallcap(
        client_factory=lambda _: client,
        config={"api_key": "sandbox"},
        catalog=catalog_of("accounts", "csrs"),
        message_writer=writer,
    )
    with pytest.raises(FatalAPIError) as caught:
        tap.sync_all()
    assert f"below corporate {failing[1]} could not be read: Callcap answered 500" in str(
        caught.value
    )
    assert "csr_id" in str(caught.value)
    run = Run(writer.lines)
    assert len(run.records_of("csrs")) == len(direct.csrs())
    assert len(run.records_of("accounts")) > 1


@pytest.mark.parametrize("error", [FatalAPIError("Down"), NoAccessError("403")], ids=repr)
def test_a_failing_stream_fails_the_run_at_its_end(error: FatalAPIError) -> None:
    """The stream after it is read; then its line is raised, with what it needs if that helps."""
    callcap, writer = some_calls(), KillableWriter()
    client = Mock(wraps=DirectClient(callcap), requests=0, retries=0)
    client.csrs.side_effect = client.accounts_below.side_effect = error
    tap = TapCallcap(
        client_factory=lambda _: client,
        config={"api_key": "sandbox"},
        catalog=catalog_of(*STREAMS),
        message_writer=writer,
    )
    with pytest.raises(FatalAPIError) as caught:
        tap.sync_all()
    calls = Run(writer.lines).records_of("calls")
    assert {record["call_id"] for record in calls} == callcap.book.ids
    line = str(caught.value)
    assert line.startswith(f"Stream accounts could not be read: {error}")
    assert f"; Stream csrs could not be read: {error}" in line
    assert line.count("It needs") == 2 * isinstance(error, NoAccessError)


# Runs of several streams


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """The same account, served on this machine."""
    with Sandbox(some_calls()) as sandbox:
        yield sandbox


def config_for(sandbox: Sandbox, **settings: Any) -> dict[str, Any]:
    """The config that reads a sandbox."""
    return {"api_key": "sandbox", "api_url": sandbox.url, "retry_minutes": 0, **settings}


def test_all_streams_come_when_they_are_selected(sandbox: Sandbox, tmp_path: Path) -> None:
    """A catalog that selects them brings all three, and a state in which only calls have one."""
    run = run_command(folder=tmp_path, config=config_for(sandbox), catalog=catalog_of(*STREAMS))
    assert run.code == 0, run.log
    assert {row["call_id"] for row in run.records_of("calls")} == sandbox.book.ids
    keys = {(row["account_type"], row["account_id"]) for row in run.records_of("accounts")}
    assert keys == true_accounts(sandbox.callcap).keys()
    assert run.records_of("csrs")
    bookmark_of(run.state)
    assert {name for name, part in run.state["bookmarks"].items() if part} == {"calls"}
    assert "ACTIVATE_VERSION" not in {message["type"] for message in run.messages}


def test_only_calls_come_unless_more_is_asked_for(sandbox: Sandbox, tmp_path: Path) -> None:
    """Without a catalog the other streams stay away."""
    run = run_command(folder=tmp_path, config=config_for(sandbox))
    assert run.code == 0, run.log
    assert {message.get("stream", "calls") for message in run.messages} == {"calls"}
    assert CSRS not in {asked.path for asked in sandbox.callcap.requests}


REFUSALS = {
    "403": Answer.of({"status": "forbidden", "message": "Not yours"}, 403),
    "404": Answer.of({"status": "not found", "message": "Nothing to say"}, 404),
    "404 of no API": Answer(404, b"<html>"),
    "no list": Answer.of({"status": "success"}),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize(("name", "path"), [("accounts", ACCOUNTS), ("csrs", CSRS)])
def test_a_stream_that_the_key_may_not_see_is_named_at_the_end(
    name: str, path: str, refusal: Answer, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Calls are read to their end with their state, then: exit 1, the stream, what it needs."""
    sandbox.callcap.before_answer = lambda asked: refusal if asked.path == path else None
    run = run_command(folder=tmp_path, config=config_for(sandbox), catalog=catalog_of(*STREAMS))
    assert run.code == 1
    (line,) = [line for line in run.log.splitlines() if "| ERROR " in line]
    assert f"Stream {name} could not be read: " in line
    assert path in line
    assert "It needs the key of a login that may list" in line
    assert "Traceback" not in run.log
    assert {row["call_id"] for row in run.records_of("calls")} == sandbox.book.ids
    (other,) = {"accounts", "csrs"} - {name}
    assert run.records_of(other)
    assert not run.records_of(name)
    sandbox.callcap.before_answer = None
    rest = run_command(folder=tmp_path, config=config_for(sandbox), state=run.state)
    assert rest.code == 0
    assert len(rest.records) < len(sandbox.book.ids)


def test_all_that_failed_is_told(sandbox: Sandbox, tmp_path: Path) -> None:
    """Two streams that fail, one of them by an answer of no use, are both in the last line."""
    answers = {ACCOUNTS: REFUSALS["403"], CSRS: Answer.of({"status": "success", "csr": "c4n4ry"})}
    sandbox.callcap.before_answer = lambda asked: answers.get(asked.path)
    run = run_command(folder=tmp_path, config=config_for(sandbox), catalog=catalog_of(*STREAMS))
    assert run.code == 1
    (line,) = [line for line in run.log.splitlines() if "| ERROR " in line]
    assert "Stream accounts could not be read: Callcap answered 403" in line
    assert "Stream csrs could not be read: " in line
    assert "`csr` is not a list" in line
    assert line.count("It needs") == 1
    assert "c4n4ry" not in run.log


@pytest.mark.parametrize(
    "nothing",
    [REFUSALS["404"], Answer(204), Answer.of({"status": "success", "children": ""})],
    ids=["404", "204", "empty"],
)
def test_an_account_without_others_below_may_be_answered_in_any_way(
    nothing: Answer, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Where below all known accounts nothing is found, nothing is there."""
    sandbox.callcap.before_answer = lambda asked: nothing if "account_id" in asked.params else None
    run = run_command(folder=tmp_path, config=config_for(sandbox), catalog=catalog_of("accounts"))
    assert run.code == 0, run.log
    assert {row["account_type"] for row in run.records} == {"corporate"}


@pytest.mark.parametrize("switch", ["broken_accounts", "missing_accounts"])
def test_one_branch_that_cannot_be_read_is_named_at_the_end(
    switch: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The accounts of all other branches come; the exit code is 1."""
    catalog, config = catalog_of("accounts"), {**config_for(sandbox), "retry_minutes": 0}
    owed = run_command(folder=tmp_path, config=config, catalog=catalog).records
    division = next(row for row in owed if row["account_type"] == "division")["account_id"]
    lacking = [row for row in owed if row["division_id"] == division]
    assert lacking
    changes: dict[str, Any] = {switch: frozenset({int(division)})}
    sandbox.callcap.switches = replace(sandbox.callcap.switches, **changes)
    run = run_command(folder=tmp_path, config=config, catalog=catalog)
    assert run.code == 1
    (line,) = (line for line in run.log.splitlines() if "| ERROR " in line)
    assert f"division {division}" in line
    assert run.records == [row for row in owed if row not in lacking]


def test_no_call_takers_are_no_error(sandbox: Sandbox, tmp_path: Path) -> None:
    """An account without call takers has an empty list, or no content."""
    for nothing in (Answer(204), Answer.of({"status": "success", "csr": []})):
        sandbox.callcap.before_answer = lambda asked, it=nothing: it if asked.path == CSRS else None
        run = run_command(folder=tmp_path, config=config_for(sandbox), catalog=catalog_of("csrs"))
        assert (run.code, run.records) == (0, [])

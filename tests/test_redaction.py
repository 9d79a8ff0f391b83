"""Secrets and values of calls reach no log handler, whichever logger is used."""

from __future__ import annotations

import json
import logging
from io import StringIO
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import pytest
from singer_sdk.exceptions import FatalAPIError
from singer_sdk.logging import ConsoleFormatter, StructuredFormatter
from singer_sdk.metrics import Metric, Point, log

from tap_callcap.redaction import RedactionFilter, one_line, redact_logs, traceback_without_values

if TYPE_CHECKING:
    from collections.abc import Iterator

CANARY = 'c4n4ry/Key+of="a~Log\\in'
VALUE = "316-555-7788"


@pytest.fixture(params=[ConsoleFormatter(), StructuredFormatter()], ids=["console", "structured"])
def handler(request: pytest.FixtureRequest) -> Iterator[logging.StreamHandler[StringIO]]:
    """A handler of the root logger, protected, with each formatter of the SDK."""
    made = logging.StreamHandler(StringIO())
    made.setFormatter(request.param)
    root = logging.getLogger()
    level, before = root.level, list(root.handlers)
    root.handlers = [made]
    root.setLevel(logging.DEBUG)
    redact_logs([CANARY])
    yield made
    root.handlers = before
    root.setLevel(level)
    logging.raiseExceptions = True
    if logging.lastResort is not None:
        logging.lastResort.filters = []


def written(handler: logging.StreamHandler[StringIO]) -> str:
    """What a handler has written."""
    return handler.stream.getvalue().replace(r"\u2026", "…")  # as JSON may have it


FORMS = {
    "plain": CANARY,
    "quoted": quote(CANARY),
    "quoted whole": quote(CANARY, safe=""),
    "quoted in lower case": quote(CANARY, safe="").replace("%2F", "%2f").replace("%3D", "%3d"),
    "quoted with plus": quote_plus(CANARY),
    "repr": repr(CANARY),
    "JSON": json.dumps(CANARY),
}


def assert_hidden(text: str) -> None:
    """Nothing of the secret that could be put together again is in `text`."""
    for canary in ("c4n4ry", "Key+of", "Key%2Bof", "a~Log"):
        assert canary not in text


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_secret_is_hidden_in_every_form(
    form: str, handler: logging.StreamHandler[StringIO]
) -> None:
    """In a message, its arguments, in what goes along with it and in the name of a logger."""
    logger = logging.getLogger("anybody")
    logger.info("before %s after", form)
    logger.info(f"before {form} after")  # noqa: G004 - as others do
    logger.info("before %(it)s after", {"it": [form]}, extra={"along": {"it": form}})
    assert written(handler).count("before ") == 3
    assert written(handler).count("…") >= 3
    assert_hidden(written(handler))


def test_the_search_for_a_secret_can_find_it() -> None:
    """What these tests look for is there in every form, when nobody takes it out."""
    for form in FORMS.values():
        with pytest.raises(AssertionError):
            assert_hidden(form)


def failing() -> None:
    """Fail like a library that quotes what it failed at."""
    local = VALUE
    try:
        int(local)
    except ValueError as error:
        raise KeyError(CANARY, local) from error


def test_of_an_exception_only_places_are_shown(handler: logging.StreamHandler[StringIO]) -> None:
    """A traceback has types and lines; messages may quote calls, and locals hold them."""
    try:
        failing()
    except KeyError:
        logging.getLogger("library").exception("It failed")
    assert "It failed" in written(handler)
    assert VALUE not in written(handler)
    assert_hidden(written(handler))
    if isinstance(handler.formatter, ConsoleFormatter):
        assert "in failing" in written(handler)
        assert "ValueError\nwhich led to\n" in written(handler)
        assert written(handler).endswith("KeyError\n")


def test_an_error_without_exception_is_shown(handler: logging.StreamHandler[StringIO]) -> None:
    """Who asks for a traceback where there is none gets the line."""
    logging.getLogger("library").error("It failed", exc_info=True)  # noqa: LOG014 - as others do
    assert "It failed" in written(handler)


@pytest.mark.parametrize(
    ("name", "level", "is_shown"),
    [
        ("urllib3.connectionpool", logging.DEBUG, False),
        ("urllib3.connection", logging.CRITICAL, False),
        ("requests.sessions", logging.WARNING, False),
        ("singer_sdk.mapper", logging.DEBUG, False),
        ("singer_sdk.mapper", logging.INFO, True),
        ("tap-callcap", logging.DEBUG, True),
        ("py.warnings", logging.WARNING, True),
    ],
)
def test_what_holds_queries_or_values_is_not_shown(
    name: str, level: int, is_shown: bool, handler: logging.StreamHandler[StringIO]
) -> None:
    """Lines of the libraries beneath, which hold whole queries, and of the SDK's stream maps."""
    logging.getLogger(name).log(level, "the line")
    assert ("the line" in written(handler)) is is_shown


def test_an_untrue_line_of_the_sdk_is_not_shown(
    handler: logging.StreamHandler[StringIO],
) -> None:
    """The tap reads the environment itself, and the SDK says that it is skipped."""
    logging.getLogger("tap-callcap").info("Skipping parse of env var settings...")
    assert not written(handler)


def test_a_line_that_cannot_be_formatted_shows_no_values(
    handler: logging.StreamHandler[StringIO], capsys: pytest.CaptureFixture[str]
) -> None:
    """Python prints such a line with all its arguments; here it only says whose it was."""
    logging.getLogger("library").warning("%d calls of %s", VALUE, VALUE)
    handler.setStream(StringIO())
    handler.stream.close()
    logging.getLogger("library").warning("a stream that is closed: %s", VALUE)
    assert VALUE not in "".join(capsys.readouterr())


def test_a_line_that_cannot_be_formatted_is_told(
    handler: logging.StreamHandler[StringIO],
) -> None:
    """It is not lost altogether."""
    logging.getLogger("library").warning("%d calls", VALUE)
    assert "(a line of library that cannot be formatted)" in written(handler)
    assert VALUE not in written(handler)


def test_metrics_stay_whole(handler: logging.StreamHandler[StringIO]) -> None:
    """The SDK's metrics come out as before, structured ones too."""
    log(logging.getLogger("singer_sdk.metrics"), Point("counter", Metric.RECORD_COUNT, 7))
    assert '"metric":"record_count","value":7' in written(handler)


def test_the_last_secrets_count(handler: logging.StreamHandler[StringIO]) -> None:
    """Protected again, a handler has one filter, with the new secrets; none is no secret."""
    redact_logs([])
    redact_logs(["another"])
    assert [type(each) for each in handler.filters] == [RedactionFilter]
    logging.getLogger("library").info("one and another")
    assert "one and …" in written(handler)
    redact_logs([])
    logging.getLogger("library").info("all and another")
    assert "all and another" in written(handler)


@pytest.mark.parametrize(
    ("secret", "line", "shown"),
    [
        ("ab", "able to grab ab, (ab) or ?key=ab&x", "able to grab …, (…) or ?key=…&x"),
        ("a/b", "a/b, a%2Fb and data/base", "…, … and data/base"),
        ("seven77", "seven77 seven777 xseven77", "… seven777 xseven77"),
        ("eight888", "eight888 xeight8889", "… x…9"),
    ],
)
def test_a_short_secret_is_hidden_only_as_a_word(
    secret: str, line: str, shown: str, handler: logging.StreamHandler[StringIO]
) -> None:
    """From eight characters on it is hidden anywhere; a shorter one may be part of any word."""
    redact_logs([secret])
    logging.getLogger("library").info(line)
    assert shown in written(handler)


def test_handlers_of_any_logger_are_protected() -> None:
    """A log config may give handlers to single loggers, and Python has one of its own."""
    own = logging.StreamHandler(StringIO())
    logger = logging.getLogger("library.with.handler")
    logger.addHandler(own)
    logger.propagate = False
    try:
        redact_logs([CANARY])
        logger.error("the key is %s", CANARY)
        assert own.stream.getvalue() == "the key is …\n"
        assert logging.lastResort is not None
        assert any(isinstance(each, RedactionFilter) for each in logging.lastResort.filters)
    finally:
        logger.removeHandler(own)
        logging.raiseExceptions = True
        for handler in [*logging.getLogger().handlers, logging.lastResort]:
            if handler is not None:
                handler.filters = []


def raised(error: BaseException) -> BaseException:
    """An error as it is caught."""
    try:
        raise error
    except type(error) as caught:
        return caught


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (FatalAPIError("Callcap answered\n401: check api_key"), "Callcap answered 401: check"),
        (
            FileNotFoundError(2, "No such file or directory", "x.json"),
            "No such file or directory: ",
        ),
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError(VALUE), "Unexpected OSError in test_redaction, line "),
        (ValueError(f"invalid literal {VALUE}"), "Unexpected ValueError in test_redaction, line "),
        (RecursionError(), "Unexpected RecursionError in test_redaction, line "),
    ],
    ids=["ours", "file", "system", "odd system", "foreign", "without words"],
)
def test_an_error_is_one_line(error: Exception, line: str) -> None:
    """What the tap says of itself is shown; of an unexpected error, only type and place."""
    told = one_line(raised(error))
    assert told.startswith(line)
    assert len(told.splitlines()) == 1
    assert VALUE not in told
    assert ("DEBUG" in told) == ("test_redaction" in line)


def test_a_stream_map_that_fails_is_named() -> None:
    """An expression that fails at some record is not a fault of the tap."""
    namespace: dict[str, Any] = {"__name__": "singer_sdk.mapper"}
    exec(f"def transform(): return int('{VALUE}')", namespace)  # noqa: S102 - a module of this name
    with pytest.raises(ValueError, match="invalid literal") as caught:
        namespace["transform"]()
    line = "An expression in stream_maps failed with ValueError for a record: check stream_maps"
    assert one_line(caught.value) == line


def test_a_traceback_ends_with_what_was_suppressed() -> None:
    """`from None` hides what was beneath, as in any traceback."""
    try:
        try:
            int(VALUE)
        except ValueError:
            raise FatalAPIError(VALUE) from None
    except FatalAPIError as error:
        text = traceback_without_values(error)
    assert text.endswith("FatalAPIError")
    assert "ValueError" not in text

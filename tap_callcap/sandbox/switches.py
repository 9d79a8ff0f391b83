"""What the API's documents leave open, one switch for each."""

# The annotations are read at run time, so that a switch can be given as text.
import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, get_args, get_type_hints

import msgspec

from tap_callcap.sandbox.zones import RepeatedHour, zone_named


class BadSwitchError(ValueError):
    """A switch that does not exist, or a value that it cannot have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """How Callcap behaves where its documents are silent; the defaults are the plainest reading."""

    empty_search: Literal["list", "null", "missing", "last_page_0", "404", "204"] = "list"
    """How a search without results is answered: `call` as [], null or missing with `last_page` 1,
    [] with `last_page` 0, a 404 with a JSON body, or a 204 without a body."""

    start_minute: Literal["inclusive", "exclusive"] = "inclusive"
    """Whether `search_last_modified_start=… 10:04` includes the minute 10:04."""

    end_minute: Literal["includes", "excludes", "on_the_dot"] = "includes"
    """Whether `search_last_modified_end=… 10:04` includes 10:04:30; `on_the_dot`: only 10:04:00.
    An end without a time is always the end of its day, as documented."""

    repeated_hour: RepeatedHour = "both"
    """What a border within an hour that a clock change repeats stands for: `both` compares wall
    times, `first` and `second` take the border as that pass."""

    utc: Literal["accepted", "refused", "ignored", "alias"] = "accepted"
    """What happens to `search_timezone=UTC`: obeyed, a 400, answered in `login_timezone`
    (and that one echoed), or obeyed and echoed as `Etc/UTC`."""

    refused_timezones: frozenset[str] = frozenset()
    """Zones besides that are answered with a 400."""

    login_timezone: str = "US/Central"
    """The zone of the login, used when a request names none."""

    zone_echo: bool = True
    """Whether an answer says in `search.timezone` which zone it uses."""

    ties: Literal["stable", "shuffled", "by_page"] = "stable"
    """The order of calls with equal sort keys: by call_id, another one in each answer, or another
    one on each page of each size, and the same whenever that is asked for."""

    page_beyond_last: Literal["empty", "last", "400", "404"] = "empty"
    """What a page after `last_page` brings: no calls, the last page again, or an error."""

    requests_per_minute: int | None = None
    """More requests than this within `rate_window` are answered with a 429."""

    rate_window: timedelta = timedelta(minutes=1)
    """The length of that minute, for those who cannot wait so long."""

    retry_after: Literal["none", "seconds", "date"] = "none"
    """How a 429 says when to come back, in its `Retry-After` header."""

    max_range_days: float | None = None
    """A search over a longer range of last_modified (of dates, when there is none) is a 400."""

    max_page: int | None = None
    """A page after this one is a 400."""

    max_total: int | None = None
    """A search finds at most so many calls, the first of its order, and counts no others."""

    show_cap: int | None = None
    """At most so many calls come on a page, whatever was asked; `pagination.show` says so."""

    visible_after: timedelta = timedelta(0)
    """How long after its last_modified a new call or an edit shows up; until then the API
    answers with the version before."""

    single_call: Literal["list", "object", "top_level"] = "list"
    """Where `/get/calls/<call_id>/` puts the call: in a list, as an object under `call`,
    or beside `status`."""

    absent: Literal["null", "missing", "empty"] = "null"
    """How a field without a value is written: null, not at all, or as "" (at the top {} for an
    object, [] for a list)."""

    dialect: Literal["json", "coldfusion"] = "json"
    """`coldfusion`: "" for null, numbers and booleans as text, [] for an empty object."""

    callsaver_detail: Literal["always", "with_all"] = "always"
    """Whether `callsaver`, which no detail mentions, comes always or with `all` only."""

    unknown_fields: bool = False
    """Whether calls carry fields that no document mentions, at the top and further in."""

    unknown_parameters: Literal["400", "ignored"] = "400"
    """What a request with a parameter that is not documented gets."""

    date_header: bool = True
    """Whether answers carry the server's time in a `Date` header."""

    latency: float = 0
    """Seconds between the look into the books and the answer."""

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        for name, least in (
            ("requests_per_minute", 1),
            ("max_page", 1),
            ("max_total", 1),
            ("show_cap", 1),
            ("latency", 0),
        ):
            value = getattr(self, name)
            if value is not None and value < least:
                msg = f"The switch {name} is {value}, and must be at least {least}"
                raise BadSwitchError(msg)
        try:
            zone_named(self.login_timezone)
        except ValueError as error:
            msg = f"The switch login_timezone: {error}"
            raise BadSwitchError(msg) from error

    @classmethod
    def parse(cls, pairs: Iterable[str]) -> "Switches":
        """Return the switches that texts like `utc=refused` describe.

        Durations are seconds (`300`) or ISO 8601 (`PT5M`), several zones are parted by commas.
        """
        given: dict[str, str | list[str]] = {}
        for pair in pairs:
            name, equals, text = pair.partition("=")
            if not equals:
                msg = f"The switch {pair!r} has no value: write it as name=value"
                raise BadSwitchError(msg)
            given[name] = text.split(",") if name == "refused_timezones" else text
        return cls._converted(given)

    @classmethod
    def _converted(cls, given: Mapping[str, str | list[str]]) -> "Switches":
        kinds: dict[str, Any] = get_type_hints(cls)
        values: dict[str, Any] = {}
        for name, text in given.items():
            if name not in kinds:
                msg = f"There is no switch {name!r}: choose from {', '.join(kinds)}"
                raise BadSwitchError(msg)
            try:
                values[name] = msgspec.convert(text, kinds[name], strict=False)
            except msgspec.ValidationError as error:
                msg = f"The switch {name} cannot be {text!r}: it takes {_expected(kinds[name])}"
                raise BadSwitchError(msg) from error
        return cls(**values)

    @classmethod
    def choices(cls) -> dict[str, str]:
        """Return what each switch takes, its default first, as text for people."""
        kinds = get_type_hints(cls)
        return {
            field.name: _choices(kinds[field.name], field.default)
            for field in dataclasses.fields(cls)
        }


_EXPECTED: Mapping[object, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    timedelta: "seconds, or a duration such as PT5M",
}


def _expected(kind: Any) -> str:  # noqa: ANN401 - an annotation has no type
    """Return what a switch takes, for the message about a wrong value."""
    choices = ", ".join(each for each in get_args(kind) if isinstance(each, str))
    kinds = {kind, *get_args(kind)}
    return choices or next(text for known, text in _EXPECTED.items() if known in kinds)


def _choices(kind: Any, default: object) -> str:  # noqa: ANN401 - an annotation has no type
    values = [each for each in get_args(kind) if isinstance(each, str)]
    if values:
        return " | ".join(sorted(values, key=lambda value: value != default))
    if isinstance(default, frozenset):
        return "names, parted by commas"
    if isinstance(default, timedelta):
        return f"{default.total_seconds():g} (seconds)"
    if isinstance(default, bool):
        return "false | true" if not default else "true | false"
    return "none" if default is None else f"{default}"

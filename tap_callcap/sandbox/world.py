"""The made-up companies of the calls: accounts, employees, and pools of names and texts."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, Final

from faker import Faker

if TYPE_CHECKING:
    from tap_callcap.sandbox.call import Call

MEDIUMS: Final = {
    1: "Website",
    2: "Google Ads",
    3: "Direct Mail",
    4: "Yellow Pages",
    5: "Radio",
    6: "Vehicle Wrap",
    7: "Click-to-Call",
    8: "Outbound Line",
    9: "Office Transfer",
}
"""Campaign mediums by mediatype ID; the API filters by ID and shows names. The IDs are made up."""

CLICK_TO_CALL: Final = MEDIUMS[7]
_DIRECTIONS = {MEDIUMS[8]: "outbound", MEDIUMS[9]: "internal"}
_MEDIUM_TYPES = {
    1: "Digital",
    2: "Digital",
    7: "Digital",
    3: "Collateral",
    4: "Collateral",
}

LOCALES = ("en_US", "es_MX", "fr_CA", "pl_PL", "ja_JP")
LOCALE_WEIGHTS = (80, 10, 5, 3, 2)
AREA_CODES = (
    212,
    305,
    312,
    316,
    415,
    469,
    512,
    602,
    614,
    702,
    720,
    801,
    816,
    904,
    913,
    918,
)
SERVICES = (
    "a leaking sink",
    "a water heater",
    "an air conditioner that blows warm air",
    "a furnace inspection",
    "a clogged drain",
    "a new roof",
    "termite control",
    "a garage door spring",
    "a window replacement",
    "an electrical panel",
    "a fence quote",
    "gutter cleaning",
)
_OPENINGS = (
    "The caller asked about {}.",
    "The caller would like an appointment for {}.",
    "The customer has used the company before and needs help with {}.",
    "A neighbor recommended the company for {}.",
    "The caller compared prices for {} with two competitors.",
    "The caller wanted to know whether {} is covered by the maintenance plan.",
)
_TURNS = (
    "The CSR gave the company name and asked for the address.",
    "The CSR did not say their name.",
    "The CSR explained that the diagnostic fee is waived when the repair is done the same day.",
    "The CSR offered the next available appointment on Thursday between 8 and 10 in the morning.",
    "The caller was placed on hold twice while the CSR looked for an open slot.",
    "The caller mentioned a coupon from the mailer and asked if it could still be used.",
    "The CSR was courteous and confirmed the phone number at the end of the call.",
    'The caller said "I will talk to my husband first" and asked for a call back.',
    "The price range quoted was between $189 and $1,250 depending on parts.",
    "The caller preferred Spanish, and the CSR transferred the call to Señora Núñez.",
    "The technician will call thirty minutes before arrival — the gate code was noted.",
    "The caller was unhappy with an earlier visit; the CSR apologized and offered a discount.",
)


@dataclass(frozen=True, slots=True)
class Line:
    """A campaign, and what all its calls have in common."""

    accounts: Call
    csrs: tuple[Call, ...]
    has_callsurance: bool
    has_sentiment: bool
    has_demographics: bool

    @property
    def direction(self) -> str:
        """`inbound`, `outbound` or `internal`."""
        direction: str = self.accounts["campaign"]["direction"]
        return direction


@dataclass(frozen=True, slots=True)
class World:
    """The values that calls are made from; the same in every sandbox, whatever its seed."""

    lines: tuple[Line, ...]
    first_names: tuple[tuple[str, ...], ...]
    last_names: tuple[tuple[str, ...], ...]
    companies: tuple[str, ...]
    streets: tuple[str, ...]
    towns: tuple[Call, ...]
    sentences: tuple[str, ...]
    paragraphs: tuple[str, ...]


@lru_cache(maxsize=1)
def the_world() -> World:
    """Return the world; it is made once and cached."""
    rng = Random(2012)  # noqa: S311 - made-up calls
    fakers = [Faker(locale) for locale in LOCALES]
    for number, fake in enumerate(fakers):
        fake.seed_instance(number)
    american = fakers[0]
    sentences = [text.format(service) for text in _OPENINGS for service in SERVICES]
    sentences += _TURNS
    return World(
        lines=tuple(_lines(rng, american)),
        first_names=tuple(tuple(fake.first_name() for _ in range(150)) for fake in fakers),
        last_names=tuple(tuple(fake.last_name() for _ in range(300)) for fake in fakers),
        companies=tuple(american.company() for _ in range(200)),
        streets=tuple(american.street_address() for _ in range(1000)),
        towns=tuple(
            {
                "city": american.city(),
                "state": american.state_abbr(),
                "zip": american.postcode(),
            }
            for _ in range(300)
        ),
        sentences=tuple(sentences),
        paragraphs=tuple(_paragraph(rng) for _ in range(500)),
    )


def phone_number(rng: Random) -> str:
    """Return a phone number from the range that is reserved for fiction."""
    return f"{rng.choice(AREA_CODES)}-555-01{rng.randrange(100):02}"


def _paragraph(rng: Random) -> str:
    asked = (rng.choice(_OPENINGS).format(rng.choice(SERVICES)) for _ in range(4))
    return " ".join([*asked, *rng.sample(_TURNS, rng.randint(9, len(_TURNS)))])


def _lines(rng: Random, fake: Faker) -> list[Line]:
    lines: list[Line] = []
    for number in range(3):
        corporate = {"id": 1001 + number, "name": fake.company()}
        for _ in range(rng.randint(2, 4)):
            division = _place(rng, 2000 + rng.randrange(10) + 20 * len(lines), fake.state())
            for _ in range(rng.randint(2, 4)):
                location = _place(rng, 300_001 + 100 * len(lines), fake.city())
                csrs = _csrs(rng, fake, 40_001 + 100 * len(lines))
                for _ in range(rng.randint(2, 4)):
                    accounts = {
                        "corporate": corporate,
                        "division": division,
                        "location": location,
                        "campaign": _campaign(rng, fake, 500_001 + len(lines)),
                    }
                    lines.append(
                        Line(
                            accounts,
                            csrs,
                            has_callsurance=len(lines) % 4 > 0,
                            has_sentiment=number > 0,
                            has_demographics=number == 0,
                        ),
                    )
    return lines


def _place(rng: Random, number: int, name: str) -> Call:
    label = f"{rng.randrange(10_000):04}"
    return {
        "external_id": f"{name[:3].lower()}{rng.randrange(1000):03}",
        "id": number,
        "name": name,
        "corporate_label": label,
    }


def _csrs(rng: Random, fake: Faker, first: int) -> tuple[Call, ...]:
    return tuple({"id": first + n, "name": fake.name()} for n in range(rng.randint(2, 5)))


def _campaign(rng: Random, fake: Faker, number: int) -> Call:
    medium_id = rng.choice(list(MEDIUMS))
    medium = MEDIUMS[medium_id]
    return {
        "id": number,
        "callcap_number": f"866-555-01{rng.randrange(100):02}",
        "dialed_number": f"866-555-01{rng.randrange(100):02}",
        "destination_number": phone_number(rng),
        "ivr_option": rng.choice((None, 1, 2, 3)),
        "medium": medium,
        "name": f"{medium} {fake.bs()}",
        "line-memo": rng.choice(("", "Memo", f"Since {rng.randint(2012, 2024)}")),
        "default_revenue_value": rng.choice(("", "", "250")),
        "medium_type": _MEDIUM_TYPES.get(medium_id, "Other"),
        "cost_per_piece_final": rng.choice((None, Decimal("0.0100"), Decimal("1.2500"))),
        "addtl_line_memo": rng.choice((None, "", "Memo")),
        "cost_per_piece_est": Decimal("0.0100"),
        "brand": rng.choice(("", "Brand", "Café Crème")),
        "service_line": rng.choice(("HVAC", "Plumbing", "Pest Control", "Roofing")),
        "target": rng.choice(("Homeowners", "New movers", "")),
        "offer": rng.choice(("$50 off", "Free estimate", "")),
        "direction": _DIRECTIONS.get(medium, "inbound"),
    }

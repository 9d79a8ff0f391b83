"""Made-up values for fields that only some calls have: such as ratings and summaries."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from random import Random

    from tap_callcap.sandbox.call import Call
    from tap_callcap.sandbox.world import World

MAJORS = (
    "Positive",
    "Negative",
    "Neutral",
    "Filtered",
)  # their IDs are 1 … 4, as documented
_MAJOR_WEIGHTS = (45, 28, 22, 5)
_MINORS: tuple[tuple[Call, ...], ...] = (
    (
        {"label": "Appointment Booked", "id": 54800824},
        {"label": "Estimate Scheduled", "id": 54800825},
        {"label": "Sale", "id": 54800826},
    ),
    (
        {"label": "No sale", "id": 7654321},
        {"label": "Price too high", "id": 7654322},
        {"label": "Call Back Later", "id": 7654323},
    ),
    ({"label": "Existing Customer", "id": 8100001}, {"label": "Vendor", "id": 8100002}),
    ({"label": "Filtered", "id": 9000001},),
)
_OUTCOMES: tuple[Call, ...] = ({"label": "Saved", "id": 1}, {"label": "Lost", "id": 2})
_REASONS: tuple[Call, ...] = (
    {"label": "Customer repaired problem", "id": 111, "opportunity": True},
    {"label": "Not a lead", "id": 112, "opportunity": False},
    {"label": "Went with competitor", "id": 113, "opportunity": True},
)
_VISITORS: tuple[Call, ...] = tuple(
    {
        "device": {"type": device},
        "os": {"name": system, "version": version},
        "browser": {"name": browser, "version": browser_version},
    }
    for device, system, version, browser, browser_version in (
        ("mobile", "Android", "4.4.2", "Chrome", "28.0.1500.94"),
        ("mobile", "iOS", "17.5", "Safari", "17.5"),
        ("desktop", "Windows", "11", "Edge", "126.0.2592.87"),
        ("tablet", "iPadOS", "16.1", "Safari", "16.1"),
        ("desktop", "macOS", "", "Firefox", "127.0"),
    )
)
_SEARCHES = (
    "air conditioning service and repair",
    "plumber near me",
    "emergency furnace repair open now",
    "réparation de toiture",
    "pest control cost",
)
_ADS = ("Spring Tune-Up", "Emergency", "Brand")
_LONG_NOTE = 100_000  # characters


def callsurance_of(rng: Random, csr: Call) -> Call:
    """Return an analyst's rating; a few have a change request."""
    number = rng.choices(range(len(MAJORS)), _MAJOR_WEIGHTS)[0]
    minor = rng.choice(_MINORS[number])
    return {
        "major": {"label": MAJORS[number], "id": number + 1},
        "minor": minor,
        "csr": csr,
        "change_request": _change_request(rng, csr, number, minor) if _one_in(rng, 20) else None,
    }


def _change_request(rng: Random, csr: Call, number: int, minor: Call) -> Call:
    wish = rng.choice(_MINORS[0])
    return {
        "status": rng.choice(("Approved", "Denied", "Pending")),
        "major": {"label": MAJORS[0], "id": 1},
        "csr": csr,
        "original": {
            "csr": {"id": csr["id"] + 1_000_000, "name": "Tony Jones"},
            "major": {"label": MAJORS[number], "id": number + 1},
            "minor": {**minor, "tag": _tag(minor)},
        },
        "customer": {"email": "melissa.zhang@example.com", "name": "Melissa Zhang"},
        "minor": {**wish, "tag": _tag(wish)},
        "inaccuracy": rng.choice(("Callsurance Analyst Mistake", "Wrong CSR", None)),
    }


def _tag(minor: Call) -> str:
    words = minor["label"].title().replace(" ", "")
    return f"{words[:1].lower()}{words[1:]}"


def callsaver_of(rng: Random, saved_at: datetime) -> Call:
    """Return an attempt to win a lost caller back."""
    return {
        "date": saved_at,
        "outcome": rng.choice(_OUTCOMES),
        "reason": rng.choice(_REASONS),
        "user": {
            "lastname": "Smith",
            "firstname": "Jane",
            "email": "jane.smith@example.com",
        },
    }


def webmatch_of(rng: Random) -> Call:
    """Return the website visit that led to a call."""
    is_paid = _one_in(rng, 3)
    return {
        "ad_group": rng.choice(_ADS) if is_paid else "",
        "creative_id": str(rng.getrandbits(40)) if is_paid else "",
        "search": rng.choice(_SEARCHES),
        "keyword_id": f"kwd-{rng.getrandbits(36)}" if is_paid else "",
        "ad_placement": "www.example.net" if is_paid else "",
        "referrer": "https://search.example.com/?q=service&url=https://www.example.com/",
        "traffic_type": "paid" if is_paid else rng.choice(("organic", "direct", "referral")),
        "call_page": rng.choice(("https://www.example.com/", "https://www.example.com/contact")),
        "visitor": rng.choice(_VISITORS),
    }


def sentiment_of(rng: Random, world: World) -> Call:
    """Return the automatic sentiment analysis of a call."""
    is_frustrated = _one_in(rng, 6)
    return {
        "frustrated_reason": rng.choice(world.sentences) if is_frustrated else "",
        "concern_class": rng.choice(("Pricing", "Scheduling", "Quality")) if is_frustrated else "",
        "sentiment": "Negative" if is_frustrated else rng.choice(("Neutral", "Positive")),
        "frustrated": is_frustrated,
        "view_reason": rng.choice(world.sentences),
        "view": rng.choice(("Neutral", "Positive", "Negative")),
        "satisfied": None if _one_in(rng, 10) else not is_frustrated,
    }


def summaries_of(rng: Random, world: World) -> list[Call]:
    """Return the two summaries of a conversation."""
    return [
        {"type": "Outcome Focused", "text": rng.choice(world.paragraphs)},
        {"type": "Agent Focused", "text": rng.choice(world.paragraphs)},
    ]


def scorecards_of(rng: Random) -> list[Call]:
    """Return a scorecard whose answers are booleans, texts and numbers."""
    questions: tuple[tuple[str, int, tuple[bool | str | int | Decimal, ...]], ...] = (
        (
            "Did the CSR answer the phone with the Shop Name? ",
            8,
            (not _one_in(rng, 4),),
        ),
        (
            "What products did they request? ",
            2,
            ("Widgets", "Gadgets")[: rng.randint(0, 2)],
        ),
        ("How likely is a sale, 0 to 10? ", 10, (rng.randint(0, 10),)),
        ("Minutes on hold? ", 5, (Decimal(rng.randrange(100)) / 10,)),
    )
    return [
        {
            "name": rng.choice(("Phone skills", "Scorecard name", "Qualité d'accueil")),
            "results": [
                {
                    "question": question,
                    "answers": [
                        {
                            "entry": entry,
                            "value": rng.randint(0, points),
                            "max_value": Decimal(f"{points}.0000"),
                            "min_value": Decimal("0.0000"),
                        }
                        for entry in entries
                    ],
                }
                for question, points, entries in questions[: rng.randint(1, 4)]
            ],
        },
    ]


def demographics_of(rng: Random, caller: Call) -> Call:
    """Return demographic data about a caller; its parts are empty for one caller in three."""
    if _one_in(rng, 3):
        return {
            "person": {},
            "demographics": {},
            "property": {},
            "addresses": [],
            "emails": [],
            "vehicles": [],
        }
    return {
        "person": {"age": rng.randint(19, 91), "name": caller["name"]},
        "demographics": {
            "income": rng.choice(("50-75k", "75-100k")),
            "children": _one_in(rng, 3),
        },
        "property": {"type": "Single Family", "year_built": rng.randint(1890, 2024)},
        "addresses": [{"street": caller["address"], "city": caller["city"]}],
        "emails": [f"caller{rng.randrange(10_000)}@example.com"],
        "vehicles": [{"make": "Ford", "year": rng.randint(1995, 2025)}] if _one_in(rng, 2) else [],
    }


def notes_of(rng: Random, world: World, written_at: datetime) -> str:
    """Return an analyst's note; one in 1,500 is about 100 KB long."""
    header = (
        f"-----{{Callsurance update: {written_at:%m/%d/%y %I:%M %p} Agent: Administrator}}----- "
    )
    if _one_in(rng, 1500):
        text = f"{rng.choice(world.paragraphs)}\n"
        return header + text * (_LONG_NOTE // len(text))
    return header + " ".join(rng.choices(world.sentences, k=rng.choice((1, 2, 3, 5, 8))))


def _one_in(rng: Random, cases: int) -> bool:
    return rng.random() * cases < 1

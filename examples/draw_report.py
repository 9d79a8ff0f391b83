# /// script
# requires-python = ">=3.10,<3.14"
# dependencies = ["altair==6.3.0", "duckdb==1.1.3", "vl-convert-python==1.9.0.post1"]
# ///
"""Draw the marts of the dbt package as one HTML page that needs no network.

    uv run examples/draw_report.py warehouse.duckdb report.html

uv installs the libraries named above for this script alone.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path
from string import Template
from typing import Any, cast

import altair as alt
import duckdb
import vl_convert

# Eight weeks, up to the newest day.
RECENT = """
    create temp view recent_days as
    select *
    from callcap__daily
    where local_day <= current_date
      and local_day > (
          select max(local_day) - 56 from callcap__daily where local_day <= current_date
      );
    create temp view recent_calls as
    select * from callcap__calls where local_day in (select local_day from recent_days);
"""
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
GREEN, RED, YELLOW, BLUE = "#2a9d8f", "#e76f51", "#e9b44c", "#4895d9"

FIGURES = """
    select min(local_day) as first_day, max(local_day) as last_day, sum(calls) as calls,
           sum(texts) as texts, sum(answered) as answered, sum(missed) as missed,
           sum(returned) as returned, sum(booked) as booked, sum(revenue) as revenue
    from recent_days
"""
BY_DAY = """
    select local_day as day, sum(answered) as answered, sum(missed) as missed
    from recent_days group by 1 order by 1
"""
BY_HOUR = """
    select local_weekday as weekday, local_hour as hour, count(*) as calls,
           avg(cast(is_answered as integer)) as rate
    from recent_calls where is_answered is not null group by 1, 2 order by 1, 2
"""
BY_CAMPAIGN = """
    select campaign_id as id, campaign_name as name, sum(cost) / nullif(sum(answered), 0) as cost
    from recent_days where campaign_direction = 'inbound'
    group by campaign_id, campaign_name having sum(cost) > 0 and sum(answered) > 0
    order by cost desc, name limit 15
"""
BY_CSR = """
    select csr_id as id, csr_name as name, cast(sum(booked) as bigint) as booked
    from recent_days where csr_id is not null
    group by csr_id, csr_name having sum(booked) > 0 order by booked desc, name limit 15
"""
BY_COUNT = """
    select day, callcap_calls, warehouse_calls from callcap__completeness order by day
"""

Rows = list[dict[str, Any]]


def main() -> None:
    """Read the marts, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("warehouse", type=Path, help="the DuckDB file")
    parser.add_argument("page", type=Path, help="the HTML file to write")
    parser.add_argument("--schema", default="analytics", help="schema of the marts")
    options = parser.parse_args()
    with duckdb.connect(str(options.warehouse), read_only=True) as database:
        database.execute("set enable_progress_bar = false")
        database.execute(f'set schema = "{options.schema}"')
        database.execute(RECENT)
        options.page.write_text(page(database), encoding="utf-8")


def page(database: duckdb.DuckDBPyConnection) -> str:
    """Return the page."""

    def rows(query: str) -> Rows:
        found = database.execute(query)
        names = [column[0] for column in found.description or ()]
        return [
            {name: _plain(value) for name, value in zip(names, row, strict=True)}
            for row in found.fetchall()
        ]

    (figures,) = rows(FIGURES)
    charts = {
        "days": days(rows(BY_DAY)),
        "hours": hours(rows(BY_HOUR)),
        "campaigns": bars(rows(BY_CAMPAIGN), "cost", "Cost per answered call", BLUE),
        "csrs": bars(rows(BY_CSR), "booked", "Booked appointments", GREEN),
    }
    if counts := rows(BY_COUNT):
        charts["completeness"] = completeness(counts)
    judged = figures["answered"] + figures["missed"]
    return Template(PAGE).substitute(
        period=f"{figures['first_day']} to {figures['last_day']}",
        calls=f"{figures['calls']:,}",
        texts=f"{figures['texts']:,}",
        rate=f"{figures['answered'] / judged:.1%}" if judged else "unknown",
        missed=f"{figures['missed']:,}",
        returned=f"{figures['returned']:,}",
        booked=f"{figures['booked']:,}",
        unknown="" if counts else "Unknown: load the stream call_counts.",
        revenue=f"{figures['revenue'] or 0:,.0f}",
        # `</` would end the script.
        specs=json.dumps({name: it.to_dict() for name, it in charts.items()}).replace("</", "<\\/"),
        vega=vl_convert.javascript_bundle(DRAW),
    )


def _plain(value: object) -> str | float | None:
    """Return a value as JSON has it."""
    if isinstance(value, date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else cast("str | float | None", value)


def days(rows: Rows) -> alt.Chart:
    """Answered and missed calls of each day."""
    values = [
        {
            "day": row["day"],
            "outcome": outcome,
            "calls": row[outcome],
            "label": f"{row['day']}: {row[outcome]} {outcome}",
        }
        for row in rows
        for outcome in ("answered", "missed")
    ]
    return (
        _chart(values)
        .mark_bar()
        .encode(
            x=_days_axis(),
            y=alt.Y("calls:Q").title("Calls"),
            color=_colors({"answered": GREEN, "missed": RED}, "outcome"),
            tooltip="label:N",
            description="label:N",
        )
        .properties(height=220)
    )


def hours(rows: Rows) -> alt.Chart:
    """The share of answered calls by weekday and hour."""
    values = [
        {
            "weekday": WEEKDAYS[row["weekday"] - 1],
            "hour": row["hour"],
            "rate": row["rate"],
            "label": f"{WEEKDAYS[row['weekday'] - 1]} {row['hour']}:00: "
            f"{row['rate']:.0%} of {row['calls']}",
        }
        for row in rows
    ]
    return (
        _chart(values)
        .mark_rect()
        .encode(
            x=alt
            .X("hour:O")
            .title("Hour")
            .scale(domain=list(range(24)))
            .axis(labelAngle=0, labelOverlap=True, labelSeparation=4),
            y=alt.Y("weekday:O").title(None).sort(list(WEEKDAYS)),
            color=alt
            .Color("rate:Q")
            .title("Answered")
            .scale(domain=[0, 1], range=[RED, YELLOW, GREEN])
            .legend(format=".0%", orient="top", values=[0, 0.5, 1]),
            tooltip="label:N",
            description="label:N",
        )
        .properties(height=200)
    )


def bars(rows: Rows, field: str, title: str, color: str) -> alt.Chart:
    """A bar for each row, the longest first."""
    is_whole = all(isinstance(row[field], int) for row in rows)
    form = "," if is_whole else ",.2f"
    ticks = min(5, max((row[field] for row in rows), default=1)) if is_whole else 5
    names = Counter(row["name"] for row in rows)
    values = [
        {**row, "name": name, "label": f"{name}: {row[field]:{form}}"}
        for row in rows
        for name in [row["name"] if names[row["name"]] == 1 else f"{row['name']} ({row['id']})"]
    ]
    return (
        _chart(values)
        .mark_bar(color=color)
        .encode(
            x=alt.X(f"{field}:Q").title(title).axis(tickCount=ticks),
            y=alt.Y("name:N").title(None).sort("-x").axis(labelLimit=140),
            tooltip="label:N",
            description="label:N",
        )
        .properties(height=alt.Step(22))
    )


def completeness(rows: Rows) -> alt.Chart:
    """Calls in the warehouse, those that are missing, and those that Callcap does not have."""
    parts = {"loaded": GREEN, "missing": RED, "extra": YELLOW}
    values = [
        {"day": row["day"], "part": part, "calls": calls, "label": f"{row['day']}: {calls} {part}"}
        for row in rows
        for part, calls in {
            "loaded": min(row["callcap_calls"], row["warehouse_calls"]),
            "missing": row["callcap_calls"] - row["warehouse_calls"],
            "extra": row["warehouse_calls"] - row["callcap_calls"],
        }.items()
        if part == "loaded" or calls > 0
    ]
    return (
        _chart(values)
        .mark_bar()
        .encode(
            x=_days_axis(),
            y=alt.Y("calls:Q").title("Calls and texts"),
            color=_colors(parts, "part"),
            tooltip="label:N",
            description="label:N",
        )
        .properties(height=160)
    )


def _chart(values: Rows) -> alt.Chart:
    """Return a chart that is as wide as the page, in the text's color on its background."""
    return (
        alt
        .Chart(alt.Data(values=values), width="container", background="transparent")
        .configure_view(stroke=None)
        .configure_axis(
            labelColor="currentColor",
            titleColor="currentColor",
            domainColor="#8888",
            tickColor="#8888",
            gridColor="#8883",
        )
        .configure_legend(labelColor="currentColor", titleColor="currentColor", labelLimit=200)
    )


def _days_axis() -> alt.X:
    return (
        alt
        .X("day:O")
        .timeUnit("utcyearmonthdate")
        .title(None)
        .axis(format="%b %d", labelAngle=0, labelOverlap="greedy", labelSeparation=8)
    )


def _colors(colors: dict[str, str], field: str) -> alt.Color:
    scale = alt.Scale(domain=list(colors), range=list(colors.values()))
    return alt.Color(f"{field}:N").title(None).scale(scale).legend(orient="top")


DRAW = """
const specs = JSON.parse(document.getElementById("specs").textContent);
for (const [name, spec] of Object.entries(specs)) {
  vegaEmbed(document.querySelector(`#${name} div`), spec, { actions: false, renderer: "svg" });
}
"""

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Calls from Callcap</title>
<style>
  :root { color-scheme: light dark; }
  body { font: 16px/1.4 system-ui, sans-serif; max-width: 60rem; margin: auto; padding: 1rem;
         color: light-dark(#222, #ddd); background: light-dark(#fff, #16181c); }
  h1, h2 { line-height: 1.2; }
  h1 { font-size: 1.5rem; margin: 0; }
  h2 { font-size: 1.1rem; margin: 1.5rem 0 0.5rem; }
  dl { display: flex; flex-wrap: wrap; gap: 0.5rem; }
  dl div { flex: 1 0 5.5rem; border: 1px solid #8885; border-radius: 0.5rem;
           padding: 0.5rem 0.75rem; }
  dt { font-size: 0.85rem; opacity: 0.8; }
  dd { margin: 0; font-size: 1.4rem; font-weight: 600; }
  section > div { width: 100%; }
</style>
<h1>Calls from Callcap</h1>
<p>$period</p>
<dl>
  <div><dt>Phone calls</dt><dd id="calls">$calls</dd></div>
  <div><dt>Texts</dt><dd id="texts">$texts</dd></div>
  <div><dt>Answered</dt><dd id="rate">$rate</dd></div>
  <div><dt>Missed</dt><dd id="missed">$missed</dd></div>
  <div><dt>Returned in an hour</dt><dd id="returned">$returned</dd></div>
  <div><dt>Appointments</dt><dd id="booked">$booked</dd></div>
  <div><dt>Revenue</dt><dd id="revenue">$revenue</dd></div>
</dl>
<section id="days"><h2>Inbound calls a day</h2><div></div></section>
<section id="hours"><h2>Answer rate by weekday and hour</h2><div></div></section>
<section id="campaigns"><h2>Campaigns by cost per answered call</h2><div></div></section>
<section id="csrs"><h2>Call takers by booked appointments</h2><div></div></section>
<section id="completeness"><h2>Is the warehouse complete?</h2><div>$unknown</div></section>
<script type="application/json" id="specs">$specs</script>
<script type="module">$vega</script>
</html>
"""

if __name__ == "__main__":
    main()

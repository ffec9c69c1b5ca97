"""The oracle against figures worked out by hand: the published examples, then rule by rule."""

import csv
import json
import random
import uuid
from dataclasses import astuple
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.oracle import ActionRef, Oracle, Refused, Window
from tests.oracle.builders import CLICK, accept, by_lead, days, distinct, lead, summary, world
from tests.oracle.keys import CUSTOMERS, row_key
from tests.oracle.periods import Calendar

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


def click(lead_id: str, at: str = CLICK[2], level: str = "High", occurrence: int = 1) -> ActionRef:
    """The name of a click, as a caller would write it."""
    return ("", lead_id, "Click", level, at, occurrence)


# -- the worked examples of the design


def sample_leads() -> Oracle:
    oracle = Oracle()
    oracle.add_partner("acme")
    for product in ("product-abc", "product-def", "product-xyz"):
        oracle.add_product(product, "acme")
    oracle.add_customer("customer-123", "one@example.com")
    oracle.add_customer("customer-456", "two@example.com")
    return accept(oracle, *json.loads((SAMPLES / "leads.json").read_text()))


def test_the_four_lead_sample() -> None:
    oracle = sample_leads()
    assert summary(oracle) == [
        ("uuid-1", "billed", 200),
        ("uuid-1", "billed", 1000),
        ("uuid-2", "billed", 200),
        ("uuid-2", "billed", 500),
        ("uuid-3", "duplicate", 0),
        ("uuid-4", "billed", 1000),
    ]
    april = oracle.customer_totals("acme", "2024-04", "customer-123")
    assert (april["billed"], april["duplicate_savings"], april["leads"]) == (1200, 1000, 2)
    assert oracle.customer_totals("acme", "2024-05", "customer-123")["billed"] == 1000
    assert oracle.customer_totals("acme", "2024-04", "customer-456")["billed"] == 700
    assert oracle.totals("acme", "2024-04") == {
        "leads": 3,
        "actions": 5,
        "gross": 2900,
        "billed": 1900,
        "net": 1900,
        "duplicate_savings": 1000,
        "cap_savings": 0,
        "savings": 1000,
        "held": 0,
        "returned": 0,
        "credits": 0,
        "outcomes": {
            "billed": 4,
            "partly_billed": 0,
            "capped": 0,
            "duplicate": 1,
            "held": 0,
            "returned": 0,
        },
    }


def test_the_twenty_row_sample_report() -> None:
    oracle = Oracle()
    oracle.add_partner("Acme Corporation")
    with (SAMPLES / "report-rows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for product in sorted({row["product"] for row in rows}):
        oracle.add_product(product, "Acme Corporation")
    for number, row in enumerate(rows):
        step = (row["action_type"], row["engagement_level"], row["occurred_at"])
        customer = {"name": "John", "email": row["customer_email"]}
        wire = lead(f"row-{number:02d}", step, customer="john", product=row["product"])
        oracle.accept({**wire, "lead_type": row["lead_type"], "customer": customer})

    totals = oracle.totals("Acme Corporation", "2024-04")
    assert (totals["billed"], totals["duplicate_savings"], totals["cap_savings"]) == (10000, 9000, 400)
    assert (totals["gross"], totals["savings"], totals["actions"]) == (19400, 9400, 20)
    verdicts = oracle.verdicts("Acme Corporation")
    assert [v.value_minor for v in verdicts] == [round(float(row["listed_amount"]) * 100) for row in rows]
    assert [v.outcome == "duplicate" for v in verdicts] == [
        row["listed_status"] == "Not Billed (Duplicate)" for row in rows
    ]
    last_high = verdicts[18]
    assert (last_high.outcome, last_high.billed_minor, last_high.cap_savings_minor) == (
        "partly_billed",
        600,
        400,
    )
    assert (last_high.cap_before_minor, last_high.cap_after_minor) == (9400, 10000)
    assert verdicts[19].duplicate_of == last_high.action
    assert oracle.product_totals("Acme Corporation", "2024-04", "Product EFG")["gross"] == 2000


# -- R1, R3, R4: identity and replay


def test_r1_same_lead_id_of_two_sources_is_two_leads() -> None:
    oracle = accept(world(), lead("x", CLICK), lead("x", CLICK, source="web"))
    assert {v.lead.source for v in oracle.verdicts("acme")} == {"", "web"}
    assert sorted(v.outcome for v in oracle.verdicts("acme")) == ["billed", "duplicate"]


def test_r1_a_uuid_is_one_in_any_letter_case_and_own_ids_are_not() -> None:
    text = "0b8e1c52-1111-4aaa-8bbb-00000000000f"
    other = ("Like", "Low", "2024-04-10T09:01:00Z")
    oracle = accept(world(), lead(text, CLICK), lead(text.upper(), CLICK), lead("Own", other), lead("own", other))
    assert oracle.totals("acme", "2024-04")["leads"] == 3
    assert oracle.totals("acme", "2024-04")["actions"] == 3


def test_r1_types_and_levels_compare_folded_trimmed_and_normalised() -> None:
    composed, decomposed = "Stra\u00dfencaf\u00e9", " STRASSENCAFE\u0301 "
    oracle = accept(
        world(),
        lead("a", (composed, "High", "2024-04-10T09:00:00Z")),
        lead("a", (decomposed, "HIGH", "2024-04-10T11:00:00+02:00"), lead_type="website visit "),
    )
    assert summary(oracle) == [("a", "billed", 1000)]
    assert oracle.quarantine() == []


@pytest.mark.parametrize(
    ("messages", "actions"),
    [
        ([[CLICK]], 1),
        ([[CLICK], [CLICK]], 1),
        ([[CLICK, CLICK]], 2),
        ([[CLICK], [CLICK, CLICK, CLICK], [CLICK, CLICK]], 3),
        ([[CLICK], [("Like", "Low", CLICK[2])]], 2),
        ([[CLICK], [("Click", "High", "2024-04-10T09:00:00.000001Z")]], 2),
        ([[CLICK], [("Click", "High", "2024-04-10T09:00:00.000000Z")]], 1),
    ],
)
def test_r3_a_lead_holds_what_its_fullest_message_says(messages: list[Any], actions: int) -> None:
    oracle = accept(world(), *(lead("a", *steps) for steps in messages))
    assert oracle.totals("acme", "2024-04")["actions"] == actions
    assert oracle.totals("acme", "2024-04")["leads"] == 1


def test_r3_the_second_occurrence_is_a_duplicate_of_the_first() -> None:
    first, second = accept(world(), lead("a", CLICK, CLICK)).verdicts("acme")
    assert (first.action.occurrence, second.action.occurrence) == (1, 2)
    assert (second.outcome, second.duplicate_of) == ("duplicate", first.action)


@pytest.mark.parametrize("change", [{"customer": "bob"}, {"product": "erp"}, {"lead_type": "Referral"}])
def test_r3_a_known_lead_with_another_story_is_a_conflict(change: dict[str, str]) -> None:
    other = lead("a", CLICK, ("Like", "Low", CLICK[2]), **change)
    oracle = accept(world(), lead("a", CLICK), other, other)
    assert summary(oracle) == [("a", "billed", 1000)]
    assert oracle.quarantine() == [(other, "conflict")]


def test_r4_replay_saves_nothing() -> None:
    oracle = accept(world(), lead("a", CLICK))
    oracle.settle()
    accept(oracle, lead("a", CLICK))
    assert oracle.totals("acme", "2024-04")["savings"] == 0


# -- R5: rates


@pytest.mark.parametrize(
    ("lead_type", "action_type", "level", "value"),
    [
        ("Anything", "Unlisted", "High", 1000),
        ("Anything", "Unlisted", "medium", 500),
        ("Anything", "Unlisted", "LOW", 200),
        ("Email Campaign", "Click", "High", 1500),
        ("email campaign", " CLICK", "high", 1500),
        ("Email Campaign", "Click", "Low", 200),
        ("Referral", "Signup", "High", 2000),
        ("Conference", "Attendance", "High", 1500),
        ("Event", "Attendance", "High", 1000),
    ],
)
def test_r5_the_shipped_card(lead_type: str, action_type: str, level: str, value: int) -> None:
    oracle = accept(world(), lead("a", (action_type, level, CLICK[2]), lead_type=lead_type))
    assert [v.value_minor for v in oracle.verdicts("acme")] == [value]


def test_r5_the_strongest_named_dimension_wins_over_any_number_of_weaker_ones() -> None:
    oracle = accept(world(cap=None), lead("a", CLICK, lead_type="Email Campaign"))
    steps: list[tuple[dict[str, str], int]] = [
        ({"lead_type": "Email Campaign"}, 1500),
        ({"lead_type": "Email Campaign", "action_type": "Click"}, 1500),
        ({"product": "crm"}, 1003),
        ({"product": "crm", "engagement_level": "High"}, 1004),
        ({"product": "crm", "action_type": "Click"}, 1005),
        ({"product": "crm", "lead_type": "Email Campaign"}, 1006),
        ({"partner": "acme"}, 1007),
        ({"partner": "acme", "action_type": "Click", "engagement_level": "High"}, 1008),
        ({"partner": "acme", "lead_type": "Email Campaign"}, 1009),
        ({"partner": "acme", "product": "crm"}, 1010),
    ]
    for number, (named, value) in enumerate(steps, start=1):
        oracle.add_rate(f"10.{number:02d}", **named)
        assert oracle.verdicts("acme")[0].value_minor == value, named


def test_r5_a_rule_that_names_nothing_is_weaker_than_the_level() -> None:
    oracle = accept(world(), lead("a", CLICK))
    oracle.add_rate("1.00")
    assert summary(oracle) == [("a", "billed", 1000)]


def test_r5_the_latest_start_counts_by_the_actions_instant_and_null_ends_it() -> None:
    instants = [
        "2024-04-09T23:59:59.999999Z",
        "2024-04-10T00:00:00Z",
        "2024-04-19T23:59:59.999999Z",
        "2024-04-20T00:00:00Z",
        "2024-04-24T23:59:59.999999Z",
        "2024-04-25T00:00:00Z",
    ]
    oracle = accept(world(cap=None), *(lead(f"l{i}", (f"T{i}", "Low", at)) for i, at in enumerate(instants)))
    oracle.add_rate("3.00", product="crm")
    oracle.add_rate("4.00", partner="acme", effective_from="2024-04-10T00:00:00Z")
    oracle.add_rate(None, partner="acme", effective_from="2024-04-20T02:00:00+02:00")
    oracle.add_rate("6.00", partner="acme", effective_from="2024-04-25T00:00:00Z")
    assert [v.value_minor for v in oracle.verdicts("acme")] == [300, 400, 400, 300, 300, 600]


def test_r5_a_level_has_a_price() -> None:
    oracle = accept(world(), lead("a", CLICK))
    number = oracle.add_rate("11.00", engagement_level="High", effective_from="2024-04-01T00:00:00Z")
    assert summary(oracle) == [("a", "billed", 1100)]
    for refused in (
        lambda: oracle.add_rate(None, engagement_level="High", effective_from="2024-04-02T00:00:00Z"),
        lambda: oracle.change_rate(number, None),
        lambda: oracle.end_rate(0),
    ):
        with pytest.raises(Refused):
            refused()
    oracle.end_rate(number)
    assert summary(oracle) == [("a", "billed", 1000)]


@pytest.mark.parametrize(
    "rule",
    [
        {"engagement_level": "HIGH"},
        {"lead_type": "referral", "action_type": "Signup", "engagement_level": "High"},
        {"partner": "acme", "effective_from": "2024-04-01T02:00:00+02:00"},
    ],
)
def test_r5_a_second_rule_with_the_same_conditions_and_start_replaces_the_first(rule: dict[str, str]) -> None:
    oracle = accept(world(), lead("a", ("Signup", "High", CLICK[2]), lead_type="Referral"))
    first = oracle.add_rate("4.00", partner="acme", effective_from="2024-04-01T00:00:00Z")
    if "partner" not in rule:
        oracle.end_rate(first)
        first = oracle.add_rate("4.00", **rule)
    oracle.add_rate("5.00", **rule)
    with pytest.raises(Refused):
        oracle.change_rate(first, "6.00")
    value = 2000 if rule == {"engagement_level": "HIGH"} else 500
    assert [v.value_minor for v in oracle.verdicts("acme")] == [value]


def test_r16_a_rule_for_all_starts_with_the_first_open_period_of_each_partner() -> None:
    """One Berlin partner with a closed April moved the start of everybody into the middle of a UTC partner's month."""
    oracle = world()
    oracle.add_partner("berlin", timezone="Europe/Berlin")
    oracle.close("berlin", "2024-04")
    instants = ("2024-03-31T23:00:00Z", "2024-04-30T21:00:00Z", "2024-04-30T23:00:00Z")
    accept(oracle, *(lead(f"l{i}", (f"T{i}", "Medium", at)) for i, at in enumerate(instants)))
    oracle.add_rate("9.00", engagement_level="Medium")
    assert [v.value_minor for v in oracle.verdicts("acme")] == [900, 900, 900]
    oracle.add_rate("7.00", engagement_level="Medium", effective_from="2024-05")
    assert [v.value_minor for v in oracle.verdicts("acme")] == [900, 900, 900]
    with pytest.raises(Refused):
        oracle.add_rate("7.00", engagement_level="Medium", effective_from="2024-04")


def test_r16_a_changed_rule_leaves_closed_periods_alone() -> None:
    oracle = accept(world(), lead("a", CLICK))
    number = oracle.add_rate("4.00", partner="acme", action_type="Click")
    oracle.close("acme", "2024-04")
    changed = oracle.change_rate(number, "6.00")
    accept(oracle, *days("High", "2024-04-20T00:00:00Z", "2024-05-20T00:00:00Z"))
    assert [v.value_minor for v in oracle.verdicts("acme")] == [400, 400, 600]
    with pytest.raises(Refused):
        oracle.change_rate(number, "8.00")
    oracle.end_rate(changed)
    assert [v.value_minor for v in oracle.verdicts("acme")] == [400, 400, 1000]


def test_r5_a_late_action_is_priced_by_its_own_instant() -> None:
    oracle = world()
    oracle.add_rate("12.00", partner="acme", effective_from="2024-05-01T00:00:00Z")
    oracle.close("acme", "2024-04")
    accept(oracle, *days("High", "2024-04-30T23:59:59Z", "2024-05-01T00:00:00Z"))
    assert summary(oracle) == [("a", "billed", 1000), ("b", "duplicate", 0)]
    assert [v.value_minor for v in oracle.verdicts("acme")] == [1000, 1200]


def test_r5_a_price_of_zero_is_billed_with_nothing() -> None:
    oracle = world()
    oracle.add_rate("0.00", partner="acme")
    accept(oracle, lead("a", CLICK))
    assert summary(oracle) == [("a", "billed", 0)]


# -- R6: duplicates


@pytest.mark.parametrize(
    ("second", "outcome"),
    [
        ({}, "duplicate"),
        ({"lead_type": "Referral"}, "duplicate"),
        ({"product": "erp"}, "billed"),
        ({"customer": "bob"}, "billed"),
    ],
)
def test_r6_the_key(second: dict[str, str], outcome: str) -> None:
    oracle = accept(world(), lead("a", CLICK), lead("b", ("click", "HIGH", "2030-01-01T00:00:00Z"), **second))
    assert by_lead(oracle)["b"][0] == outcome


def test_r6_level_and_type_are_in_the_key() -> None:
    steps = (CLICK, ("Click", "Low", CLICK[2]), ("Clock", "High", CLICK[2]))
    assert [v.outcome for v in accept(world(), lead("a", *steps)).verdicts("acme")] == ["billed"] * 3


@pytest.mark.parametrize(
    ("window", "instants", "outcomes"),
    [
        ("forever", ["2024-04-10T00:00:00Z", "2031-01-01T00:00:00Z"], "bd"),
        ("period", ["2024-04-01T00:00:00Z", "2024-04-30T23:59:59.999999Z", "2024-05-01T00:00:00Z"], "bdb"),
        (2, ["2024-04-01T00:00:00Z", "2024-04-02T23:59:59.999999Z"], "bd"),
        (2, ["2024-04-01T00:00:00Z", "2024-04-03T00:00:00Z"], "bb"),
        # Counted from the winners only: the second is no winner and reaches nowhere, the third starts anew.
        (2, ["2024-04-01T00:00:00Z", "2024-04-02T12:00:00Z", "2024-04-03T00:00:00Z"], "bdb"),
        (
            2,
            ["2024-04-01T00:00:00Z", "2024-04-02T12:00:00Z", "2024-04-03T12:00:00Z", "2024-04-05T00:00:00Z"],
            "bdbd",
        ),
        (1, ["2024-04-30T12:00:00Z", "2024-05-01T11:59:59Z", "2024-05-01T12:00:00Z"], "bdb"),
    ],
)
def test_r6_windows(window: Window, instants: list[str], outcomes: str) -> None:
    oracle = accept(world(dedup_window=window), *days("High", *instants))
    assert "".join(v.outcome[0] for v in oracle.verdicts("acme")) == outcomes


def test_r6_n_days_are_times_24_hours_also_over_a_change_of_the_clock() -> None:
    # Berlin, 31 March 2024: the day has 23 hours, so noon to noon is less than a day.
    instants = ("2024-03-30T12:00:00+01:00", "2024-03-31T12:00:00+02:00", "2024-03-31T13:00:00+02:00")
    oracle = accept(world(dedup_window=1, timezone="Europe/Berlin"), *days("Low", *instants))
    assert [v.outcome for v in oracle.verdicts("acme")] == ["billed", "duplicate", "billed"]


def test_r6_a_late_action_meets_a_later_winner_in_both_directions() -> None:
    oracle = accept(world(dedup_window=3), lead("won", ("Click", "High", "2024-04-30T00:00:00Z")))
    oracle.close("acme", "2024-04")
    late = days("High", "2024-04-27T00:00:00Z", "2024-04-27T00:00:00.000001Z", "2024-04-29T00:00:00Z")
    accept(oracle, *late)
    by_id = {v.lead.lead_id: v for v in oracle.verdicts("acme")}
    assert by_id["a"].outcome == "billed"
    # Both `won` and `a` are within the window of b and c: the earliest in evaluation order is named.
    assert [by_id[name].duplicate_of for name in "bc"] == [by_id["won"].action] * 2


def test_r6_a_capped_winner_still_holds_its_key() -> None:
    oracle = accept(world(cap="0.00"), *days("High", CLICK[2], "2024-05-10T00:00:00Z"))
    assert summary(oracle) == [("a", "capped", 0), ("b", "duplicate", 0)]
    assert oracle.totals("acme", "2024-05")["duplicate_savings"] == 1000


# -- R7: cap


def test_r7_the_crossing_action_is_billed_in_part_over_all_products() -> None:
    oracle = accept(
        world(cap="25.00"),
        lead("a", ("Click", "High", "2024-04-01T00:00:00Z")),
        lead("b", ("Click", "High", "2024-04-02T00:00:00Z"), product="erp"),
        lead("c", ("Click", "High", "2024-04-03T00:00:00Z")),
        lead("d", ("Talk", "High", "2024-04-04T00:00:00Z"), product="erp"),
        lead("e", ("Talk", "High", "2024-04-05T00:00:00Z")),
        lead("f", ("Talk", "High", "2024-04-06T00:00:00Z"), customer="bob"),
        lead("g", ("Walk", "High", "2024-05-01T00:00:00Z")),
    )
    table = [
        (
            v.lead.lead_id,
            v.outcome,
            v.billed_minor,
            v.cap_savings_minor,
            v.cap_before_minor,
            v.cap_after_minor,
        )
        for v in oracle.verdicts("acme")
    ]
    assert table == [
        ("a", "billed", 1000, 0, 0, 1000),
        ("b", "billed", 1000, 0, 1000, 2000),
        ("c", "duplicate", 0, 0, 2000, 2000),
        ("d", "partly_billed", 500, 500, 2000, 2500),
        ("e", "capped", 0, 1000, 2500, 2500),
        ("f", "billed", 1000, 0, 0, 1000),
        ("g", "billed", 1000, 0, 0, 1000),
    ]
    assert oracle.product_totals("acme", "2024-04", "erp")["cap_savings"] == 500


def test_r7_the_default_cap_is_one_hundred() -> None:
    totals = accept(world(), *distinct(11, CLICK[2])).totals("acme", "2024-04")
    assert (totals["billed"], totals["cap_savings"], totals["outcomes"]["capped"]) == (10000, 1000, 1)


def test_r7_no_cap() -> None:
    oracle = accept(world(cap=None), *distinct(11, CLICK[2]))
    assert oracle.totals("acme", "2024-04")["billed"] == 11000
    assert {(v.cap_before_minor, v.cap_after_minor) for v in oracle.verdicts("acme")} == {(None, None)}


def test_r7_lifetime_cap() -> None:
    oracle = accept(
        world(cap="15.00", cap_scope="lifetime"),
        lead("a", ("Click", "High", "2024-04-01T00:00:00Z")),
        lead("b", ("Talk", "High", "2024-05-01T00:00:00Z")),
        lead("c", ("Walk", "High", "2024-06-01T00:00:00Z")),
    )
    assert summary(oracle) == [("a", "billed", 1000), ("b", "partly_billed", 500), ("c", "capped", 0)]


def test_r7_lifetime_cap_counts_what_was_billed_under_another_scope_and_gets_credits_back() -> None:
    oracle = accept(world(cap="15.00"), lead("a", CLICK))
    oracle.set_terms("acme", "2024-05", cap_scope="lifetime")
    accept(
        oracle,
        lead("b", ("Talk", "High", "2024-05-01T00:00:00Z")),
        lead("c", ("Walk", "High", "2024-06-01T00:00:00Z")),
    )
    assert by_lead(oracle)["b"] == ("partly_billed", 500)
    oracle.close("acme", "2024-04")
    oracle.close("acme", "2024-05")
    oracle.return_(click("a"))
    # The credit is booked in June: it makes room there, May stays as it is.
    assert summary(oracle) == [("a", "billed", 1000), ("b", "partly_billed", 500), ("c", "billed", 1000)]
    assert [(v.cap_before_minor, v.cap_after_minor) for v in oracle.verdicts("acme")][2] == (500, 1500)


def test_r7_more_used_than_the_cap_allows_bills_nothing() -> None:
    oracle = accept(world(), lead("a", CLICK), lead("b", ("Talk", "High", "2024-05-01T00:00:00Z")))
    oracle.set_terms("acme", "2024-05", cap="5.00", cap_scope="lifetime")
    assert summary(oracle) == [("a", "billed", 1000), ("b", "capped", 0)]
    assert [(v.cap_before_minor, v.cap_after_minor) for v in oracle.verdicts("acme")][1] == (1000, 1000)


def test_r7_a_credit_makes_no_room_before_its_own_period() -> None:
    oracle = accept(world(cap="10.00", cap_scope="lifetime"), lead("a", ("Click", "High", "2024-03-10T00:00:00Z")))
    oracle.close("acme", "2024-03")
    oracle.close("acme", "2024-04")
    oracle.return_(click("a", "2024-03-10T00:00:00Z"))
    oracle.reopen("acme", "2024-04")
    for number, month in enumerate(("04", "05")):
        accept(oracle, lead(f"b{number}", (f"Talk {number}", "High", f"2024-{month}-10T00:00:00Z")))
    assert summary(oracle) == [("a", "billed", 1000), ("b0", "capped", 0), ("b1", "billed", 1000)]


def test_r7_a_credit_leaves_the_cap_of_the_period_as_it_is() -> None:
    oracle = accept(world(cap="10.00"), lead("a", CLICK))
    oracle.close("acme", "2024-04")
    accept(oracle, lead("b", ("Talk", "High", "2024-05-01T00:00:00Z")))
    accept(oracle, lead("c", ("Walk", "Low", "2024-05-02T00:00:00Z")))
    oracle.return_(click("a"))
    assert by_lead(oracle)["c"] == ("capped", 0)


def test_r7_a_late_action_uses_the_cap_of_its_billing_period() -> None:
    oracle = accept(world(cap="10.00"), lead("a", CLICK))
    oracle.close("acme", "2024-04")
    accept(oracle, lead("b", ("Talk", "High", "2024-04-11T00:00:00Z")))
    accept(oracle, lead("c", ("Walk", "High", "2024-05-01T00:00:00Z")))
    assert summary(oracle) == [("a", "billed", 1000), ("b", "billed", 1000), ("c", "capped", 0)]


# -- R8: evaluation order


def test_r8_ties_go_by_lead_uuid_then_type_then_level_then_occurrence() -> None:
    z, a, own = (str(uuid.UUID(int=number)) for number in (1, 2, 3))
    oracle = world(cap=None)
    at = CLICK[2]
    accept(oracle, lead(own, ("Aa", "Low", at)))
    accept(oracle, lead(a, ("b", "Medium", at), ("B", "Low", at), ("b", "High", at), ("A", "Low", at)))
    accept(oracle, lead(z, ("Z", "Low", at), ("Z", "Low", at)))
    order = [(v.lead.lead_id, v.action.action_type, v.action.level) for v in oracle.verdicts("acme")]
    assert order == [
        (z, "z", "low"),
        (z, "z", "low"),
        (a, "a", "low"),
        (a, "b", "high"),
        (a, "b", "low"),
        (a, "b", "medium"),
        (own, "aa", "low"),
    ]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("terms", [{}, {"dedup_window": 3}, {"dedup_window": "period", "cap_scope": "lifetime"}])
def test_r8_any_order_of_arrival_gives_the_same_verdicts(seed: int, terms: dict[str, Any]) -> None:
    dice = random.Random(seed)
    first, second = random_leads(dice, 60, "x"), random_leads(dice, 60, "y")

    def played(dice: random.Random) -> Oracle:
        oracle = world(cap="40.00", **terms)
        for part, closing in ((first, "2024-04"), (second, "2024-05")):
            for one in dice.sample(part, len(part)) + dice.sample(part, 10):
                oracle.accept(one)
                if dice.random() < 0.1:
                    oracle.settle()
            oracle.close("acme", closing)
        return oracle

    one, other = played(random.Random(seed + 1000)), played(random.Random(seed + 2000))
    assert [astuple(v) for v in one.verdicts("acme")] == [astuple(v) for v in other.verdicts("acme")]


def random_leads(dice: random.Random, count: int, prefix: str) -> list[dict[str, Any]]:
    return [
        lead(
            f"{prefix}{number}",
            *(
                (
                    dice.choice(["Click", "Talk"]),
                    dice.choice(["High", "Medium", "Low"]),
                    f"2024-0{dice.choice([4, 5])}-{dice.randint(1, 30):02d}T0{dice.randint(0, 3)}:00:00Z",
                )
                for _ in range(dice.randint(1, 3))
            ),
            customer=dice.choice(["ann", "bob"]),
            product=dice.choice(["crm", "erp"]),
        )
        for number in range(count)
    ]


# -- R9: conservation


@pytest.mark.parametrize("seed", range(20))
def test_r9_money_and_counts_add_up(seed: int) -> None:
    dice = random.Random(seed)
    oracle = accept(world(cap="30.00"), *random_leads(dice, 60, "x"))
    for period in ("2024-04", "2024-05"):
        for verdict in dice.sample(oracle.verdicts("acme"), 12):
            event = dice.choice([oracle.hold, oracle.return_, oracle.release])
            try:
                event(verdict.action)
            except Refused:
                continue
        oracle.close("acme", period)
        accept(oracle, *random_leads(dice, 20, period))
    for period in ("2024-04", "2024-05", "2024-06"):
        whole = oracle.totals("acme", period)
        people = [oracle.customer_totals("acme", period, who) for who in ("ann", "bob")]
        products = [oracle.product_totals("acme", period, what) for what in ("crm", "erp")]
        for totals in (whole, *people, *products):
            unbilled = totals["savings"] + totals["held"] + totals["returned"]
            assert totals["savings"] == totals["duplicate_savings"] + totals["cap_savings"]
            assert totals["gross"] == totals["billed"] + unbilled
            assert totals["actions"] == sum(totals["outcomes"].values())
        for name in ("leads", "actions", "gross", "billed", "savings", "held", "returned", "credits"):
            assert whole[name] == sum(part[name] for part in people)
            assert whole[name] == sum(part[name] for part in products)


# -- R10: held and returned


def test_r10_a_held_action_neither_holds_its_key_nor_uses_the_cap() -> None:
    instants = ("2024-04-01T00:00:00Z", "2024-04-02T00:00:00Z")
    oracle = accept(world(cap="10.00"), *days("High", *instants))
    oracle.hold(click("a", instants[0]))
    assert summary(oracle) == [("a", "held", 0), ("b", "billed", 1000)]
    assert oracle.totals("acme", "2024-04")["held"] == 1000
    oracle.hold(click("a", instants[0]))
    oracle.release(click("a", instants[0]))
    assert summary(oracle) == [("a", "billed", 1000), ("b", "duplicate", 0)]


def test_r10_a_returned_open_action_counts_as_returned() -> None:
    instants = ("2024-04-01T00:00:00Z", "2024-04-02T00:00:00Z")
    oracle = accept(world(cap="10.00"), *days("High", *instants))
    oracle.hold(click("a", instants[0]))
    oracle.return_(click("a", instants[0]))
    assert summary(oracle) == [("a", "returned", 0), ("b", "billed", 1000)]
    totals = oracle.totals("acme", "2024-04")
    assert (totals["held"], totals["returned"], totals["credits"]) == (0, 1000, 0)
    with pytest.raises(Refused):
        oracle.hold(click("a", instants[0]))
    oracle.close("acme", "2024-04")
    oracle.return_(click("a", instants[0]))
    assert oracle.credits("acme") == []
    assert oracle.totals("acme", "2024-04")["returned"] == 1000


def test_r10_held_actions_of_a_closing_period_move_on() -> None:
    instants = ("2024-04-01T00:00:00Z", "2024-04-02T00:00:00Z", "2024-05-01T00:00:00Z")
    oracle = accept(world(cap="10.00", dedup_window="period"), *days("High", *instants))
    oracle.hold(click("a", instants[0]))
    oracle.close("acme", "2024-04")
    assert summary(oracle) == [("b", "billed", 1000), ("a", "held", 0), ("c", "billed", 1000)]
    held = oracle.verdicts("acme")[1]
    assert (held.own_period, held.billing_period, held.late) == ("2024-04", "2024-05", True)
    oracle.release(click("a", instants[0]))
    # Its instant is still in April, where b holds the key.
    assert oracle.verdicts("acme")[1].duplicate_of == oracle.verdicts("acme")[0].action
    oracle.hold(click("a", instants[0]))
    oracle.close("acme", "2024-05")
    assert oracle.verdicts("acme")[2].billing_period == "2024-06"


def test_r10_a_moved_action_stays_moved_when_its_period_is_reopened() -> None:
    oracle = accept(world(), lead("a", CLICK))
    oracle.hold(click("a"))
    oracle.close("acme", "2024-04")
    oracle.reopen("acme", "2024-04")
    oracle.release(click("a"))
    assert oracle.verdicts("acme")[0].billing_period == "2024-05"


# -- periods


@pytest.mark.parametrize(
    ("zone", "at", "period"),
    [
        ("UTC", "2024-04-30T23:59:59.999999+00:00", "2024-04"),
        ("UTC", "2024-05-01T00:00:00+00:00", "2024-05"),
        ("Europe/Berlin", "2024-03-31T21:59:59.999999+00:00", "2024-03"),
        ("Europe/Berlin", "2024-03-31T22:00:00+00:00", "2024-04"),
        ("Europe/Berlin", "2024-10-31T22:59:59.999999+00:00", "2024-10"),
        ("Europe/Berlin", "2024-10-31T23:00:00+00:00", "2024-11"),
        ("Asia/Tokyo", "2023-12-31T15:00:00+00:00", "2024-01"),
        ("America/Los_Angeles", "2024-01-01T07:59:59+00:00", "2023-12"),
        # Newfoundland, 1 November 2009: at 00:01 the clock goes back to 23:01 of the day before.
        ("America/St_Johns", "2009-11-01T02:29:59+00:00", "2009-10"),
        ("America/St_Johns", "2009-11-01T02:30:00+00:00", "2009-11"),
        ("America/St_Johns", "2009-11-01T02:45:00+00:00", "2009-11"),
        # Syria, 1 April 2011: there is no midnight, the day begins at 01:00.
        ("Asia/Damascus", "2011-03-31T21:59:59+00:00", "2011-03"),
        ("Asia/Damascus", "2011-03-31T22:00:00+00:00", "2011-04"),
    ],
)
def test_periods_are_half_open_months_of_the_time_zone(zone: str, at: str, period: str) -> None:
    assert Calendar(zone).period_of(datetime.fromisoformat(at).astimezone(UTC)) == period


def test_the_own_period_follows_the_partners_clock() -> None:
    at = "2024-04-30T23:00:00Z"
    oracle = accept(world(timezone="Europe/Berlin"), lead("a", ("Click", "High", at)))
    assert oracle.totals("acme", "2024-05")["billed"] == 1000


# -- R11: closing


def test_r11_late_actions_are_billed_in_the_first_open_period() -> None:
    oracle = accept(world(), lead("on time", CLICK))
    oracle.close("acme", "2024-04")
    oracle.close("acme", "2024-05")
    accept(oracle, lead("late", ("Talk", "Low", "2024-03-01T00:00:00Z")))
    accept(oracle, lead("on time", CLICK, ("Like", "Low", CLICK[2])))
    accept(oracle, lead("new", ("Walk", "Low", "2024-06-02T00:00:00Z")))
    table = [(v.action.action_type, v.own_period, v.billing_period, v.late, v.outcome) for v in oracle.verdicts("acme")]
    assert table == [
        ("click", "2024-04", "2024-04", False, "billed"),
        ("talk", "2024-03", "2024-06", True, "billed"),
        ("like", "2024-04", "2024-06", True, "billed"),
        ("walk", "2024-06", "2024-06", False, "billed"),
    ]


def test_r11_closing_order() -> None:
    oracle = accept(world(), lead("a", CLICK))
    with pytest.raises(Refused):
        oracle.close("acme", "2024-05")
    oracle.close("acme", "2024-04")
    for period in ("2024-03", "2024-04", "2024-06"):
        with pytest.raises(Refused):
            oracle.close("acme", period)
    oracle.close("acme", "2024-05")
    with pytest.raises(Refused):
        oracle.reopen("acme", "2024-04")
    oracle.reopen("acme", "2024-05")
    oracle.reopen("acme", "2024-04")
    oracle.close("acme", "2024-04")


def test_r11_closed_verdicts_are_frozen_and_refuse_to_be_held() -> None:
    oracle = accept(world(), lead("b", ("Click", "High", "2024-04-10T00:00:00Z")))
    oracle.close("acme", "2024-04")
    before = oracle.verdicts("acme")
    accept(oracle, lead("a", ("Click", "High", "2024-04-01T00:00:00Z")))
    after = oracle.verdicts("acme")
    assert after[0] == before[0]
    assert after[1].duplicate_of == before[0].action
    for event in (oracle.hold, oracle.release):
        with pytest.raises(Refused):
            event(before[0].action)


def test_r11_reopening_evaluates_again_but_moves_nothing_back() -> None:
    oracle = accept(world(cap="10.00"), *days("High", "2024-04-10T00:00:00Z", "2024-04-11T00:00:00Z"))
    oracle.close("acme", "2024-04")
    accept(oracle, lead("late", ("Talk", "High", "2024-04-01T00:00:00Z")))
    oracle.reopen("acme", "2024-04")
    accept(oracle, lead("early", ("Talk", "High", "2024-04-01T00:00:00Z"), product="erp"))
    oracle.set_terms("acme", "2024-04", cap="15.00")
    assert summary(oracle) == [
        ("early", "billed", 1000),
        ("a", "partly_billed", 500),
        ("b", "duplicate", 0),
        ("late", "billed", 1000),
    ]
    assert oracle.verdicts("acme")[3].billing_period == "2024-05"


def test_r11_returning_a_frozen_action_credits_what_was_billed_once_and_frees_its_key() -> None:
    instants = (
        "2024-04-10T00:00:00Z",
        "2024-04-11T00:00:00Z",
        "2024-05-10T00:00:00Z",
        "2024-05-11T00:00:00Z",
    )
    oracle = accept(world(cap="7.00"), *days("High", *instants))
    oracle.close("acme", "2024-04")
    frozen = oracle.verdicts("acme")[:2]
    oracle.return_(click("a", instants[0]))
    oracle.return_(click("a", instants[0]))
    assert summary(oracle) == [
        ("a", "partly_billed", 700),
        ("b", "duplicate", 0),
        ("c", "partly_billed", 700),
        ("d", "duplicate", 0),
    ]
    assert oracle.verdicts("acme")[:2] == frozen
    assert oracle.verdicts("acme")[3].duplicate_of == oracle.verdicts("acme")[2].action
    assert [(c.action.lead_id, c.period, c.amount_minor) for c in oracle.credits("acme")] == [("a", "2024-05", 700)]
    assert [oracle.totals("acme", p)["credits"] for p in ("2024-04", "2024-05", "2024-06")] == [0, 700, 0]
    assert oracle.customer_totals("acme", "2024-05", "ann")["credits"] == 700
    assert oracle.customer_totals("acme", "2024-05", "bob")["credits"] == 0
    assert oracle.product_totals("acme", "2024-05", "crm")["credits"] == 700


def test_r11_a_returned_duplicate_credits_nothing() -> None:
    oracle = accept(world(), *days("High", "2024-04-10T00:00:00Z", "2024-04-11T00:00:00Z"))
    oracle.close("acme", "2024-04")
    oracle.return_(click("b", "2024-04-11T00:00:00Z"))
    assert [c.amount_minor for c in oracle.credits("acme")] == [0]


def test_r11_reopening_takes_the_credit_back() -> None:
    instants = ("2024-04-10T00:00:00Z", "2024-04-11T00:00:00Z", "2024-05-10T00:00:00Z")
    oracle = accept(world(), *days("High", *instants))
    oracle.close("acme", "2024-04")
    oracle.return_(click("a", instants[0]))
    assert by_lead(oracle)["c"] == ("billed", 1000)
    oracle.reopen("acme", "2024-04")
    assert summary(oracle) == [("a", "returned", 0), ("b", "billed", 1000), ("c", "duplicate", 0)]
    assert oracle.credits("acme") == []


def test_r11_a_credit_frees_the_key_only_from_its_own_period_on() -> None:
    oracle = accept(world(), lead("a", ("Click", "High", "2024-03-10T00:00:00Z")))
    oracle.close("acme", "2024-03")
    oracle.close("acme", "2024-04")
    oracle.return_(click("a", "2024-03-10T00:00:00Z"))
    oracle.reopen("acme", "2024-04")
    accept(oracle, *days("High", "2024-04-10T00:00:00Z", "2024-05-10T00:00:00Z", source="s"))
    assert [(v.own_period, v.outcome) for v in oracle.verdicts("acme")] == [
        ("2024-03", "billed"),
        ("2024-04", "duplicate"),
        ("2024-05", "billed"),
    ]
    assert oracle.totals("acme", "2024-05")["credits"] == 1000


# -- R12: quarantine and people


def test_r12_unknown_masters_wait_and_lateness_is_judged_when_they_come() -> None:
    oracle = world()
    no_product, no_customer = lead("a", CLICK, product="new"), lead("b", CLICK, customer="eve")
    accept(oracle, no_product, no_customer, no_product)
    assert oracle.quarantine() == [(no_product, "unknown_product"), (no_customer, "unknown_customer")]
    oracle.close("acme", "2024-04")
    oracle.add_product("new", "acme")
    oracle.add_customer("eve", "eve@example.com")
    assert oracle.quarantine() == []
    assert {(v.lead.lead_id, v.billing_period, v.late) for v in oracle.verdicts("acme")} == {
        ("a", "2024-05", True),
        ("b", "2024-05", True),
    }


def test_r12_a_lead_in_quarantine_claims_nothing() -> None:
    oracle = world()
    wrong, right = lead("a", CLICK, product="new"), lead("a", CLICK)
    accept(oracle, wrong, right)
    assert oracle.quarantine() == [(wrong, "conflict")]
    assert summary(oracle) == [("a", "billed", 1000)]


def test_r12_what_was_accepted_before_an_event_comes_before_it() -> None:
    oracle = world()
    wrong, right = lead("a", CLICK, product="new"), lead("a", CLICK)
    accept(oracle, wrong, right)
    oracle.add_product("new", "acme")
    assert [v.product for v in oracle.verdicts("acme")] == ["crm"]
    assert oracle.quarantine() == [(wrong, "conflict")]


def test_r12_a_lead_may_bring_its_customer_and_others_of_that_customer_enter_too() -> None:
    oracle = world()
    accept(oracle, lead("a", CLICK, customer="eve"))
    assert oracle.quarantine()[0][1] == "unknown_customer"
    brings = {"name": "Eve", "email": " Eve@Example.com"}
    accept(oracle, lead("b", ("Talk", "Low", CLICK[2]), customer="eve") | {"customer": brings})
    assert oracle.quarantine() == []
    assert oracle.customer_totals("acme", "2024-04", "eve")["billed"] == 1200


def test_r12_an_unknown_id_with_a_known_e_mail_is_an_alias() -> None:
    oracle = world()
    inline = {"name": "Somebody", "email": " ANN@example.com "}
    accept(oracle, lead("a", CLICK), lead("b", CLICK, customer="ann-2") | {"customer": inline})
    oracle.add_customer("ann-3", "Ann@Example.com")
    accept(oracle, lead("c", CLICK, customer="ann-3"), lead("a", CLICK, customer="ann-3"))
    assert sorted(v.outcome for v in oracle.verdicts("acme")) == ["billed", "duplicate", "duplicate"]
    assert {v.customer for v in oracle.verdicts("acme")} == {"ann"}
    assert oracle.quarantine() == []
    for name in ("ann", "ann-2", "ann-3"):
        assert oracle.customer_totals("acme", "2024-04", name)["actions"] == 3


def test_r12_a_lead_never_changes_a_stored_person() -> None:
    oracle = world()
    accept(oracle, lead("a", CLICK) | {"customer": {"name": "X", "email": "bob@example.com"}})
    assert oracle.customer_totals("acme", "2024-04", "ann")["actions"] == 1
    assert oracle.customer_totals("acme", "2024-04", "bob")["actions"] == 0
    with pytest.raises(Refused):
        oracle.add_customer("ann", "other@example.com")


# -- R14, R13: money and instants


@pytest.mark.parametrize("amount", ["1.005", "0.001"])
def test_r14_more_than_two_decimals_are_refused(amount: str) -> None:
    with pytest.raises(ValueError, match="decimals"):
        world().add_rate(amount, partner="acme")


def test_r13_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="offset"):
        world().accept(lead("a", ("Click", "High", "2024-04-10T09:00:00")))


# -- R16: terms and rates


def test_r16_terms_count_from_their_period_and_stay_for_what_was_not_named() -> None:
    oracle = world(cap="10.00")
    for number, period in enumerate(("2024-04", "2024-05", "2024-06", "2024-07")):
        accept(oracle, *distinct(2, f"{period}-10T00:00:00Z", prefix=f"m{number}"))
    oracle.set_terms("acme", "2024-06", cap="5.00")
    oracle.set_terms("acme", "2024-05", cap=None, dedup_window=1)
    oracle.set_terms("acme", "2024-06", dedup_window="period")
    billed = [oracle.totals("acme", f"2024-0{month}")["billed"] for month in (4, 5, 6, 7)]
    assert billed == [1000, 2000, 500, 500]


def test_r16_a_late_action_is_judged_by_the_terms_of_its_billing_period() -> None:
    oracle = accept(world(dedup_window="forever"), lead("a", ("Click", "High", "2024-04-10T00:00:00Z")))
    oracle.set_terms("acme", "2024-05", dedup_window=1)
    oracle.close("acme", "2024-04")
    accept(oracle, lead("b", ("Click", "High", "2024-04-12T00:00:00Z")))
    assert by_lead(oracle)["b"] == ("billed", 1000)


def test_r16_nothing_reaches_into_a_closed_period() -> None:
    oracle = accept(world(timezone="Europe/Berlin"), lead("a", CLICK))
    oracle.add_partner("other")
    oracle.add_product("their", "other")
    oracle.close("acme", "2024-04")
    before = oracle.verdicts("acme")
    with pytest.raises(Refused):
        oracle.set_terms("acme", "2024-04", cap=None)
    too_early = "2024-04-30T21:59:59.999999Z"
    for named in ({"partner": "acme"}, {"product": "crm"}, {"action_type": "Click"}):
        with pytest.raises(Refused):
            oracle.add_rate("1.00", effective_from=too_early, **named)
        with pytest.raises(Refused):
            oracle.add_rate("1.00", effective_from="2024-04", **named)
        oracle.add_rate("1.00", **named)
        oracle.add_rate("1.00", effective_from="2024-04-30T22:00:00Z", **named)
    oracle.add_rate("1.00", partner="other")
    oracle.add_rate("1.00", product="their", effective_from=too_early)
    oracle.set_terms("acme", "2024-05", cap=None)
    assert oracle.verdicts("acme") == before


def test_r16_a_time_zone_starts_with_the_first_period_that_has_begun_in_neither() -> None:
    oracle = world()
    oracle.set_timezone("acme", "Pacific/Kiritimati", datetime(2024, 4, 30, 12, tzinfo=UTC))
    starts = [oracle.period_start("acme", f"2024-0{month}") for month in (4, 5, 6)]
    assert starts == [
        datetime(2024, 4, 1, tzinfo=UTC),
        datetime(2024, 5, 1, tzinfo=UTC),  # May has begun on Kiritimati (+14)
        datetime(2024, 5, 31, 10, tzinfo=UTC),
    ]


def test_r16_a_time_zone_change_replaces_one_that_has_not_begun() -> None:
    oracle, now = world(), datetime(2024, 4, 10, tzinfo=UTC)
    oracle.set_timezone("acme", "Pacific/Kiritimati", now)
    oracle.set_timezone("acme", "Etc/GMT+12", now)
    assert oracle.period_start("acme", "2024-05") == datetime(2024, 5, 1, 12, tzinfo=UTC)
    assert oracle.period_start("acme", "2024-06") == datetime(2024, 6, 1, 12, tzinfo=UTC)


def test_r16_a_time_zone_change_moves_open_actions_of_periods_not_yet_begun() -> None:
    evening, later = "2024-04-30T23:00:00Z", "2024-05-31T23:00:00Z"
    oracle = accept(world(cap="10.00"), *distinct(1, evening), *distinct(1, later, prefix="m"))
    assert [v.billing_period for v in oracle.verdicts("acme")] == ["2024-04", "2024-05"]
    oracle.set_timezone("acme", "Europe/Berlin", datetime(2024, 4, 30, 22, 30, tzinfo=UTC))
    verdicts = oracle.verdicts("acme")
    assert [(v.own_period, v.billing_period, v.late) for v in verdicts] == [
        ("2024-04", "2024-04", False),  # May had begun in Berlin, so it keeps its bounds
        ("2024-06", "2024-06", False),
    ]


def test_r16_partners_stand_apart() -> None:
    oracle = world(cap="10.00")
    oracle.add_partner("other", currency="USD")
    oracle.add_product("their", "other")
    oracle.close("acme", "2024-04")
    accept(oracle, *distinct(2, "2024-05-01T00:00:00Z"), lead("t", CLICK, product="their"))
    assert summary(oracle, "other") == [("t", "billed", 1000)]
    assert oracle.verdicts("other")[0].cap_before_minor == 0
    assert oracle.totals("acme", "2024-05")["billed"] == 1000


# -- people change and are forgotten (R12)


LATER = ("Click", "High", "2024-04-11T09:00:00Z")


def test_r12_another_e_mail_leaves_the_old_one_free() -> None:
    oracle = accept(world(), lead("a", CLICK))
    oracle.change_customer("ann", email="ann@example.org", name="Ann")
    oracle.accept(lead("b", LATER, customer="ann-2") | {"customer": {"email": "ann@example.org"}})
    oracle.accept(lead("c", LATER, customer="ann-3") | {"customer": {"email": "ann@example.com"}})
    assert by_lead(oracle) == {"a": ("billed", 1000), "b": ("duplicate", 0), "c": ("billed", 1000)}
    assert [(p.ids, p.email) for p in oracle.people() if "ann" in p.email] == [
        (["ann", "ann-2"], "ann@example.org"),
        (["ann-3"], "ann@example.com"),
    ]


def test_r12_an_e_mail_of_somebody_else_is_refused() -> None:
    oracle = world()
    with pytest.raises(Refused):
        oracle.change_customer("ann", email="Bob@example.com")
    oracle.change_customer("ann", email="Ann@example.com")


def test_r12_an_erased_person_is_the_same_customer_under_no_name() -> None:
    oracle = accept(world(), lead("a", CLICK))
    oracle.erase_customer("ann")
    key = str(row_key(CUSTOMERS, "ann"))
    accept(oracle, lead("b", LATER), lead("c", LATER, customer=key))
    assert by_lead(oracle) == {"a": ("billed", 1000), "b": ("duplicate", 0), "c": ("duplicate", 0)}
    assert {v.customer for v in oracle.verdicts("acme")} == {key}
    with pytest.raises(Refused):
        oracle.change_customer("ann", name="Ann")
    accept(oracle, lead("d", LATER, customer="new") | {"customer": {"email": "ann@example.com"}})
    assert by_lead(oracle)["d"] == ("billed", 1000)

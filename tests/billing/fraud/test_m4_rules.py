"""M4: what each fraud rule makes of figures; 50 is the score of a figure at its limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.errors import InvalidValue
from billing.fraud.disposable_domain import is_disposable
from billing.fraud.mailbox_family import mailbox
from billing.fraud.rule import AT_LIMIT, Figures, Finding, SetRule, check_limits
from billing.fraud.rules import RULES
from billing.fraud.test_row import is_test_person


@pytest.mark.parametrize(
    ("rule", "figures", "score"),
    [
        ("customer_burst", {"actions": 59}, 49),
        ("customer_burst", {"actions": 60}, 50),
        ("customer_burst", {"actions": 500}, 100),
        ("source_burst", {"actions": 500, "usual": 1}, 50),
        ("source_burst", {"actions": 500, "usual": 100}, 25),
        ("regular_intervals", {"actions": 19, "interval_s": 60, "spread_permille": 0}, 0),
        ("regular_intervals", {"actions": 20, "interval_s": 60, "spread_permille": 0}, 100),
        ("regular_intervals", {"actions": 20, "interval_s": 60, "spread_permille": 20}, 50),
        ("regular_intervals", {"actions": 20, "interval_s": 60, "spread_permille": 900}, 0),
        ("regular_intervals", {"actions": 20, "interval_s": 0, "spread_permille": 0}, 0),
        ("impossible_instants", {"early_s": 3600, "ahead_s": 0}, 50),
        ("impossible_instants", {"early_s": 0, "ahead_s": 7200}, 100),
        ("impossible_instants", {"early_s": 60, "ahead_s": 60}, 0),
        ("disposable_domain", {"disposable": 1}, 100),
        ("many_partners", {"partners": 7}, 43),
        ("many_partners", {"partners": 8}, 50),
        ("mailbox_family", {"customers": 5}, 50),
        ("mailbox_family", {"customers": 4}, 40),
        ("duplicate_rate", {"actions": 49, "percent": 100}, 0),
        ("duplicate_rate", {"actions": 50, "percent": 97}, 50),
        ("duplicate_rate", {"actions": 50, "percent": 100}, 100),
        ("night_only", {"actions": 100, "percent": 95}, 50),
        ("night_only", {"actions": 100, "percent": 94}, 49),
        ("night_only", {"actions": 99, "percent": 100}, 0),
        ("test_row", {"test": 1}, 100),
    ],
)
def test_m4_a_rule_scores_figures_against_its_limits(rule: str, figures: Figures, score: int) -> None:
    assert RULES[rule].score(figures, RULES[rule].limits) == score


def test_m4_a_finding_has_the_figures_and_the_limits_and_says_why() -> None:
    burst = SetRule(RULES["customer_burst"], armed=False, threshold=50, limits={"actions": 10})
    found = burst.judge({"actions": 15})
    assert found == Finding(75, {"actions": 15, "limit_actions": 10})
    assert burst.judge({"actions": 9}) is None
    assert burst.reason(found) == (
        "15 actions of one customer within an hour: fraud rule customer_burst, version 1, score 75"
    )


SUSPICIOUS = {
    "customer_burst": {"actions": 1},
    "source_burst": {"actions": 1, "usual": -1},
    "regular_intervals": {"actions": 1, "interval_s": 0, "spread_permille": -1},
    "impossible_instants": {"early_s": 1, "ahead_s": 1},
    "disposable_domain": {"disposable": 1},
    "many_partners": {"partners": 1},
    "mailbox_family": {"customers": 1},
    "duplicate_rate": {"actions": 1, "percent": 1},
    "night_only": {"actions": 1, "percent": 1},
    "test_row": {"test": 1},
}
"""The figures of each rule: 1 if more of it is more suspicious, -1 if less is, 0 if neither."""


@given(data=st.data(), name=st.sampled_from(sorted(RULES)))
def test_m4_a_score_is_from_0_to_100_and_never_falls_as_figures_grow_more_suspicious(
    data: st.DataObject, name: str
) -> None:
    rule = RULES[name]
    limits = {each: data.draw(st.integers(1, 100), label=each) for each in rule.limits}
    less, more = {}, {}
    for figure, direction in SUSPICIOUS[name].items():
        most = 1 if not rule.limits else 100 if figure == "percent" else 300
        low, high = sorted(data.draw(st.tuples(st.integers(0, most), st.integers(0, most)), label=figure))
        less[figure], more[figure] = (low, high) if direction > 0 else (high, low) if direction < 0 else (low, low)
    scores = [rule.score(figures, limits) for figures in (less, more)]
    assert 0 <= scores[0] <= scores[1] <= 100
    threshold = data.draw(st.integers(1, 100), label="threshold")
    found = SetRule(rule, armed=True, threshold=threshold, limits=limits).judge(more)
    assert (found.score if found else None) == (scores[1] if scores[1] >= threshold else None)


@given(threshold=st.integers(1, 100), limit=st.integers(1, 500), figure=st.integers(1, 2000))
def test_m4_what_a_query_leaves_out_no_rule_would_find(threshold: int, limit: int, figure: int) -> None:
    burst = SetRule(RULES["customer_burst"], armed=True, threshold=threshold, limits={"actions": limit})
    assert (burst.judge({"actions": figure}) is not None) == (figure >= burst.least("actions"))


@pytest.mark.parametrize(
    ("email", "reached"),
    [
        ("ann@example.com", "ann@example.com"),
        ("ann+news@example.com", "ann@example.com"),
        ("a.nn@example.com", "a.nn@example.com"),
        ("a.n.n+1@gmail.com", "ann@gmail.com"),
        ("ann@googlemail.com", "ann@gmail.com"),
    ],
)
def test_m4_addresses_of_one_mailbox(email: str, reached: str) -> None:
    assert mailbox(email) == reached


def test_m4_a_domain_is_disposable_if_it_or_one_above_it_is_listed() -> None:
    listed = frozenset({"mailinator.com"})
    found = [is_disposable(each, listed) for each in ("mailinator.com", "x.mailinator.com", "notmailinator.com", "com")]
    assert found == [True, True, False, False]


def test_m4_people_whom_platforms_make_up() -> None:
    assert is_test_person("Test Lead", "x@example.com")
    assert is_test_person("Ann", "test@fb.com")
    assert not is_test_person("Ann Test", "ann@fb.com")


def test_m4_every_rule_is_complete() -> None:
    for name, rule in RULES.items():
        assert (rule.name, rule.version >= 1, bool(rule.about)) == (name, True, True)
        shipped = SetRule(rule, armed=False, threshold=AT_LIMIT, limits=rule.limits)
        check_limits(rule, shipped.limits)
    burst = RULES["customer_burst"]
    for limits in ({"actions": 0}, {"actors": 1}, {"actions": 10**7}):
        with pytest.raises(InvalidValue):
            check_limits(burst, limits)

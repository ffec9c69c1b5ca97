"""Test rows of lead platforms: the made-up people with whom their customers try a form."""

from billing.fraud.rule import MOST_SCORE, Figures, Rule, Subject

EMAILS = frozenset({"test@fb.com", "test@meta.com", "test@linkedin.com", "test@tiktok.com"})
"""Addresses of nobody, which platforms put into the rows of their testing tools."""
NAMES = frozenset({"firstname lastname", "testfirstname testlastname", "test lead", "test test", "test user"})
"""Names of nobody, lower case, that stand in such rows."""


def is_test_person(name: str, email: str) -> bool:
    """Whether a platform made a person up."""
    return email in EMAILS or name.lower() in NAMES


def _score(figures: Figures, _: Figures) -> int:
    return MOST_SCORE if figures["test"] else 0


RULE = Rule(
    name="test_row",
    version=1,
    about="a customer whom a lead platform made up to try a form",
    subject=Subject.CUSTOMER,
    limits={},
    score=_score,
    reason="a lead platform made the customer up to try a form",
)

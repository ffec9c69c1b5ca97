"""Throw-away mailboxes: the e-mail's domain, or one above it, is on a list of disposable domains."""

from collections.abc import Set

from billing.fraud.rule import MOST_SCORE, Figures, Rule, Subject


def is_disposable(domain: str, disposable: Set[str]) -> bool:
    """Whether a domain, or one that it is a part of, is on the list."""
    while domain:
        if domain in disposable:
            return True
        domain = domain.partition(".")[2]
    return False


def _score(figures: Figures, _: Figures) -> int:
    return MOST_SCORE if figures["disposable"] else 0


RULE = Rule(
    name="disposable_domain",
    version=1,
    about="a customer whose e-mail is of a provider of throw-away mailboxes",
    subject=Subject.CUSTOMER,
    limits={},
    score=_score,
    reason="the customer's e-mail is of a provider of throw-away mailboxes",
)

"""Families of addresses: many customers whose e-mails all reach one mailbox.

What follows a plus sign is no part of the mailbox; nor are dots where the provider ignores them.
"""

from billing.fraud.rule import Figures, Rule, Subject, graded

WITHOUT_DOTS = frozenset({"gmail.com", "googlemail.com"})
"""Domains of the provider that ignores dots; both are one."""


def mailbox(email: str) -> str:
    """The mailbox that an address reaches; equal for all addresses of a family."""
    local, _, domain = email.rpartition("@")
    local = local.partition("+")[0]
    if domain in WITHOUT_DOTS:
        return f"{local.replace('.', '')}@gmail.com"
    return f"{local}@{domain}"


def _score(figures: Figures, limits: Figures) -> int:
    return graded(figures["customers"], limits["customers"])


RULE = Rule(
    name="mailbox_family",
    version=1,
    about="many customers whose e-mails reach one mailbox, by plus signs or dots",
    subject=Subject.CUSTOMER,
    limits={"customers": 5},
    score=_score,
    reason="the e-mails of {customers} customers reach one mailbox",
)

"""One customer across many partners at once: actions of the same month at more of them than a person looks at."""

from billing.fraud.rule import Figures, Rule, Subject, graded


def _score(figures: Figures, limits: Figures) -> int:
    return graded(figures["partners"], limits["partners"])


RULE = Rule(
    name="many_partners",
    version=2,
    about="a customer with actions at very many partners in the same month",
    subject=Subject.CUSTOMER,
    limits={"partners": 8},
    score=_score,
    reason="the customer has actions at {partners} partners in the same month",
)

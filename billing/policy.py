"""Everything that decides the verdicts of one partner, besides the actions themselves."""

from dataclasses import dataclass
from uuid import UUID

from billing.periods import Calendar, next_period
from billing.rates import RateCard
from billing.terms import TermsHistory


@dataclass(frozen=True, slots=True)
class PartnerCalendar:
    """The calendar of one partner, and how far it is closed."""

    partner_id: UUID
    closed_through: int | None
    calendar: Calendar

    @property
    def first_open(self) -> int:
        """The first billing period that is not closed; 0, which is before every period, if none is closed."""
        return 0 if self.closed_through is None else next_period(self.closed_through)

    def is_open(self, period: int) -> bool:
        """Whether verdicts of the billing period can still change."""
        return period >= self.first_open

    def billing_period(self, own_period: int) -> int:
        """The period in which an action that is first evaluated now is billed (R11): its own, or the first open one."""
        return max(own_period, self.first_open)


@dataclass(frozen=True, slots=True)
class Policy(PartnerCalendar):
    """Calendar, terms and rates of one partner. A customer judged by an older `version` is stale.

    From the version `same_terms_since` on, if it is known, only rates have changed.
    """

    currency: str
    version: int
    terms: TermsHistory
    card: RateCard
    same_terms_since: int | None = None

    def has_terms_of(self, version: int) -> bool:
        """Whether nothing but rates has changed since a version, so that what is new can be judged beside the rest."""
        since = self.version if self.same_terms_since is None else self.same_terms_since
        return since <= version <= self.version

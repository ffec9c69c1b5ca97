"""The oracle: fed with what a client saw acknowledged and with events, it says what must have been billed."""

import uuid
from collections import defaultdict
from dataclasses import replace
from datetime import datetime

from tests.oracle.intake import Intake, billing_period
from tests.oracle.judge import action_uuid, evaluation_order, judge
from tests.oracle.messages import Reason, WireLead, lead_identity
from tests.oracle.model import Action, ActionId, ActionRef, Credit, Partner, Totals, Verdict
from tests.oracle.people import People, Person
from tests.oracle.periods import PERIOD_FORM, Calendar, checked, following, preceding
from tests.oracle.rates import ALWAYS, RateCard, Rule, dimensions
from tests.oracle.terms import KEEP, CapScope, Keep, Terms, TermsHistory, Window
from tests.oracle.totals import totals_of
from tests.oracle.values import Refused, fold, instant, minor_units, plain_id

Account = tuple[str, uuid.UUID]
"""A partner and the key of a person."""


class Oracle:
    """All partners, single-threaded and in memory. Every event and every question settles first.

    An event that the rules do not allow raises `Refused` and changes nothing.
    """

    def __init__(self) -> None:
        self._people = People()
        self._partners: dict[str, Partner] = {}
        self._product_owner: dict[str, Partner] = {}
        self._card = RateCard()
        self._intake = Intake(self._people, self._product_owner)
        self._by_customer: dict[Account, list[Action]] = defaultdict(list)
        self._by_product: dict[str, list[Action]] = defaultdict(list)
        self._by_partner: dict[str, list[Action]] = defaultdict(list)
        self._stale: set[Account] = set()

    # -- masters, terms and rates

    def add_partner(
        self,
        external_id: str,
        currency: str = "EUR",
        timezone: str = "UTC",
        cap: str | None = "100.00",
        cap_scope: CapScope = "period",
        dedup_window: Window = "forever",
    ) -> None:
        """Create a partner. The currency decides nothing: money of two partners is never mixed."""
        if plain_id(external_id) in self._partners:
            raise Refused(f"{external_id} exists")
        cap_minor = None if cap is None else minor_units(cap)
        terms = TermsHistory(Terms(cap_minor, cap_scope, dedup_window))
        key = plain_id(external_id)
        self._partners[key] = Partner(key, currency, Calendar(timezone), terms)

    def add_product(self, external_id: str, partner: str) -> None:
        """Create a product, for ever of this partner; leads that wait for it enter at the next settling."""
        self.settle()
        owner = self._partner(partner)
        if self._product_owner.setdefault(plain_id(external_id), owner) is not owner:
            raise Refused(f"{external_id} belongs to another partner")
        self._intake.masters_changed()

    def add_customer(self, external_id: str, email: str, name: str = "") -> None:
        """Create a person, or an alias of the person with this e-mail; leads that wait for the id enter."""
        self.settle()
        self._people.register(external_id, email, name)
        self._intake.masters_changed()

    def change_customer(self, external_id: str, email: str | None = None, name: str | None = None) -> None:
        """Give a person another e-mail or name. No verdict changes; an e-mail that is free again is nobody's."""
        self.settle()
        self._people.change(external_id, email, name)

    def erase_customer(self, external_id: str) -> None:
        """Forget who a person is. Every verdict stands, and each identifier still means the same person."""
        self.settle()
        person = self._people.erase(external_id)
        for (_, key), actions in self._by_customer.items():
            if key == person.key:
                for action in actions:
                    action.verdict = replace(action.decided(), customer=person.ids[0])
                    if action.credit is not None:
                        action.credit = replace(action.credit, customer=person.ids[0])

    def set_timezone(self, partner: str, timezone: str, now: datetime) -> None:
        """Another time zone from the first period not yet begun; open actions move to the period they now lie in."""
        self.settle()
        owner = self._partner(partner)
        owner.calendar.change_zone(timezone, now)
        for action in self._by_partner[owner.external_id]:
            own = owner.calendar.period_of(action.id.instant)
            if not action.frozen and own != action.own_period:
                action.own_period = own
                action.billing_period = billing_period(owner, own)
        self._judge_again(owner)

    def set_terms(
        self,
        partner: str,
        from_period: str,
        cap: str | Keep | None = KEEP,
        cap_scope: CapScope | Keep = KEEP,
        dedup_window: Window | Keep = KEEP,
    ) -> None:
        """A version of the terms from an open period on; fields not given stay as they are there."""
        self.settle()
        owner = self._partner(partner)
        if owner.closed_through is not None and from_period <= owner.closed_through:
            raise Refused(f"{from_period} of {partner} is closed")
        changed = owner.terms.at(checked(from_period)).changed(cap, cap_scope, dedup_window)
        owner.terms.put(from_period, changed)
        self._judge_again(owner)

    def add_rate(
        self,
        amount: str | None,
        partner: str | None = None,
        product: str | None = None,
        lead_type: str | None = None,
        action_type: str | None = None,
        engagement_level: str | None = None,
        effective_from: str | None = None,
    ) -> int:
        """Add a rule to the card, or replace the one with the same conditions and start; returns its number.

        A start is an instant or a period; without one, the rule starts with each partner's first open period (R16).
        """
        self.settle()
        touched = self._touched(partner, product)
        closing = [owner for owner in touched if owner.closed_through is not None]
        later: dict[str, str] = {}
        start: datetime | str
        if effective_from is None:
            start = ALWAYS
            later = {owner.external_id: _first_open(owner) for owner in closing}
            if later and (partner is not None or product is not None):
                start, later = next(iter(later.values())), {}
        elif PERIOD_FORM.fullmatch(effective_from):
            start = effective_from
            if any(start < _first_open(owner) for owner in closing):
                raise Refused(f"{start} is closed")
        else:
            start = instant(effective_from)
            if any(start < owner.calendar.start(_first_open(owner)) for owner in closing):
                raise Refused(f"{start} lies in a closed period")
        conditions = dimensions(partner, product, lead_type, action_type, engagement_level)
        amount_minor = None if amount is None else minor_units(amount)
        if amount_minor is None and not any(conditions[:4]):
            raise Refused("a level has a price")
        replaced = self._card.same(conditions, start)
        if replaced is not None:
            self._end(replaced)
        rule = self._card.add(conditions, start, amount_minor, later)
        self._rates_changed()
        return rule.number

    def change_rate(self, number: int, amount: str | None) -> int:
        """Another amount for a rule, in open periods; returns the number of the rule that takes its place."""
        self.settle()
        rule = self._card.rules[number]
        if rule.until is not None or (amount is None and not any(rule.conditions[:4])):
            raise Refused(f"rule {number} has ended, or prices a level")
        touched = self._touched(rule.conditions.partner, rule.conditions.product)
        later, start = dict(rule.later), rule.start
        for owner in touched:
            if owner.closed_through is None:
                continue
            opens = owner.calendar.start(_first_open(owner))
            if rule.begins(owner.external_id, owner.calendar) < opens:
                if self._card.counting(rule.conditions, owner.external_id, opens, owner.calendar) is not rule:
                    raise Refused(f"another rule has followed {number}")
                later[owner.external_id] = _first_open(owner)
        if later and (rule.conditions.partner is not None or rule.conditions.product is not None):
            start, later = next(iter(later.values())), {}
        self._end(rule)
        new = self._card.add(rule.conditions, start, None if amount is None else minor_units(amount), later)
        self._rates_changed()
        return new.number

    def end_rate(self, number: int) -> None:
        """End a rule: it counts in closed periods only."""
        self.settle()
        rule = self._card.rules[number]
        if rule.until is not None or (not any(rule.conditions[:4]) and rule.conditions.level and rule.start == ALWAYS):
            raise Refused(f"rule {number} has ended, or prices a level")
        self._end(rule)
        self._rates_changed()

    def _end(self, rule: Rule) -> None:
        rule.until = {
            owner.external_id: _first_open(owner)
            for owner in self._touched(rule.conditions.partner, rule.conditions.product)
            if owner.closed_through is not None
        }

    def _rates_changed(self) -> None:
        for owner in self._partners.values():
            self._judge_again(owner)

    # -- leads

    def accept(self, lead: WireLead) -> None:
        """One acknowledged lead, in the wire shape. It is evaluated by the next settling."""
        self._intake.accept(lead)

    def settle(self) -> None:
        """Evaluate everything accepted since, and every customer that an event has touched."""
        for action in self._intake.enter():
            self._add(action)
        for account in self._stale:
            judge(self._by_customer[account], self._card)
        self._stale.clear()

    # -- periods

    def close(self, partner: str, period: str) -> None:
        """Freeze the verdicts of a period; what is held in it moves to the next one."""
        self.settle()
        owner = self._partner(partner)
        actions = self._by_partner[owner.external_id]
        if owner.closed_through is not None and owner.closed_through != preceding(checked(period)):
            raise Refused(f"{partner} is closed through {owner.closed_through}")
        if any(action.billing_period < checked(period) and not action.frozen for action in actions):
            raise Refused(f"{partner} has open actions before {period}")
        if owner.closed_through is None:
            owner.closed_from = period
        owner.closed_through = period
        for action in actions:
            if action.billing_period == period and action.held:
                action.billing_period = following(period)
                self._stale.add(_account(action))
            elif action.billing_period == period:
                action.frozen = True

    def reopen(self, partner: str, period: str) -> None:
        """Open the newest closed period again; credits for actions of that period are taken back."""
        self.settle()
        owner = self._partner(partner)
        if owner.closed_through != checked(period):
            raise Refused(f"{partner} is closed through {owner.closed_through}")
        if owner.closed_from == period:
            owner.closed_from = owner.closed_through = None
        else:
            owner.closed_through = preceding(period)
        for action in self._by_partner[owner.external_id]:
            if action.billing_period == period:
                action.frozen = False
                action.returned = action.returned or action.credit is not None
                action.credit = None
        self._judge_again(owner)

    # -- single actions

    def hold(self, action: ActionRef) -> None:
        """Hold an open action. Again: nothing changes."""
        found = self._open_action(action)
        if found.returned:
            raise Refused(f"{action} is returned")
        found.held = True
        self._stale.add(_account(found))

    def release(self, action: ActionRef) -> None:
        """Release a held action, or take back a return; one that is neither stays as it is."""
        found = self._open_action(action)
        if found.corrected_by is not None:
            raise Refused(f"{action} was corrected")
        found.held = found.returned = False
        self._stale.add(_account(found))

    def return_(self, action: ActionRef) -> None:
        """Return an action: an open one counts as returned, a frozen one gets a credit. Again: no change."""
        found = self._action(action)
        if found.returned or found.credit is not None:
            return
        if found.frozen:
            closed_through = found.lead.partner.closed_through
            assert closed_through is not None
            verdict = found.decided()
            found.credit = Credit(
                found.id, verdict.customer, verdict.product, following(closed_through), verdict.billed_minor
            )
        else:
            found.held = False
            found.returned = True
        self._stale.add(_account(found))

    def correct(
        self, action: ActionRef, action_type: str | None = None, level: str | None = None, at: str | None = None
    ) -> ActionId:
        """Return a wrong action and count the right one: that of the same lead, if it has it, else a new one."""
        wrong = self._action(action)
        old = wrong.id
        right = old._replace(
            action_type=old.action_type if action_type is None else fold(action_type),
            level=old.level if level is None else fold(level),
            instant=old.instant if at is None else instant(at),
        ).content
        if wrong.corrected_by is not None:
            if wrong.corrected_by.content != right:
                raise Refused(f"{action} was corrected otherwise")
            return wrong.corrected_by
        if right == old.content:
            raise Refused(f"{action} is so already")
        if wrong.returned or wrong.credit is not None:
            raise Refused(f"{action} is returned")
        held = wrong.held
        self.return_(action)
        same = [stored for stored in wrong.lead.actions.values() if stored.id.content == right]
        same.sort(key=lambda each: (each.id.occurrence, action_uuid(each)))
        standing = [each for each in same if not each.returned and each.credit is None and each.corrects is None]
        found = standing[0] if standing else None
        if found is None:
            unnamed = sum(not stored.id.own_id for stored in same)
            found = self._intake.add_action(wrong.lead, right._replace(occurrence=unnamed + 1))
            found.held = held
            self._add(found)
        wrong.corrected_by, found.corrects = found.id, wrong.id
        return found.id

    # -- answers

    def verdicts(self, partner: str) -> list[Verdict]:
        """All verdicts of a partner, in evaluation order."""
        self.settle()
        actions = self._by_partner[self._partner(partner).external_id]
        return [action.decided() for action in sorted(actions, key=evaluation_order)]

    def credits(self, partner: str) -> list[Credit]:
        """All credits of a partner, in the evaluation order of the actions they are for."""
        self.settle()
        actions = sorted(self._by_partner[self._partner(partner).external_id], key=evaluation_order)
        return [action.credit for action in actions if action.credit is not None]

    def totals(self, partner: str, period: str) -> Totals:
        """The totals of a partner and billing period."""
        self.settle()
        return totals_of(self._by_partner[self._partner(partner).external_id], checked(period))

    def customer_totals(self, partner: str, period: str, customer: str) -> Totals:
        """The part of one customer, by any of the person's identifiers."""
        self.settle()
        person = self._people.find(customer)
        if person is None:
            raise Refused(f"no customer {customer}")
        account = (self._partner(partner).external_id, person.key)
        return totals_of(self._by_customer.get(account, []), checked(period))

    def product_totals(self, partner: str, period: str, product: str) -> Totals:
        """The part of one product."""
        self.settle()
        if self._product_owner.get(plain_id(product)) is not self._partner(partner):
            raise Refused(f"{partner} has no product {product}")
        return totals_of(self._by_product[plain_id(product)], checked(period))

    def closed_through(self, partner: str) -> str | None:
        """The newest closed period of a partner."""
        return self._partner(partner).closed_through

    def period_start(self, partner: str, period: str) -> datetime:
        """The instant at which a period of a partner begins."""
        return self._partner(partner).calendar.start(checked(period))

    def people(self) -> list[Person]:
        """Everybody known."""
        self.settle()
        return self._people.everybody()

    def quarantine(self) -> list[tuple[WireLead, Reason]]:
        """The leads that are quarantined and why."""
        self.settle()
        return list(self._intake.quarantined())

    # -- helpers

    def _add(self, action: Action) -> None:
        self._by_customer[_account(action)].append(action)
        self._by_product[action.lead.product].append(action)
        self._by_partner[action.lead.partner.external_id].append(action)
        self._stale.add(_account(action))

    def _partner(self, external_id: str) -> Partner:
        if plain_id(external_id) not in self._partners:
            raise Refused(f"no partner {external_id}")
        return self._partners[plain_id(external_id)]

    def _touched(self, partner: str | None, product: str | None) -> list[Partner]:
        """The partners whose prices a rule can change."""
        if product is not None and plain_id(product) not in self._product_owner:
            raise Refused(f"no product {product}")
        if partner is not None:
            return [self._partner(partner)]
        if product is not None:
            return [self._product_owner[plain_id(product)]]
        return list(self._partners.values())

    def _judge_again(self, partner: Partner) -> None:
        actions = self._by_partner[partner.external_id]
        self._stale.update(_account(action) for action in actions if not action.frozen)

    def _action(self, reference: ActionRef) -> Action:
        self.settle()
        source, lead_id, action_type, level, at, occurrence = reference[:6]
        own_id = reference.own_id if isinstance(reference, ActionId) else ""
        lead = lead_identity(source, lead_id)
        found = self._intake.action(ActionId(*lead, fold(action_type), fold(level), instant(at), occurrence, own_id))
        if found is None:
            raise Refused(f"no action {reference}")
        return found

    def _open_action(self, reference: ActionRef) -> Action:
        found = self._action(reference)
        if found.frozen:
            raise Refused(f"{reference} is frozen")
        return found


def _account(action: Action) -> Account:
    """The partner and the person: verdicts of different accounts have nothing to do with each other."""
    return (action.lead.partner.external_id, action.lead.person.key)


def _first_open(partner: Partner) -> str:
    """The first period of a partner with closed ones that is open."""
    assert partner.closed_through is not None
    return following(partner.closed_through)

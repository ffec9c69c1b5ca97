"""The real engine and the oracle side by side: both get the same, and all they decide is compared (R8)."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID, uuid4

import asyncpg
import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from api.schemas.leads import leads_from_body
from billing.actions import WINNING, Outcome
from billing.duplicates import NEVER_RELEASED
from billing.errors import BillingError, RuleViolation
from billing.leads import Lead, Person
from billing.money import minor_from_amount
from billing.periods import period_from_text, text_from_period
from billing.rate_starts import Start
from billing.rates import InvalidRate
from billing.terms import CapScope, window_from_wire
from billing.totals import TOTALS_COLUMNS, Totals
from billing.zones import check_timezone
from db.bills import reopening
from db.core.engine import transaction
from db.core.errors import TRANSIENT
from db.core.row_keys import customer_uuid, partner_uuid, product_uuid
from db.core.unit_of_work import Message, UnitOfWork, unit_of_work
from db.intake import inbox, quarantine, worker_batch
from db.intake.inbox import Accepted
from db.intake.partitions import FIRST_LARGE
from db.ledger import (
    cap_used,
    closing,
    corrections,
    holds,
    period_counters,
    policy_changes,
    rate_changes,
    rebuild,
    recount,
    reevaluation,
    replay,
)
from db.ledger.corrections import Correction
from db.ledger.periods import periods_used
from db.ledger.policies import Policies
from db.ledger.policy_changes import PartnerUpdate
from db.ledger.rate_changes import RateChanged
from db.masters import customers, partners, products
from db.masters.emails import email_from_wire
from db.masters.partners import NewPartner
from db.masters.rates import NewRate
from db.masters.terms import PartnerTerms
from db.privacy import erasure
from db.reports import explained_actions
from tests.builders import Wire
from tests.oracle import ActionId, ActionRef, Oracle, Refused, keys
from tests.oracle.messages import lead_identity, message_from_wire
from tests.oracle.model import OUTCOMES
from tests.oracle.model import Totals as OracleTotals
from tests.oracle.periods import following

LATER = datetime(2100, 1, 1, tzinfo=UTC)
"""A clock by which every period of the tests has ended."""

EARLIER = datetime(2024, 1, 1, tzinfo=UTC)
"""A clock by which no period of the tests has begun."""

Result = TypeVar("Result")


async def again(attempt: Callable[[], Awaitable[Result]]) -> Result:
    """Call until no fault of the environment, like a deadlock, ends it, as tasks are tried again."""
    while True:
        try:
            return await attempt()
        except TRANSIENT:
            await asyncio.sleep(0.01)


def domain_leads(*sent: Wire) -> list[Lead]:
    """Leads as the API reads them."""
    read = leads_from_body(
        msgspec.json.encode(sent), ndjson=False, now=datetime.now(UTC), most_leads=100_000, most_actions=1_000
    )
    assert not read.errors, read.errors
    return read.leads


def action_id(reference: ActionRef) -> UUID:
    """The row key of an action that is named as the oracle names it."""
    source, lead_id, action_type, level, at, occurrence = reference[:6]
    instant = at if isinstance(at, datetime) else datetime.fromisoformat(at)
    lead = keys.lead_key(source, lead_id)
    if isinstance(reference, ActionId) and reference.own_id:
        return keys.own_action_key(lead, reference.own_id)
    return keys.action_key(lead, action_type.casefold(), level.casefold(), instant, occurrence)


@dataclass(slots=True)
class Decided:
    """One verdict, with everything that both sides say about it."""

    customer: str
    product: str
    own_period: str
    billing_period: str
    late: bool
    value_minor: int
    billed_minor: int
    outcome: str
    duplicate_of: UUID | None
    cap_before_minor: int | None
    cap_after_minor: int | None


class World:
    """Drives the engine as the API and the worker do, and the oracle beside it. What one refuses the other must too."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.policies = Policies()
        self.oracle = Oracle()
        self.partners: dict[str, UUID] = {}
        self.rule_ids = {number: number + 1 for number in range(6)}
        """The id of each rule of the rate card, by the oracle's number; the first ones come with Leadger."""
        self.published: list[Message] = []
        """What was sent after commits; no worker gets it, since `work` and `settle` do what it asks for."""
        self.now = EARLIER  # no period that has ended by now begins again in another time zone

    def unit_of_work(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """A transaction as a request opens it."""
        return unit_of_work(self.engine, lambda message, _: self.published.append(message), caches=[self.policies])

    # -- master data

    async def partner(self, external_id: str, timezone: str = "UTC", **terms: Any) -> UUID:
        """A partner with terms as the wire says them: cap, cap_scope, dedup_window."""
        self.oracle.add_partner(external_id, timezone=timezone, **terms)
        self.partners[external_id] = partner_uuid(external_id)
        agreed = PartnerTerms(**terms_fields(terms))
        new = NewPartner(external_id, external_id, timezone=check_timezone(timezone), terms=agreed)
        async with self.unit_of_work() as uow:
            assert await partners.create(uow, new)
        return self.partners[external_id]

    async def product(self, external_id: str, partner: str) -> UUID:
        """A product; what waited for it is decided."""
        self.oracle.add_product(external_id, partner)
        product_id = product_uuid(external_id)
        async with self.unit_of_work() as uow:
            _, is_new = await products.create(uow, external_id, self.partners[partner], {"name": external_id})
        assert is_new
        await self.empty_quarantine()
        return product_id

    async def customer(self, external_id: str, address: str) -> UUID:
        """A person, or an alias of one; what waited for the id is decided."""
        self.oracle.add_customer(external_id, address, external_id)
        async with transaction(self.engine) as connection:
            found = await customers.ensure(connection, {external_id: Person(external_id, email_from_wire(address))})
        await self.empty_quarantine()
        return found[customer_uuid(external_id)]

    async def rate(
        self,
        amount: str | None,
        *,
        partner: str | None = None,
        product: str | None = None,
        lead_type: str | None = None,
        action_type: str | None = None,
        engagement_level: str | None = None,
        effective_from: str | None = None,
    ) -> bool:
        """A rate rule, an instant or a period as its start. False if both sides refuse it.

        Stale customers stay so until `settle`. `rule_ids` has its id, in the order of the oracle's numbers.
        """
        new = NewRate(
            partner_id=partner_uuid(partner) if partner else None,
            product_id=product_uuid(product) if product else None,
            lead_type=lead_type,
            action_type=action_type,
            engagement_level=engagement_level,
            amount_minor=None if amount is None else minor_from_amount(amount),
            start=rate_start(effective_from),
        )
        named = (partner, product, lead_type, action_type, engagement_level, effective_from)
        return await self._rate_change(
            lambda: self.oracle.add_rate(amount, *named),
            lambda uow: rate_changes.create_rate(uow, self.policies, new),
        )

    async def change_rate(self, number: int, amount: str | None) -> bool:
        """Another amount for the rule that the oracle knows by this number. False if both sides refuse it."""
        minor = None if amount is None else minor_from_amount(amount)
        return await self._rate_change(
            lambda: self.oracle.change_rate(number, amount),
            lambda uow: rate_changes.change_rate(uow, self.policies, self.rule_ids[number], minor),
        )

    async def end_rate(self, number: int) -> bool:
        """The end of the rule that the oracle knows by this number. False if both sides refuse it."""
        return await self._rate_change(
            lambda: self.oracle.end_rate(number),
            lambda uow: rate_changes.end_rate(uow, self.policies, self.rule_ids[number]),
        )

    async def _rate_change(
        self, expected: Callable[[], int | None], change: Callable[[UnitOfWork], Awaitable[RateChanged]]
    ) -> bool:
        refused = False
        number: int | None = None
        try:
            number = expected()
        except Refused:
            refused = True
        try:
            async with self.unit_of_work() as uow:
                changed = await change(uow)
        except (RuleViolation, InvalidRate):
            assert refused
        else:
            assert not refused
            if number is not None:
                self.rule_ids[number] = changed.rule_id
        return not refused

    async def terms(self, partner: str, from_period: str, **changes: Any) -> bool:
        """Other terms from a period on. False if both sides refuse them. Stale customers stay so until `settle`."""
        refused = False
        try:
            self.oracle.set_terms(partner, from_period, **changes)
        except Refused:
            refused = True
        update = PartnerUpdate(terms=terms_fields(changes), effective_period=period_from_text(from_period))
        try:
            async with self.unit_of_work() as uow:
                await policy_changes.change_partner(uow, self.policies, self.partners[partner], update, LATER)
        except RuleViolation:
            assert refused
        else:
            assert not refused
        return not refused

    async def timezone(self, partner: str, timezone: str, now: datetime) -> None:
        """Another time zone, asked for at `now`. Stale customers stay so until `settle`."""
        self.now = max(self.now, now)
        self.oracle.set_timezone(partner, timezone, self.now)
        update = PartnerUpdate(timezone=check_timezone(timezone))
        async with self.unit_of_work() as uow:
            await policy_changes.change_partner(uow, self.policies, self.partners[partner], update, self.now)

    async def change_customer(self, external_id: str, **values: str) -> bool:
        """Another `name` or `email`. False if both sides refuse it."""
        refused = False
        try:
            self.oracle.change_customer(external_id, **values)
        except Refused:
            refused = True
        try:
            async with self.unit_of_work() as uow:
                await customers.change(uow, await self._person(uow.connection, external_id), values)
        except RuleViolation:
            assert refused
        else:
            assert not refused
        return not refused

    async def erase(self, external_id: str) -> None:
        """Erase a person in the master data and in what callers sent, as the background task does."""
        self.oracle.erase_customer(external_id)
        async with transaction(self.engine, readonly=True) as connection:
            customer_id = await self._person(connection, external_id)
        erased = await again(lambda: erasure.erase_names(self.engine, customer_id, external_id))
        await again(lambda: erasure.erase_payloads(self.engine, erased))

    async def _person(self, connection: asyncpg.Connection, external_id: str) -> UUID:
        found = await customers.resolve(connection, [customer_uuid(external_id)])
        return found[customer_uuid(external_id)]

    # -- leads

    async def accept(self, *sent: Wire, chunk_leads: int | None = None) -> None:
        """Leads in one request (or in requests of `chunk_leads`), committed to the inbox and not yet decided."""
        for each in sent:
            self.oracle.accept(each)
        await self.put(*sent, chunk_leads=chunk_leads)

    async def put(self, *sent: Wire, chunk_leads: int | None = None, one_partition: bool = True) -> None:
        """Leads in the inbox only: a redelivery that changes nothing for the oracle.

        In one partition they are decided in the order of acceptance, which matters where they conflict. Otherwise they
        lie in the partitions of their customers, as the API puts them there.
        """
        parsed = domain_leads(*sent)
        size = chunk_leads or len(parsed)
        requests = [
            Accepted(uuid4(), "test", datetime.now(UTC), parsed[start : start + size])
            for start in range(0, len(parsed), size)
        ]
        async with transaction(self.engine) as connection:
            await inbox.add(connection, requests)
            if one_partition:
                await connection.execute("UPDATE inbox SET lane = 0 WHERE done_at IS NULL")

    async def scatter(self) -> None:
        """Put what waits into partitions at random, so that batches at work at the same time share customers."""
        async with transaction(self.engine) as connection:
            await connection.execute("UPDATE inbox SET lane = id % $1::int WHERE done_at IS NULL", FIRST_LARGE)

    async def work(self, workers: int = 1, most_leads: int = 1000) -> None:
        """Decide everything that waits, by workers that do not know of each other."""

        async def worker(policies: Policies) -> None:
            while await again(lambda: worker_batch.process_inbox(self.engine, policies, most_leads)):
                pass

        if workers == 1:
            await worker(self.policies)
        else:
            await asyncio.gather(*(worker(Policies()) for _ in range(workers)))
        await self.empty_quarantine()

    async def send(self, *sent: Wire, **how: Any) -> None:
        """Accept leads and decide them."""
        await self.accept(*sent)
        await self.work(**how)

    async def empty_quarantine(self) -> None:
        """Decide quarantined leads whose product and customer exist."""
        while await again(lambda: worker_batch.retry_quarantined(self.engine, self.policies)):
            pass

    # -- events

    async def settle(self) -> None:
        """Judge every stale customer again, as the task after a change of terms or rates does."""
        for partner_id in self.partners.values():
            while await reevaluation.rejudge_some_stale(self.engine, self.policies, [partner_id]):
                pass

    async def close(self, partner: str, period: str) -> bool:
        """Close a period. False if both sides refuse."""
        refused = False
        try:
            self.oracle.close(partner, period)
        except Refused:
            refused = True
        partner_id = self.partners[partner]
        try:
            month = period_from_text(period)
            await closing.freeze(self.engine, self.unit_of_work, self.policies, partner_id, month, LATER)
        except BillingError:
            assert refused
        else:
            assert not refused
            self.now = max(self.now, self.oracle.period_start(partner, following(period)))
        finally:
            self.policies.clear()
        return not refused

    async def reopen(self, partner: str, period: str) -> bool:
        """Reopen a period. False if both sides refuse."""
        refused = False
        try:
            self.oracle.reopen(partner, period)
        except Refused:
            refused = True
        try:
            async with self.unit_of_work() as uow:
                await reopening.reopen(uow, self.policies, self.partners[partner], period_from_text(period))
        except BillingError:
            assert refused
        else:
            assert not refused
        finally:
            self.policies.clear()
        return not refused

    async def hold(self, reference: ActionRef) -> bool:
        """Hold an action. False if both sides refuse."""
        return await self._change_hold_status(reference, self.oracle.hold, holds.hold)

    async def release(self, reference: ActionRef) -> bool:
        """Release a held action."""
        return await self._change_hold_status(reference, self.oracle.release, holds.release)

    async def return_action(self, reference: ActionRef) -> bool:
        """Return an action."""
        return await self._change_hold_status(reference, self.oracle.return_, holds.return_action)

    async def correct(self, reference: ActionRef, **right: Any) -> ActionRef | None:
        """Correct an action: `action_type`, `level`, `at`. The right one, None if both sides refuse."""
        expected: ActionRef | None = None
        with suppress(Refused):
            expected = self.oracle.correct(reference, **right)
        at = right.get("at")
        correction = Correction(right.get("action_type"), right.get("level"), at and datetime.fromisoformat(at))
        try:
            async with self.unit_of_work() as uow:
                right_id = await corrections.correct(uow, self.policies, action_id(reference), correction, "because")
        except BillingError:
            assert expected is None
        else:
            assert expected is not None
            assert right_id == action_id(expected)
        return expected

    async def _change_hold_status(self, reference: ActionRef, of_oracle: Any, change: Any) -> bool:
        refused = False
        try:
            of_oracle(reference)
        except Refused:
            refused = True
        try:
            async with self.unit_of_work() as uow:
                await change(uow, self.policies, action_id(reference), "because")
        except BillingError:
            assert refused
        else:
            assert not refused
        return not refused

    # -- comparing

    async def check(self, *, rebuilt: bool = True) -> None:
        """Everything the engine says is what the oracle says, the counters are right, and a rebuild changes nothing."""
        await self.settle()
        for partner in self.partners:
            await self._check_partner(partner)
        async with transaction(self.engine, readonly=True) as connection:
            await self._check_quarantine(connection)
            await self._check_people(connection)
        if rebuilt:
            await self.check_rebuild()

    async def _check_partner(self, partner: str) -> None:
        partner_id = self.partners[partner]
        async with transaction(self.engine, readonly=True) as connection:
            rows = await connection.fetch(
                "SELECT DISTINCT period, customer_id FROM customer_periods WHERE partner_id = $1", partner_id
            )
            people_of: dict[int, list[UUID]] = defaultdict(list)
            for row in rows:
                people_of[row["period"]].append(row["customer_id"])
            found: dict[UUID, Decided] = {}
            for period, customers in people_of.items():
                async for lines in explained_actions.lines_of_customers(connection, partner_id, period, customers):
                    found |= {line.explained.verdict.action.id: _decided_from_line(line) for line in lines}
            await _check_explained_alone(connection, partner_id, found)
            expected = {_row_key(v.action): _decided_from_verdict(v) for v in self.oracle.verdicts(partner)}
            stored = await connection.fetchval("SELECT count(*) FROM actions WHERE partner_id = $1", partner_id)
            assert found == expected
            assert stored == len(expected)
            periods = {verdict.billing_period for verdict in self.oracle.verdicts(partner)}
            periods |= {credit.period for credit in self.oracle.credits(partner)}
            periods |= {text_from_period(period) for period in people_of}
            for name in sorted(periods):
                await self._check_totals(connection, partner, name)
            await self._check_credits(connection, partner)
            await self._check_periods(connection, partner)
            await _check_winners(connection, partner_id)
            await _check_replays(connection, partner_id)
            assert await reevaluation.stale_customers(connection, [partner_id]) == 0

    async def _check_totals(self, connection: asyncpg.Connection, partner: str, name: str) -> None:
        partner_id, period = self.partners[partner], period_from_text(name)
        sums = ", ".join(f"sum({column})::bigint AS {column}" for column in (*TOTALS_COLUMNS, "credited_minor"))
        of_products = await connection.fetch(
            f"""
            SELECT products.external_id, {sums} FROM product_periods JOIN products ON products.id = product_id
            WHERE product_periods.partner_id = $1 AND period = $2 GROUP BY products.external_id
            """,
            partner_id,
            period,
        )
        for row in of_products:
            _same_totals(row, self.oracle.product_totals(partner, name, row["external_id"]))
        of_customers = await connection.fetch(
            """
            SELECT customer_periods.*, customers.external_id
            FROM customer_periods JOIN customers ON customers.id = customer_id WHERE partner_id = $1 AND period = $2
            """,
            partner_id,
            period,
        )
        for row in of_customers:
            _same_totals(row, self.oracle.customer_totals(partner, name, row["external_id"]))
        whole = self.oracle.totals(partner, name)
        for column in ("actions", "gross_minor", "billed_minor", "credited_minor"):
            key = {"credited_minor": "credits"}.get(column, column.removesuffix("_minor"))
            assert sum(row[column] for row in of_products) == whole[key]  # type: ignore[literal-required]
            assert sum(row[column] for row in of_customers) == whole[key]  # type: ignore[literal-required]
        found = await recount.drift(connection, partner_id, period)
        assert found.count == 0, found

    async def _check_credits(self, connection: asyncpg.Connection, partner: str) -> None:
        rows = await connection.fetch(
            "SELECT action_id, period, amount_minor FROM credits WHERE partner_id = $1", self.partners[partner]
        )
        assert {row["action_id"]: (text_from_period(row["period"]), row["amount_minor"]) for row in rows} == {
            _row_key(credit.action): (credit.period, credit.amount_minor) for credit in self.oracle.credits(partner)
        }

    async def _check_periods(self, connection: asyncpg.Connection, partner: str) -> None:
        """The stored periods are the oracle's, without a gap where the time zone changed."""
        rows = await connection.fetch("SELECT * FROM periods WHERE partner_id = $1", self.partners[partner])
        for row in rows:
            period = text_from_period(row["period"])
            bounds = (self.oracle.period_start(partner, each) for each in (period, following(period)))
            assert (row["starts_at"], row["ends_at"]) == tuple(bounds), period

    async def _check_people(self, connection: asyncpg.Connection) -> None:
        """Everybody has the same e-mail, name and identifiers; the first one is no alias."""
        rows = await connection.fetch(
            """
            SELECT id, email, name, external_id, ARRAY(
                SELECT external_id FROM customer_aliases WHERE customer_id = customers.id
            ) AS aliases FROM customers WHERE id = ANY($1::uuid[])
            """,
            [person.key for person in self.oracle.people()],
        )
        assert {row["id"]: (row["email"], row["name"], row["external_id"], {*row["aliases"]}) for row in rows} == {
            person.key: (person.email, person.name, person.ids[0], {*person.ids[1:]}) for person in self.oracle.people()
        }

    async def _check_quarantine(self, connection: asyncpg.Connection) -> None:
        """The same claims are quarantined. A conflict that came up later may keep the reason of its arrival."""
        found = {}
        listed = [
            each
            for state in ("open", "superseded")  # to the oracle, which has no instants of arrival, they are one
            for each in await quarantine.page(connection, reason=None, after=0, limit=10_000, state=state)
        ]
        for each in listed:
            sent = each.lead
            found[_claim(sent.source, sent.external_id, sent.product, sent.customer, sent.lead_type)] = each.reason
        expected = {message_from_wire(wire).claim: reason for wire, reason in self.oracle.quarantine()}
        assert found.keys() == expected.keys()
        for claim, reason in expected.items():
            assert reason in ("conflict", "action_conflict", found[claim]), claim

    async def rebuild(self, partner_id: UUID, period: int) -> tuple[int, int]:
        """Rebuild a report in this process: how many verdicts and how many counters were corrected."""

        async def progress(_: int, __: int) -> None:
            return

        policies, corrected = Policies(), 0
        for within in await rebuild.customer_ranges(self.engine, policies, partner_id, period):
            judged = await rebuild.judge_range(self.engine, policies, partner_id, period, within, progress)
            corrected += judged.verdicts_corrected
        return corrected, await rebuild.correct_counters(self.engine, policies, partner_id, period)

    async def damage_counters(self, partner_id: UUID, period: int) -> None:
        """Make the counters of a report wrong, which a rebuild must find."""
        async with transaction(self.engine) as connection:
            await connection.execute(
                """
                UPDATE customer_periods SET gross_minor = gross_minor + 700, billed_minor = billed_minor + 700
                WHERE partner_id = $1 AND period = $2
                """,
                partner_id,
                period,
            )
            await connection.execute(
                "UPDATE product_periods SET leads = leads + 1 WHERE partner_id = $1 AND period = $2", partner_id, period
            )

    async def check_rebuild(self) -> None:
        """A rebuild of every report corrects nothing."""
        for partner_id in self.partners.values():
            async with transaction(self.engine, readonly=True) as connection:
                periods = await periods_used(connection, partner_id)
            for period in periods:
                assert await self.rebuild(partner_id, period) == (0, 0)


def rate_start(text: str | None) -> Start:
    """The start of a rule as the wire says it: an instant, a period or none."""
    if text is None:
        return None
    return period_from_text(text) if len(text) == len("2024-05") else datetime.fromisoformat(text)


def terms_fields(terms: dict[str, Any]) -> dict[str, Any]:
    """Terms as the wire says them, as fields of PartnerTerms."""
    fields: dict[str, Any] = {}
    if "cap" in terms:
        fields["cap_minor"] = None if terms["cap"] is None else minor_from_amount(terms["cap"])
    if "cap_scope" in terms:
        fields["cap_scope"] = CapScope(terms["cap_scope"])
    if "dedup_window" in terms:
        fields["dedup_window"] = window_from_wire(terms["dedup_window"])
    return fields


def _row_key(identity: ActionId) -> UUID:
    return action_id(identity)


def _claim(source: str, lead_id: str, product: str, customer: str, lead_type: str) -> Any:
    wire = {
        "source": source,
        "lead_id": lead_id,
        "product_id": product,
        "customer_id": customer,
        "lead_type": lead_type,
        "actions": [],
    }
    assert lead_identity(source, lead_id)
    return message_from_wire(wire).claim


def _decided_from_line(line: explained_actions.Line) -> Decided:
    explained = line.explained
    action = explained.verdict.action
    assert line.reason.endswith(".")
    return Decided(
        customer=line.customer.external_id,
        product=line.product.external_id,
        own_period=text_from_period(action.own_period),
        billing_period=text_from_period(action.billing_period),
        late=action.billing_period > action.own_period,
        value_minor=action.value_minor,
        billed_minor=explained.verdict.billed_minor,
        outcome=explained.verdict.outcome.value,
        duplicate_of=explained.winner.action_id if explained.winner else None,
        cap_before_minor=explained.cap_before_minor,
        cap_after_minor=explained.cap_after_minor,
    )


def _decided_from_verdict(verdict: Any) -> Decided:
    return Decided(
        customer=verdict.customer,
        product=verdict.product,
        own_period=verdict.own_period,
        billing_period=verdict.billing_period,
        late=verdict.late,
        value_minor=verdict.value_minor,
        billed_minor=verdict.billed_minor,
        outcome=verdict.outcome,
        duplicate_of=None if verdict.duplicate_of is None else _row_key(verdict.duplicate_of),
        cap_before_minor=verdict.cap_before_minor,
        cap_after_minor=verdict.cap_after_minor,
    )


def _same_totals(row: asyncpg.Record, expected: OracleTotals) -> None:
    found = {name: row[name] for name in TOTALS_COLUMNS}
    money = {f"{name}_minor": expected[name] for name in ("gross", "billed", "duplicate_savings", "cap_savings")}
    money |= {"held_minor": expected["held"], "returned_minor": expected["returned"]}
    counts = {"leads": expected["leads"], "actions": expected["actions"]}
    outcomes = {outcome: expected["outcomes"].get(outcome, 0) for outcome in OUTCOMES}
    assert found == counts | outcomes | money
    assert row["credited_minor"] == expected["credits"]
    assert Totals(**found).conserved


async def _check_explained_alone(
    connection: asyncpg.Connection, partner_id: UUID, expected: dict[UUID, Decided]
) -> None:
    """Single actions are explained as the report explains all of them, however many winners a customer has."""
    rows = await connection.fetch("SELECT id FROM leads WHERE partner_id = $1", partner_id)
    decided = await explained_actions.actions_of_leads(connection, [row["id"] for row in rows])
    lines = await explained_actions.lines_of_actions(connection, decided)
    assert {line.explained.verdict.action.id: _decided_from_line(line) for line in lines} == expected
    counters = await period_counters.read(connection, [(each.customer, 0) for each in decided])
    actions = [(each.customer, each.verdict.action) for each in decided]
    from_sums = await cap_used.used_before(connection, actions, counters, few=0)
    assert from_sums == await cap_used.used_before(connection, actions, counters, few=1_000_000)


async def _check_replays(connection: asyncpg.Connection, partner_id: UUID) -> None:
    """Closed periods are judged again from their actions as they were closed (B11)."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT billing_period FROM actions JOIN partners ON partners.id = partner_id
        WHERE partner_id = $1 AND billing_period <= closed_through
        """,
        partner_id,
    )
    for row in rows:
        judged = {
            verdict.action.id: (verdict.outcome.value, verdict.billed_minor, verdict.action.value_minor)
            async for verdicts in replay.verdicts(connection, Policies(), partner_id, row["billing_period"])
            for verdict in verdicts
        }
        stored = await connection.fetch(
            "SELECT id, outcome, billed_minor, value_minor FROM actions WHERE partner_id = $1 AND billing_period = $2",
            partner_id,
            row["billing_period"],
        )
        assert judged == {key: tuple(verdict) for key, *verdict in stored}


async def _check_winners(connection: asyncpg.Connection, partner_id: UUID) -> None:
    """The winners are the actions that won; only a credited one has let go of its key."""
    rows = await connection.fetch(
        """
        SELECT actions.id, outcome, winners.action_id, released_from, credits.period AS credited_in
        FROM actions FULL JOIN winners ON winners.action_id = actions.id
        LEFT JOIN credits ON credits.action_id = actions.id
        WHERE coalesce(actions.partner_id, winners.partner_id) = $1
        """,
        partner_id,
    )
    for row in rows:
        wins = row["id"] is not None and Outcome(row["outcome"]) in WINNING
        assert (row["action_id"] is not None) is wins, row
        if wins:
            assert row["released_from"] == (row["credited_in"] or NEVER_RELEASED), row


async def forget_everything_waiting(engine: AsyncEngine) -> None:
    """Start the next example with an empty inbox and quarantine, whatever became of the one before."""
    async with transaction(engine) as connection:
        await connection.execute("DELETE FROM inbox WHERE done_at IS NULL")
        await connection.execute("DELETE FROM quarantine")

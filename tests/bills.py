"""Bills for tests that are not about how a bill comes to be."""

from dataclasses import replace
from datetime import date
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncEngine

from billing.bills.lines import lines_of
from billing.bills.values import TermsOfBill
from db.bills import records
from db.bills.drafts import draft_from_content
from db.bills.files import stored
from db.bills.files.formats import BillFormat
from db.core.engine import transaction
from db.core.row_keys import partner_uuid
from db.core.settings import Settings
from tests.billing.bills.builders import ISSUE, S20, content, product


async def issued_bill(engine: AsyncEngine, partner: str, settings: Settings, period: int = 202001) -> UUID:
    """An issued bill of 12.00 with its JSON file, for a month before the partner's first lead."""
    terms, bill_id = TermsOfBill(tax=S20), uuid4()
    made = content(*lines_of(terms, [product(1000)], [], {}, []), partner=partner, period=period, terms=terms)
    async with transaction(engine) as connection:
        await records.insert_all(connection, [(partner_uuid(partner), draft_from_content(made, bill_id))])
        bill = await records.read(connection, bill_id)
        assert bill is not None
        issue = replace(ISSUE, number=f"{partner.upper()}-{period}", issued_on=date(2020, 2, 3))
        await records.write_issue(connection, bill, issue)
        issued = await records.read(connection, bill_id)
        assert issued is not None
        await stored.remember(connection, bill_id, await stored.make(settings, issued, [BillFormat.JSON]))
    return bill_id

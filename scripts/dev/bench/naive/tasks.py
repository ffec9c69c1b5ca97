"""The control's worker: one task bills one lead, in the order in which the leads happen to come."""

import asyncio
import os
from datetime import datetime
from typing import Any

from celery import Celery
from celery.signals import worker_process_init
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from db.core.settings import Settings
from scripts.dev.bench.naive.models import Action, Customer, Lead

_VALUES_MINOR = {"High": 1000, "Medium": 500, "Low": 200}
_CAP_MINOR = 10_000

app = Celery("naive", broker=os.environ.get("REDIS_URL", "redis://unused"))
app.conf.update(task_ignore_result=True, task_acks_late=True, worker_hijack_root_logger=False)


class _Runtime:
    """One loop and one engine per child, as the product has them; the comparison is not about that mistake."""

    def __init__(self) -> None:
        settings = Settings()
        self.runner = asyncio.Runner()
        url = settings.database_url.replace("postgresql://", "postgresql+asyncpg://")
        self.engine = create_async_engine(url, pool_size=1)


_runtime: list[_Runtime] = []


@worker_process_init.connect
def _start(**_: Any) -> None:
    _runtime.append(_Runtime())


@app.task(name="naive.bill_lead")
def bill_lead(lead: dict[str, Any]) -> None:
    """Bill one lead."""
    _runtime[-1].runner.run(_bill(lead))


async def _bill(sent: dict[str, Any]) -> None:
    async with AsyncSession(_runtime[-1].engine) as session, session.begin():
        by_name = select(Customer).where(Customer.external_id == sent["customer_id"])
        customer = (await session.scalars(by_name.with_for_update())).one()
        if (await session.scalars(select(Lead).where(Lead.external_id == sent["lead_id"]))).one_or_none():
            return
        lead = Lead(
            external_id=sent["lead_id"],
            customer_id=customer.id,
            product=sent["product_id"],
            lead_type=sent["lead_type"],
        )
        session.add(lead)
        for each in sent["actions"]:
            await session.flush()
            await _bill_action(session, customer, lead, each)


async def _bill_action(session: AsyncSession, customer: Customer, lead: Lead, sent: dict[str, Any]) -> None:
    duplicates = select(func.count(Action.id)).where(
        Action.customer_id == customer.id,
        Action.product == lead.product,
        Action.action_type == sent["action_type"],
        Action.engagement_level == sent["engagement_level"],
    )
    is_duplicate = bool(await session.scalar(duplicates))
    used = select(func.coalesce(func.sum(Action.billed_minor), 0)).where(Action.customer_id == customer.id)
    value_minor = _VALUES_MINOR[sent["engagement_level"]]
    left_minor = _CAP_MINOR - int(await session.scalar(used) or 0)
    session.add(
        Action(
            lead_id=lead.id,
            customer_id=customer.id,
            product=lead.product,
            action_type=sent["action_type"],
            engagement_level=sent["engagement_level"],
            occurred_at=datetime.fromisoformat(sent["timestamp"]),
            value_minor=value_minor,
            billed_minor=0 if is_duplicate else max(min(value_minor, left_minor), 0),
            is_duplicate=is_duplicate,
        )
    )

"""The control's tables, in a schema of their own."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, DateTime, ForeignKey, MetaData, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    """Keeps the control apart from the product's tables."""

    metadata = MetaData(schema="naive")


class Customer(Base):
    """A customer; the row is locked while one of its leads is billed."""

    __tablename__ = "customers"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    external_id: Mapped[str] = mapped_column(unique=True)


class Lead(Base):
    """A lead with its actions."""

    __tablename__ = "leads"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    external_id: Mapped[str] = mapped_column(unique=True)
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("naive.customers.id"), index=True)
    product: Mapped[str]
    lead_type: Mapped[str]
    actions: Mapped[list["Action"]] = relationship(back_populates="lead", lazy="selectin")


class Action(Base):
    """An action with what was billed for it."""

    __tablename__ = "actions"
    __table_args__ = (UniqueConstraint("lead_id", "action_type", "engagement_level", "occurred_at"),)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    lead_id: Mapped[UUID] = mapped_column(ForeignKey("naive.leads.id"))
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("naive.customers.id"), index=True)
    product: Mapped[str]
    action_type: Mapped[str]
    engagement_level: Mapped[str]
    occurred_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    value_minor: Mapped[int] = mapped_column(BigInteger)
    billed_minor: Mapped[int] = mapped_column(BigInteger)
    is_duplicate: Mapped[bool]
    lead: Mapped[Lead] = relationship(back_populates="actions")

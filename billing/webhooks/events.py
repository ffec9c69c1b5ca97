"""What webhooks tell of, by name."""

from enum import StrEnum


class Event(StrEnum):
    """Something that happened; `docs/webhooks.md` says what its message holds."""

    LEAD_QUARANTINED = "lead.quarantined"
    REPORT_READY = "report.ready"
    BILL_PENDING = "bill.pending"
    BILL_APPROVED = "bill.approved"
    BILL_REJECTED = "bill.rejected"
    BILL_ISSUED = "bill.issued"
    BILL_PAID = "bill.paid"
    RUN_FINISHED = "run.finished"


TEST = "webhook.test"
"""The type of a message that somebody sends to see it arrive."""

OF_PARTNERS = frozenset({Event.LEAD_QUARANTINED, Event.REPORT_READY, Event.BILL_ISSUED, Event.BILL_PAID})
"""What a webhook of a partner may tell: of bills a partner sees those that are issued (P1)."""
